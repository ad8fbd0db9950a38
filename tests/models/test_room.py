"""Loads that memory does not allow, under real limits on a process of their own."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import textwrap
from math import prod
from pathlib import Path

import pytest

from engine.models import room
from tests.models.tiny import save_tokenizer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits on address space are Linux's")
MB = 1_000_000
LOAD = """
    import resource, sys
    import psutil, torch
    from pathlib import Path
    from transformers import AutoModelForMaskedLM, RobertaForMaskedLM
    from engine.errors import EditError
    from engine.models.choice import ModelChoice
    from engine.models.loading import load_choice

    folder, room, quantise = sys.argv[1], int(sys.argv[2]), sys.argv[3] or None
    torch.ones(512, 512) @ torch.ones(512, 512)  # starts the threads, which take address space
    limit = psutil.Process().memory_info().vms + room
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        load_choice(ModelChoice(path=folder, quantise=quantise), "cpu", 1)
    except EditError as error:
        print(error.code, error.message)
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A RoBERTa with 800 MB of zeros in its linear layers, which take no room on disk."""
    folder = tmp_path_factory.mktemp("large")
    size, width = save_tokenizer(folder), 8
    rows = 800 * MB // (2 * 4 * width)
    config = {"model_type": "roberta", "architectures": ["RobertaForMaskedLM"], "vocab_size": size}
    sizes = {"hidden_size": width, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": rows}
    (folder / "config.json").write_text(json.dumps({**config, **sizes, "max_position_embeddings": 100}))
    layer = "roberta.encoder.layer.0"
    shapes = {f"{layer}.intermediate.dense.weight": [rows, width], f"{layer}.output.dense.weight": [width, rows]}
    zeros(folder / "model.safetensors", "F32", shapes)
    return folder


def zeros(path: Path, kind: str, shapes: dict[str, list[int]]) -> None:
    """A safetensors file of zeros."""
    header, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + prod(shape) * room.BYTES[kind]
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)


@pytest.mark.parametrize(
    ("there_mb", "quantise", "words"),
    [
        (400, "", ("needs 1.0 GB", "0.4 GB are free", "try --quantise 8bit")),
        (100, "", ("needs 1.0 GB", "0.1 GB are free", "model use embedded")),
        (1000, "", ("needs 1.0 GB", "try --quantise 8bit")),  # looks as if it fits, and does not
    ],
)
def test_too_little_memory_is_said_with_the_next_smaller_choice(
    large: Path, there_mb: int, quantise: str, words: tuple[str, ...]
) -> None:
    command = [sys.executable, "-c", textwrap.dedent(LOAD), str(large), str(there_mb * MB), quantise]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.stdout.startswith("out_of_memory "), done.stdout + done.stderr[-2000:]
    assert done.stdout.count("\n") == 1
    for word in words:
        assert word in done.stdout


def test_limits_of_control_groups_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read from files as Linux writes them (admin-guide/cgroup-v2, "Memory Interface Files")."""
    for name, text in (("max", "300"), ("current", "250"), ("stat", "anon 9\ninactive_file 40")):
        (tmp_path / f"memory.{name}").write_text(text + "\n")
    monkeypatch.setattr(room, "CGROUPS", tmp_path)
    assert room.free_bytes("cpu") == 90
    (tmp_path / "memory.max").write_text("max\n")
    assert room.free_bytes("cpu") > 1000


def test_only_the_models_own_files_are_counted(tmp_path: Path) -> None:
    for name in ("model-1.safetensors", "model-2.safetensors", "consolidated.safetensors"):
        zeros(tmp_path / name, "F16", {"a": [5, 1]})
    assert room.needed_bytes(tmp_path, None) == 36
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-1.safetensors", "c": "model-2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert room.needed_bytes(tmp_path, None) == 24
    (tmp_path / "model-2.safetensors").write_bytes(b"damaged")
    assert room.needed_bytes(tmp_path, None) == 12


def test_what_is_not_quantised_is_counted_whole(tmp_path: Path) -> None:
    """As bitsandbytes does it, tried with a RoBERTa and a DiffusionGemma: experts, 9 in 10 of the latter's weights,
    stay as they are."""
    kept = {"embed_tokens.weight": [100, 100], "layer.experts.down_proj": [10, 100, 100], "layer.bias": [100]}
    zeros(tmp_path / "model.safetensors", "BF16", {**kept, "layer.q_proj.weight": [1000, 1000]})
    stays = 2 * (10_000 + 100_000 + 100)
    assert room.needed_bytes(tmp_path, None) == int(1.2 * (stays + 2_000_000))
    assert room.needed_bytes(tmp_path, "8bit") == int(1.2 * (stays + 1_010_000))
    assert room.needed_bytes(tmp_path, "4bit") == int(1.2 * (stays + 560_000))
