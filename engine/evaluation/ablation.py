"""Twins side by side on held-out files: repair by the whole engine, and recovery from noise by the model alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.evaluation import bench, metrics
from engine.evaluation.held_out import broken_cases, clean_spots
from engine.evaluation.metrics import Mean, Rate
from engine.evaluation.recovery import noised_spans, recover
from engine.evaluation.repair import repair_rows
from engine.models.ar_twin import ARTwin

STRENGTHS = (0.25, 0.5, 1.0)
STEPS = (1, 2, 4, 8, 16)
USUAL_STRENGTH, USUAL_STEPS = 0.5, 8


@dataclass(frozen=True, slots=True)
class Point:
    """Recovery at one noise strength, in at most so many steps (None: left to right)."""

    strength: float
    steps: int | None
    similarity: Mean
    exact: Rate
    passes: Mean
    milliseconds: Mean


@dataclass(frozen=True, slots=True)
class TwinReport:
    """`repaired`: the leading candidate is the author's text; `repaired_at_10`: among the first ten.
    `milliseconds` of a repair, its context cold."""

    name: str
    parameters: int
    repaired: Rate
    repaired_at_10: Rate
    compiles: Rate
    milliseconds: Mean
    points: list[Point]


def compare(folders: Mapping[str, Path], corpus: Path, cases: int, threads: int | None) -> list[TwinReport]:
    """Every twin on the same `cases` broken documents and the same noised spans.

    Raises EvaluationError for a corpus without held-out documents, EditError for a folder without a model."""
    broken, spots = broken_cases(corpus, cases, seed=1), clean_spots(corpus, cases, seed=2)
    reports: list[TwinReport] = []
    for name, folder in folders.items():
        options = bench.BenchOptions(model=folder, device="cpu", threads=threads)
        model = bench.load_model(options)
        bench.warm_up(model)
        rows = repair_rows(broken, model, options)
        points: list[Point] = []
        for strength, steps in settings(isinstance(model, ARTwin)):
            spans = noised_spans(spots, model.vocabulary, model.max_prefix, model.max_suffix, strength)
            found = recover(model, spans, steps or 0)
            points.append(
                Point(
                    strength,
                    steps,
                    metrics.mean_of([one.similarity for one in found]),
                    metrics.rate([one.exact for one in found]),
                    metrics.mean_of([one.passes for one in found]),
                    metrics.mean_of([one.milliseconds for one in found]),
                )
            )
        reports.append(
            TwinReport(
                name,
                model.parameters,
                metrics.rate([row.rank == 1 for row in rows]),
                metrics.rate([row.rank is not None for row in rows]),
                metrics.rate([bool(row.compiles) for row in rows]),
                metrics.mean_of([row.milliseconds for row in rows if row.milliseconds is not None]),
                points,
            )
        )
    return reports


def settings(twin: bool) -> list[tuple[float, int | None]]:
    """Strengths at the usual number of steps, then numbers of steps at the usual strength, none twice."""
    if twin:
        return [(strength, None) for strength in STRENGTHS]
    usual = [(strength, USUAL_STEPS) for strength in STRENGTHS]
    return [*usual, *((USUAL_STRENGTH, steps) for steps in STEPS if steps != USUAL_STEPS)]


def write_report(reports: Sequence[TwinReport], tokens: float, config: Path, folder: Path) -> None:
    """`ablation.md`, `ablation.json` and `images/ablation.png` in `folder`."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "ablation.md").write_text(page(reports, tokens, config), encoding="utf-8")
    (folder / "ablation.json").write_text(json.dumps([asdict(report) for report in reports], indent=1) + "\n")
    draw(reports, folder / "images" / "ablation.png")


