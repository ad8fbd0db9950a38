"""How many masks a hole needs, for models that cannot insert or delete: the count whose first step is the
most confident, against what the same count gets without any context.

Longer runs of masks are harder to predict whatever stands around them; the difference takes that bias
away, so that counts can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from engine.models.denoiser import CanvasLogits
from engine.models.vocabulary import MASK

MASK_COUNTS = (1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 32, 48)
VARIANTS = 3


def confidence(logits: CanvasLogits) -> float:
    """Mean log-probability of the likeliest token over the rows (the masks), nats."""
    return float(logits.tokens.amax(-1).clamp(min=-30.0).mean()) if len(logits.tokens) else 0.0


def likeliest(
    canvases: Sequence[list[int]], seen: Sequence[CanvasLogits], blind: Sequence[CanvasLogits], count: int
) -> list[list[int]]:
    """The `count` canvases that gain most from their context; `seen` and `blind`: logits at their masks with
    and without it."""
    gains = [confidence(with_) - confidence(without) for with_, without in zip(seen, blind, strict=True)]
    order = sorted(range(len(canvases)), key=lambda i: -gains[i])
    return [canvases[i] for i in order[:count]]


def stretched(canvas: Sequence[int], rng: Random) -> list[int]:
    """`canvas` with every run of masks up to two shorter or three longer."""
    out: list[int] = []
    run = 0
    for token in [*canvas, None]:
        if token == MASK:
            run += 1
            continue
        out += [MASK] * max(1, run + rng.randint(-2, 3)) if run else []
        run = 0
        if token is not None:
            out.append(token)
    return out
