"""Recovery: how much of a held-out span comes back after it was re-noised, by how many steps and how fast?

The sampler alone, without parser and without mends by hand: what is measured is the model.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from engine.diffusion.sampler import StepPolicy, renoise, reverse_step
from engine.evaluation.held_out import Spot
from engine.evaluation.metrics import seeded
from engine.models.ar_twin import ARTwin
from engine.models.denoiser import CanvasItem, Context, Denoiser
from engine.models.vocabulary import MASK, Vocabulary
from engine.regions import normalise

THRESHOLD = 0.8  # probability at which a mask is filled before its turn
LONGEST = 80  # tokens of a span; longer ones are left out


@dataclass(frozen=True, slots=True)
class Recovered:
    """One span. `similarity`: 1 less the normalised Levenshtein distance over tokens to what it was."""

    similarity: float
    exact: bool
    passes: int
    milliseconds: float


@dataclass(frozen=True, slots=True)
class NoisedSpan:
    context: Context
    canvas: list[int]  # <bos> first
    clean: list[int]


def noised_spans(
    spots: Sequence[Spot], vocabulary: Vocabulary, prefix: int, suffix: int, strength: float
) -> list[NoisedSpan]:
    """The same noise for every model: about `strength` of the tokens are masked, in runs."""
    spans: list[NoisedSpan] = []
    for number, spot in enumerate(spots):
        region = normalise(spot.prefix, spot.span, spot.suffix)
        clean = vocabulary.encode(region.span)
        if len(clean) > LONGEST:
            continue
        before = vocabulary.encode(region.prefix[-8 * prefix :])[-prefix:]
        context = Context((), tuple(before), tuple(vocabulary.encode(region.suffix[: 8 * suffix])[:suffix]))
        spans.append(NoisedSpan(context, renoise(clean, strength, seeded(number, strength)), clean))
    return spans


def recover(model: Denoiser | ARTwin, spans: Sequence[NoisedSpan], steps: int) -> list[Recovered]:
    """Every span on its own, its context encoded ahead; at most `steps` denoising steps, void for the twin."""
    return [
        recover_by_twin(model, span) if isinstance(model, ARTwin) else recover_by_steps(model, span, steps)
        for span in spans
    ]


def recover_by_steps(denoiser: Denoiser, span: NoisedSpan, steps: int) -> Recovered:
    """Each step fills at least its share of the masks, so that the last one leaves none."""
    denoiser.warm(span.context)
    canvas, passes, rng = span.canvas, 0, seeded(0)
    started = time.perf_counter()
    while passes < steps:
        (logits,) = denoiser.denoise([CanvasItem(span.context, tuple(canvas))])
        policy = StepPolicy(THRESHOLD, max_canvas=denoiser.max_canvas, least=1 / (steps - passes))
        passes += 1
        after = reverse_step(canvas, logits, policy, rng)
        if after == canvas:
            break
        canvas = after
    return judged([token for token in canvas[1:] if token != MASK], span, passes, started)


def recover_by_twin(twin: ARTwin, span: NoisedSpan) -> Recovered:
    """Greedily; the noised span stands in the twin's request. The context is read anew, as a twin that writes
    after the suffix must."""
    before = [] if all(token == MASK for token in span.canvas[1:]) else span.canvas[1:]
    started = time.perf_counter()
    (written,) = twin.beam(span.context, before, beams=1, limit=len(span.canvas) + 24)
    return judged(written.tokens, span, 1 + len(written.tokens), started)


def judged(tokens: list[int], span: NoisedSpan, passes: int, started: float) -> Recovered:
    elapsed = 1000 * (time.perf_counter() - started)
    return Recovered(Levenshtein.normalized_similarity(tokens, span.clean), tokens == span.clean, passes, elapsed)
