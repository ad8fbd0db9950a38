"""Forward processes: masks and edits over token ids, with the targets that undo them.

Mask process: each token becomes <mask> with probability gamma_t, or whole runs do (Seed Diffusion,
arXiv 2508.02193, section 3.1, mask-based corruption). Edit process: k_t = floor(L * alpha_t)
insertions, deletions and substitutions (ibid., edit-based corruption), here drawn from the window's
own tokens, and human-like mistakes made on the text (`engine.diffusion.mistakes`). Both act on
segments of the canvas; every segment's targets are appended to one `Targets`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from engine.diffusion.alignment import Targets, align, align_masks, apply_in_part
from engine.models.vocabulary import BOS, MASK

MAX_ALPHA = 0.15  # bound of the edit rate: above it the original can no longer be told
Break = Callable[[list[int], Random, int], list[int]]  # tokens with `count` human-like mistakes made


@dataclass(slots=True)
class Noisy:
    """A canvas of n positions (<bos> first) and its targets."""

    tokens: list[int]
    targets: Targets


@dataclass(frozen=True, slots=True)
class NoiseMix:
    """How often a segment or span gets which noise; the rest stays as it is (do no harm)."""

    masks: float  # whole segment becomes a run of masks
    mistakes: float  # human-like mistakes
    random_edits: float  # token edits at a rate alpha <= MAX_ALPHA
    sprinkle: float  # highest rate of single masks over what is still visible


def noise_window(segments: Sequence[list[int]], mix: NoiseMix, make_mistakes: Break, rng: Random) -> Noisy:
    """A whole window as canvas: each segment is noised on its own, so that one window holds many spans.

    The window's overall noise level is drawn first, so that all levels are trained."""
    level = rng.random()
    tokens = [BOS]
    targets = Targets()
    for clean in segments:
        kind = rng.random() / max(level, 1e-6)
        noise_segment(clean, kind, mix, make_mistakes, level, rng, tokens, targets)
    return Noisy(tokens, targets)


def noise_span(clean: list[int], mix: NoiseMix, make_mistakes: Break, rng: Random) -> Noisy:
    """A short canvas in context: one noise over the whole span."""
    tokens = [BOS]
    targets = Targets()
    noise_segment(clean, rng.random(), mix, make_mistakes, rng.random(), rng, tokens, targets)
    return Noisy(tokens, targets)


def noise_segment(
    clean: list[int],
    kind: float,
    mix: NoiseMix,
    make_mistakes: Break,
    level: float,
    rng: Random,
    tokens: list[int],
    targets: Targets,
) -> None:
    """Appends the noised segment to `tokens` and its targets to `targets`; `kind` chooses from `mix`."""
    if kind < mix.masks:
        count = mask_count(len(clean), rng)
        tokens.extend([MASK] * count)
        align_masks(count, clean, targets)
        return
    visible = clean
    if kind < mix.masks + mix.mistakes:
        visible = make_mistakes(clean, rng, 1 + (rng.random() < 0.3) + (rng.random() < 0.1))
    elif kind < mix.masks + mix.mistakes + mix.random_edits:
        visible = random_edits(clean, rng.random() * MAX_ALPHA, rng)
    if mix.sprinkle and rng.random() < 0.5:
        visible = sprinkle(visible, rng.random() * mix.sprinkle * level, rng)
    tokens.extend(visible)
    align(visible, clean, targets)


def mask_count(length: int, rng: Random) -> int:
    """Masks that stand for `length` tokens: mostly that many, else too many, too few or none."""
    choice = rng.random()
    if choice < 0.6:
        return length
    if choice < 0.8:
        return length + rng.randint(1, max(2, length))
    return rng.randint(0, length)


def sprinkle(tokens: Sequence[int], gamma: float, rng: Random) -> list[int]:
    """Each token becomes <mask> with probability `gamma`."""
    return [MASK if rng.random() < gamma else token for token in tokens]


def random_edits(tokens: Sequence[int], alpha: float, rng: Random) -> list[int]:
    """floor(L * alpha), at least one, insertions, deletions and substitutions by tokens of the span."""
    edited = list(tokens)
    for _ in range(max(1, int(len(tokens) * alpha))):
        if not edited:
            break
        at, op = rng.randrange(len(edited)), rng.random()
        if op < 0.35:
            del edited[at]
        elif op < 0.65:
            edited.insert(at, rng.choice(tokens))
        else:
            edited[at] = rng.choice(tokens)
    return edited


def walk_back(noisy: Noisy, rng: Random) -> Noisy:
    """With even odds a state on the way from `noisy` to clean, as the sampler meets them."""
    if rng.random() < 0.5:
        return noisy
    decide = [rng.random() for _ in noisy.tokens]
    return Noisy(*apply_in_part(noisy.tokens, noisy.targets, decide, rng.random()))
