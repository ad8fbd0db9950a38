"""Calibration: is a confident edit right?

The score of the leading candidate is compared with whether it is the author's text. Only edits that
were proposed count. Scores need not be probabilities: everything here depends on their order alone.
Must not import torch at module level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from engine.evaluation import bench, metrics
from engine.evaluation.metrics import Rate
from engine.evaluation.records import read_repair_cases
from engine.evaluation.repair import RepairRow, repair_rows

COVERAGES = (0.1, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class Bin:
    """Edits with scores from `low` to `high`, and how many of them are right."""

    low: float
    high: float
    right: Rate


@dataclass(frozen=True, slots=True)
class Coverage:
    """Were only the most confident `share` of the edits shown (scores from `threshold` up), so many would
    be right."""

    share: float
    threshold: float
    right: Rate


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """`auroc`: the chance that a right edit scores above a wrong one; 0.5 is no information, None when all
    edits are right or all wrong. `bins` hold equally many edits each, lowest scores first."""

    benchmark: str
    data: str
    model: bench.ModelInfo
    cases: int
    edits: int
    right: Rate
    auroc: float | None
    bins: list[Bin]
    coverage: list[Coverage]


def run_calibration(data: Path, options: bench.BenchOptions, *, bins: int = 5) -> CalibrationReport:
    """Measures calibration on repair records.

    Raises EvaluationError for unreadable records, EditError for a model that cannot be loaded."""
    cases = bench.choose(read_repair_cases(data), options)
    denoiser = bench.load_model(options)
    bench.warm_up(denoiser)
    rows = repair_rows(cases, denoiser, options)
    bench.write_rows(rows, options.out)
    return calibrate(rows, data.name, bench.describe_model(denoiser), bins)


def calibrate(rows: Sequence[RepairRow], data: str, model: bench.ModelInfo, bins: int = 5) -> CalibrationReport:
    scored = sorted((row.score, row.rank == 1) for row in rows if row.score is not None)
    scores, right = [score for score, _ in scored], [hit for _, hit in scored]
    return CalibrationReport(
        benchmark="calibration",
        data=data,
        model=model,
        cases=len(rows),
        edits=len(scored),
        right=metrics.rate(right),
        auroc=metrics.auroc(scores, right),
        bins=equal_bins(scores, right, bins),
        coverage=[cover(scores, right, share) for share in COVERAGES if scored],
    )


def equal_bins(scores: Sequence[float], right: Sequence[bool], bins: int) -> list[Bin]:
    """`scores` in ascending order; fewer bins when there are fewer scores."""
    count = min(bins, len(scores))
    edges = [len(scores) * i // count for i in range(count + 1)] if count else []
    return [Bin(scores[start], scores[end - 1], metrics.rate(right[start:end])) for start, end in pairwise(edges)]


def cover(scores: Sequence[float], right: Sequence[bool], share: float) -> Coverage:
    start = len(scores) - max(1, round(share * len(scores)))
    return Coverage(share, scores[start], metrics.rate(right[start:]))
