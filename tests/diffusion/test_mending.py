"""Mends by hand hold the undoing of the commonest mistakes, and change nothing far from the fault."""

import pytest

from engine.diffusion.mending import fuses_words, mends

MISTAKES = [
    ("\n    total = sum((a, b)", "\n    total = sum((a, b))"),
    ("\n    if total > 3", "\n    if total > 3:"),
    ("\n    return sum(a b)", "\n    return sum(a, b)"),
    ("\n    print 'hello', name", "\n    print('hello', name)"),
    ("\n    except ValueError, error:", "\n    except ValueError as error:"),
    ("\n    s = 'it's here'", '\n    s = "it\'s here"'),
    ("\n    s = 'it's here'", "\n    s = 'it\\'s here'"),
    ("\n    s = 'hello", "\n    s = 'hello'"),
    ("\n      return 1", "\n    return 1"),
    ("\n    retrun 1", "\n    return 1"),
    ("\n    if a = b:", "\n    if a == b:"),
    ("\n    total float(a)", "\n    total = float(a)"),
    ("\n    for a in b:", "\n    for a in b:\n        pass"),
    ("\n    items = [1, 2)", "\n    items = [1, 2]"),
    ("\n    data = {'a' = 1}", "\n    data = {'a' : 1}"),
    ("\n    from from os import path", "\n    from os import path"),
    ("\n    open(./some/file name.txt)", "\n    open('./some/file name.txt')"),
    ("\n    this was meant as a note", "\n    # this was meant as a note"),
]


@pytest.mark.parametrize(("broken", "mended"), MISTAKES)
def test_the_undoing_is_among_the_mends(broken: str, mended: str) -> None:
    texts = [mend.text for mend in mends(broken, [1], "def f():\n    x = 1")]
    assert mended in texts
    assert broken not in texts
    assert len(texts) == len(set(texts))


def test_cheapest_first() -> None:
    costs = [mend.cost for mend in mends("\n    if total > 3", [1], "def f():")]
    assert costs == sorted(costs)


def test_a_bracket_of_its_own_closes_at_the_indentation_of_its_opening() -> None:
    costs = {mend.text: mend.cost for mend in mends("\n        1,\n        2,", [2], "    return sum(")}
    assert costs["\n        1,\n        2,\n    )"] < costs["\n        1,\n        2,\n)"]


def test_two_quotes_in_a_row_are_doubted() -> None:
    costs = {mend.text: mend.cost for mend in mends("\n    s = f('a 'b')", [1], "def g():")}
    assert costs["\n    s = f('a \\'b')"] < costs["\n    s = f('a ''b')"]


def test_lines_far_from_the_fault_stay() -> None:
    far = "\nfirst = 1\nsecond = 2\nthird = 3\nfourth = 4"
    assert all(mend.text.startswith(far) for mend in mends(far + "\nx = 5\ny = 6\nz = (7", [7], ""))


def test_blank_text_has_no_line_to_change() -> None:
    assert all(mend.text.strip() for mend in mends("\n\n", [1], "x = 1"))


def test_words_run_together_are_seen() -> None:
    assert fuses_words("return (width * height", "returnwidth * height", "width = 2")
    assert not fuses_words("return (width * height", "return (width * height)", "")
    assert not fuses_words("returnwidth", "return width", "")
    assert not fuses_words("wid;th = 2", "width = 2", "print(width)")


def test_prose_is_commented_out_before_code_is() -> None:
    costs = [
        {m.text: m.cost for m in mends(f"\n{line}", [1], "")}[f"\n# {line}"] for line in ("just some words", "f(a b)")
    ]
    assert costs[0] < costs[1]
