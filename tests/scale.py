"""How many cases the tests of robustness run: all of them with REDRAFT_STRESS=1 (`make stress`), else a share."""

from __future__ import annotations

import os

STRESS = os.environ.get("REDRAFT_STRESS") == "1"


def cases(full: int, share: float = 0.05) -> int:
    return full if STRESS else max(1, round(full * share))
