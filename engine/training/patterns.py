"""Mines the patterns of real edits (`engine.diffusion.patterns`) from the records of the corpus, by counting."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.diffusion.patterns import PIECE, fragments
from engine.training.corpus import batched_records

LINES = 3  # of a hunk, at most
CHANGED = (8, 10)  # pieces that go, and that come, at most
CONTEXT = 2  # pieces on either side, at most
HUNKS, REPOSITORIES = 3, 2  # that must have made a change, at least

Change = tuple[str, str]


def mine_patterns(edits: Path, out: Path) -> int:
    """Writes the patterns of `edits` (a folder of edits-NN.jsonl.xz) to `out`; returns how many."""
    made, repositories = Counter[Change](), dict[Change, set[str]]()
    for record in short_hunks(edits):
        for change in set(changes(PIECE.findall(record["before"]), PIECE.findall(record["after"]))):
            made[change] += 1
            repositories.setdefault(change, set()).add(record["repo"])
    kept = [c for c, hunks in made.items() if hunks >= HUNKS and len(repositories[c]) >= REPOSITORIES]
    wanted, held = {before for before, _ in kept}, Counter[str]()
    for record in short_hunks(edits):
        found = (text for _, _, text in fragments(PIECE.findall(record["before"])))
        held.update(wanted.intersection(found))
    rows = sorted((before, after, made[before, after], held[before]) for before, after in kept)
    text = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    out.write_text(f"[\n{text}\n]\n", encoding="utf-8")
    return len(rows)


def short_hunks(edits: Path) -> Iterator[dict[str, str]]:
    """Records whose both sides have some, and few, lines."""
    for batch in batched_records(sorted(edits.glob("edits-[0-9]*.jsonl.xz")), 512):
        for record in batch:
            sides = record["before"], record["after"]
            if all(side.strip() and side.count("\n") < LINES for side in sides):
                yield record


def changes(before: Sequence[str], after: Sequence[str]) -> Iterator[Change]:
    """The smallest change between two lists of pieces, without and with context; nothing when it is large."""
    shared = min(len(before), len(after))
    head = next((i for i in range(shared) if before[i] != after[i]), shared)
    tail = next((i for i in range(shared - head) if before[-1 - i] != after[-1 - i]), shared - head)
    old, new = before[head : len(before) - tail], after[head : len(after) - tail]
    if len(old) > CHANGED[0] or len(new) > CHANGED[1]:
        return
    for left in range(min(CONTEXT, head) + 1):
        for right in range(min(CONTEXT, tail) + 1):
            above = before[head - left : head]
            below = before[len(before) - tail : len(before) - tail + right]
            fragment = "".join((*above, *old, *below))
            if fragment.strip():
                yield fragment, "".join((*above, *new, *below))
