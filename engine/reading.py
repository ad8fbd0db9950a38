"""What the writer makes of code as it is: what it would rather read, and how much likelier it finds another text.

Either takes one pass, because a causal model that reads a text predicts every token of it on the way.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import torch

from engine.diffusion.search import Child
from engine.models.denoiser import CanvasLogits
from engine.models.vocabulary import BOS, MASK
from engine.regions import shared_ends
from engine.work import Answers, Block, Query, Work
from engine.writing import BELOW_CHARS

OFFERS = 12  # places and tokens where the writer would have written something else
SKIPPED = 5  # tokens looked at for one that the writer would rather go on with
AFTER = 24  # tokens behind a change that are to go well with it
DOUBTFUL = -6.0  # nats against the text as it is: what the small model only garbled is far below


@dataclass(slots=True)
class Reading:
    """What the writer, who has read more code, makes of a block as it is. `ids`: of the block and a little `below` it;
    `likely`: the log-probability of each; `offers`: what it would rather read in the place of the block."""

    work: Work
    below: str
    ids: list[int]
    likely: list[float]
    offers: list[str]


def read_block(work: Work, block: str) -> Generator[Query, Answers, Reading | None]:
    """None when the block is longer than what the writer reads at once."""
    encode, below = work.denoiser.vocabulary.encode, (work.around[1] + work.region.suffix)[:BELOW_CHARS]
    ids = encode(block + below)
    if len(ids) + 2 > work.denoiser.max_canvas:
        return None
    # With a mask behind it, what is read of the block is kept, and other texts are read from where they differ.
    (logits,) = yield from work.ask([(BOS, *ids, MASK)], limit=8, rows=[tuple(range(1, len(ids) + 1))])
    own = len(encode(block))
    actual = torch.tensor(ids)[:, None]
    likely = logits.tokens.gather(1, actual)
    gains = (logits.tokens - likely).scatter(1, actual, -torch.inf)[:own]
    best = gains.flatten().topk(min(OFFERS, gains.numel())).indices.tolist()
    texts = [work.text(made) for place in best for made in changed(ids[:own], *divmod(place, gains.shape[1]))]
    offers = [text for text in dict.fromkeys(texts) if work.judge is None or work.judge.fault(text) is None]
    return Reading(work, below, ids, likely[:, 0].tolist(), offers)


def changed(ids: list[int], place: int, token: int) -> Iterator[list[int]]:
    """`token` at `place`: instead of what is there, before it, or as the next of its kind, what is between left out."""
    yield [*ids[:place], token, *ids[place + 1 :]]
    yield [*ids[:place], token, *ids[place:]]
    if token in ids[place + 1 : place + 1 + SKIPPED]:
        yield [*ids[:place], *ids[ids.index(token, place + 1) :]]


def look_over(reading: Reading, texts: Sequence[str]) -> Generator[Query, Answers, dict[str, float]]:
    """How much likelier the writer finds each of `texts` than the block, nats, from where they differ to a little
    behind."""
    work, before, likely = reading.work, reading.ids, reading.likely
    if not texts:
        return {}
    canvases: list[tuple[int, ...]] = []
    rows: list[tuple[int, ...]] = []
    was: list[float] = []
    for text in texts:
        after = work.denoiser.vocabulary.encode(text + reading.below)
        start, end = shared_ends(before, after)
        canvas = (BOS, *after[: len(after) - end + AFTER])[: work.denoiser.max_canvas]
        canvases.append(canvas)
        rows.append(tuple(range(start + 1, len(canvas))))
        was.append(sum(likely[start : len(before) - end + AFTER]))
    answers = yield from work.ask(canvases, limit=8, rows=rows)
    found = zip(texts, canvases, rows, answers, was, strict=True)
    return {text: log_probability(canvas, places, answer) - earlier for text, canvas, places, answer, earlier in found}


def log_probability(canvas: Sequence[int], places: Sequence[int], answer: CanvasLogits) -> float:
    """Of the tokens that stand at `places`, which `answer` has the rows of; nats."""
    tokens = torch.tensor([canvas[place] for place in places], dtype=torch.long)
    return float(answer.tokens.gather(1, tokens[:, None]).sum())


def plausible(writing: Work, work: Work, block: str, made: Sequence[Child]) -> Block:
    """What was `made` of `block`, and what the writer would rather read, the likeliest for it first, without what it
    does not believe; in the canvases of `work`."""
    reading = yield from read_block(writing, block)
    if reading is None or work.late:
        return list(made)
    texts = list(dict.fromkeys([*(work.text(child.canvas) for child in made), *reading.offers[:OFFERS]]))
    nats = yield from look_over(reading, texts)
    children: list[Child] = []
    for text, gained in sorted(nats.items(), key=lambda one: -one[1]):
        canvas = [BOS, *work.denoiser.vocabulary.encode(text)]
        if gained >= DOUBTFUL and len(canvas) <= work.denoiser.max_canvas:
            children.append(Child((sum(reading.likely) + gained) / len(reading.ids), canvas))
    return children
