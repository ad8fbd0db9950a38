"""Mines the patterns of real edits (`engine.diffusion.patterns`) from the records of the corpus, by counting."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.diffusion import forms
from engine.diffusion.patterns import PIECE, fragments
from engine.regions import shared_ends
from engine.training.corpus import batched_records, edit_files

LINES = 3  # of a hunk, at most
CHANGED = (8, 10)  # pieces that go, and that come, at most
CONTEXT = 2  # pieces on either side, at most
HUNKS, REPOSITORIES = 3, 2  # that must have made a change, at least

WORD_HUNKS, WORD_REPOSITORIES = 15, 3  # that must hold a word, at least
SMALLEST = 3  # edits of a form, at least

Change = tuple[str, str]


def mine_patterns(edits: Path, out: Path) -> int:
    """Writes the patterns of `edits` (a folder of edits-NN.jsonl.xz) to `out`, deflated; returns how many."""
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
    found = sorted((before, after, made[before, after], held[before]) for before, after in kept)
    words = mine_words(edits)
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in found)
    shares = json.dumps(count_forms(edits, words))
    text = f'{{"words": "{" ".join(words)}",\n"forms": {shares},\n"changes": [\n{lines}\n]}}\n'
    out.write_bytes(gzip.compress(text.encode(), mtime=0))
    return len(found)


def mine_words(edits: Path) -> list[str]:
    """Words that many hunks hold, in several repositories, the most frequent first: those are spelt right."""
    held, repositories = Counter[str](), dict[str, set[str]]()
    for record in records(edits):
        for word in {part.lower() for part in forms.PART.findall(record["after"] + record["suffix"])}:
            held[word] += 1
            repositories.setdefault(word, set()).add(record["repo"])
    enough = (word for word, hunks in held.items() if hunks >= WORD_HUNKS)
    return sorted((w for w in enough if len(repositories[w]) >= WORD_REPOSITORIES), key=lambda w: (-held[w], w))


def count_forms(edits: Path, words: list[str]) -> list[tuple[str, int, int]]:
    """Of every form: its name, how many real edits have it, and how many could have had it."""
    ranks = {word: rank for rank, word in enumerate(words)}
    made, possible = Counter[str](), Counter[str]()
    for record in short_hunks(edits):
        before = record["before"].rstrip()
        scope = "\n".join((record["prefix"], before, record["suffix"]))
        offered = {text: form for text, form in forms.edits(before, scope, ranks) if text != before}
        possible.update(offered.values())
        if form := offered.get(record["after"].rstrip()):
            made[form] += 1
    return sorted((form, count, possible[form]) for form, count in made.items() if count >= SMALLEST)


def records(edits: Path) -> Iterator[dict[str, str]]:
    for batch in batched_records(edit_files(edits), 512):
        yield from batch


def short_hunks(edits: Path) -> Iterator[dict[str, str]]:
    """Records whose both sides have some, and few, lines."""
    for record in records(edits):
        sides = record["before"], record["after"]
        if all(side.strip() and side.count("\n") < LINES for side in sides):
            yield record


def changes(before: Sequence[str], after: Sequence[str]) -> Iterator[Change]:
    """The smallest change between two lists of pieces, without and with context; nothing when it is large."""
    head, tail = shared_ends(before, after)
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
