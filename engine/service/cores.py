"""How many threads a pass may use: as many as there are cores that other programs leave.

The threads of one pass wait for each other many times. On a core that another program needs too, one of them is
often away for a whole time slice while the other spins: two threads are then ten times slower than one.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import psutil

INTERVAL_S = 0.1  # the system counts in hundredths of a second


@dataclass(frozen=True, slots=True)
class Sample:
    """Seconds: the clock, and what all programs and this process have computed so far."""

    clock: float
    everyone: float
    this: float


def take_sample() -> Sample:
    times = psutil.cpu_times()
    # Linux counts guests in user and nice already.
    everyone = sum(times) - times.idle - sum(getattr(times, name, 0.0) for name in ("iowait", "guest", "guest_nice"))
    return Sample(time.monotonic(), everyone, time.process_time())


class SpareCores:
    """Threads for the next pass, at most `limit`, by the load since about the last one."""

    def __init__(self, limit: int, cores: int | None = None) -> None:
        self.limit = limit
        self.cores = cores or os.cpu_count() or 1
        self._threads = limit
        self._last = take_sample()

    def threads(self) -> int:
        now = take_sample()
        passed = now.clock - self._last.clock
        if passed >= INTERVAL_S:
            others = (now.everyone - self._last.everyone - (now.this - self._last.this)) / passed
            self._threads = max(1, min(self.limit, round(self.cores - others)))
            self._last = now
        return self._threads