def page(reports: Sequence[TwinReport], tokens: float, config: Path) -> str:
    first = reports[0]
    head = f"""# Twins and ablations

Written by `redraft train ablate --config {config}`, which trains what is not there yet, measures and draws.

Every twin has {first.parameters / 1e6:.2f} million parameters and read {tokens / 1e6:.1f} million tokens of the same
corpus in training, one CPU thread (tokens read forward only, to make trajectories, count a third; a stage that is left
out gives its share to the one before it, the first to the second). **These runs are very small**, some minutes each:
they show that the recipe runs from end to end and what differs at this size, not what would differ in a model trained
to its end. One run each, so the intervals are of the cases, not of the training.

Repair: {first.repaired.of} lines of held-out files broken by one made mistake, so that the file does not compile; the
whole engine, with parser and mends by hand (the autoregressive twin has the parser and a beam of 16, but no mends by
hand, so these columns compare editors, not models alone). Recovery: spans of held-out files with half their tokens
masked, the model alone, in at most {USUAL_STEPS} steps, similarity over tokens by Levenshtein distance; leaving all
masks out scores 0.5. All with 95% intervals (rates by Wilson, means by bootstrap over the cases). Milliseconds on one
thread; comparable only when nothing else ran.

| twin | repaired, first | among ten | compiles | ms per repair | recovered | exact | passes | ms |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""
    rows = "".join(f"| {' | '.join(cells(report))} |\n" for report in reports)
    counts = f"n = {first.repaired.of} repairs and {usual_point(first).similarity.of} recoveries per twin."
    return f"{head}{rows}\n{counts}\n\n{by_steps(reports)}\n![curves](images/ablation.png)\n"


def by_steps(reports: Sequence[TwinReport]) -> str:
    """Similarity by the number of steps allowed."""
    head = f"| recovered, steps allowed | {' | '.join(map(str, STEPS))} |\n| --- |{' --- |' * len(STEPS)}\n"
    rows: list[str] = []
    for report in reports:
        points = {p.steps: p for p in report.points if p.strength == USUAL_STRENGTH}
        if None not in points:
            rows.append(f"| {report.name} | {' | '.join(mean(points[n].similarity, 3) for n in STEPS)} |\n")
    return head + "".join(rows)


def cells(report: TwinReport) -> list[str]:
    point = usual_point(report)
    return [
        report.name,
        percent(report.repaired),
        percent(report.repaired_at_10),
        percent(report.compiles),
        mean(report.milliseconds, 0),
        mean(point.similarity, 3),
        percent(point.exact),
        mean(point.passes, 1),
        mean(point.milliseconds, 0),
    ]


def usual_point(report: TwinReport) -> Point:
    return next(p for p in report.points if p.strength == USUAL_STRENGTH and p.steps in (None, USUAL_STEPS))


def percent(rate: Rate) -> str:
    if rate.share is None or rate.low is None or rate.high is None:
        return "-"
    return f"{100 * rate.share:.0f}% ({100 * rate.low:.0f}-{100 * rate.high:.0f})"


def mean(value: Mean, digits: int) -> str:
    if value.mean is None:
        return "-"
    return f"{value.mean:.{digits}f} ({value.low:.{digits}f}-{value.high:.{digits}f})"


def draw(reports: Sequence[TwinReport], path: Path) -> None:
    """Recovery against steps, milliseconds and strength, with 95% intervals. Raises EvaluationError."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise bench.EvaluationError("the plots need matplotlib: pip install matplotlib") from error
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    panels: Any = figure.subplots(1, 3)
    steps, times, strengths = panels
    for report in reports:
        usual = [p for p in report.points if p.strength == USUAL_STRENGTH]
        usual.sort(key=lambda p: p.steps or 0)
        line(steps, [p.passes.mean or 0.0 for p in usual], usual, report.name)
        line(times, [p.milliseconds.mean or 0.0 for p in usual], usual, report.name)
        across = [p for p in report.points if p.steps in (None, USUAL_STEPS)]
        line(strengths, [p.strength for p in across], across, report.name)
    steps.set_xlabel(f"forward passes, {USUAL_STRENGTH:.0%} masked")
    times.set_xlabel(f"milliseconds, {USUAL_STRENGTH:.0%} masked")
    strengths.set_xlabel(f"share of tokens masked, at most {USUAL_STEPS} steps")
    steps.set_ylabel("similarity to the author's span")
    strengths.legend(fontsize="x-small")
    figure.savefig(path, dpi=110)


def line(panel: Any, x: Sequence[float], points: Sequence[Point], label: str) -> None:
    middle = [p.similarity.mean or 0.0 for p in points]
    below = [m - (p.similarity.low or 0.0) for m, p in zip(middle, points, strict=True)]
    above = [(p.similarity.high or 0.0) - m for m, p in zip(middle, points, strict=True)]
    panel.errorbar(x, middle, yerr=[below, above], label=label, marker="o", markersize=4, capsize=2)
