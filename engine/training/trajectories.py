"""Stages three and four: the model is trained on states of its own denoising trajectories.

*Constrained order* (Seed Diffusion, arXiv 2508.02193, section 3.2). Of all orders in which a canvas may be
denoised most are useless; the model samples several, the one of the highest likelihood (the evidence lower
bound of that order) is kept, and the model is trained to predict the clean text from its states,
L_c = -E[log p(x_0 | x_i)].

*On-policy* (ibid., section 3.3). The model denoises by its own sampler; trajectories that verifiably end in
the clean text are reinforced the more the shorter they are, which minimises E[V(x_0) |trajectory|]. The
advantage is taken within the trajectories of one sample, and states count by the Levenshtein distance that
is still ahead of them, the paper's surrogate for the length: confidence early on is what saves steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, groupby
from random import Random
from typing import Literal

import torch
from rapidfuzz.distance import Levenshtein
from torch.utils.data import IterableDataset

from engine.diffusion.alignment import Targets, align, align_masks, apply
from engine.diffusion.forward import Noisy
from engine.diffusion.sampler import StepPolicy, reverse_step
from engine.models.denoiser import CanvasItem, CanvasLogits, Context, EmbeddedDenoiser
from engine.models.network import SpanNetwork
from engine.models.vocabulary import DEL, MASK
from engine.training.batches import Batch, denoiser_batch
from engine.training.examples import Source, SpanExample, StreamConfig
from engine.training.stream import Place, draw


@dataclass(frozen=True, slots=True)
class TrajectoryConfig:
    kind: Literal["order", "onpolicy"]
    samples: int = 4  # trajectories per noised canvas
    steps: int = 8  # of a trajectory, at most
    states: int = 4  # of a kept trajectory that are trained on
    replay: float = 0.3  # share of ordinary batches, so that nothing is forgotten
    temperature: float = 1.0  # of the order's noise, and of the tokens sampled on policy
    threshold: float = 0.7  # of the sampler, on policy


@dataclass(slots=True)
class Trajectory:
    """States from noise to the end. `score`: log-likelihood in nats, or the advantage on policy."""

    context: Context
    states: list[Noisy]
    score: float = 0.0
    weights: list[float] = field(default_factory=list[float])  # of the states; empty: all alike


class TrajectoryStream(IterableDataset[Batch]):
    """Batches of states of trajectories that `model` makes when they are asked for. The batch of a step
    depends on the seed, the step, the shard and the model at that step alone."""

    def __init__(self, stream: StreamConfig, config: TrajectoryConfig, model: SpanNetwork, place: Place) -> None:
        super().__init__()
        self.stream, self.config, self.model, self.place = stream, config, model, place

    def __iter__(self) -> Iterator[Batch]:
        source = Source(self.stream)
        sizes, window = self.model.sizes, self.stream.window
        for step in count(self.place.step):
            source.rng = Random(f"{self.stream.seed}/{self.config.kind}/{self.place.shard}/{step}")
            kept, spent = ([], 0) if source.rng.random() < self.config.replay else self.trajectories(source)
            if not kept:
                batch = denoiser_batch(ordinary(source, sizes.max_canvas), sizes, window)
                batch.spent = spent
                yield batch
                continue
            chosen = [choose_states(t, self.config.states, source.rng) for t in kept]
            batch = denoiser_batch([SpanExample(t.context, t.states) for t in chosen], sizes, window)
            weights = torch.tensor([w for t in chosen for w in t.weights])
            batch.weights *= (weights / weights.max())[:, None]
            batch.spent = spent
            yield batch

    def trajectories(self, source: Source) -> tuple[list[Trajectory], int]:
        """Those kept of a batch of fresh examples (on policy there may be none), and the tokens read for them."""
        device = str(self.model.embedding.weight.device)
        denoiser = Metered(EmbeddedDenoiser(self.model, source.vocabulary, "training", device))
        starts: list[tuple[Context, Noisy]] = []
        while len(starts) < self.stream.batch:
            make = source.real_edit if source.rng.random() < self.stream.edits else source.span
            example = draw(make, self.model.sizes.max_canvas)
            assert example.context is not None
            starts += [(example.context, noisy) for noisy in example.noisy if is_noised(noisy)]
        make_kept = best_orders if self.config.kind == "order" else shorter_than_others
        return make_kept(starts[: self.stream.batch], denoiser, self.config, source.rng), denoiser.tokens


class Metered:
    """Counts the tokens that a denoiser reads; of every context once, for it is cached."""

    def __init__(self, denoiser: EmbeddedDenoiser) -> None:
        self.denoiser, self.max_canvas = denoiser, denoiser.max_canvas
        self.tokens = 0
        self._contexts: set[Context] = set()

    def denoise(self, items: Sequence[CanvasItem]) -> list[CanvasLogits]:
        fresh = {item.context for item in items} - self._contexts
        self._contexts |= fresh
        self.tokens += sum(len(c.instruction) + len(c.prefix) + len(c.suffix) for c in fresh)
        self.tokens += sum(len(item.canvas) for item in items)
        return self.denoiser.denoise(items)


def ordinary(source: Source, longest: int) -> list[SpanExample]:
    """One batch as in the edit stage."""
    choice, c = source.rng.random(), source.config
    if choice < c.windows:
        return [draw(source.window, 10 * c.window) for _ in range(c.batch)]
    make = source.real_edit if choice < c.windows + c.edits else source.span
    return [draw(make, longest) for _ in range(c.batch)]


def is_noised(noisy: Noisy) -> bool:
    return any(noisy.targets.inserts) or noisy.tokens != noisy.targets.tokens


def choose_states(trajectory: Trajectory, number: int, rng: Random) -> Trajectory:
    """`number` states, repeated where there are fewer, each with its weight."""
    weights = trajectory.weights or [1.0] * len(trajectory.states)
    order = rng.sample(range(len(weights)), len(weights))
    picked = [order[i % len(order)] for i in range(number)]
    return Trajectory(
        trajectory.context, [trajectory.states[i] for i in picked], trajectory.score, [weights[i] for i in picked]
    )


def best_orders(
    starts: Sequence[tuple[Context, Noisy]], denoiser: Metered, config: TrajectoryConfig, rng: Random
) -> list[Trajectory]:
    """For each start the likeliest of `config.samples` orders. Where the sampler would put its own guess the
    right token stands, so that every trajectory ends right and likelihood alone decides."""
    paths = [Trajectory(context, [noisy]) for context, noisy in starts for _ in range(config.samples)]
    left = config.steps
    while open_ := [path for path in paths if is_noised(path.states[-1])]:
        items = [CanvasItem(path.context, tuple(path.states[-1].tokens)) for path in open_]
        for path, logits in zip(open_, denoiser.denoise(items), strict=True):
            state, gain = settle(path.states[-1], logits, 1 / max(1, left), config.temperature, rng)
            path.states.append(state)
            path.score += gain
        left -= 1
    groups = [paths[i : i + config.samples] for i in range(0, len(paths), config.samples)]
    return [max(group, key=lambda path: path.score) for group in groups]


def settle(state: Noisy, logits: CanvasLogits, share: float, temperature: float, rng: Random) -> tuple[Noisy, float]:
    """Carries out `share` of what is left to do, the most certain first but for Gumbel noise; and the
    log-likelihood of that."""
    targets = state.targets
    open_ = [i for i, token in enumerate(state.tokens) if targets.tokens[i] != token or targets.inserts[i]]
    most = logits.inserts.shape[1] - 1
    sure = {i: float(logits.tokens[i, targets.tokens[i]] if i else 0.0) for i in open_}
    sure = {i: max(-30.0, s) + float(logits.inserts[i, min(most, targets.inserts[i])]) for i, s in sure.items()}
    order = sorted(open_, key=lambda i: -(sure[i] + temperature * gumbel(rng)))
    chosen = set(order[: math.ceil(share * len(open_))])
    return carry_out(state, chosen), sum(sure[i] for i in chosen)


def gumbel(rng: Random) -> float:
    return -math.log(-math.log(rng.uniform(1e-9, 1 - 1e-9)))


def carry_out(state: Noisy, chosen: set[int]) -> Noisy:
    """The state after the targets of the chosen positions: tokens stand right, what is missing is masked."""
    tokens: list[int] = []
    rest = Targets([], [], [])
    for i, (token, target) in enumerate(zip(state.tokens, state.targets.tokens, strict=True)):
        missing = state.targets.missing[i]
        if i not in chosen:
            tokens.append(token)
            rest.keep(target)
            rest.insert(missing)
            continue
        if target != DEL:
            tokens.append(target)
            rest.keep(target)
        tokens += [MASK] * len(missing)
        for absent in missing:
            rest.keep(absent)
    return Noisy(tokens, rest)


def shorter_than_others(
    starts: Sequence[tuple[Context, Noisy]], denoiser: Metered, config: TrajectoryConfig, rng: Random
) -> list[Trajectory]:
    """Trajectories by the sampler that end in the clean text, and sooner than their fellows do on average."""
    kept: list[Trajectory] = []
    paths = roll_out([start for start in starts for _ in range(config.samples)], denoiser, config, rng)
    for i, (context, noisy) in enumerate(starts):
        clean = apply(noisy.targets)
        group = paths[i * config.samples : (i + 1) * config.samples]
        rewards = [reward(path, clean, config.steps) for path in group]
        baseline = sum(rewards) / len(rewards)
        for path, gained in zip(group, rewards, strict=True):
            if gained > baseline:
                kept.append(reinforced(Trajectory(context, [], gained - baseline), path, clean))
    return kept


def reward(path: Sequence[list[int]], clean: Sequence[int], steps: int) -> float:
    """0 where the end is wrong; else from 1 down to a half, by the number of steps."""
    return 1 - 0.5 * (len(path) - 1) / steps if path[-1][1:] == clean else 0.0


def reinforced(trajectory: Trajectory, path: Sequence[list[int]], clean: list[int]) -> Trajectory:
    """The path's states with their targets, weighted by advantage and by the distance ahead of them."""
    trajectory.states = [Noisy(state, realign(state[1:], clean)) for state in path]
    ahead = [Levenshtein.distance(state[1:], clean) for state in path]
    most = max(ahead)
    # The end counts a little: that it is the end must be known too.
    trajectory.weights = [trajectory.score * max(0.1, distance / most) for distance in ahead]
    return trajectory


