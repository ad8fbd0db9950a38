"""Whether a model fits into the memory there is, and what to take instead."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import torch

from engine.errors import EditError
from engine.models.choice import ModelChoice, Quantisation

# Bytes in memory per byte of 16-bit weights on disk: embeddings and norms stay as they are.
SHARES: dict[Quantisation | None, float] = {None: 1.0, "8bit": 0.55, "4bit": 0.35}
WORKING = 1.2  # a fifth is for what edits need
CGROUPS = Path("/sys/fs/cgroup")


def weight_bytes(folder: Path) -> int:
    """Of the safetensors files that belong to the model."""
    try:
        index = json.loads((folder / "model.safetensors.index.json").read_text(encoding="utf-8"))
        files = {folder / name for name in index["weight_map"].values()}
    except (OSError, ValueError, KeyError):
        files = set(folder.glob("*.safetensors"))
    return sum(file.stat().st_size for file in files if file.is_file())


def needed_bytes(folder: Path, quantise: Quantisation | None) -> int:
    return int(WORKING * SHARES[quantise] * weight_bytes(folder))


def check_room(folder: Path, device: str, choice: ModelChoice) -> None:
    """Raises EditError("out_of_memory") before a load that cannot fit."""
    if needed_bytes(folder, choice.quantise) > free_bytes(device):
        raise no_room(folder, device, choice)


def no_room(folder: Path, device: str, choice: ModelChoice) -> EditError:
    """How much is needed, how much there is, and the next smaller choice that fits."""
    free, smaller = free_bytes(device), list(SHARES)[list(SHARES).index(choice.quantise) + 1 :]
    fitting = [f"--quantise {how}" for how in smaller if needed_bytes(folder, how) <= free]
    remedy = fitting[0] if fitting else "`redraft model use embedded` (0.4 GB)"
    need, there = (f"{size / 1e9:.1f} GB" for size in (needed_bytes(folder, choice.quantise), free))
    return EditError("out_of_memory", f"{folder.name} needs {need} of memory, {there} are free: try {remedy}")


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
