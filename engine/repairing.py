"""A block of a document that does not parse: the likeliest small edits that make it parse, those of the model's
search and those by hand, in one order."""

from __future__ import annotations

from engine.by_hand import mended_by_hand, suspects
from engine.diffusion.mending import fuses_words
from engine.diffusion.search import Child, judged_search, nearness
from engine.languages import SyntaxFault
from engine.models.vocabulary import BOS
from engine.syntax import Judge
from engine.work import NEAR_CHARS, Block, Work

# Weights of a mend's merit, nats, fitted on held-out mistakes.
LENGTH_BONUS, MEND_WEIGHT, RANK_COST, NOT_SEARCHED = 0.25, 0.6, 0.13, 10
CLOSE = 0.9  # nats above the cheapest mend by hand: the model never preferred a dearer one rightly


def repair_block(work: Work, canvas: list[int], fault: SyntaxFault, judge: Judge) -> Block:
    """The document does not parse: search for the likeliest small edits that make it."""
    block = work.text(canvas)
    at = token_at(work, canvas, suspects(block, fault, judge.first_line)[0], fault.column)

    def sound(text: str) -> bool:
        return work.keeps_frame(text) and not fuses_words(block, text, work.near)

    def verdict(candidate: list[int]) -> float:
        text = work.text(candidate)
        if not sound(text):
            return -1.0
        left = judge.fault(text)
        return float("inf") if left is None and judge.confirm(text) else float(left.line if left else 0)

    mended = mended_by_hand(block, fault, judge, work.region.prefix[-NEAR_CHARS:], sound)
    encode = work.denoiser.vocabulary.encode
    canvases: dict[tuple[int, ...], float] = {(BOS, *encode(text)): cost for text, cost in mended.items()}
    by_hand = {canvas: cost for canvas, cost in canvases.items() if len(canvas) <= work.denoiser.max_canvas}
    limit = max(8, work.request.candidates)
    close = [mended for mended, cost in by_hand.items() if cost <= min(by_hand.values()) + CLOSE]
    search = judged_search(canvas, verdict, nearness(len(canvas), at), limit, thorough=not by_hand)
    likely = [tuple(child.canvas) for child in (yield from work.drive(search, 8, along=close))]
    found = list(dict.fromkeys([*likely, *close]))
    yield from work.score(found)

    def merit(mended: tuple[int, ...]) -> float:
        """Log-likelihood in nats, less what such a mend costs a priori; weights fitted on held-out mistakes."""
        rank = likely.index(mended) if mended in likely else NOT_SEARCHED
        length = LENGTH_BONUS * len(mended)
        return work.likelihood(mended) + length - MEND_WEIGHT * by_hand.get(mended, 4.0) - RANK_COST * rank

    scored = all(canvas in work.scores for canvas in found)
    best = sorted(found, key=merit, reverse=True) if scored else [*by_hand, *likely]  # time was up
    best = list(dict.fromkeys([*best, *by_hand]))
    return [Child(work.scores.get(mended, -30.0), list(mended)) for mended in best]


def token_at(work: Work, canvas: list[int], line: int, column: int) -> int:
    """Index in `canvas` of the token at 0-based `line` of the span's text and `column` of that line."""
    text = work.text(canvas)
    lines = text.split("\n")
    offset = sum(len(part) + 1 for part in lines[: max(0, line)]) + column
    seen = 0
    for i, token in enumerate(canvas):
        seen += len(work.text([token]))
        if seen > offset:
            return i
    return len(canvas) - 1
