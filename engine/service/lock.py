"""The lock that makes a daemon the only one of its user and model, and ends one that hangs."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import TextIO


def take_lock(lock: TextIO) -> bool:
    """Whether we are the only daemon; the lock holds our pid and goes with the process."""
    try:
        if os.name == "posix":
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            import msvcrt

            msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except OSError:
        return False
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return True


def kill_holder(path: Path) -> bool:
    """Kills the daemon that holds the lock at `path`, hung or not. Whether there was one."""
    with contextlib.suppress(OSError, ValueError), path.open("r+") as lock:
        pid = int(lock.read())
        if not take_lock(lock):  # a live process holds it
            os.kill(pid, signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
            return True
    return False
