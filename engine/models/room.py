"""Whether a model fits into the memory there is, and what to take instead."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import psutil
import torch

from engine.errors import EditError
from engine.models.choice import ModelChoice, Quantisation

# Bytes per number of a quantised weight, its scales included (bitsandbytes: blocks of 64 numbers in 4 bits).
WIDTHS: dict[Quantisation, float] = {"8bit": 1.01, "4bit": 0.56}
KEPT = ("embed", "lm_head", "experts")  # bitsandbytes knows linear layers alone: experts are stacks of them
BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2}  # others: 1
WORKING = 1.2  # a fifth is for what edits need
CGROUPS = Path("/sys/fs/cgroup")


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that belong to the model."""
    try:
        index = json.loads((folder / "model.safetensors.index.json").read_text(encoding="utf-8"))
        files = {folder / name for name in index["weight_map"].values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # none, or damaged: the load will say so
        files = set(folder.glob("*.safetensors"))
    return [file for file in files if file.is_file()]


def weight_bytes(file: Path, quantise: Quantisation | None) -> int:
    """Of all weights in `file`, once loaded, by its header (eight bytes of length, then JSON); not by the library,
    which maps the whole file. 0 for a file that is damaged: the load will say so."""
    total = 0.0
    try:
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            header: dict[str, Any] = json.loads(opened.read(length)) if length < file.stat().st_size else {}
        for name, weight in header.items():
            if name != "__metadata__":
                shrinks = quantise and len(weight["shape"]) == 2 and not any(word in name for word in KEPT)
                width = WIDTHS[quantise] if quantise and shrinks else BYTES.get(weight["dtype"], 1)
                total += width * prod(weight["shape"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 0
    return int(total)


def needed_bytes(folder: Path, quantise: Quantisation | None) -> int:
    return int(WORKING * sum(weight_bytes(file, quantise) for file in weight_files(folder)))


def check_room(folder: Path, device: str, choice: ModelChoice) -> None:
    """Raises EditError("out_of_memory") before a load that cannot fit."""
    if needed_bytes(folder, choice.quantise) > free_bytes(device):
        raise no_room(folder, device, choice)


def no_room(folder: Path, device: str, choice: ModelChoice) -> EditError:
    """How much is needed, how much there is, and the next smaller choice that fits."""
    free, need = free_bytes(device), needed_bytes(folder, choice.quantise)
    smaller: list[Quantisation] = [how for how in WIDTHS if needed_bytes(folder, how) < need]
    fitting = [f"--quantise {how}" for how in smaller if needed_bytes(folder, how) <= free]
    remedy = fitting[0] if fitting else "`redraft model use embedded` (0.4 GB)"
    said = f"{folder.name} needs {need / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free: try {remedy}"
    return EditError("out_of_memory", said)


def free_bytes(device: str) -> int:
    """What may still be taken of the memory of `device`."""
    if device.startswith("cuda"):
        return torch.cuda.mem_get_info(device)[0]
    return max(0, min([psutil.virtual_memory().available, *process_limits()]))


def process_limits() -> Iterator[int]:
    """Bytes that limits on this process leave: on its address space, and of its control groups."""
    if sys.platform != "linux":
        return
    import resource

    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    if most != resource.RLIM_INFINITY:
        yield most - psutil.Process().memory_info().vms
    own = next((line[3:] for line in read(Path("/proc/self/cgroup")).splitlines() if line.startswith("0::")), "/")
    group = CGROUPS / own.lstrip("/")
    for folder in (group, *group.parents):
        limit, used = read(folder / "memory.max").strip(), read(folder / "memory.current").strip()
        if limit.isdigit() and used.isdigit():  # else "max", or no such group
            yield int(limit) - int(used) + reclaimable(folder)


def reclaimable(group: Path) -> int:
    """Bytes of files that the group keeps in memory and gives up when asked."""
    lines = (line.split() for line in read(group / "memory.stat").splitlines())
    return sum(int(words[1]) for words in lines if words[0] == "inactive_file")


def read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
