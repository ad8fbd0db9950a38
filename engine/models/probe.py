"""Whether a model knows anything: tokens hidden in code that everybody can guess."""

from __future__ import annotations

from math import log

from engine.models.denoiser import CanvasItem, Context, Denoiser
from engine.models.vocabulary import BOS, MASK

CODE = """def total(items):
    result = 0
    for item in items:
        result += item
    return result


def largest(values):
    best = values[0]
    for value in values:
        best = max(best, value)
    return best
"""
STRIDE = 4
LEAST = 1.0  # nats; models trained for minutes have 3 and more


def advantage(model: Denoiser) -> float:
    """Nats per hidden token by which `model` beats an even guess over its vocabulary, every fourth token hidden
    at a time. About 0, or less, with random weights, another mask token than it learned, or shifted logits."""
    ids = model.vocabulary.encode(CODE)
    hidden = [range(start, len(ids), STRIDE) for start in range(STRIDE)]
    items = [
        CanvasItem(
            Context((), (), ()),
            (BOS, *(MASK if i in places else token for i, token in enumerate(ids))),
            tuple(i + 1 for i in places),
        )
        for places in hidden
    ]
    total = 0.0
    for places, logits in zip(hidden, model.denoise(items), strict=True):
        total += sum(max(float(logits.tokens[row, ids[i]]), -30.0) for row, i in enumerate(places))
    return total / len(ids) + log(model.vocabulary.size)
