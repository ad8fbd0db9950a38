"""The text model against an independent reference, in all encodings and line endings.

A case is one document with up to six edits; `make stress` runs 21,000 of them, and 21,000 region edits.
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lsprotocol import types as lsp

from lsp_server.diffs import minimal_edits
from lsp_server.text import Document
from tests.lsp.reference_buffer import ReferenceBuffer
from tests.scale import cases

PIECES = [
    *("a", "bc ", "x = 1", "    ", "\t", "(", "é", "ß", "漢字", "🙂", "👩\u200d🚀", "e\u0301", "\u200f", "\0"),
    *("\n", "\r\n", "\r", "\n\n", "\r\r\n", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"),
    "\ufeff",
]  # fmt: skip
ENCODINGS = ["utf-8", "utf-16", "utf-32"]
texts = st.lists(st.sampled_from(PIECES), max_size=24).map("".join)
snippets = st.lists(st.sampled_from(PIECES), max_size=5).map("".join)
positions = st.builds(lsp.Position, st.integers(0, 12), st.integers(0, 14))
ranges = st.tuples(positions, positions)  # reversed ones too
edits = st.lists(st.tuples(ranges, snippets), min_size=1, max_size=6)
many = settings(max_examples=cases(7_000, 0.03), suppress_health_check=[HealthCheck.too_slow])


def document_of(text: str, encoding: str) -> Document:
    return Document("file:///x.py", text, 1, "python", encoding)


def plain(value: tuple[lsp.Position, lsp.Position]) -> Any:
    start, end = value
    return {
        "start": {"line": start.line, "character": start.character},
        "end": {"line": end.line, "character": end.character},
    }


@pytest.mark.stress
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_mirror_equals_the_reference_after_every_edit(encoding: str) -> None:
    @many
    @given(texts, edits)
    def check(text: str, changes: list[tuple[tuple[lsp.Position, lsp.Position], str]]) -> None:
        document, reference = document_of(text, encoding), ReferenceBuffer(text, encoding)
        for where, new in changes:
            before = reference.data
            start, end = reference.splice(plain(where), new)
            document.apply(lsp.TextDocumentContentChangePartial(lsp.Range(*where), new))
            assert document.text == reference.text
            assert document.line_count == len(reference.lines())
            after = document.text.encode(reference.codec)
            assert after.startswith(before[: start * reference.size])
            assert after.endswith(before[end * reference.size :])

    check()


@pytest.mark.stress
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_edit_of_a_region_leaves_every_byte_outside_it_alone(encoding: str) -> None:
    """As the server does it: minimal edits, put into positions, applied by the editor; typing elsewhere
    meanwhile only moves the region."""

    @many
    @given(texts, ranges, snippets, edits)
    def check(
        text: str,
        where: tuple[lsp.Position, lsp.Position],
        new: str,
        changes: list[tuple[tuple[lsp.Position, lsp.Position], str]],
    ) -> None:
        document, reference = document_of(text, encoding), ReferenceBuffer(text, encoding)
        start, end = sorted(map(document.offset, where))
        region, old = document.track(start, end), text[start:end]
        for typed, snippet in changes:
            document.apply(lsp.TextDocumentContentChangePartial(lsp.Range(*typed), snippet))
            reference.splice(plain(typed), snippet)
        if not region.intact:
            return
        start, end = region.start, region.end
        assert document.text[start:end] == old
        if document.splits_line_end(start) or document.splits_line_end(end):
            return  # the typing made one line end of two at the border; the server refuses
        wanted = document.text[:start] + new + document.text[end:]
        changes_sent = [
            {
                "range": plain((document.position(start + s.start), document.position(start + s.end))),
                "newText": s.text,
            }
            for s in minimal_edits(old, new)
        ]
        reference.apply(changes_sent)
        assert reference.text == wanted

    check()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_positions_go_there_and_back(encoding: str) -> None:
    @settings(max_examples=200)
    @given(texts)
    def check(text: str) -> None:
        document, reference = document_of(text, encoding), ReferenceBuffer(text, encoding)
        for offset in range(len(text) + 1):
            if text[offset - 1 : offset + 1] == "\r\n":
                continue  # between the two halves of one line ending there is no position
            position = document.position(offset)
            assert document.offset(position) == offset
            units = len(text[:offset].encode(reference.codec)) // reference.size
            assert reference.position(units) == {"line": position.line, "character": position.character}

    check()


def test_a_position_inside_a_surrogate_pair_is_the_start_of_the_character() -> None:
    document = document_of("a🙂b", "utf-16")
    assert document.offset(lsp.Position(0, 2)) == 1
    assert document.offset(lsp.Position(0, 3)) == 2


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_lone_surrogates_are_kept_and_counted(encoding: str) -> None:
    text = "\ud83d🙂\ude42x\ud83d\ude42\n"
    document = document_of(text, encoding)
    for offset in range(len(text)):
        assert document.offset(document.position(offset)) == offset
    end = document.position(3)
    document.apply(lsp.TextDocumentContentChangePartial(lsp.Range(end, end), "\ud83d"))
    assert document.text == "\ud83d🙂\ude42\ud83dx\ud83d\ude42\n"


@pytest.mark.parametrize("seed", range(200))
def test_minimal_edits_rebuild_the_new_text_and_leave_the_rest_alone(seed: int) -> None:
    rng = Random(seed)
    old, new = ("".join(rng.choices(PIECES, k=rng.randint(0, 15))) for _ in range(2))
    if rng.random() < 0.5:
        at = rng.randint(0, len(old))
        new = old[:at] + rng.choice(PIECES) + old[at:]
    built, last = "", 0
    for splice in minimal_edits(old, new):
        assert splice.start >= last
        built += old[last : splice.start] + splice.text
        last = splice.end
    assert built + old[last:] == new


def test_a_tracked_region_moves_with_edits_outside_and_breaks_with_edits_inside() -> None:
    document = document_of("one\ntwo\nthree\n", "utf-16")
    region = document.track(4, 8)
    change = lsp.TextDocumentContentChangePartial
    document.apply(change(lsp.Range(lsp.Position(0, 0), lsp.Position(0, 0)), "zero\n"))
    assert document.text[region.start : region.end] == "two\n"
    document.apply(change(lsp.Range(lsp.Position(3, 0), lsp.Position(3, 5)), "3"))
    assert region.intact
    assert document.text[region.start : region.end] == "two\n"
    document.apply(change(lsp.Range(lsp.Position(2, 1), lsp.Position(2, 1)), "x"))
    assert not region.intact
