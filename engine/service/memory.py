"""This process's memory: how much it is, and giving back what edits have freed."""

from __future__ import annotations

import contextlib
import ctypes

import psutil


def release_memory() -> None:
    """Gives what edits used back to the system, where the C library keeps it (glibc)."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def resident_mb() -> float:
    """Resident memory of this process, MB."""
    return psutil.Process().memory_info().rss / 1e6
