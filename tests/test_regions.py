"""Between the user's bytes and the model's text: nothing is lost, nothing outside is touched."""

from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.regions import normalise, split_lines

pieces = st.sampled_from(["a", "b = 1", "\n", "\r\n", "\r", "\t", "    ", "\ufeff", "é", "🙂", "\x0c", "\u2028", " "])
documents = st.lists(pieces, max_size=24).map("".join)


@settings(max_examples=500)
@given(documents, st.integers(0, 60), st.integers(0, 60))
def test_an_unchanged_span_comes_back_byte_for_byte(document: str, a: int, b: int) -> None:
    start, end = sorted((min(a, len(document)), min(b, len(document))))
    region = normalise(document[:start], document[start:end], document[end:])
    assert region.restore(region.span) == document[start:end]


@given(documents, st.integers(0, 24), st.integers(0, 24))
def test_whole_lines_come_back_byte_for_byte(document: str, a: int, b: int) -> None:
    lines = split_lines(document)
    start, end = sorted((a, b))
    prefix, span, suffix = "".join(lines[:start]), "".join(lines[start:end]), "".join(lines[end:])
    region = normalise(prefix, span, suffix)
    assert region.restore(region.span) == span


def test_line_endings_and_tabs_of_new_lines_follow_the_region() -> None:
    region = normalise("def f():\r\n", "\tx = 1\r\n\ty = 2\r\n", "\treturn x\r\n")
    assert region.span == "\n    x = 1\n    y = 2"
    assert region.restore("\n    x = 1\n    if x:\n        y = 3") == "\tx = 1\r\n\tif x:\r\n\t\ty = 3\r\n"


def test_unchanged_lines_of_a_mixed_region_keep_their_endings() -> None:
    region = normalise("", "a\r\nb\nc\r", "d")
    assert region.restore("\na\nB\nc") == "a\r\nB\r\nc\r" or region.restore("\na\nB\nc") == "a\r\nB\nc\r"


def test_an_edit_may_not_join_the_line_before() -> None:
    import pytest

    region = normalise("a\n", "b\n", "c\n")
    with pytest.raises(ValueError, match="join"):
        region.restore("b")


def test_a_region_may_be_emptied() -> None:
    assert normalise("a\n", "b\n", "c\n").restore("") == ""


def test_a_byte_order_mark_at_the_top_of_the_file_is_not_in_the_way() -> None:
    region = normalise("\ufeffx = 1\n", "y = 2\n", "")
    assert region.prefix == "x = 1"
    assert region.restore("\ny = 3") == "y = 3\n"
    assert normalise("\ufeff", "y = 2\n", "").restore("\ny = 3") == "y = 3\n"


def test_the_region_itself_tells_how_it_is_indented() -> None:
    region = normalise("def f():\n" + "\tx = 1\n" * 9 + "def g(x):\n", "    y = x\n", "    return y\n")
    assert region.restore("\n    y = x + 1") == "    y = x + 1\n"
    assert normalise("def f():\n\tx = 1\n", "y\n", "").restore("\ny\n    z") == "y\n\tz\n"


def test_many_lines_are_put_back_at_once() -> None:
    lines = "\n" * 10_000 + "a\n" + "\n" * 10_000
    region = normalise("", lines, "")
    started = time.monotonic()
    assert region.restore(region.span.replace("a", "b")) == lines.replace("a", "b")
    assert time.monotonic() - started < 5
