"""Edits that somebody asked for: what is made of functions, and what is asked and answered."""

from __future__ import annotations

import ast
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from engine.asking import FIX, whole_lines
from engine.models.foreign import SHIFT
from engine.models.writer import Writer
from engine.told import FENCE
from engine.training import refactorings
from engine.training.asked import LONGEST, SHARES, Asked
from engine.training.refactorings import KINDS, change, functions

AS_IT_IS = {  # code that does it, what it returns for 1, 2, 3
    "fold": ("def f(xs):\n    return sum(x * 2 for x in xs if x > 1)\n", 10),
    "comprehension": ("def f(xs):\n    doubled = [x * 2 for x in xs]\n    return doubled\n", [2, 4, 6]),
    "conditional": ("def f(xs):\n    return 'many' if len(xs) > 2 else 'few'\n", "many"),
    "enumeration": (
        "def f(xs):\n    total = 0\n    for i, x in enumerate(xs):\n        total += i * x\n    return total\n",
        8,
    ),
    "f_string": ("def f(xs):\n    return f'{xs[0]} of {len(xs)}'\n", "1 of 3"),
    "truth": ("def f(xs):\n    if not xs:\n        return None\n    return xs[0]\n", 1),
    "name": ("def f(values_of_it):\n    return values_of_it[1]\n", 2),
    "docstring": ('def f(xs):\n    """The last."""\n    return xs[-1]\n', 3),
    "type_hints": ("def f(xs: list[int]) -> int:\n    return xs[-1]\n", 3),
}


@pytest.mark.parametrize("kind", AS_IT_IS)
@pytest.mark.parametrize("seed", range(4))
def test_what_is_undone_does_the_same_in_other_words(kind: str, seed: int) -> None:
    source, expected = AS_IT_IS[kind]
    function = ast.parse(source).body[0]
    assert isinstance(function, ast.FunctionDef)
    words = getattr(refactorings, kind)(function, Random(seed))
    assert words is not None
    before = ast.unparse(ast.fix_missing_locations(function))
    assert before != ast.unparse(ast.parse(source))
    for code in (before, source):
        names: dict[str, object] = {}
        exec(code, names)
        (called,) = [value for name, value in names.items() if name != "__builtins__"]
        assert called([1, 2, 3]) == expected  # type: ignore[operator]


@pytest.mark.parametrize(
    ("source", "asked", "before"),
    [
        (
            "def half(n):\n    if n is None:\n        raise ValueError('none')\n    return n / 2\n",
            "raise ValueError",
            "def half(n):\n    return n / 2\n",
        ),
        (
            "def text(path):\n    with open(path) as file:\n        return file.read()\n",
            "with",
            "def text(path):\n    file = open(path)\n    content = file.read()\n    file.close()\n    return content\n",
        ),
        (
            "@property\ndef size(self):\n    return self._size\n",
            "a property",
            "def size(self):\n    return self._size\n",
        ),
    ],
)
def test_a_function_is_asked_for_as_people_ask(source: str, asked: str, before: str) -> None:
    found = {made for made in (change(source, Random(seed)) for seed in range(60)) if made}
    assert any(asked in instruction and was == before for instruction, was, _ in found)
    assert all(ast.parse(was) and ast.parse(became) and was != became for _, was, became in found)


def test_functions_are_found_whole() -> None:
    code = """class A:
    @property
    def f(self):
        return (
            1
        )

    x = 1

def g(
    a,
):
    pass
z"""
    first = "@property\ndef f(self):\n    return (\n        1\n    )\n"
    assert list(functions(code)) == [first, "def g(\n    a,\n):\n    pass\n"]


def test_every_kind_of_example_asks_and_answers(writer: Writer, corpus_of_edits: Path) -> None:
    examples = list(islice(Asked(corpus_of_edits, writer, Random(0)), 120))
    assert {example.kind for example in examples} == set(SHARES)
    assert all(0 < example.answer < len(example.ids) <= LONGEST for example in examples)
    for example in examples:
        said = writer.vocabulary.decode([i + SHIFT for i in example.ids[example.answer :]])
        asked = writer.vocabulary.decode([i + SHIFT for i in example.ids[: example.answer]])
        assert said.endswith(FENCE + "<|im_end|>")
        assert asked.endswith(f"assistant\n{FENCE}python\n")
    fix = next(example for example in examples if example.kind == "fix")
    text = writer.vocabulary.decode([i + SHIFT for i in fix.ids])
    assert f"{FIX}.\n```python\nreturn values[len(values)]\n```" in text
    assert "```python\nreturn values[-1]\n```<|im_end|>" in text


def test_lines_are_kept_whole() -> None:
    assert whole_lines("a\nbb\ncc\n", -4) == "cc\n"
    assert whole_lines("a\nbb\ncc\n", 4) == "a\n"
    assert whole_lines("a\nbb", 40) == "a\nbb\n"
    assert whole_lines("abc", 0) == ""


def test_every_kind_has_a_request() -> None:
    assert all(requests for requests in KINDS.values())
