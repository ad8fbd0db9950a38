"""This process's memory: how much it is, and giving back what is not needed."""

from __future__ import annotations

import contextlib
import ctypes
import mmap

import psutil


def release_memory() -> None:
    """Gives what edits used back to the system, where the C library keeps it (glibc)."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def forget_libraries() -> None:
    """Drops the pages of libraries that nobody wrote to (Linux, madvise(2)): importing torch touches 60 MB that edits
    never need. What they do need comes back from the system's page cache."""
    if not psutil.LINUX:
        return
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for mapping in psutil.Process().memory_maps(grouped=False):
        # Relocated pages are read-only too, but written: dropping those would undo it.
        if mapping.path.startswith("/") and "w" not in mapping.perms and not mapping.anonymous:
            start, end = (int(address, 16) for address in mapping.addr.split("-"))
            madvise(start, end - start, mmap.MADV_DONTNEED)


def resident_mb() -> float:
    """Resident memory of this process, MB."""
    return psutil.Process().memory_info().rss / 1e6
