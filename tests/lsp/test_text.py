"""The text model against a slow, obvious reference, in all encodings and line endings."""

from __future__ import annotations

import os
import re
from random import Random

import pytest
from lsprotocol import types as lsp

from lsp_server.diffs import minimal_edits
from lsp_server.text import Document

CASES = int(os.environ.get("REDRAFT_CASES", "3000"))
PIECES = [
    "a",
    "bc ",
    "é",
    "漢",
    "🙂",
    "👩\u200d🚀",
    "\n",
    "\r\n",
    "\r",
    "\t",
    "\x0c",
    "\u2028",
    "\x85",
    "\ufeff",
    "x = 1",
]
ENCODINGS = ["utf-8", "utf-16", "utf-32"]


def text_of(rng: Random, most: int) -> str:
    return "".join(rng.choice(PIECES) for _ in range(rng.randint(0, most)))


def reference_offset(text: str, position: lsp.Position, encoding: str) -> int:
    """By encoding the line and cutting it: slow and plain."""
    lines = re.split(r"(?<=\n)|(?<=\r)(?!\n)", text)
    if position.line >= len(lines):
        return len(text)
    before = sum(map(len, lines[: position.line]))
    content = lines[position.line].rstrip("\r\n")
    width = {"utf-8": 1, "utf-16": 2, "utf-32": 4}[encoding]
    name = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}[encoding]
    taken = 0
    for i, char in enumerate(content):
        taken += len(char.encode(name)) // width
        if taken > position.character:
            return before + i
    return before + len(content)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_mirror_equals_reference_under_random_edits(encoding: str) -> None:
    for seed in range(CASES):
        rng = Random(f"{encoding}/{seed}")
        document = Document("file:///x.py", text_of(rng, 20), 1, "python", encoding)
        mirror = document.text
        for _ in range(rng.randint(1, 5)):
            ends = [lsp.Position(rng.randint(0, 8), rng.randint(0, 12)) for _ in range(2)]
            start, end = sorted(reference_offset(mirror, p, encoding) for p in ends)
            new = text_of(rng, 4)
            document.apply(lsp.TextDocumentContentChangePartial(lsp.Range(*ends), new))
            mirror = mirror[:start] + new + mirror[end:]
            assert document.text == mirror, (seed, ends)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_positions_go_there_and_back(encoding: str) -> None:
    for seed in range(CASES // 10):
        document = Document("file:///x.py", text_of(Random(seed), 30), 1, "python", encoding)
        for offset in range(len(document.text) + 1):
            if document.text[offset - 1 : offset + 1] == "\r\n":
                continue  # between the two halves of one line ending there is no position
            assert document.offset(document.position(offset)) == offset


def test_a_position_inside_a_surrogate_pair_is_the_start_of_the_character() -> None:
    document = Document("file:///x.py", "a🙂b", 1, "python", "utf-16")
    assert document.offset(lsp.Position(0, 2)) == 1
    assert document.offset(lsp.Position(0, 3)) == 2


@pytest.mark.parametrize("seed", range(200))
def test_minimal_edits_rebuild_the_new_text_and_leave_the_rest_alone(seed: int) -> None:
    rng = Random(seed)
    old, new = text_of(rng, 15), text_of(rng, 15)
    if rng.random() < 0.5:
        at = rng.randint(0, len(old))
        new = old[:at] + text_of(rng, 2) + old[at:]
    built, last = "", 0
    for splice in minimal_edits(old, new):
        assert splice.start >= last
        built += old[last : splice.start] + splice.text
        last = splice.end
    assert built + old[last:] == new


def test_a_tracked_region_moves_with_edits_outside_and_breaks_with_edits_inside() -> None:
    document = Document("file:///x.py", "one\ntwo\nthree\n", 1, "python", "utf-16")
    region = document.track(4, 8)
    change = lsp.TextDocumentContentChangePartial
    document.apply(change(lsp.Range(lsp.Position(0, 0), lsp.Position(0, 0)), "zero\n"))
    assert document.text[region.start : region.end] == "two\n"
    document.apply(change(lsp.Range(lsp.Position(3, 0), lsp.Position(3, 5)), "3"))
    assert region.intact
    assert document.text[region.start : region.end] == "two\n"
    document.apply(change(lsp.Range(lsp.Position(2, 1), lsp.Position(2, 1)), "x"))
    assert not region.intact