def roll_out(
    starts: Sequence[tuple[Context, Noisy]], denoiser: Metered, config: TrajectoryConfig, rng: Random
) -> list[list[list[int]]]:
    """The canvases that the sampler walks through from each start, to its fixed point or `config.steps` on."""
    policy = StepPolicy(config.threshold, temperature=config.temperature, max_canvas=denoiser.max_canvas)
    paths = [[noisy.tokens] for _, noisy in starts]
    going = list(range(len(paths)))
    for _ in range(config.steps):
        items = [CanvasItem(starts[i][0], tuple(paths[i][-1])) for i in going]
        moving: list[int] = []
        for i, logits in zip(going, denoiser.denoise(items), strict=True):
            after = reverse_step(paths[i][-1], logits, policy, rng)
            if after not in paths[i]:
                paths[i].append(after)
                moving.append(i)
        going = moving
        if not going:
            break
    return paths


def realign(state: list[int], clean: list[int]) -> Targets:
    """`align`, but what stands for a run of masks is laid out as the forward process does."""
    raw = align(state, clean)
    targets = Targets()
    held, position = raw.missing[0], 0  # what is missing before a run of masks belongs to the run
    for masked, group in groupby(state, lambda token: token == MASK):
        places = range(position + 1, position + 1 + len(list(group)))
        position = places[-1]
        if masked:
            stands_for = [t for i in places for t in (raw.tokens[i], *raw.missing[i]) if t != DEL]
            align_masks(len(places), held + stands_for, targets)
            held = []
            continue
        for i in places:
            targets.insert(held)
            targets.keep(raw.tokens[i])
            held = raw.missing[i]
    targets.insert(held)
    return targets
