"""What is likely to be typed next, while somebody types: the likeliest line behind the cursor, several tokens a pass.

Code repeats itself, so what followed the last tokens where they stood before is read along with them; the denoiser,
that fills masks in order, says at each place what it would have written, and as far as that is what was read nothing
was lost (speculative decoding, arXiv 2211.17192, of which this is the greedy case; drafts by lookup: arXiv 2304.04487).
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence

from engine.diffusion.search import Child
from engine.models.vocabulary import BOS, MASK
from engine.work import Answers, Block, Query, Work
from engine.writing import LINE_TOKENS, Draft, allowed, ends, judged, take_stem

AHEAD = 6  # tokens read along
MATCHED = 3  # tokens, at most, that are looked up
# Nats of a line that is worth showing; what it costs and saves is in docs/speed.md.
LEAST = -3.0


def complete_line(work: Work) -> Block:
    """The likeliest line, or with something right of the cursor what of it may be meant, the likeliest first; nothing
    when the denoiser is not sure enough of it."""
    take_stem(work)
    draft = yield from written_ahead(work, Draft(work.stem, surest=True), least=LEAST)
    encode = work.denoiser.vocabulary.encode
    texts = list(ends(work, draft)) if draft.ended else []
    if len(texts) > 1:
        texts = [one.text for one in sorted((yield from judged(work, [draft], {})), key=lambda one: -one.likely)]
    return [Child(draft.likely / max(1, len(draft.ids)), [BOS, *encode(text)]) for text in texts]


def written_ahead(
    work: Work, draft: Draft, end: str = "\n", most: int = LINE_TOKENS, least: float = -math.inf
) -> Generator[Query, Answers, Draft]:
    """The draft up to its next `end` in the likeliest tokens; not ended when there are more than `most`, when it is
    less likely than `least` nats, or at the deadline."""
    while not draft.ended and len(draft.ids) < most and not work.late:
        ahead = () if draft.stem else continuation((*work.context.suffix, *work.context.prefix, *draft.ids))
        canvas = (BOS, *draft.ids, *ahead, MASK)
        places = tuple(range(1 + len(draft.ids), len(canvas)))
        (answer,) = yield from work.ask([canvas], most, rows=[places])
        for row, expected in zip(answer.tokens, (*ahead, MASK), strict=True):
            possible = row + allowed(work.denoiser, draft.stem) if draft.stem else row
            token = int(possible.argmax())
            draft.take(token, work.text([token]), float(possible[token] - possible.logsumexp(-1)), end)
            if draft.likely < least:
                draft.ended = False
                return draft
            if draft.ended or token != expected:
                break
    return draft


def continuation(read: Sequence[int]) -> tuple[int, ...]:
    """What followed the last of `read` where they stood before: where most of them did, and there the last time."""
    for length in range(MATCHED, 0, -1):
        last = tuple(read[-length:])
        for start in range(len(read) - length - 1, -1, -1):
            if tuple(read[start : start + length]) == last:
                return tuple(read[start + length : start + length + AHEAD])
    return ()
