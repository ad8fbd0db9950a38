"""Threads follow the load that other programs make."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from engine.service import cores
from engine.service.cores import INTERVAL_S, Sample, SpareCores


@pytest.mark.parametrize(
    ("everyone", "this", "threads"),
    [(0.0, 0.0, 4), (4.0, 4.0, 4), (1.0, 0.0, 3), (5.0, 4.0, 3), (3.4, 0.0, 1), (9.0, 0.0, 1), (0.4, 0.0, 4)],
)
def test_others_are_left_their_cores(monkeypatch, everyone: float, this: float, threads: int) -> None:
    samples = iter([Sample(0, 50, 10), Sample(INTERVAL_S / 2, 99, 10), Sample(1, 50 + everyone, 10 + this)])
    monkeypatch.setattr(cores, "take_sample", lambda: next(samples))
    spare = SpareCores(4, cores=4)
    assert spare.threads() == 4  # too soon to tell
    assert spare.threads() == threads


def test_a_busy_machine_leaves_one_thread() -> None:
    spare = SpareCores(os.cpu_count() or 1)
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        assert settles(spare, 1)
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def settles(spare: SpareCores, threads: int) -> bool:
    for _ in range(100):
        time.sleep(0.15)
        if spare.threads() == threads:
            return True
    return False
