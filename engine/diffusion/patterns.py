"""Patterns of real edits: which fragment people replace by which, and how often, learned by counting.

The empirical edit process of public history, as in Getafix (arXiv 1902.06111): from 200,000 real one-hunk edits, the
smallest change of each with up to two pieces of context on either side, kept when several repositories made it. A
fragment's share of the hunks that hold it and changed so is how likely the change is; edits that share a form rather
than a fragment (`engine.diffusion.forms`) are counted by form. `redraft train patterns` mines.
"""

from __future__ import annotations

import gzip
import json
import math
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from engine.diffusion import forms

PIECE = re.compile(r"\w+|[^\S\n]+|\n|[^\w\s]")
LEARNED = Path(__file__).parents[1] / "weights" / "patterns.json.gz"
LONGEST = 12  # pieces of a fragment
DOUBT = 5  # hunks without the change, assumed for every fragment


class Patterns:
    """`changes`: (fragment, what it became, hunks that changed so, hunks that held the fragment). `forms`: (form, edits
    that were made so, edits that could have been). `words`: that are spelt right, the most frequent first."""

    def __init__(
        self,
        changes: Sequence[tuple[str, str, int, int]],
        forms: Sequence[tuple[str, int, int]] = (),
        words: str = "",
    ) -> None:
        self._changes: dict[str, list[tuple[str, float]]] = {}
        for before, after, changed, held in changes:
            self._changes.setdefault(before, []).append((after, math.log(changed / (held + DOUBT))))
        self._forms = {form: math.log(made / (possible + DOUBT)) for form, made, possible in forms}
        self._words = {word: rank for rank, word in enumerate(words.split())}

    def edits(self, text: str, scope: str) -> dict[str, float]:
        """`text` with one change, and the logarithm of how likely that is, nats; the likeliest first. `scope`: `text`
        and the code around it."""
        pieces = PIECE.findall(text)
        found: dict[str, float] = {}
        for start, stop, fragment in fragments(pieces):
            for after, likely in self._changes.get(fragment, ()):
                made = "".join((*pieces[:start], after, *pieces[stop:]))
                found[made] = max(likely, found.get(made, -math.inf))
        for made, form in forms.edits(text, scope, self._words):
            if form in self._forms:
                found[made] = max(self._forms[form], found.get(made, -math.inf))
        found.pop(text, None)
        return dict(sorted(found.items(), key=lambda item: -item[1]))


def fragments(pieces: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Every run of at most LONGEST of `pieces`: start, end, text."""
    for start in range(len(pieces)):
        text = ""
        for stop in range(start + 1, min(len(pieces), start + LONGEST) + 1):
            text += pieces[stop - 1]
            yield start, stop, text


@cache
def learned() -> Patterns:
    """The patterns that the project ships."""
    return Patterns(**json.loads(gzip.decompress(LEARNED.read_bytes())))
