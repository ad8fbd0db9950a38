"""The floor: how fast this machine multiplies matrices and moves memory, measured in the same run.

Times of one denoising step stand beside it, because only their ratio says what the code wastes.
"""

from __future__ import annotations

import contextlib
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

GIGA = 1e9
REPEATS = 5


@dataclass(frozen=True, slots=True)
class Machine:
    """`gflops`: float32 matrix multiplication, 10^9 operations per second. `gigabytes_per_s`: read plus
    written, in a copy larger than the caches. `load`: processes that wanted a core in the minute before
    (None where the system does not say); well above zero, other work disturbed the figures."""

    processor: str
    cores: int
    load: float | None
    device: str
    threads: int
    torch: str
    gflops: float
    gigabytes_per_s: float


def measure_machine(device: str = "cpu") -> Machine:
    """Takes about a second. Medians of `REPEATS` runs."""
    return Machine(
        processor=processor_name(device),
        cores=os.cpu_count() or 1,
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        device=device,
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        gflops=measure_matmul(device),
        gigabytes_per_s=measure_copy(device),
    )


def processor_name(device: str) -> str:
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    with contextlib.suppress(OSError):  # only Linux has the file, and only there is platform.processor() vague
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def measure_matmul(device: str) -> float:
    size = 4096 if device.startswith("cuda") else 1024
    left, right = torch.randn(size, size, device=device), torch.randn(size, size, device=device)
    return 2 * size**3 / median_seconds(lambda: torch.mm(left, right), device) / GIGA


def measure_copy(device: str) -> float:
    source = torch.zeros(64 * 1024 * 1024 // 4, device=device)
    target = torch.empty_like(source)
    return 2 * source.numel() * 4 / median_seconds(lambda: target.copy_(source), device) / GIGA


def median_seconds(work: Callable[[], object], device: str) -> float:
    """Median of `REPEATS` runs after two that do not count."""
    taken: list[float] = []
    for _ in range(REPEATS + 2):
        synchronise(device)
        started = time.perf_counter()
        work()
        synchronise(device)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken[2:])


def synchronise(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def step_floor_ms(machine: Machine, parameters: int, tokens: int, attention: float = 0.0) -> float:
    """The least time one forward pass over `tokens` positions can take: two operations per parameter and position and
    those of `attention` at the measured matrix rate, or reading every parameter once at the measured bandwidth,
    whichever is longer. Input embeddings count as if multiplied: within some tens of percent for the models here.
    Milliseconds."""
    compute = (2 * parameters * tokens + attention) / (machine.gflops * GIGA)
    memory = 4 * parameters / (machine.gigabytes_per_s * GIGA)
    return 1000 * max(compute, memory)
