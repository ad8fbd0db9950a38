"""Training on two processes against one with the same batches."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from engine.training.batches import Batch
from engine.training.checkpoints import load_state
from engine.training.examples import StreamConfig
from engine.training.processes import Processes
from engine.training.stream import Place, TrainingStream
from engine.training.trainer import Run
from tests.scale import STRESS
from tests.training.conftest import REPOSITORY
from tests.training.test_stages import stage

STEPS = 6
TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node=2")
# As for GPUs: for processes on CPUs alone it wants MPI.
ACCELERATE = ("accelerate.commands.launch", "--multi_gpu", "--num_processes=2", "--num_machines=1",
              "--mixed_precision=no", "--dynamo_backend=no", "--main_process_port=0")  # fmt: skip
TWO = f"""
import sys
from pathlib import Path
from engine.training.trainer import train
from tests.scale import STRESS
from tests.training.conftest import stream_of
from tests.training.test_stages import stage

train(stage("edit", stream_of(Path(sys.argv[1])), Path(sys.argv[2]), steps={STEPS}, threads=1))
"""


def alternating(run: Run) -> Iterator[Batch]:
    """What process 0 and process 1 would read, by turns."""
    streams = [iter(TrainingStream(run.config.stream, run.model.config, Place(0, shard))) for shard in (0, 1)]
    for _ in range(STEPS):
        for stream in streams:
            yield next(stream)


@pytest.mark.stress
@pytest.mark.parametrize("launcher", [ACCELERATE, TORCHRUN] if STRESS else [ACCELERATE])  # which starts torchrun itself
def test_two_processes_learn_what_one_learns_from_the_same_batches(
    launcher: tuple[str, ...], stream: StreamConfig, tmp_path: Path
) -> None:
    script = tmp_path / "two.py"
    script.write_text(TWO)
    done = subprocess.run(
        [sys.executable, "-m", *launcher, str(script), str(stream.corpus), str(tmp_path / "two")],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    alone = Run(stage("edit", stream, tmp_path / "one", steps=2 * STEPS, accumulate=2), Processes())
    before = {name: value.clone() for name, value in alone.model.state_dict().items()}
    for batch in alternating(alone):
        alone.advance(batch)
    state = load_state(tmp_path / "two", torch.device("cpu"))
    assert state is not None
    for name, value in alone.model.state_dict().items():
        moved, apart = (value - before[name]).norm(), (value - state["model"][name]).norm()
        # Muon orthogonalises in bfloat16, which makes much of the last digits of a gradient; AdamW does not.
        assert apart < (0.2 if name.startswith("blocks.") else 0.005) * moved, name
