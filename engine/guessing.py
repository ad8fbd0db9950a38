"""Guesses: edits that the model is not sure of, for a judge who can tell: tests, or a person who knows of a bug.

Three sources. The model's likeliest moves, filled in. What real edits changed into what (`engine.diffusion.patterns`).
And the forward process once more: the mistakes of meaning that people make are mostly swaps, so that what undoes one is
another (BugLab, arXiv 2105.12787, section 3). The denoiser's likelihood ranks them all, with what each source says.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from random import Random

import torch

from engine.diffusion.mistakes import MISLEADING, attempt
from engine.diffusion.patterns import learned
from engine.diffusion.sampler import log_likelihood
from engine.diffusion.search import Child, expand, fill
from engine.models.denoiser import Context
from engine.models.vocabulary import BOS
from engine.work import Block, Work
from engine.writing import BELOW_CHARS

DRAWS = 600  # changes drawn from the forward process
MOST = 100  # kept of each source
# Fitted on some 600 real one-hunk fixes of the corpus, its development split among them; nats.
LIKELIHOOD, TOKEN, MOVE, OFTEN, PATTERN = 1.0, 0.25, 0.1, 0.7, 1.0
NO_MOVE, LEAST_MOVE, NO_PATTERN = -12.0, -25.0, -7.5

LOOKED_OVER = 24  # of the likeliest guesses
AFTER = 24  # tokens behind a change that are to go well with it
AGREED = 0.7  # weight of the writer's nats


@dataclass(slots=True)
class Guess:
    """What speaks for a canvas: the log-odds of the moves to it, how often the forward process made it, how likely
    a pattern of real edits finds it."""

    moves: float = NO_MOVE
    draws: int = 1
    pattern: float = NO_PATTERN


def guess_block(work: Work, block: str) -> Block:
    """Children of one block that parses, the likeliest first, none of them the block as it is."""
    canvas = [BOS, *work.denoiser.vocabulary.encode(block)]
    (logits,) = yield from work.ask([canvas], limit=8)
    search = fill(expand([Child(0.0, canvas)], [logits], None, MOST // 2))
    moved = yield from work.drive(search, 8)
    guesses: dict[tuple[int, ...], Guess] = {}
    for child in moved[:MOST]:
        guesses[tuple(child.canvas)] = Guess(moves=max(LEAST_MOVE, child.score))
    encode = work.denoiser.vocabulary.encode
    if work.request.language == "python":  # which both have learned
        for text, draws in changes(block, work.near + block, work.rng).most_common(MOST):
            guesses.setdefault((BOS, *encode(text)), Guess()).draws = draws
        for text, likely in islice(learned().edits(block, work.near + block).items(), MOST):
            guesses.setdefault((BOS, *encode(text)), Guess()).pattern = likely
    possible = [made for made in guesses if len(made) <= work.denoiser.max_canvas and list(made) != canvas]
    yield from work.score(possible)
    before = work.likelihood(canvas)

    def merit(made: Sequence[int]) -> float:
        found = guesses[tuple(made)]
        gained = work.likelihood(made) - before
        said = MOVE * found.moves + OFTEN * math.log(found.draws) + PATTERN * found.pattern
        return LIKELIHOOD * gained + TOKEN * len(made) + said

    scored = [Child(merit(made), list(made)) for made in possible if made in work.scores]
    return sorted(scored, key=lambda child: -child.score)


def looked_over(reading: Work, work: Work, block: str, children: list[Child]) -> Block:
    """`children`, those in front ordered by what speaks for them and by how much likelier than `block` the writer finds
    them, from where they differ to a little behind. `reading`: the writer's work; `work`: the canvases' own."""
    encode, below = reading.denoiser.vocabulary.encode, (reading.around[1] + reading.region.suffix)[:BELOW_CHARS]
    before = encode(block + below)
    if len(before) >= reading.denoiser.max_canvas:
        return children
    (logits,) = yield from reading.ask([(BOS, *before)], limit=8)
    likely = logits.tokens[1:].gather(1, torch.tensor(before)[:, None])[:, 0].tolist()
    first, rest = children[:LOOKED_OVER], children[LOOKED_OVER:]
    contexts: list[Context] = []
    canvases: list[tuple[int, ...]] = []
    was: list[float] = []
    for child in first:
        after = encode(work.text(child.canvas) + below)
        start = shared(before, after)
        end = shared(before[start:][::-1], after[start:][::-1])
        contexts.append(replace(reading.context, prefix=(*reading.context.prefix, *before[:start])))
        canvases.append((BOS, *after[start : len(after) - end + AFTER]))
        was.append(sum(likely[start : len(before) - end + AFTER]))
    answers = yield from reading.ask(canvases, limit=8, contexts=contexts)
    for child, canvas, answer, earlier in zip(first, canvases, answers, was, strict=True):
        child.score += AGREED * (log_likelihood(canvas, answer) * len(canvas) - earlier)
    least = min((child.score for child in first), default=0.0)
    for child in rest:
        child.score = min(child.score, least)
    return sorted(first, key=lambda child: -child.score) + rest


def shared(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens both begin with."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def changes(block: str, scope: str, rng: Random) -> Counter[str]:
    """How often the forward process makes which change of meaning of `block`, names borrowed from `scope`."""
    drawn = (attempt(MISLEADING, block, block, scope, rng) for _ in range(DRAWS))
    return Counter(text for text in drawn if text is not None)
