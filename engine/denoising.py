"""A block by the reverse process: what the model is sure of, noise denoised, masks filled."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import replace

from engine.diffusion.lengths import MASK_COUNTS, VARIANTS, likeliest, stretched
from engine.diffusion.mending import indent_of
from engine.diffusion.sampler import StepPolicy, moves, renoise, reverse_step
from engine.diffusion.search import Child
from engine.models.denoiser import Context
from engine.models.vocabulary import BOS, MASK
from engine.regions import Region, line_above
from engine.work import Answers, Block, Query, Work

FILL_LENGTHS = (4, 8, 16, 32)  # masks that a fill of unknown length starts from
# What an unsure model repeats scores well, and means nothing.
BABBLE = re.compile(r"([A-Za-z_]{2,8}?)\1{3,}|(\b\w+\W+)\2{3,}")
INDENT = "    "  # of a body, as the model writes it
HEAD = re.compile(r"^\n[ \t]*")
REWRITE_STRENGTH, FIX_MARGIN = 0.3, 4.0  # margin: 1% of correct held-out regions are touched, 3.5% at 2.0
STEPS, REWRITES = 8, 8


def improve_block(work: Work, canvas: list[int]) -> Block:
    """The document parses, or nobody can tell: change only what the model is sure to be wrong."""
    strength = 0.0 if work.request.strength is None else work.request.strength
    margin = FIX_MARGIN * (1 - strength)
    (logits,) = yield from work.ask([canvas], limit=8)
    singles = [
        Child(m.gain, m.apply(canvas)) for m in moves(canvas, logits, work.request.candidates * 2) if m.gain > margin
    ]
    start = [reverse_step(canvas, logits, StepPolicy(margin=margin, max_canvas=work.denoiser.max_canvas), work.rng)]
    start += [child.canvas for child in singles]
    finished = yield from denoise(work, [s for s in start if s != canvas], StepPolicy(threshold=0.6, margin=margin))
    return [child for child in finished if child.canvas != canvas]


def rewrite_block(work: Work, canvas: list[int]) -> Block:
    """Re-noise the block several ways, denoise each, prefer what the model finds likeliest."""
    strength = REWRITE_STRENGTH if work.request.strength is None else work.request.strength
    count = max(REWRITES, 2 * work.request.candidates)
    # From a touch to one and a half times the strength: light noise keeps more of the text right.
    starts = [renoise(canvas[1:], strength * 1.5 * (i + 1) / count, work.rng) for i in range(count)]
    if not work.denoiser.free_length:
        room = work.denoiser.max_canvas
        variants = [stretched(start, work.rng)[:room] for start in starts for _ in range(VARIANTS)]
        starts = yield from likeliest_lengths(work, [*starts, *variants], count)
    policy = StepPolicy(threshold=0.7, margin=3.0, temperature=0.5, max_canvas=work.denoiser.max_canvas)
    finished = yield from denoise(work, [canvas, *starts], policy)
    return [child for child in finished if child.canvas != canvas]


def fill_block(work: Work, canvas: list[int]) -> Block:
    """Write the span anew: its length is open, so several counts of masks race."""
    free = work.denoiser.free_length
    # The newline that whole lines begin with, and a likely indentation, stand in front from the start.
    heads = [work.denoiser.vocabulary.encode(head) for head in fill_heads(work.region)]
    lengths = FILL_LENGTHS if free else MASK_COUNTS
    start = [[BOS, *head, *[MASK] * n] for head in heads for n in lengths if len(head) + n < work.denoiser.max_canvas]
    if not free:
        start = yield from likeliest_lengths(work, start, max(4, work.request.candidates))
    if not work.region.head:
        start.append([BOS])
    policy = StepPolicy(threshold=0.7, margin=3.0, max_canvas=work.denoiser.max_canvas)
    finished = yield from denoise(work, start, policy)
    return [child for child in finished if child.canvas != canvas and not BABBLE.search(work.text(child.canvas))]


def fill_heads(region: Region) -> list[str]:
    """What a fill begins with: the hole's own indentation; where it is empty, that of the lines around it."""
    if not region.head:
        return [""]
    own = HEAD.match(region.span)
    if own:
        return [own.group()]
    above = line_above(region.prefix)
    below = next((line for line in region.suffix.split("\n") if line.strip()), above)
    deeper = indent_of(above) + INDENT if above.rstrip().endswith(":") else indent_of(above)
    return list(dict.fromkeys(("\n" + deeper, "\n" + indent_of(below))))


def likeliest_lengths(work: Work, canvases: list[list[int]], count: int) -> Generator[Query, Answers, list[list[int]]]:
    """The `count` canvases whose numbers of masks fit best."""
    seen = yield from work.ask(canvases, limit=8, masks_only=True)
    blind = yield from work.ask(canvases, limit=8, masks_only=True, contexts=[Context((), (), ())] * len(canvases))
    return likeliest(canvases, seen, blind, count)


def denoise(work: Work, canvases: list[list[int]], policy: StepPolicy) -> Block:
    """All canvases in parallel to their fixed points, or until steps or time run out."""
    limit = work.request.max_steps or STEPS
    finished: dict[tuple[int, ...], Child] = {}
    active = distinct_canvases(canvases)
    for step in range(limit):
        if not active or work.late:
            break
        answers = yield from work.ask(active, limit)
        # The last step is kept for looking over what the others wrote.
        bold = replace(policy, least=1 / max(1, limit - 1 - step))
        if (by := work.denoiser.entropy_bound) is not None:
            bold = replace(bold, bound=by.bound, temperature=by.temperature(limit - step, limit))
        moved: list[list[int]] = []
        for canvas, logits in zip(active, answers, strict=True):
            after = reverse_step(canvas, logits, bold, work.rng)
            if after == canvas or tuple(after) in work.scores:
                settled = tuple(canvas)
                if MASK not in settled:
                    finished.setdefault(settled, Child(work.scores[settled], canvas))
            else:
                moved.append(after)
        active = distinct_canvases(moved)
    for canvas in active:  # time is up: what stands without masks still counts
        if MASK not in canvas:
            finished.setdefault(tuple(canvas), Child(work.scores.get(tuple(canvas), -30.0), canvas))
    return sorted(finished.values(), key=lambda child: -child.score)


def distinct_canvases(canvases: list[list[int]]) -> list[list[int]]:
    return [list(c) for c in dict.fromkeys(tuple(c) for c in canvases)]
