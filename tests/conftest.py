"""Fixtures shared by all tests: the embedded denoiser, a private runtime folder."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

from engine.models.denoiser import EmbeddedDenoiser
from engine.models.loading import load_denoiser

settings.register_profile("plain", deadline=None)  # machines are noisy; timings belong in `redraft bench`
settings.load_profile("plain")

# Extras, which `make test-cluster` and `make test-servers` install.
collect_ignore = [folder for folder, needs in (("cluster", "ray"), ("servers", "llama_cpp")) if not find_spec(needs)]

# A Unix socket's path may have about 100 characters; pytest's own folders are longer.
RUNTIME = tempfile.mkdtemp(prefix="redraft-")
os.environ["REDRAFT_RUNTIME_DIR"] = RUNTIME
os.environ["REDRAFT_CONFIG_DIR"] = RUNTIME  # not the model that the user chose


@pytest.fixture(scope="session", autouse=True)
def runtime_dir() -> Iterator[Path]:
    """Engines started by the tests live here, apart from the user's; they end with the session."""
    yield Path(RUNTIME)
    for lock in Path(RUNTIME).glob("*.lock"):
        with suppress(OSError, ValueError):
            os.kill(int(lock.read_text()), signal.SIGTERM)
    shutil.rmtree(RUNTIME, ignore_errors=True)


@pytest.fixture(scope="session")
def denoiser() -> EmbeddedDenoiser:
    return load_denoiser()
