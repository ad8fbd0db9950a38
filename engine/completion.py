"""What is likely to be typed next, while somebody types: the likeliest line behind the cursor, several tokens a pass.

Code repeats itself, so what followed the last tokens where they stood before is read along with them; the denoiser,
that fills masks in order, says at each place what it would have written, and as far as that is what was read nothing
was lost (speculative decoding, arXiv 2211.17192, of which this is the greedy case; drafts by lookup: arXiv 2304.04487).
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence

from engine.diffusion.search import Child
from engine.models.vocabulary import BOS, MASK
from engine.work import Answers, Block, Query, Work
from engine.writing import BELOW_CHARS, LINE_TOKENS, Draft, allowed, take_stem

AHEAD = 6  # tokens read along
NEAR_BELOW = 250  # characters below, where lines are looked up, too
MATCHED = 3  # tokens, at most, that are looked up
# Nats of a line that is worth showing; what it costs and saves is in docs/speed.md.
LEAST = -3.0
CUTS = 3  # places where the line may run into what stands right of the cursor


def complete_line(work: Work) -> Block:
    """The likeliest line, or with something right of the cursor what of it may be meant, the likeliest first; nothing
    when the denoiser is not sure enough of it."""
    take_stem(work)
    encode = work.denoiser.vocabulary.encode
    draft = yield from written_ahead(
        work, Draft(work.stem, surest=True), least=LEAST, below=encode(work.region.suffix[:NEAR_BELOW])
    )
    texts = list(ends(work, draft)) if draft.ended else []
    if len(texts) > 1:
        texts = yield from judged(work, texts)
    return [Child(draft.likely / max(1, len(draft.ids)), [BOS, *encode(text)]) for text in texts]


def written_ahead(
    work: Work,
    draft: Draft,
    end: str = "\n",
    most: int = LINE_TOKENS,
    least: float = -math.inf,
    below: Sequence[int] = (),
) -> Generator[Query, Answers, Draft]:
    """The draft up to its next `end` in the likeliest tokens; not ended when there are more than `most`, when it is
    less likely than `least` nats, or at the deadline."""
    while not draft.ended and len(draft.ids) < most and not work.late:
        ahead = () if draft.stem else continuation((*below, *work.context.prefix, *draft.ids))
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


def ends(work: Work, draft: Draft) -> Iterator[str]:
    """What the draft may mean: all of it and, with something right of the cursor, also what stands before that."""
    text = work.text(draft.ids)
    if work.region.head:
        yield text
        return
    text = text.removeprefix(work.stem)
    right = work.region.suffix.split("\n", 1)[0].strip()
    cuts = [i for i, letter in enumerate(text) if letter == right[:1]]
    for cut in cuts[-CUTS:]:
        yield text[:cut]
    if not right or not text.endswith(right):
        yield text


def judged(work: Work, texts: Sequence[str]) -> Generator[Query, Answers, list[str]]:
    """`texts`, the one first that makes what stands below likeliest; as they are when nobody had time for them."""
    encode, stem = work.denoiser.vocabulary.encode, "" if work.region.head else work.stem
    canvases = {text: (BOS, *encode(stem + text + work.region.suffix[:BELOW_CHARS])) for text in texts}
    yield from work.score([canvas for canvas in canvases.values() if len(canvas) <= work.denoiser.max_canvas])
    known = [text for text, canvas in canvases.items() if canvas in work.scores]
    return sorted(known, key=lambda text: -work.likelihood(canvases[text])) or list(texts)


def continuation(read: Sequence[int]) -> tuple[int, ...]:
    """What followed the last of `read` where they stood before: where most of them did, and there the last time."""
    for length in range(MATCHED, 0, -1):
        last = tuple(read[-length:])
        for start in range(len(read) - length - 1, -1, -1):
            if tuple(read[start : start + length]) == last:
                return tuple(read[start + length : start + length + AHEAD])
    return ()
