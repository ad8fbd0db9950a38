"""apply(targets(corrupt(x))) == x, for every way of corrupting."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from engine.diffusion.alignment import Targets, align, align_masks, apply, apply_in_part
from engine.diffusion.forward import NoiseMix, noise_span, noise_window, random_edits, sprinkle, walk_back
from engine.models.vocabulary import BOS, DEL, MASK, RESERVED

tokens = st.lists(st.integers(len(RESERVED), 40), max_size=40)
mixes = st.builds(NoiseMix, *[st.floats(0, 1)] * 4)


def shuffle_words(ids: list[int], rng: Random, count: int) -> list[int]:
    """A stand-in for text mistakes that needs no vocabulary: any change of tokens will do here."""
    return random_edits(ids, 0.3, rng) if ids else []


@given(tokens, tokens)
def test_targets_turn_noisy_into_clean(noisy: list[int], clean: list[int]) -> None:
    targets = align(noisy, clean)
    assert apply(targets) == clean
    assert len(targets.tokens) == len(noisy) + 1


@given(tokens, tokens)
def test_distance_is_minimal(noisy: list[int], clean: list[int]) -> None:
    from rapidfuzz.distance import Levenshtein

    targets = align(noisy, clean)
    changed = sum(a != b for a, b in zip([BOS, *noisy], targets.tokens, strict=True))
    assert changed + sum(targets.inserts) == Levenshtein.distance(noisy, clean)


@given(st.integers(0, 60), tokens)
def test_mask_runs_of_any_length(count: int, clean: list[int]) -> None:
    targets = Targets()
    align_masks(count, clean, targets)
    assert apply(targets) == clean
    # Excess masks are deleted at the end, so that filling goes from left to right.
    assert targets.tokens[1:].count(DEL) == max(0, count - len(clean))


@given(tokens, mixes, st.integers())
def test_a_noised_span_can_be_undone(clean: list[int], mix: NoiseMix, seed: int) -> None:
    noisy = noise_span(clean, mix, shuffle_words, Random(seed))
    assert noisy.tokens[0] == BOS
    assert len(noisy.tokens) == len(noisy.targets.tokens) == len(noisy.targets.inserts)
    assert apply(noisy.targets) == clean


@given(st.lists(tokens, max_size=8), mixes, st.integers())
def test_a_noised_window_can_be_undone(segments: list[list[int]], mix: NoiseMix, seed: int) -> None:
    noisy = noise_window(segments, mix, shuffle_words, Random(seed))
    assert apply(noisy.targets) == [token for segment in segments for token in segment]


@given(tokens, tokens, st.integers())
def test_states_on_the_way_back_lead_to_the_same_text(before: list[int], after: list[int], seed: int) -> None:
    from engine.diffusion.forward import Noisy

    rng = Random(seed)
    state = walk_back(Noisy([BOS, *before], align(before, after)), rng)
    assert len(state.tokens) == len(state.targets.tokens)
    assert apply(state.targets) == after


def test_walking_all_the_way_back_leaves_nothing_to_do() -> None:
    before, after = [20, 21, 22], [20, 30, 22, 31]
    state, rest = apply_in_part([BOS, *before], align(before, after), [0.0] * 4, apply_share=1.0)
    assert state == [BOS, *after]
    assert rest.tokens == state
    assert not any(rest.inserts)


@given(tokens, st.integers())
def test_sprinkling_keeps_length_and_visible_tokens(clean: list[int], seed: int) -> None:
    noisy = sprinkle(clean, 0.5, Random(seed))
    assert all(a in (b, MASK) for a, b in zip(noisy, clean, strict=True))
