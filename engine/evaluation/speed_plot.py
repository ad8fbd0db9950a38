"""The picture of a speed report: milliseconds per edit over the length of the span, one panel per context."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.evaluation.bench import EvaluationError
from engine.evaluation.speed import Cell, SpeedReport


def draw(report: SpeedReport, path: Path) -> None:
    """Writes the plot, .png or .svg. Raises EvaluationError without matplotlib or for a path that cannot be."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise EvaluationError("the plot needs matplotlib: pip install matplotlib") from error
    contexts = sorted({cell.context_tokens for cell in report.cells})
    figure = Figure(figsize=(1 + 3.6 * len(contexts), 3.8), layout="constrained")
    panels: Any = figure.subplots(1, len(contexts), sharey=True, squeeze=False)[0]
    for panel, context in zip(panels, contexts, strict=True):
        draw_panel(panel, [cell for cell in report.cells if cell.context_tokens == context])
        panel.set_title(f"{context} tokens of context")
    panels[0].set_ylabel("milliseconds per edit, p50 (bar: to p95)")
    panels[-1].legend(fontsize="small")
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise EvaluationError(f"cannot write {path}: {error}") from error


def draw_panel(panel: Any, cells: list[Cell]) -> None:
    """One line per series, and the floor of one denoising step."""
    spans = [cell.span_tokens for cell in cells]
    for i, first in enumerate([*cells[0].ours, *cells[0].rivals]):
        series = [[*cell.ours, *cell.rivals][i].milliseconds for cell in cells]
        middle = [one.p50 or 0.0 for one in series]
        above = [(one.p95 or 0.0) - (one.p50 or 0.0) for one in series]
        label = f"redraft {first.name}" if i < len(cells[0].ours) else first.name
        panel.errorbar(spans, middle, yerr=[[0.0] * len(above), above], label=label, marker="o", capsize=3)
    panel.plot(spans, [cell.step_ms for cell in cells], "--", color="grey", label="one denoising step")
    panel.plot(spans, [cell.step_floor_ms for cell in cells], ":", color="grey", label="its floor")
    panel.set_xscale("log", base=2)
    panel.set_yscale("log")
    panel.set_xlabel("tokens of the span")
