"""The measures: when an edit counts as right, and how sure a figure is.

Must not import torch or the engine's models.
"""

from __future__ import annotations

import ast
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from engine.languages import python_fault

Z95 = 1.959963984540054  # two-sided 95% quantile of the normal distribution


@dataclass(frozen=True, slots=True)
class Rate:
    """`hits` of `of` cases, with the 95% Wilson score interval; all None when there was no case."""

    hits: int
    of: int
    share: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Mean:
    """Mean over `of` cases with a 95% percentile-bootstrap interval; None when there was no case."""

    of: int
    mean: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean, median and 95th percentile of `of` values; None when there was none."""

    of: int
    mean: float | None
    p50: float | None
    p95: float | None


def rate(outcomes: Sequence[bool]) -> Rate:
    """Share of true outcomes with its Wilson interval (E. B. Wilson, JASA 22, 1927)."""
    hits, n = sum(outcomes), len(outcomes)
    if not n:
        return Rate(0, 0, None, None, None)
    share = hits / n
    centre = (share + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 / (1 + Z95**2 / n) * math.sqrt(share * (1 - share) / n + Z95**2 / (4 * n * n))
    # At the ends the formula is exact but rounding is not.
    return Rate(hits, n, share, max(0.0, centre - half) if hits else 0.0, min(1.0, centre + half) if hits < n else 1.0)


def spread(values: Sequence[float]) -> Spread:
    """Percentiles interpolate linearly between the nearest values."""
    if not values:
        return Spread(0, None, None, None)
    p50, p95 = np.percentile(np.asarray(values, dtype=float), [50, 95])
    return Spread(len(values), float(np.mean(values)), float(p50), float(p95))


def mean_of(values: Sequence[float], seed: int = 0, resamples: int = 2000) -> Mean:
    """The mean, and the 2.5th and 97.5th percentile of the means of `resamples` bootstrap samples."""
    if not values:
        return Mean(0, None, None, None)
    data = np.asarray(values, dtype=float)
    picks = np.random.default_rng(seed).integers(0, len(data), (resamples, len(data)))
    low, high = np.percentile(data[picks].mean(axis=1), [2.5, 97.5])
    return Mean(len(data), float(data.mean()), float(low), float(high))


def pass_at_k(samples: int, passed: int, k: int) -> float:
    """Chance that at least one of `k` samples passes, estimated without bias from `samples` independent
    samples of which `passed` passed (Chen et al., arXiv 2107.03374, section 2.1).

    Raises ValueError when k is not within 1..samples or passed not within 0..samples."""
    if not 1 <= k <= samples or not 0 <= passed <= samples:
        raise ValueError(f"pass@{k} needs at least {k} samples, got {samples} with {passed} passed")
    return 1.0 - math.comb(samples - passed, k) / math.comb(samples, k)


def auroc(scores: Sequence[float], right: Sequence[bool]) -> float | None:
    """Chance that a right edit scores above a wrong one, ties counting half; None when either is missing."""
    good = [s for s, r in zip(scores, right, strict=True) if r]
    bad = [s for s, r in zip(scores, right, strict=True) if not r]
    if not good or not bad:
        return None
    wins = sum((g > b) + 0.5 * (g == b) for g in good for b in bad)
    return wins / (len(good) * len(bad))


def compiles(text: str) -> bool:
    """Whether `text` compiles as a module under the Python that runs the benchmark."""
    return python_fault(text) is None


def syntax_tree(text: str) -> str | None:
    """`ast.dump` of the whole module, positions and comments left out; None when it does not parse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.dump(ast.parse(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def same_tree(left: str, right: str) -> bool:
    """Both parse, to the same abstract syntax tree."""
    tree = syntax_tree(left)
    return tree is not None and tree == syntax_tree(right)


def same_text(left: str, right: str) -> bool:
    """Exact match: the same text, byte for byte; or texts that differ only in white space at the ends of
    lines and of the file, where the parser says that this white space means nothing (inside a string
    literal it means something)."""
    return left == right or (trimmed(left) == trimmed(right) and same_tree(left, right))


def trimmed(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().split("\n")]


def seeded(seed: int, *keys: object) -> Random:
    """A generator of its own for every (seed, keys), so that one case never moves another's draws."""
    return Random("/".join(map(str, (seed, *keys))))
