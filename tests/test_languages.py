"""Languages beyond Python: faults where they are, statements as units, candidates that add no error."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from engine.editing import edit_session, run_session
from engine.languages import GRAMMARS, is_checked, parser_of, statement_lines, syntax_fault
from engine.messages import EditRequest
from engine.models.loading import load_denoiser

GOOD = {
    "javascript": "function area(w, h) {\n  return w * h;\n}\n",
    "typescript": "export const area = (w: number, h: number): number => w * h;\n",
    "typescriptreact": "export const Page = () => <p className='x'>{1 + 1}</p>;\n",
    "rust": "fn area(w: u32, h: u32) -> u32 {\n    w * h\n}\n",
    "go": "package main\n\nfunc area(w, h int) int {\n\treturn w * h\n}\n",
    "c": "int area(int w, int h) {\n    return w * h;\n}\n",
    "java": "class Shape {\n    int area(int w, int h) {\n        return w * h;\n    }\n}\n",
}
SPOILT = {
    "javascript": ("return w * h;", "return w * ;", 1),
    "typescript": ("(w: number,", "(w: number", 0),
    "typescriptreact": ("</p>", "", 0),
    "rust": ("-> u32 {", "-> u32", 0),
    "go": ("(w, h int)", "(w, h int", 2),
    "c": ("w * h;", "w * h", 1),
    "java": ("int w, int h)", "int w, int h", 1),
}


@pytest.mark.parametrize("language", GOOD)
def test_faults_are_found_where_they_are(language: str) -> None:
    good = GOOD[language]
    assert syntax_fault(good, language) is None
    old, new, line = SPOILT[language]
    fault = syntax_fault(good.replace(old, new), language)
    assert fault
    assert abs(fault.line - line) <= 1


def test_a_fault_deep_inside_is_found() -> None:
    deep = 3000  # Python's stack is not
    fault = syntax_fault("[" * deep + "\n1 2" + "]" * deep, "json")
    assert fault
    assert fault.line == 1


# Unbounded, the first four end the process, the last two take the parser half a minute and more.
INVOLVED = {
    "block sequence": ("yaml", "- " * 2000 + "a"),
    "mappings": ("yaml", "".join(f"{' ' * depth}a:\n" for depth in range(600))),
    "keys": ("yaml", "? " * 300 + "a: " * 300),
    "templates": ("kotlin", '"${' * 5000),
    "operators": ("c", "<!--" * 3000),
    "functions": ("bash", "fn f(){" * 20_000),
}


@pytest.mark.parametrize("name", INVOLVED)
def test_a_parser_is_not_overrun(name: str) -> None:
    language, text = INVOLVED[name]
    began = time.monotonic()
    assert syntax_fault(text, language)
    assert statement_lines(text, 0, 0, language) == (0, 0)
    assert time.monotonic() - began < 20
    assert syntax_fault("a: 1\n" if language == "yaml" else "", language) is None  # the next is parsed from its start


def test_an_ordinary_yaml_file_is_checked() -> None:
    text = "a:\n" + "".join(f"  - {{k{i}: 1, l: [1, 2]}}\n" for i in range(500)) + " " * 90 + "# deep\n"
    assert syntax_fault(text, "yaml") is None
    assert syntax_fault(text + "b: ]\n", "yaml")


def test_columns_are_code_points() -> None:
    fault = syntax_fault("let s = '😀é'; let = 1 1;\n", "javascript")
    assert fault
    assert fault.column >= len("let s = '😀é'; ")
    assert fault.column < len("let s = '😀é'; let = 1 1;")


def test_every_grammar_is_in_the_wheel() -> None:
    for grammar in GRAMMARS.values():
        assert parser_of(grammar).parse(b"").root_node is not None
    assert is_checked("python")
    assert not is_checked("cobol")
    assert syntax_fault("whatever (", "cobol") is None


def test_a_statement_is_a_unit() -> None:
    text = "f();\ncall(\n  one,\n  two,\n);\ng();\n"
    assert statement_lines(text, 2, 2, "javascript") == (2, 2)
    assert statement_lines(text, 2, 3, "javascript") == (1, 4)
    assert statement_lines(text, 0, 0, "javascript") == (0, 0)
    assert statement_lines(text, 2, 3, "cobol") == (2, 3)


@pytest.mark.parametrize("language", ["javascript", "go", "c"])
def test_a_fault_is_mended_by_the_real_model(language: str) -> None:
    good = GOOD[language]
    old, new, line = SPOILT[language]
    lines = good.replace(old, new).splitlines(keepends=True)
    start = max(0, line - 1)
    before, span, after = "".join(lines[:start]), "".join(lines[start : line + 1]), "".join(lines[line + 1 :])
    model = load_denoiser(None, "cpu", 1)
    result = run_session(edit_session(EditRequest("fix", before, span, after, language), model), model)
    assert result.candidates, result
    best = result.candidates[0]
    assert best.parses
    assert syntax_fault(before + best.text + after, language) is None


def test_no_candidate_breaks_what_parsed() -> None:
    before, span, after = "function f(a) {\n", "  const b = a + 1;\n  return b;\n", "}\n"
    model = load_denoiser(None, "cpu", 1)
    request = EditRequest("rewrite", before, span, after, "javascript", strength=0.8, candidates=10)
    for candidate in run_session(edit_session(request, model), model).candidates:
        assert candidate.parses
        assert syntax_fault(before + candidate.text + after, "javascript") is None


REAL = {".ts": "typescript", ".mjs": "javascript", ".json": "json"}
EDITORS = Path(__file__).parents[1] / "editors" / "vscode"


@pytest.mark.parametrize("suffix", REAL)
def test_real_files_have_no_fault_until_a_bracket_is_gone(suffix: str) -> None:
    files = [f for folder in (EDITORS, EDITORS / "src", EDITORS / "scripts") for f in folder.glob(f"*{suffix}")]
    assert files
    for file in files:
        text = file.read_text()
        assert syntax_fault(text, REAL[suffix]) is None, file
        last = text.rindex("}")
        assert syntax_fault(text[:last] + text[last + 1 :], REAL[suffix]), file
