"""The stages train, and a run that is killed ends as one that is not."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from engine.training.batches import Batch
from engine.training.checkpoints import CheckpointError, load_state, save_state
from engine.training.configs import run_stage
from engine.training.examples import StreamConfig
from engine.training.processes import Processes
from engine.training.trainer import Run, StageConfig, loader, train
from engine.training.trajectories import TrajectoryConfig

TINY = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_prefix": 64,
    "max_suffix": 32,
    "max_canvas": 64,
}
STEPS = 24


def stage(name: str, stream: StreamConfig, out: Path, **options: object) -> StageConfig:
    kind = {"order": TrajectoryConfig("order", 2, 4), "onpolicy": TrajectoryConfig("onpolicy", 3, 4)}.get(name)
    settings = {"model": TINY, "steps": STEPS, "log_every": 4, "workers": 0, "warmup": 0.1, **options}
    return StageConfig(name, stream, out, trajectories=kind, **settings)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums in another order are other sums."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def edited(stream: StreamConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder after a short edit stage."""
    out = tmp_path_factory.mktemp("edit")
    train(stage("edit", stream, out, steps=80))
    return out


@pytest.mark.parametrize(("name", "twin"), [("mask", False), ("edit", True), ("order", False), ("onpolicy", False)])
def test_a_stage_learns_what_it_read(name: str, twin: bool, stream: StreamConfig, edited: Path, tmp_path: Path) -> None:
    init = edited if name in ("order", "onpolicy") else None
    run = Run(stage(name, stream, tmp_path, twin=twin, init=init, model=TINY), Processes())
    read: list[Batch] = []
    for batch in loader(run):
        read.append(batch)
        run.advance(batch)
        if run.finished:
            break
    untrained = Run(replace(run.config, out=tmp_path / "untrained"), Processes())
    assert sum(loss_of(run, batch) for batch in read) < sum(loss_of(untrained, batch) for batch in read)


@torch.no_grad()
def loss_of(run: Run, batch: Batch) -> float:
    torch.manual_seed(0)  # the same draw of positions for all models
    return float(run.loss(run.model, batch)[0])


KILLED = """
import os, signal, sys
from engine.training import trainer
from engine.training.configs import run_stage
from pathlib import Path

save, saves = trainer.save_state, 0
def save_then_die(*arguments):
    global saves
    save(*arguments)
    saves += 1
    if saves == 3:
        os.kill(os.getpid(), signal.SIGKILL)
trainer.save_state = save_then_die
run_stage(sys.argv[1], Path(sys.argv[2]))
"""


@pytest.mark.parametrize("name", ["edit", "order", "onpolicy"])
def test_a_killed_run_resumes_to_the_same_weights(
    name: str, stream: StreamConfig, edited: Path, tmp_path: Path
) -> None:
    config = tmp_path / "stage.toml"
    text = f"""
        init = "{edited}"
        steps = 9
        workers = {1 if name == "edit" else 0}
        threads = 1
        {"[trajectories]" if name != "edit" else ""}
        {"samples = 2" if name != "edit" else ""}
        [noise]
        masks = 0.2
        mistakes = 0.5
        random_edits = 0.1
        sprinkle = 0.3
        [stream]
        corpus = "{stream.corpus}"
        windows = 0.3
        edits = 0.0
        batch = 3
        window = 48
        prefix = 40
        suffix = 20
        longest_span = 30
    """
    for out in ("whole", "killed"):
        body = f'out = "{tmp_path / out}"\nsave_every_s = {1e9 if out == "whole" else 0}\n{text}'
        config.write_text("\n".join(line.strip() for line in body.splitlines()))
        if out == "killed":
            ended = subprocess.run([sys.executable, "-c", KILLED, name, config], check=False)
            assert ended.returncode == -signal.SIGKILL
            state = load_state(tmp_path / out, torch.device("cpu"))
            assert state
            assert state["step"] == 3
        run_stage(name, config)
    whole, killed = (load_file(tmp_path / out / "model.safetensors") for out in ("whole", "killed"))
    assert all(torch.equal(whole[key], killed[key]) for key in whole)


def test_a_state_comes_in_pieces_and_a_damaged_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.training.checkpoints.PIECE", 1000)
    for step in (1, 2):
        save_state({"step": step, "weights": torch.arange(2000)}, tmp_path, step)
    pieces = sorted(tmp_path.glob("state-*"))
    assert len(pieces) > 10
    assert all(piece.name.startswith("state-2.") and piece.stat().st_size <= 1000 for piece in pieces)
    state = load_state(tmp_path, torch.device("cpu"))
    assert state
    assert torch.equal(state["weights"], torch.arange(2000))
    pieces[3].write_bytes(b"\0" * 1000)
    with pytest.raises(CheckpointError, match="do not fit together"):
        load_state(tmp_path, torch.device("cpu"))
    pieces[3].unlink()
    with pytest.raises(CheckpointError, match="cannot be resumed"):
        load_state(tmp_path, torch.device("cpu"))


def test_the_twin_is_trained_on_the_same_examples(stream: StreamConfig, tmp_path: Path) -> None:
    runs = [
        Run(stage("edit", replace(stream, windows=0.0), tmp_path, twin=twin), Processes()) for twin in (False, True)
    ]
    ours, theirs = (next(iter(loader(run))) for run in runs)
    assert runs[0].model.num_parameters() == runs[1].model.num_parameters()
    assert ours.context_ids is not None
    assert theirs.context_ids is not None
    for row in range(len(ours.context_ids)):
        shared = set(ours.context_ids[row].tolist()) - {0, 5}
        assert shared <= set(theirs.context_ids[row].tolist())
