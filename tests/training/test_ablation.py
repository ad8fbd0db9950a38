"""The twins of an ablation are trained at equal compute and compared, end to end at a tiny size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from engine.cli import main
from engine.evaluation import bench, repair
from engine.evaluation.held_out import broken_cases, clean_spots
from engine.evaluation.metrics import compiles
from engine.evaluation.recovery import noised_spans, recover
from engine.models.ar_twin import ARTwin
from engine.models.vocabulary import MASK
from engine.training.ablation import CHAINS

CONFIG = """
out = "{folder}/twins"
report = "{folder}/docs"
tokens = 6_000
cases = 3
threads = 1
workers = 0
[model]
hidden_size = 32
num_hidden_layers = 1
num_attention_heads = 2
intermediate_size = 48
max_prefix = 64
max_suffix = 32
max_canvas = 160
[trajectories]
samples = 2
steps = 2
[stream]
corpus = "{corpus}"
edits = 0.0
batch = 3
window = 48
prefix = 40
suffix = 20
longest_span = 30
"""


@pytest.fixture(scope="module")
def ablation(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ablation")
    config = folder / "ablation.toml"
    config.write_text(CONFIG.format(folder=folder, corpus=corpus))
    threads = torch.get_num_threads()
    assert main(["train", "ablate", "--config", str(config)]) == 0
    torch.set_num_threads(threads)
    return folder


def test_every_twin_is_in_table_and_data(ablation: Path) -> None:
    reports = json.loads((ablation / "docs" / "ablation.json").read_text())
    page = (ablation / "docs" / "ablation.md").read_text()
    assert [report["name"] for report in reports] == list(CHAINS)
    assert len({report["parameters"] for report in reports}) == 1
    assert all(report["repaired"]["of"] == 3 and f"| {report['name']} |" in page for report in reports)
    assert (ablation / "docs" / "images" / "ablation.png").stat().st_size > 1000


def test_all_twins_read_as_much(ablation: Path) -> None:
    spent = {
        folder.name: json.loads((folder / "log.json").read_text())["config"]["tokens"]
        for folder in (ablation / "twins").iterdir()
    }
    for name, chain in CHAINS.items():
        stages = ["-".join(f"{part}{share}" for part, share in chain[:n]) for n in range(1, len(chain) + 1)]
        prefix = "autoregressive-" if name == "autoregressive" else ""
        assert sum(spent[prefix + stage] for stage in stages) == pytest.approx(6_000)


def test_repair_measures_a_twin_by_its_folder(ablation: Path, corpus: Path) -> None:
    model = bench.load_model(bench.BenchOptions(model=ablation / "twins" / "autoregressive-mask50-edit50", threads=1))
    assert isinstance(model, ARTwin)
    (row,) = repair.repair_rows(broken_cases(corpus, 1, seed=4), model, bench.BenchOptions())
    assert not row.refused
    assert row.forward_passes > 1


def test_held_out_cases_are_broken_and_reproducible(corpus: Path) -> None:
    cases = broken_cases(corpus, 4, seed=3)
    assert cases == broken_cases(corpus, 4, seed=3)
    assert all(compiles(case.after) and not compiles(case.before) for case in cases)


def test_masks_follow_the_strength(ablation: Path, corpus: Path) -> None:
    model = bench.load_denoiser(bench.BenchOptions(model=ablation / "twins" / "mask50", threads=1))
    spots = clean_spots(corpus, 6, seed=5)
    for strength in (0.5, 1.0):
        for span in noised_spans(spots, model.vocabulary, 64, 32, strength):
            assert span.canvas.count(MASK) == round(strength * len(span.clean))
    found = recover(model, noised_spans(spots, model.vocabulary, 64, 32, 0.5), 8)
    assert all(0 <= one.similarity <= 1 and one.passes >= 1 for one in found)
