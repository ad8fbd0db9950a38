"""One reverse step: what it fills, what it changes, and when it stops."""

from __future__ import annotations

from random import Random

import pytest
import torch

from engine.diffusion.sampler import StepPolicy, renoise, reverse_step, unmask
from engine.models.denoiser import CanvasLogits
from engine.models.vocabulary import BOS, DEL, MASK

A, B, C = 20, 21, 22
SURE, UNSURE = 6.0, 0.5


def logits(*wanted: tuple[int, float], inserts: dict[int, int] | None = None) -> CanvasLogits:
    """Log-probabilities that favour one token per position by so many nats."""
    tokens, missing = torch.zeros(len(wanted), 30), torch.zeros(len(wanted), 5)
    missing[:, 0] = SURE
    for i, (token, strength) in enumerate(wanted):
        tokens[i, token] = strength
    for i, count in (inserts or {}).items():
        missing[i, count] = 3 * SURE
    return CanvasLogits(tokens.log_softmax(-1), missing.log_softmax(-1))


def step(canvas: list[int], answer: CanvasLogits, **policy: float) -> list[int]:
    return reverse_step(canvas, answer, StepPolicy(**policy), Random(0))  # type: ignore[arg-type]


def test_confident_masks_are_filled_together_and_the_others_wait() -> None:
    answer = logits((BOS, SURE), (A, SURE), (B, SURE), (C, UNSURE))
    assert step([BOS, MASK, MASK, MASK], answer, threshold=0.9) == [BOS, A, B, MASK]


@pytest.mark.parametrize(("least", "filled"), [(0.0, 1), (0.5, 2), (0.6, 3), (1.0, 4)])
def test_a_step_fills_its_share_of_the_masks(least: float, filled: int) -> None:
    rows = torch.zeros(4, 30)
    rows[torch.arange(4), torch.tensor([A, B, C, A])] = torch.tensor([0.4, 0.3, 0.2, 0.1])
    after = unmask([BOS, *[MASK] * 4], rows.log_softmax(-1), StepPolicy(threshold=1.0, least=least), Random(0))
    assert after == [BOS, *[A, B, C, A][:filled], *[MASK] * (4 - filled)]


def test_visible_tokens_change_past_the_margin_alone() -> None:
    canvas = [BOS, A, B]
    assert step(canvas, logits((BOS, SURE), (C, 2.0), (B, SURE)), margin=3.0) == canvas
    assert step(canvas, logits((BOS, SURE), (C, 4.0), (B, SURE)), margin=3.0) == [BOS, C, B]
    assert step(canvas, logits((BOS, SURE), (DEL, 4.0), (B, SURE)), margin=3.0) == [BOS, B]


def test_what_is_missing_becomes_masks() -> None:
    answer = logits((BOS, SURE), (A, SURE), (B, SURE), inserts={1: 2})
    assert step([BOS, A, B], answer, margin=3.0) == [BOS, A, MASK, MASK, B]
    assert step([BOS, A, B], answer, margin=3.0, max_canvas=4) == [BOS, A, B]


def test_masks_that_stand_for_nothing_vanish() -> None:
    assert step([BOS, MASK, A], logits((BOS, SURE), (DEL, SURE), (A, SURE))) == [BOS, A]


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_renoising_masks_its_share(strength: float) -> None:
    canvas = renoise([A] * 50, strength, Random(1))
    assert canvas[0] == BOS
    assert canvas.count(MASK) == round(50 * strength)
