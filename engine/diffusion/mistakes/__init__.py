"""Human-like mistakes: the substitutions of the edit forward process (arXiv 2508.02193, section 3.1).

Each mistake is a small pure function of text, `(text, scope, rng) -> text`, or None when it does not
apply. `break_span` draws from two tables by weight: syntax (mostly what no longer parses) and semantic
(what parses and means something else). Purely textual and fast, because it runs for every training
sample; imports nothing of the engine.
"""

from __future__ import annotations

from bisect import bisect
from itertools import accumulate
from random import Random

from engine.diffusion.mistakes.layout import LAYOUT
from engine.diffusion.mistakes.semantic import SEMANTIC
from engine.diffusion.mistakes.surface import Mistake
from engine.diffusion.mistakes.syntax import SYNTAX

__all__ = ["BREAKING", "MISLEADING", "break_span"]

TRIES = 24  # draws before a table is taken to have nothing for this text


class Table:
    """Mistakes with their relative odds."""

    def __init__(self, entries: tuple[tuple[float, Mistake], ...]) -> None:
        self.mistakes = tuple(mistake for _, mistake in entries)
        self._odds = list(accumulate(weight for weight, _ in entries))

    def draw(self, rng: Random) -> Mistake:
        return self.mistakes[bisect(self._odds, rng.random() * self._odds[-1])]


BREAKING, MISLEADING = Table(SYNTAX + LAYOUT), Table(SEMANTIC)


def break_span(span: str, scope: str, rng: Random, count: int, syntax_share: float = 0.6) -> str:
    """`span` with `count` mistakes made, names borrowed from `scope`, the code around it.

    Each is a syntax mistake with probability `syntax_share`, if one applies, else a semantic one.
    Differs from `span` unless `count` is 0 or `span` is blank. The same `rng` state gives the same text.
    """
    broken = span
    if not span.strip():
        return span
    for _ in range(count):
        tables = (BREAKING, MISLEADING) if rng.random() < syntax_share else (MISLEADING, BREAKING)
        made = attempt(tables[0], broken, span, scope, rng) or attempt(tables[1], broken, span, scope, rng)
        broken = made or slip(broken, span, rng)
    return broken


def attempt(table: Table, text: str, original: str, scope: str, rng: Random) -> str | None:
    """`text` with one mistake of `table` more, never back at `original`; None when none was found."""
    for _ in range(TRIES):
        made = table.draw(rng)(text, scope, rng)
        if made is not None and made != text and made != original:
            return made
    return None


def slip(text: str, original: str, rng: Random) -> str:
    """The mistake that always applies: a letter hit twice."""
    at = rng.randrange(len(text)) if text else 0
    made = text[:at] + text[at : at + 1] + text[at:]
    return made if made != original else made + made[-1:]
