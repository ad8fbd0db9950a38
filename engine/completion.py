"""What is likely to be typed next, while somebody types: the likeliest line behind the cursor, several tokens a pass.

Code repeats itself, so what followed the last tokens where they stood before is read along with them; the denoiser,
that fills masks in order, says at each place what it would have written, and as far as that is what was read nothing
was lost (speculative decoding, arXiv 2211.17192, of which this is the greedy case; drafts by lookup: arXiv 2304.04487).
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.diffusion.search import Child
from engine.models.vocabulary import BOS, MASK
from engine.work import Block, Work
from engine.writing import LINE_TOKENS, Draft, allowed, ends, judged, take_stem

AHEAD = 6  # tokens read along
MATCHED = 3  # tokens, at most, that are looked up
# Nats of a line that is worth showing; what it costs and saves is in docs/speed.md.
LEAST = -3.0


def complete_line(work: Work) -> Block:
    """The likeliest line, or with something right of the cursor what of it may be meant, the likeliest first; nothing
    when the denoiser is not sure enough of it."""
    take_stem(work)
    draft = Draft(work.stem, surest=True)
    while not draft.ended and draft.likely > LEAST and len(draft.ids) < LINE_TOKENS and not work.late:
        known = (*work.context.suffix, *work.context.prefix, *draft.ids)
        ahead = () if draft.stem else continuation(known)
        canvas = (BOS, *draft.ids, *ahead, MASK)
        places = tuple(range(1 + len(draft.ids), len(canvas)))
        (answer,) = yield from work.ask([canvas], LINE_TOKENS, rows=[places])
        for row, expected in zip(answer.tokens, (*ahead, MASK), strict=True):
            possible = row + allowed(work.denoiser, draft.stem) if draft.stem else row
            token = int(possible.argmax())
            draft.take(token, work.text([token]), float(possible[token] - possible.logsumexp(-1)))
            if draft.ended or token != expected:
                break
    encode = work.denoiser.vocabulary.encode
    texts = list(ends(work, draft)) if draft.ended and draft.likely > LEAST else []
    if len(texts) > 1:
        texts = [one.text for one in sorted((yield from judged(work, [draft], {})), key=lambda one: -one.likely)]
    return [Child(draft.likely / max(1, len(draft.ids)), [BOS, *encode(text)]) for text in texts]


def continuation(read: Sequence[int]) -> tuple[int, ...]:
    """What followed the last of `read` where they stood before: where most of them did, and there the last time."""
    for length in range(MATCHED, 0, -1):
        last = tuple(read[-length:])
        for start in range(len(read) - length - 1, -1, -1):
            if tuple(read[start : start + length]) == last:
                return tuple(read[start + length : start + length + AHEAD])
    return ()
