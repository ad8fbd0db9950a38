"""A real server on a real daemon without a model (`tests.service.light_engine`), each test with its own."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from tests.lsp.raw_client import RawClient
from tests.service.light_engine import interpreter


class Runtime:
    """A private runtime folder, short enough for a Unix socket's path."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rd-"))
        self.python = interpreter(self.folder)

    def engine_pid(self) -> int | None:
        """Of the daemon that last took the lock, if it lives."""
        for lock in self.folder.glob("run/*.lock"):
            with suppress(OSError, ValueError):
                pid = int(lock.read_text())
                os.kill(pid, 0)
                if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    return pid
        return None

    async def client(
        self,
        environment: dict[str, str] | None = None,
        settings: dict[str, Any] | None = None,
        capabilities: Any = None,
        **engine: Any,
    ) -> RawClient:
        """A server of this folder's engine, initialized."""
        variables = {"REDRAFT_RUNTIME_DIR": str(self.folder / "run"), **(environment or {})}
        client = await RawClient.start(environment=variables)
        options = {"engine": {"path": self.python, "idleSeconds": 60, **engine}, **(settings or {})}
        await client.initialize(options, capabilities)
        return client

    def close(self) -> None:
        pid = self.engine_pid()
        if pid:
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


@asynccontextmanager
async def light_server(
    environment: dict[str, str] | None = None, capabilities: Any = None, settings: Any = None, **engine: Any
) -> AsyncIterator[RawClient]:
    runtime = Runtime()
    client = await runtime.client(environment, settings, capabilities, **engine)
    try:
        yield client
    finally:
        await client.kill()
        runtime.close()
