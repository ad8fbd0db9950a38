"""Slips of other languages and keyboards are undone as a whole, and what is right stays."""

import pytest

from engine.diffusion.slips import undone

SLIPS = [
    ("if a && b || c:", "if a and b or c:"),
    ("if a === 1:", "if a == 1:"),
    ("if a !== 1:", "if a != 1:"),
    ("if !ready(a):", "if not ready(a):"),
    ("else if a:", "elif a:"),
    ("if (a) {", "if (a):"),
    ("if a then", "if a:"),
    ("count++", "count += 1"),
    ("const total = 3", "total = 3"),
    ("function add(a, b):", "def add(a, b):"),
    ("def main:", "def main():"),
    ("throw new ValueError('x')", "raise ValueError('x')"),
    ("x = a > b ? a : b", "x = a if a > b else b"),
    ("return a ? b : c", "return b if a else c"),
    ("// note", "# note"),
    ("def f(x) - > int:", "def f(x) -> int:"),
    ("if a = = b:", "if a == b:"),
    ("import {a, b} from m", "from m import a, b"),
    ("import m.n import a", "from m.n import a"),
    ("import os from sys import path", "import os\nfrom sys import path"),
    ("from m import a import b", "from m import a as b"),
    ("from m *", "from m import *"),
    ("x = (, 1)", "x = (1)"),
    ("x =  # what?", "x = None # what?"),
    ("class_ = 0xFFL", "class_ = 0xFF"),
    ('print("a"\\n)', 'print("a\\n")'),
    ("print('a\\')", "print('a')"),
    ('x = f"{d["k"]}"', "x = f\"{d['k']}\""),
    ("\tx = 1", "        x = 1"),
    ("print(“hi”)", 'print("hi")'),
    ("f(a，b)", "f(a,b)"),
    ("x =\u00a01\u200b", "x = 1"),
    ("=======\na = 2", "a = 2"),
]


@pytest.mark.parametrize(("slip", "meant"), SLIPS)
def test_what_was_meant_is_among_the_mends(slip: str, meant: str) -> None:
    assert meant in [text for text, _ in undone(slip, 0, len(slip))]


@pytest.mark.parametrize(
    "right",
    ['x = "a && b"', "# if a === b", "url = 'http://x'", "x = [1, 2]", "y = not x", "from m import a as b", "a -= -1"],
)
def test_strings_comments_and_right_code_stay(right: str) -> None:
    assert {text for text, cost in undone(right, 0, len(right)) if cost < 0} == {right}


def test_a_slip_in_the_line_at_fault_alone_can_be_undone() -> None:
    text = "first && 1\nsecond && 2"
    assert "first && 1\nsecond and 2" in [t for t, _ in undone(text, 11, len(text))]


def test_long_lines_and_many_blank_lines_take_little_time() -> None:
    for text in ("\n" * 8_000, "a ? " * 2_000, "<<<<<<< " * 1_000, "=" * 8_000, "(" * 8_000, '"' * 7_999):
        assert sum(1 for _ in undone(text, 0, len(text))) > 0
