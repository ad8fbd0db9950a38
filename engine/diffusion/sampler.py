"""The reverse process: one denoising step over a canvas, and the re-noising of a user's span.

Parallel unmasking by confidence follows Seed Diffusion (arXiv 2508.02193, section 3.4) and Fast-dLLM
(arXiv 2505.22618, section 3.3): every mask whose confidence passes the threshold is filled, and at least as
many as the budget of steps asks for; visible tokens are replaced, deleted or followed by new masks only past
a margin of log-odds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor
from torch.distributions import Categorical

from engine.models.denoiser import CanvasLogits
from engine.models.vocabulary import BOS, DEL, MASK


@dataclass(frozen=True, slots=True)
class StepPolicy:
    """How bold a step is."""

    threshold: float = 0.9  # probability at which a mask is filled, several at once
    margin: float = 1.0  # log-odds (nats) that changing a visible token must exceed
    temperature: float = 0.0  # of the choice of token for a mask; 0: the most likely
    max_canvas: int = 256
    least: float = 0.0  # share of the masks that a step fills, however unsure of them
    bound: float | None = None  # nats, of `within_bound`, which then takes the threshold's place


@dataclass(slots=True)
class Move:
    """A change of one visible position: replace by `token`, delete (`token` is <del>), or insert
    `masks` masks after it (`token` is <mask>)."""

    gain: float  # log-odds against leaving things as they are, nats
    position: int
    token: int
    masks: int = 0

    def apply(self, canvas: Sequence[int]) -> list[int]:
        before, at, after = canvas[: self.position], canvas[self.position], canvas[self.position + 1 :]
        if self.masks:
            return [*before, at, *[MASK] * self.masks, *after]
        return [*before, *([] if self.token == DEL else [self.token]), *after]


def moves(canvas: Sequence[int], logits: CanvasLogits, limit: int, bonus: Tensor | None = None) -> list[Move]:
    """The `limit` most likely changes of visible positions, best first. `bonus` [n] is added to the
    gains of each position (a prior on where the mistake is)."""
    ids = torch.tensor(canvas)
    current = logits.tokens.gather(1, ids[:, None]).clamp(min=-30.0)
    replace = logits.tokens - current
    replace[torch.arange(len(ids)), ids] = -torch.inf
    replace[ids == MASK] = -torch.inf
    replace[0] = -torch.inf  # <bos> stays
    insert = logits.inserts[:, 1:] - logits.inserts[:, :1]
    if bonus is not None:
        replace, insert = replace + bonus[:, None], insert + bonus[:, None]
    found: list[Move] = []
    for kind, table in ((0, replace), (1, insert)):
        values, places = table.flatten().topk(min(limit, table.numel()))
        for gain, place in zip(values.tolist(), places.tolist(), strict=True):
            position, column = divmod(place, table.shape[1])
            if gain > -torch.inf:
                found.append(Move(gain, position, MASK, column + 1) if kind else Move(gain, position, column))
    found.sort(key=lambda move: -move.gain)
    return found[:limit]


def reverse_step(canvas: Sequence[int], logits: CanvasLogits, policy: StepPolicy, rng: Random) -> list[int]:
    """The canvas after one step; the same canvas when nothing changes (a fixed point)."""
    masks = [i for i, token in enumerate(canvas) if token == MASK]
    filled = unmask(canvas, logits.tokens[masks], policy, rng)
    chosen: list[Move] = []
    for move in moves(canvas, logits, limit=32):
        if move.gain <= policy.margin:
            break
        # Neighbouring moves often mend the same mistake twice.
        if all(abs(move.position - other.position) > 1 for other in chosen):
            chosen.append(move)
    # Back to front, so that positions stay valid.
    for move in sorted(chosen, key=lambda move: -move.position):
        if len(filled) + move.masks <= policy.max_canvas:
            filled = move.apply(filled)
    return [token for token in filled if token != DEL]


def unmask(canvas: Sequence[int], rows: Tensor, policy: StepPolicy, rng: Random) -> list[int]:
    """Fills the confident masks, at least one; <del> marks masks that stand for nothing. `rows`
    [masks, vocab]: log-probabilities at the masks."""
    filled = list(canvas)
    masks = [i for i, token in enumerate(canvas) if token == MASK]
    if not masks:
        return filled
    if policy.temperature:
        noise = torch.rand(rows.shape, generator=torch.Generator().manual_seed(rng.getrandbits(63)))
        choice = (rows / policy.temperature - (-noise.clamp(1e-9, 1 - 1e-7).log()).log()).argmax(-1)
    else:
        choice = rows.argmax(-1)
    confidence = rows.gather(1, choice[:, None])[:, 0].exp()
    if policy.bound is None:
        confident = confidence >= policy.threshold
    else:
        confident = within_bound(rows / (policy.temperature or 1.0), policy.bound)
    confident[confidence.topk(max(1, math.ceil(policy.least * len(masks)))).indices] = True
    for at, token, accept in zip(masks, choice.tolist(), confident.tolist(), strict=True):
        if accept:
            filled[at] = token
    return filled


def within_bound(logits: Tensor, bound: float) -> Tensor:
    """Which rows [n] of `logits` [n, vocab] to trust together: the surest ones whose entropies (nats) add up to at
    most `bound`, the largest left out (arXiv 2505.24857, as transformers' EntropyBoundSampler)."""
    entropy, order = Categorical(logits=logits).entropy().sort()
    trusted = torch.zeros(len(logits), dtype=torch.bool)
    trusted[order] = entropy.cumsum(0) - entropy <= bound
    return trusted


def log_likelihood(canvas: Sequence[int], logits: CanvasLogits) -> float:
    """Mean pseudo-log-likelihood per position, nats: of every token where it stands, and of nothing
    missing after it. Masks count as unlikely."""
    ids = torch.tensor(canvas)
    tokens = logits.tokens.gather(1, ids[:, None])[1:, 0].clamp(min=-30.0)
    return float((tokens.sum() + logits.inserts[:, 0].sum()) / len(ids))


def renoise(tokens: Sequence[int], strength: float, rng: Random) -> list[int]:
    """The forward process on a user's span: about `strength` of it becomes masks, in runs of geometric
    length, so that whole phrases may change. Returns a canvas, <bos> first."""
    noised = list(tokens)
    goal = round(strength * len(noised))
    masked = 0
    while masked < goal and masked < len(noised):
        start = rng.randrange(len(noised))
        for i in range(start, min(len(noised), start + 1 + int(rng.expovariate(1 / 4)))):
            if noised[i] != MASK and masked < goal:
                noised[i], masked = MASK, masked + 1
    return [BOS, *noised]
