"""Guesses: edits that the model is not sure of, for a judge who can tell: tests, or a person who knows of a bug.

Four sources. The model's likeliest moves, filled in. What real edits changed into what (`engine.diffusion.patterns`).
The forward process once more: the mistakes of meaning that people make are mostly swaps, so that what undoes one is
another (BugLab, arXiv 2105.12787, section 3). And what the writer answers when it is asked to fix the bug; of code that
is too long for that, what it would rather have read. The denoiser's likelihood ranks them all, with what each source
says, and the writer's the foremost.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from random import Random

from engine.asking import ask_for_a_fix, how_likely
from engine.diffusion.mistakes import MISLEADING, attempt
from engine.diffusion.patterns import learned
from engine.diffusion.search import Child, expand, fill
from engine.models.vocabulary import BOS
from engine.reading import look_over, read_block
from engine.work import Block, Work

DRAWS = 600  # changes drawn from the forward process
MOST = 100  # kept of each source
# Fitted on some 600 real one-hunk fixes of the corpus, its development split among them; nats.
LIKELIHOOD, TOKEN, MOVE, OFTEN, PATTERN = 1.0, 0.25, 0.1, 0.7, 1.0
NO_MOVE, LEAST_MOVE, NO_PATTERN = -12.0, -25.0, -7.5
LOOKED_OVER = 24  # of the likeliest guesses, by the writer
ASKED, AGREED = 1.0, 0.7  # weight of the writer's nats, where it was asked and where it only read


@dataclass(slots=True)
class Guess:
    """What speaks for a canvas: the log-odds of the moves to it, how often the forward process made it, how likely
    a pattern of real edits finds it, whether the writer offered it; nats more than for the block as it is by the
    denoiser and, from the change to a little behind, by the writer, the latter weighted."""

    moves: float = NO_MOVE
    draws: int = 1
    pattern: float = NO_PATTERN
    offered: bool = False
    gained: float = 0.0
    agreed: float = 0.0

    def merit(self, length: int) -> float:
        said = MOVE * self.moves + OFTEN * math.log(self.draws) + PATTERN * self.pattern
        return LIKELIHOOD * self.gained + TOKEN * length + said + self.agreed


def guess_block(work: Work, block: str, writing: Work | None) -> Block:
    """Children of one block that parses, the likeliest first, none of them the block as it is. `writing`: the writer's
    work on the block, when there is one."""
    canvas = [BOS, *work.denoiser.vocabulary.encode(block)]
    (logits,) = yield from work.ask([canvas], limit=8)
    search = fill(expand([Child(0.0, canvas)], [logits], None, MOST // 2))
    moved = yield from work.drive(search, 8)
    whole = writing is not None and writing.around == ("", "")
    asked = (yield from ask_for_a_fix(writing)) if writing and whole else None
    reading = (yield from read_block(writing, block)) if writing and not asked else None
    offers = asked.offers if asked else reading.offers if reading else []
    guesses: dict[tuple[int, ...], Guess] = {}
    for child in moved[:MOST]:
        guesses[tuple(child.canvas)] = Guess(moves=max(LEAST_MOVE, child.score))
    encode = work.denoiser.vocabulary.encode
    if work.request.language == "python":  # which both have learned
        for text, draws in changes(block, work.near + block, work.rng).most_common(MOST):
            guesses.setdefault((BOS, *encode(text)), Guess()).draws = draws
        for text, likely in islice(learned().edits(block, work.near + block).items(), MOST):
            guesses.setdefault((BOS, *encode(text)), Guess()).pattern = likely
    for text in offers:
        guesses.setdefault((BOS, *encode(text)), Guess()).offered = True
    possible = [made for made in guesses if len(made) <= work.denoiser.max_canvas and list(made) != canvas]
    yield from work.score(possible)
    before = work.likelihood(canvas)
    possible = [made for made in possible if made in work.scores]
    for made in possible:
        guesses[made].gained = work.likelihood(made) - before
    possible.sort(key=lambda made: -guesses[made].merit(len(made)))
    first = {work.text(made): made for i, made in enumerate(possible) if i < LOOKED_OVER or guesses[made].offered}
    agreed: dict[str, float] = {}
    if asked and not work.late:
        agreed = yield from how_likely(asked, list(first))
    elif reading and not work.late:
        agreed = yield from look_over(reading, list(first))
    for text, nats in agreed.items():
        guesses[first[text]].agreed = (ASKED if asked else AGREED) * nats
    least = min((guesses[first[text]].agreed for text in agreed), default=0.0)  # of the others nothing is known
    for made in set(possible).difference(first[text] for text in agreed):
        guesses[made].agreed = min(0.0, least)
    scored = [Child(guesses[made].merit(len(made)), list(made)) for made in possible]
    return sorted(scored, key=lambda child: -child.score)


def changes(block: str, scope: str, rng: Random) -> Counter[str]:
    """How often the forward process makes which change of meaning of `block`, names borrowed from `scope`."""
    drawn = (attempt(MISLEADING, block, block, scope, rng) for _ in range(DRAWS))
    return Counter(text for text in drawn if text is not None)
