"""Writing in the likeliest tokens, several a pass.

Code repeats itself, and an edit repeats the code, so what followed the last tokens where they stood before is read
along with them; the denoiser, that fills masks in order, says at each place what it would have written, and as far as
that is what was read nothing was lost (speculative decoding, arXiv 2211.17192, of which this is the greedy case; drafts
by lookup: arXiv 2304.04487).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import cache

import torch
from torch import Tensor

from engine.models.vocabulary import BOS, MASK, Vocabulary
from engine.work import Answers, Query, Work
from engine.writing import Draft, allowed, token_texts

NEAREST, MOST_TRUST = 8, 8  # tokens of a draft that are read along at first, and so many times as many at most
ROOM = 64  # tokens that all drafts of a pass read along, but for the first few of each
MATCHED = 6  # tokens, at most, that are looked up; where fewer match, fewer are read along


def read_along(
    work: Work,
    drafts: Sequence[Draft],
    most: int,
    end: str = "\n",
    may_end: Callable[[Draft], bool] = lambda _: True,
    below: Sequence[int] = (),
) -> Generator[Query, Answers, None]:
    """Takes the drafts on by a token or more each, in one pass; a token with `end` ends a draft, and one that may not
    end yet goes on as is likeliest then. `most`: passes that this may take in all, for show."""
    room = max(NEAREST, ROOM // len(drafts))
    heard = (*below, *work.context.prefix)
    aheads = [() if d.stem else continuation((*heard, *d.ids), min(NEAREST * d.trust, room)) for d in drafts]
    canvases = [(BOS, *d.ids, *ahead, MASK) for d, ahead in zip(drafts, aheads, strict=True)]
    places = [tuple(range(1 + len(d.ids), len(c))) for d, c in zip(drafts, canvases, strict=True)]
    answers = yield from work.ask(canvases, most, rows=places)
    for draft, answer, ahead in zip(drafts, answers, aheads, strict=True):
        for row, expected in zip(answer.tokens, (*ahead, MASK), strict=True):
            possible = row + allowed(work.denoiser, draft.stem) if draft.stem else row
            token = int(possible.argmax())
            text = work.text([token])
            if end in text and not may_end(draft):
                possible = possible.index_fill(0, ending(work.denoiser.vocabulary, end), -torch.inf)
                token = int(possible.argmax())
                text = work.text([token])
            draft.take(token, text, float(possible[token] - possible.logsumexp(-1)), end)
            if token != expected:  # where that is the mask, all that was read along stands
                draft.trust = min(MOST_TRUST, 2 * draft.trust) if expected == MASK else 1
            if token != expected or draft.ended:
                break


@cache
def ending(vocabulary: Vocabulary, end: str) -> Tensor:
    """The tokens that hold `end`."""
    return torch.tensor([token for token, text in enumerate(token_texts(vocabulary)) if end in text])


def continuation(read: Sequence[int], reach: int = NEAREST) -> tuple[int, ...]:
    """What followed the last of `read` where they stood before: where most of them did, and there the last time."""
    for length in range(MATCHED, 0, -1):
        last = tuple(read[-length:])
        for start in range(len(read) - length - 1, -1, -1):
            if tuple(read[start : start + length]) == last:
                return tuple(read[start + length : start + length + max(1, reach * length // MATCHED)])
    return ()
