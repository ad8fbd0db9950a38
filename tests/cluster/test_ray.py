"""A real Ray cluster on this machine: two replicas, one killed while edits are under way, and nothing lost.

Not part of `make test`, because Ray is an extra: `make test-cluster`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest

from engine.messages import DenoisingState, EditRequest
from engine.service.client import EngineClient, EngineFailure, EngineOptions, EngineUnavailable

TOKEN = "a-token-of-the-test"
REQUEST = EditRequest("fix", "def area(width, height):\n", "    return (width * height\n", "\n\nprint(area(2, 3))\n")
REWRITE = EditRequest("rewrite", "def total(items):\n", "    result = 0\n", "    return result\n")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[str, psutil.Process]]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "engine.cli", "engine", "serve", "--ray", "--replicas", "2", "--port", str(port)],
        env={**os.environ, "REDRAFT_ENGINE_TOKEN": TOKEN, "RAY_USAGE_STATS_ENABLED": "0"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    try:
        said = process.stdout.readline()
        assert said.startswith("serving on ws://"), said
        yield f"ws://127.0.0.1:{port}", psutil.Process(process.pid)
    finally:
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(60)
        for child in (*children, process):
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                child.kill()


@pytest.fixture
def options(cluster, monkeypatch) -> EngineOptions:
    monkeypatch.setenv("REDRAFT_ENGINE_TOKEN", TOKEN)
    return EngineOptions(url=cluster[0])


async def test_an_edit_streams_its_states(options) -> None:
    client = await EngineClient.connect(options)
    states: list[DenoisingState] = []
    result = await client.edit(REQUEST, on_state=states.append)
    assert result.candidates[0].parses
    assert states
    assert (await client.status()).model
    await client.close()


async def test_who_has_no_token_is_refused(options, monkeypatch) -> None:
    monkeypatch.setenv("REDRAFT_ENGINE_TOKEN", "wrong")
    with pytest.raises(EngineUnavailable, match="token"):
        await EngineClient.connect(options)


async def test_the_newest_edit_of_a_document_wins(options) -> None:
    client = await EngineClient.connect(options)
    older = asyncio.create_task(client.edit(REWRITE, document="a"))
    await asyncio.sleep(0.01)
    newer = await client.edit(REQUEST, document="a")
    assert newer.candidates
    with pytest.raises(EngineFailure, match="cancelled"):
        await older
    await client.close()


async def test_a_killed_replica_loses_nothing(options) -> None:
    clients = [await EngineClient.connect(options) for _ in range(4)]
    pids = {(await client.status()).pid for client in clients for _ in range(6)}
    assert len(pids) == 2
    edits = [asyncio.create_task(client.edit(REQUEST)) for client in clients for _ in range(10)]
    await asyncio.wait(edits, return_when=asyncio.FIRST_COMPLETED)
    assert sum(not edit.done() for edit in edits) > 10  # under way on both
    os.kill(min(pids), signal.SIGKILL)
    results = await asyncio.wait_for(asyncio.gather(*edits), 240)
    assert len(results) == 40
    assert all(result.candidates and result.candidates[0].parses for result in results)
    for client in clients:
        await client.close()
