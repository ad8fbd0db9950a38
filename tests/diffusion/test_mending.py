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
    ("\n    print(a', ')", "\n    print(a,' ')"),
    ("\n    print(a  # a note)", "\n    print(a)  # a note"),
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


@pytest.mark.parametrize(
    ("broken", "fault", "mended"),
    [
        ("\n    return heap0]", "unmatched ']'", "\n    return heap[0]"),
        ("\n    print_alltotal)", "unmatched ')'", "\n    print_all(total)"),
        ("\n    return lentotal)", "unmatched ')'", "\n    return len(total)"),
    ],
)
def test_a_word_that_swallowed_a_bracket_is_two_known_words(broken: str, fault: str, mended: str) -> None:
    found = mends(broken, [1], "def print_all(total):\n    heap = [total]", fault)
    assert mended in [mend.text for mend in found[:5]]


@pytest.mark.parametrize(
    ("fault", "cheaper", "dearer"),
    [
        ("'(' was never closed", "f(a b)", "f(a, b"),
        ("'(' was never closed", "f(a b)", "f(a b:"),
        ("unmatched ')'", "f(a( b", "f(a, b"),
        ("expected ':'", "f(a b:", "f(a, b"),
        ("expected ':'", "f(a b:", "f(a) b"),
    ],
)
def test_what_the_parser_misses_comes_before_what_it_does_not(fault: str, cheaper: str, dearer: str) -> None:
    told = {mend.text: mend.cost for mend in mends("f(a b", [0], "", fault)}
    untold = {mend.text: mend.cost for mend in mends("f(a b", [0], "")}
    assert told[cheaper] == untold[cheaper]
    assert told[dearer] > untold[dearer]
