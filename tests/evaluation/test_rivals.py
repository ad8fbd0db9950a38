"""The rivals of the speed benchmark are what they say, and the plot is drawn."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.evaluation import speed, speed_plot
from engine.evaluation.bench import BenchOptions, EvaluationError
from engine.evaluation.rivals import AutoregressiveTwin, infilling_prompt, make_rivals
from engine.models.denoiser import EmbeddedDenoiser
from engine.models.vocabulary import RESERVED


@torch.inference_mode()
def test_the_cached_twin_writes_what_it_would_without_its_cache(denoiser: EmbeddedDenoiser) -> None:
    twin = AutoregressiveTwin(denoiser)
    prompt = infilling_prompt(denoiser, "def f(x):\n    return", "\n\nprint(f(1))\n")
    made: list[int] = []
    for _ in range(6):
        ids = prompt + made
        made.append(twin._next(ids, 0, twin._empty_cache(len(ids))))
    generation = twin.generate("def f(x):\n    return", "\n\nprint(f(1))\n", 6)
    assert generation.tokens == 6
    assert generation.text == denoiser.vocabulary.decode(made)
    assert min(made) >= len(RESERVED)


def test_both_rivals_run_beside_ours_and_are_drawn(tmp_path: Path) -> None:
    report = speed.run_speed(BenchOptions(), spans=(16, 24), contexts=(64,), edits=1, make_rivals=make_rivals)
    for cell in report.cells:
        assert [rival.name for rival in cell.rivals] == ["autoregressive twin", "transformers generate"]
        assert len(cell.ratios) == 4
    speed_plot.draw(report, tmp_path / "speed.png")
    assert (tmp_path / "speed.png").stat().st_size > 10_000
    with pytest.raises(EvaluationError, match="cannot write"):
        speed_plot.draw(report, tmp_path / "none" / "speed.png")
