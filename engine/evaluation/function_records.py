"""Readers of programs with tests: HumanEvalFix, QuixBugs, CanItEdit. Must not import torch."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.evaluation.records import Record, RecordError, read_cases
from engine.messages import Intent
from engine.regions import split_lines

InstructionKind = Literal["descriptive", "lazy"]


@dataclass(frozen=True, slots=True)
class FunctionCase:
    """`prefix + span + suffix` is the program to edit; `tests`, run after it, decide. `reference` is the
    whole program as its author mended it."""

    id: str
    prefix: str
    span: str
    suffix: str
    reference: str
    tests: str
    intent: Intent
    instruction: str | None = None


def read_function_cases(path: Path, instructions: InstructionKind = "descriptive") -> list[FunctionCase]:
    """Reads the published forms, told apart by their fields:

    * HumanEvalFix (HumanEvalPack, Python; Muennighoff et al., arXiv 2308.07124), JSON lines:
      `{task_id, declaration, buggy_solution, canonical_solution, test, entry_point}`. The body is edited.
    * QuixBugs, JSON lines `{name, buggy_program, solution, tests}`, or a checkout of its repository
      (a folder with `python_programs`, `correct_python_programs`, `json_testcases`, `python_testcases`).
    * CanItEdit (Cassano et al., arXiv 2312.12450), JSON lines: `{id, before, after, tests,
      instruction_descriptive, instruction_lazy}`. The whole program is rewritten by the instruction.

    Raises RecordError."""
    if path.is_dir():
        return read_quixbugs_checkout(path)
    return read_cases(path, lambda record: function_case(record, instructions))


def function_case(record: Record, instructions: InstructionKind) -> FunctionCase:
    if "buggy_solution" in record:
        return humanevalfix_case(record)
    if "buggy_program" in record:
        name, program = record.id("name"), record.text("buggy_program")
        return quixbugs_case(name, program, record.text("solution"), tests_text(record), record.where)
    if "instruction_descriptive" in record:
        return canitedit_case(record, instructions)
    raise RecordError(f"{record.where}: not a HumanEvalFix, QuixBugs or CanItEdit record")


def humanevalfix_case(record: Record) -> FunctionCase:
    head = record.text("declaration")
    if record.fields.get("import"):
        head = f"{record.text('import')}\n{head}"
    tests = record.text("test")
    # HumanEvalPack ends its tests with the call, HumanEval leaves it to the harness.
    if not any(line.startswith("check(") for line in tests.splitlines()):
        tests += f"\ncheck({record.text('entry_point')})\n"
    reference = head + record.text("canonical_solution")
    return FunctionCase(record.id("task_id"), head, record.text("buggy_solution"), "", reference, tests, "fix")


def canitedit_case(record: Record, instructions: InstructionKind) -> FunctionCase:
    number = record.id("full_name", "id", "name")
    instruction = record.text(f"instruction_{instructions}").strip()
    after, tests = record.text("after"), record.text("tests")
    return FunctionCase(number, "", record.text("before"), "", after, tests, "rewrite", instruction)


def tests_text(record: Record) -> str:
    """The tests of a QuixBugs record: code, or a list of statements."""
    tests = record.fields.get("tests")
    if isinstance(tests, list):
        return "\n".join(map(str, tests))  # pyright: ignore[reportUnknownArgumentType]
    return record.text("tests")


def quixbugs_case(name: str, program: str, reference: str, tests: str, where: str) -> FunctionCase:
    """The span is the code: the string after it, which explains the program, stays outside."""
    try:
        body = ast.parse(program).body
    except SyntaxError as error:
        raise RecordError(f"{where}: the program does not parse: {error.msg}") from error
    code = [node for node in body if not isinstance(node, ast.Expr)]
    if not code:
        raise RecordError(f"{where}: the program has no code")
    lines = split_lines(program)
    first, last = code[0].lineno - 1, code[-1].end_lineno or len(lines)
    parts = ("".join(lines[:first]), "".join(lines[first:last]), "".join(lines[last:]))
    return FunctionCase(name, *parts, reference, tests, "fix")


def read_quixbugs_checkout(folder: Path) -> list[FunctionCase]:
    programs = folder / "python_programs"
    try:
        paths = sorted(path for path in programs.glob("*.py") if is_program(path, folder))
        cases = [checkout_case(path, folder) for path in paths]
    except OSError as error:
        raise RecordError(f"cannot read {error.filename}: {error.strerror}") from error
    except ValueError as error:
        raise RecordError(f"{folder} is not a checkout of QuixBugs: {error}") from error
    if not cases:
        raise RecordError(f"{folder} is not a checkout of QuixBugs: no programs with tests in python_programs")
    return cases


def is_program(path: Path, folder: Path) -> bool:
    tests = (folder / "json_testcases" / f"{path.stem}.json", folder / "python_testcases" / f"test_{path.stem}.py")
    return any(test.is_file() for test in tests)


def checkout_case(path: Path, folder: Path) -> FunctionCase:
    cases = folder / "json_testcases" / f"{path.stem}.json"
    tests = json_tests(path.stem, read(cases)) if cases.is_file() else node_tests(path.stem, folder)
    reference = read(folder / "correct_python_programs" / path.name)
    return quixbugs_case(path.stem, read(path), reference, tests, path.name)


# The repository's own comparison: generators are listed, tuples equal lists, floats are compared with
# the tolerance that the program is given as its last argument (sqrt), else nearly exactly.
COMPARE = """
import json as _json, math as _math

def _plain(value):
    if isinstance(value, (int, float, str, bool, type(None))):
        return value
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value]

def _same(found, expected, tolerance):
    if isinstance(expected, float) and isinstance(found, (int, float)):
        return _math.isclose(found, expected, rel_tol=1e-9, abs_tol=tolerance)
    return _plain(found) == expected

for _line in _CASES.splitlines():
    if _line.strip():
        _arguments, _expected = _json.loads(_line)
        _arguments = _arguments if isinstance(_arguments, list) else [_arguments]
        _tolerance = _arguments[-1] if isinstance(_arguments[-1], float) else 0.0
        assert _same(_PROGRAM(*_arguments), _expected, _tolerance)
"""


def json_tests(name: str, cases: str) -> str:
    for line in filter(str.strip, cases.splitlines()):
        json.loads(line)  # ValueError here rather than in every candidate's process
    return f"\n_CASES = {cases!r}\n_PROGRAM = {name}\n{COMPARE}"


def node_tests(name: str, folder: Path) -> str:
    """The tests of a graph program, without pytest: its imports go, its functions are called in order."""
    tree = ast.parse(read(folder / "python_testcases" / f"test_{name}.py"))
    kept = [node for node in tree.body if not isinstance(node, (ast.Import, ast.ImportFrom, ast.If))]
    calls = [f"{node.name}()" for node in kept if isinstance(node, ast.FunctionDef) and node.name.startswith("test")]
    body = ast.unparse(ast.Module(kept, []))
    return "\n".join(["", read(folder / "python_programs" / "node.py"), body, *calls, ""])


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
