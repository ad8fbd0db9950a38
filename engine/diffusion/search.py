"""Judged search: the model proposes small edits, the judge says which mend the text.

Used where a verdict is at hand (the parser). A beam of canvases is expanded by the model's most
likely moves; inserted masks are filled by the model; every finished child is put before the judge.
The survivors of the shallowest depth that has any are returned, most likely first.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from engine.diffusion.sampler import Move, StepPolicy, moves, unmask
from engine.models.denoiser import CanvasLogits
from engine.models.vocabulary import DEL, MASK

WIDTH = 32  # moves tried per depth at first: the easy cases need few judgements
WIDE = 160  # and when none of them mends the text
BEAM = 6
DEPTH = 3
FILLS = 4  # tokens tried for a single inserted mask
FILL_ROUNDS = 3  # passes that fill several masks
SMALLNESS = 0.7  # nats that every further edit costs

Canvases = list[list[int]]
Evaluation = Generator[Canvases, list[CanvasLogits], "list[Child]"]
Verdict = Callable[[list[int]], float]  # infinity: mended; else how far the parser came, higher is better


@dataclass(slots=True)
class Child:
    """A canvas reached from the span by a few moves; `score` is the sum of their log-odds."""

    score: float
    canvas: list[int]
    verdict: float = 0.0


def judged_search(
    canvas: list[int], verdict: Verdict, bonus: Tensor | None, limit: int, thorough: bool = True
) -> Evaluation:
    """Yields canvases to evaluate, those with masks at the masks alone; returns at most `limit` children
    with an infinite verdict, each at most `DEPTH` rounds of moves away; one, and few moves, unless `thorough`."""
    depth, widths = (DEPTH, (WIDTH, WIDE)) if thorough else (1, (WIDTH,))
    beam = [Child(0.0, canvas)]
    seen = {tuple(canvas)}
    for made in range(depth):
        logits = yield [child.canvas for child in beam]
        pool: list[Child] = []
        for width in widths:
            children = expand(beam, logits, bonus if made == 0 else None, width)
            fresh = distinct((yield from fill(children)), seen)
            for child in fresh:
                child.verdict = verdict(child.canvas)
            mended = [child for child in fresh if child.verdict == float("inf")]
            if mended:
                return mended[:limit]
            pool += fresh
        beam = next_beam(pool)
        if not beam:
            break
    return []


def next_beam(pool: list[Child]) -> list[Child]:
    """Mistakes come in pairs: go on from where the parser came furthest, then from the likeliest."""
    furthest = sorted(pool, key=lambda child: (-child.verdict, -child.score))[: BEAM // 2]
    likeliest = sorted((child for child in pool if child not in furthest), key=lambda child: -child.score)
    return furthest + likeliest[: BEAM - len(furthest)]


def expand(beam: Sequence[Child], logits: Sequence[CanvasLogits], bonus: Tensor | None, width: int) -> list[Child]:
    """The `width` likeliest children of the whole beam."""
    children: list[Child] = []
    for parent, parent_logits in zip(beam, logits, strict=True):
        for move in moves(parent.canvas, parent_logits, width, bonus):
            children.append(Child(parent.score + move.gain - SMALLNESS, move.apply(parent.canvas)))
    children.sort(key=lambda child: -child.score)
    return children[:width]


def fill(children: list[Child]) -> Evaluation:
    """Children without masks as they are; a single mask branches into its likeliest tokens, several are
    filled in parallel. Of a canvas with masks only the rows of the masks are read."""
    finished = [child for child in children if MASK not in child.canvas]
    open_ = [child for child in children if MASK in child.canvas]
    rng = Random(0)
    for round_ in range(FILL_ROUNDS):
        if not open_:
            break
        policy = StepPolicy(threshold=0.5 if round_ < FILL_ROUNDS - 1 else 0.0)  # the last fills all
        logits = yield [child.canvas for child in open_]
        left: list[Child] = []
        for child, child_logits in zip(open_, logits, strict=True):
            if child.canvas.count(MASK) == 1:
                finished.extend(branch(child, child_logits))
                continue
            filled = unmask(child.canvas, child_logits.tokens, policy, rng)
            masks = [i for i, token in enumerate(child.canvas) if token == MASK]
            gain = sum(float(child_logits.tokens[row, filled[i]]) for row, i in enumerate(masks) if filled[i] != MASK)
            settled = Child(child.score + gain, [token for token in filled if token != DEL])
            (left if MASK in settled.canvas else finished).append(settled)
        open_ = left
    finished.sort(key=lambda child: -child.score)
    return finished


def branch(child: Child, logits: CanvasLogits) -> list[Child]:
    at = child.canvas.index(MASK)
    values, tokens = logits.tokens[0].topk(FILLS)
    return [
        Child(child.score + value, Move(0.0, at, token).apply(child.canvas))
        for value, token in zip(values.tolist(), tokens.tolist(), strict=True)
    ]


def distinct(children: list[Child], seen: set[tuple[int, ...]]) -> list[Child]:
    """The likeliest child of each canvas that was not seen before, order kept; marks them as seen."""
    fresh: list[Child] = []
    for child in children:
        if tuple(child.canvas) not in seen:
            seen.add(tuple(child.canvas))
            fresh.append(child)
    return fresh


def nearness(count: int, at: int) -> Tensor:
    """A prior on where the mistake is: log-odds bonus [count] that falls off with the distance in tokens
    from position `at`, where the parser gave up."""
    distance = (torch.arange(count) - at).abs().float()
    return 2.0 * torch.exp(-distance / 8.0)
