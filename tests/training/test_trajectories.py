"""Trajectories of both kinds lead to the clean text and are what the stages say they are."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.diffusion.alignment import align, apply
from engine.diffusion.forward import Noisy
from engine.models.denoiser import Context, EmbeddedDenoiser
from engine.models.vocabulary import BOS, MASK
from engine.training.trajectories import (
    Metered,
    TrajectoryConfig,
    best_orders,
    carry_out,
    is_noised,
    realign,
    reward,
    shorter_than_others,
)

tokens = st.lists(st.integers(20, 26), max_size=12)
noised = st.lists(st.one_of(st.integers(20, 26), st.just(MASK)), max_size=12)


@given(noised, tokens)
@settings(max_examples=200)
def test_realigned_targets_lead_to_the_clean_text(state: list[int], clean: list[int]) -> None:
    targets = realign(state, clean)
    assert len(targets.tokens) == len(state) + 1
    assert apply(targets) == clean


def test_a_run_of_masks_is_filled_in_order() -> None:
    targets = realign([20, MASK, MASK, 21], [20, 30, 31, 32, 21])
    assert targets.tokens == [BOS, 20, 30, 31, 21]
    assert targets.inserts == [0, 0, 0, 1, 0]


@given(noised, tokens, st.randoms(use_true_random=False))
@settings(max_examples=200)
def test_carrying_out_in_any_order_ends_clean(before: list[int], clean: list[int], rng: Random) -> None:
    state = Noisy([BOS, *before], align(before, clean))
    while is_noised(state):
        todo = [i for i in range(len(state.tokens)) if rng.random() < 0.5]
        state = carry_out(state, set(todo or range(len(state.tokens))))
        assert apply(state.targets) == clean
    assert state.tokens == [BOS, *clean]


def example(denoiser: EmbeddedDenoiser, before: str, after: str) -> tuple[Context, Noisy]:
    encode = denoiser.vocabulary.encode
    context = Context((), tuple(encode("def area(r):")), tuple(encode("\n\nprint(area(1))\n")))
    old, new = encode(before), encode(after)
    return context, Noisy([BOS, *old], align(old, new))


def test_the_likeliest_of_the_orders_is_kept(denoiser: EmbeddedDenoiser) -> None:
    start = example(denoiser, "\n    return (r * r", "\n    return (r * r)")
    masked = (start[0], Noisy([BOS, MASK, MASK, MASK], align([MASK] * 3, start[1].targets.tokens[1:4])))
    config = TrajectoryConfig("order", samples=6, steps=3)
    metered = Metered(denoiser)
    kept = best_orders([start, masked], metered, config, Random(0))
    alone = [best_orders([start, masked], metered, TrajectoryConfig("order", 1, 3), Random(i)) for i in range(4)]
    for i, (_, noisy) in enumerate((start, masked)):
        assert kept[i].states[-1].tokens == [BOS, *apply(noisy.targets)]
        assert len(kept[i].states) > 1
        assert kept[i].score >= sum(paths[i].score for paths in alone) / len(alone) - 1e-3


def test_on_policy_keeps_what_ends_right_sooner(denoiser: EmbeddedDenoiser) -> None:
    starts = [example(denoiser, "\n    return (r * r", "\n    return (r * r)")]
    starts += [example(denoiser, "\n    retrun r * r", "\n    return r * r")]
    config = TrajectoryConfig("onpolicy", samples=12, steps=6, threshold=0.5)
    for trajectory in shorter_than_others(starts, Metered(denoiser), config, Random(1)):
        assert trajectory.score > 0
        assert trajectory.states[-1].tokens == trajectory.states[-1].targets.tokens
        assert trajectory.weights[0] == max(trajectory.weights)
        assert trajectory.weights[0] > trajectory.weights[-1] > 0
    short, long, wrong = ([[BOS, 9], [BOS, 5]], [[BOS, 9], [BOS, 8], [BOS, 5]], [[BOS, 9]])
    assert reward(short, [5], 6) > reward(long, [5], 6) > reward(wrong, [5], 6) == 0
