from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.evaluation.function import is_valid, passes
from engine.evaluation.function_records import FunctionCase, read_function_cases
from engine.evaluation.records import RecordError
from engine.evaluation.sandbox import Limits

LIMITS = Limits(wall_s=10, cpu_s=10)

HUMANEVALFIX = {
    "task_id": "Python/0",
    "prompt": 'def area(r):\n    """Area of a square"""\n',
    "declaration": "import math\n\n\ndef area(r):\n",
    "canonical_solution": "    return r * r\n",
    "buggy_solution": "    return r + r\n",
    "entry_point": "area",
    "import": "",
    "test": "\n\ndef check(area):\n    assert area(3) == 9\n\ncheck(area)\n",
}
QUIXBUGS = {
    "name": "gcd_of",
    "buggy_program": "# Python 3\ndef gcd_of(a, b):\n    return gcd_of(a % b, b) if b else a\n\n\n'two ints'\n",
    "solution": "def gcd_of(a, b):\n    return gcd_of(b, a % b) if b else a\n",
    "tests": "assert gcd_of(12, 18) == 6\n",
}
CANITEDIT = {
    "id": 7,
    "name": "hello",
    "full_name": "7_hello",
    "before": "def hello(name):\n    return name\n",
    "after": 'def hello(name):\n    return "Hello, " + name\n',
    "tests": 'assert hello("Ada") == "Hello, Ada"\n',
    "instruction_descriptive": "Return a greeting.\n",
    "instruction_lazy": "greet",
}


def read_one(tmp_path: Path, record: dict[str, Any], **options: Any) -> FunctionCase:
    path = tmp_path / "cases.jsonl"
    path.write_text(json.dumps(record) + "\n")
    (case,) = read_function_cases(path, **options)
    return case


@pytest.mark.parametrize("record", [HUMANEVALFIX, QUIXBUGS, CANITEDIT], ids=["HumanEvalFix", "QuixBugs", "CanItEdit"])
def test_tests_tell_the_reference_from_the_buggy_program(tmp_path: Path, record: dict[str, Any]):
    case = read_one(tmp_path, record)
    assert is_valid(case, LIMITS)
    assert passes(case.reference, case, LIMITS)
    assert not passes(case.prefix + case.span + case.suffix, case, LIMITS)


def test_humanevalfix_edits_the_body(tmp_path: Path):
    case = read_one(tmp_path, HUMANEVALFIX)
    assert (case.prefix, case.span, case.suffix) == ("import math\n\n\ndef area(r):\n", "    return r + r\n", "")
    assert (case.id, case.intent, case.instruction) == ("Python/0", "fix", None)


def test_humanevalfix_without_a_call_gets_one(tmp_path: Path):
    case = read_one(tmp_path, {**HUMANEVALFIX, "test": "def check(f):\n    assert f(3) == 9\n"})
    assert is_valid(case, LIMITS)


def test_quixbugs_leaves_the_explanation_outside(tmp_path: Path):
    case = read_one(tmp_path, QUIXBUGS)
    assert (case.prefix, case.suffix) == ("# Python 3\n", "\n\n'two ints'\n")
    assert case.span == "def gcd_of(a, b):\n    return gcd_of(a % b, b) if b else a\n"


def test_canitedit_rewrites_the_program_by_either_instruction(tmp_path: Path):
    case = read_one(tmp_path, CANITEDIT)
    assert (case.prefix, case.span, case.suffix) == ("", CANITEDIT["before"], "")
    assert (case.id, case.intent, case.instruction) == ("7_hello", "rewrite", "Return a greeting.")
    assert read_one(tmp_path, CANITEDIT, instructions="lazy").instruction == "greet"


def test_a_case_whose_tests_decide_nothing_is_invalid(tmp_path: Path):
    assert not is_valid(read_one(tmp_path, {**CANITEDIT, "tests": "pass\n"}), LIMITS)
    assert not is_valid(read_one(tmp_path, {**CANITEDIT, "tests": "assert False\n"}), LIMITS)


def test_unknown_forms_are_refused(tmp_path: Path):
    with pytest.raises(RecordError, match="line 1: not a HumanEvalFix, QuixBugs or CanItEdit record"):
        read_one(tmp_path, {"a": 1})
    with pytest.raises(RecordError, match="'test' must be a string"):
        read_one(tmp_path, {**HUMANEVALFIX, "test": 3})
    with pytest.raises(RecordError, match="does not parse"):
        read_one(tmp_path, {**QUIXBUGS, "buggy_program": "def f(:\n"})


def make_checkout(folder: Path, name: str, buggy: str, correct: str, cases: str) -> Path:
    for part, file, text in (
        ("python_programs", f"{name}.py", buggy),
        ("correct_python_programs", f"{name}.py", correct),
        ("json_testcases", f"{name}.json", cases),
    ):
        (folder / part).mkdir(exist_ok=True)
        (folder / part / file).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("name", "buggy", "correct", "cases"),
    [
        ("up", "def up(x):\n    return x\n", "def up(x):\n    return x + 1\n", "[1, 2]\n[[5], 6]\n"),
        (
            "pairs",
            "def pairs(a):\n    yield from a\n",
            "def pairs(a):\n    yield from ((x, x) for x in a)\n",
            "[[[1, 2]], [[1, 1], [2, 2]]]\n",
        ),
        (
            "half",
            "def half(x, eps):\n    return x\n",
            "def half(x, eps):\n    return x / 2 + eps / 2\n",
            "[[5, 0.01], 2.5]\n",
        ),
        (
            "third",
            "def third(x):\n    return x / 3 + 1e-6\n",
            "def third(x):\n    return x * (1 / 3)\n",
            "[[5], 1.6666666666666667]\n",
        ),
    ],
    ids=["scalars", "generators and tuples", "tolerance", "floats"],
)
def test_quixbugs_checkout(tmp_path: Path, name: str, buggy: str, correct: str, cases: str):
    (case,) = read_function_cases(make_checkout(tmp_path, name, buggy, correct, cases))
    assert case.id == name
    assert passes(case.reference, case, LIMITS)
    assert not passes(case.prefix + case.span + case.suffix, case, LIMITS)


def test_quixbugs_checkout_with_node_tests(tmp_path: Path):
    make_checkout(
        tmp_path, "ends", "def ends(n):\n    return n\n", "def ends(n):\n    return not n.successor\n", "[1, 1]"
    )
    (tmp_path / "json_testcases" / "ends.json").unlink()
    node = "class Node:\n    def __init__(self, value=None, successor=None):\n        self.successor = successor\n"
    (tmp_path / "python_programs" / "node.py").write_text(node)
    tests = """import pytest
from node import Node

if pytest.use_correct:
    from correct_python_programs.ends import ends
else:
    from python_programs.ends import ends

last = Node(1)

def test1():
    assert ends(last)

def test2():
    assert not ends(Node(2, last))
"""
    (tmp_path / "python_testcases").mkdir()
    (tmp_path / "python_testcases" / "test_ends.py").write_text(tests)
    (case,) = read_function_cases(tmp_path)
    assert is_valid(case, LIMITS)


def test_a_folder_that_is_no_checkout(tmp_path: Path):
    with pytest.raises(RecordError, match="not a checkout of QuixBugs"):
        read_function_cases(tmp_path)
    make_checkout(tmp_path, "f", "def f():\n    pass\n", "def f():\n    pass\n", "[1, 1]\nnope\n")
    with pytest.raises(RecordError, match="not a checkout of QuixBugs"):
        read_function_cases(tmp_path)
