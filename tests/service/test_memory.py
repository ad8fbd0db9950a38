"""Giving memory back."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

FORGET = """
import torch
from engine.service.memory import forget_libraries, resident_mb
before = resident_mb()
forget_libraries()
after = resident_mb()
assert float((torch.ones(8, 8) @ torch.ones(8, 8)).sum()) == 512
print(before - after)
"""


@pytest.mark.skipif(not psutil.LINUX, reason="madvise(2) of Linux")
def test_libraries_leave_memory_and_work_as_before() -> None:
    done = subprocess.run([sys.executable, "-c", FORGET], capture_output=True, text=True, timeout=120, check=True)
    assert float(done.stdout) > 20
