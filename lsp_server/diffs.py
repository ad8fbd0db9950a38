"""Minimal, non-overlapping text edits between two texts of one region."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

LINES = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


@dataclass(frozen=True, slots=True)
class Splice:
    """old[start:end] becomes `text`; offsets in code points."""

    start: int
    end: int
    text: str


def minimal_edits(old: str, new: str) -> list[Splice]:
    """Splices that turn `old` into `new`, in order: whole unchanged lines stay out of them, and each is
    trimmed to the characters that differ."""
    old_lines, new_lines = LINES.findall(old), LINES.findall(new)
    splices: list[Splice] = []
    at = 0
    matcher = difflib.SequenceMatcher(None, old_lines, new_lines, autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        before, after = "".join(old_lines[i1:i2]), "".join(new_lines[j1:j2])
        if tag != "equal":
            splices.append(trim(at, before, after))
        at += len(before)
    return splices


def trim(start: int, before: str, after: str) -> Splice:
    """Cuts the common head and tail; never between \\r and \\n, which are one line ending."""
    limit = min(len(before), len(after))
    head = next((i for i in range(limit) if before[i] != after[i]), limit)
    while head and before[head - 1] == "\r":
        head -= 1
    tail = next((i for i in range(limit - head) if before[-1 - i] != after[-1 - i]), limit - head)
    while tail and (
        (before[len(before) - tail] == "\n" and before[: len(before) - tail].endswith("\r"))
        or (after[len(after) - tail] == "\n" and after[: len(after) - tail].endswith("\r"))
    ):
        tail -= 1
    return Splice(start + head, start + len(before) - tail, after[head : len(after) - tail])


def changed_parts(old: str, new: str) -> list[tuple[int, int]]:
    """Where `new` differs from `old`: offsets of the parts of `new` that are not empty."""
    shift, parts = 0, list[tuple[int, int]]()
    for splice in minimal_edits(old, new):
        start = splice.start + shift
        if splice.text:
            parts.append((start, start + len(splice.text)))
        shift += len(splice.text) - (splice.end - splice.start)
    return parts
