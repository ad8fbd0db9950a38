"""The parser as judge: where it looks, and that what it says there is what it says of the whole document."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine import syntax
from engine.syntax import Judge, document_fault

METHODS = "".join(f"    def method{i}(self):\n        return {i}\n\n" for i in range(40))
ABOVE = f"import os\n\n\nclass Shape:\n    sides = 4\n\n{METHODS}    def area(self, width):\n        height = 2\n"
BROKEN, MENDED = "        return width * height)\n", "        return width * height\n"
BELOW = f"\n{METHODS}\n\nprint(Shape())\n"


def test_a_method_is_judged_without_the_class_around_it() -> None:
    judge = Judge(ABOVE, BELOW, "python", BROKEN)
    assert judge.near_chars < 100
    fault = judge.fault(BROKEN)
    assert fault
    assert fault.line == judge.first_line
    assert judge.fault(MENDED) is None
    assert judge.confirm(MENDED)


@pytest.mark.parametrize(
    ("above", "span", "below"),
    [
        ("def outer():\n    n = 0\n    def inner():\n        nonlocal n\n", "        n += 1)\n", "    return inner\n"),
        ('class A:\n    """Write\n    def like(this):\n    in a string\n', "    and end it\n", '    """\n    x = (\n'),
        ("class A:\n    def f(self):\n        x = 1\n", "  y = 2\n", "        return x\n"),
        ("class A:\n    def f(self):\n        x = 1\n    @property\n", "    @cached)\n", "    def g(self): pass\n"),
    ],
    ids=["needs names from outside", "a string that looks like code", "indented less", "decorators"],
)
def test_what_cannot_be_judged_alone_is_judged_in_more(above: str, span: str, below: str) -> None:
    judge = Judge(above, below, "python", span)
    assert judge.near_chars >= len(above)


def test_what_is_right_near_by_may_be_wrong_in_the_document() -> None:
    judge = Judge(ABOVE, BELOW, "python", BROKEN)
    outside = "print(1)\n"
    assert judge.fault(outside) is None
    assert not judge.confirm(outside)


def test_another_fault_further_below_does_not_count() -> None:
    judge = Judge(ABOVE, f"{BELOW}\ndef other(:\n    pass\n", "python", BROKEN)
    assert judge.confirm(MENDED)
    assert not judge.confirm(BROKEN)


def test_a_document_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    compiled: Callable[..., object] = compile

    def counted(text: str, *rest: object, **options: object) -> object:
        parsed.append(text)
        return compiled(text, *rest, **options)

    monkeypatch.setattr("builtins.compile", counted)
    syntax.kept_fault.cache_clear()
    assert document_fault("seen = 'twice'\n", "python") is document_fault("seen = 'twice'\n", "python") is None
    assert parsed == ["seen = 'twice'\n"]
