"""Conflicts that a merge left in a file, as git writes them: where they are, and the texts they can become."""

from __future__ import annotations

import re
from collections.abc import Iterator

CONFLICT = re.compile(r"^<{7}.*\n((?:.*\n)*?)(?:\|{7}.*\n(?:.*\n)*?)?={7}\r?\n((?:.*\n)*?)>{7}.*\n", re.M)
SIDES = (r"\1", r"\2", r"\1\2")  # ours, theirs, both


def resolutions(text: str) -> Iterator[str]:
    """`text` with its conflicts resolved to one side, to the other, to both; nothing when it has none."""
    if CONFLICT.search(text + "\n"):
        for sides in SIDES:
            yield CONFLICT.sub(sides, text + "\n").removesuffix("\n")


def conflict_lines(text: str, first: int, last: int) -> tuple[int, int]:
    """Lines `first` to `last` (0-based, inclusive), and the whole of every conflict that they touch."""
    if "<<<<<<<" not in text:
        return first, last
    for conflict in CONFLICT.finditer(text + "\n"):
        start = text.count("\n", 0, conflict.start())
        end = start + conflict.group().count("\n") - 1
        if start <= last and first <= end:
            first, last = min(first, start), max(last, end)
    return first, last
