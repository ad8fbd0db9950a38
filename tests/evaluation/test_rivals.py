"""The rivals of the speed benchmark are what they say, and the plot is drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.evaluation import speed, speed_plot
from engine.evaluation.bench import BenchOptions, EvaluationError
from engine.evaluation.rivals import make_rivals


def test_both_rivals_run_beside_ours_and_are_drawn(tmp_path: Path) -> None:
    report = speed.run_speed(BenchOptions(), spans=(16, 24), contexts=(64,), edits=1, make_rivals=make_rivals)
    for cell in report.cells:
        assert [rival.name for rival in cell.rivals] == ["autoregressive twin", "transformers generate"]
        assert len(cell.ratios) == 4
    speed_plot.draw(report, tmp_path / "speed.png")
    assert (tmp_path / "speed.png").stat().st_size > 10_000
    with pytest.raises(EvaluationError, match="cannot write"):
        speed_plot.draw(report, tmp_path / "none" / "speed.png")
