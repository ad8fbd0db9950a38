"""The daemon as a process: started on demand, private, killable, honest."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from engine.messages import PROTOCOL_VERSION, EditRequest
from engine.models.loading import EMBEDDED
from engine.service import frames
from engine.service.client import EngineClient, EngineFailure, EngineOptions, EngineUnavailable
from engine.service.paths import engine_paths, runtime_dir

FIX = EditRequest("fix", "", "print(foo(1)\n", "x = 1\n")
LONG = EditRequest("rewrite", "", "".join(f"value_{i} = compute({i})\n" for i in range(200)), "")


@pytest_asyncio.fixture
async def client() -> AsyncIterator[EngineClient]:
    client = await EngineClient.connect(EngineOptions(idle_s=120))
    yield client
    await client.close()


async def test_an_edit_goes_through_and_streams_its_states(client: EngineClient) -> None:
    states = []
    result = await client.edit(FIX, on_state=states.append)
    assert result.candidates
    assert result.candidates[0].parses
    assert len(states) == result.steps


async def test_clients_that_race_start_one_engine() -> None:
    clients = await asyncio.gather(*(EngineClient.connect(EngineOptions(idle_s=120)) for _ in range(4)))
    pids = {(await c.status()).pid for c in clients}
    for c in clients:
        await c.close()
    assert len(pids) == 1


async def test_the_socket_is_private(client: EngineClient) -> None:
    paths = engine_paths(None, None)
    assert stat.S_IMODE(paths.socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(runtime_dir().stat().st_mode) == 0o700


async def test_a_cancelled_edit_leaves_the_queue(client: EngineClient) -> None:
    task = asyncio.create_task(client.edit(LONG))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(100):
        if (await client.status()).queued == 0:
            break
        await asyncio.sleep(0.05)
    assert (await client.status()).queued == 0


async def test_the_newest_edit_of_a_document_wins(client: EngineClient) -> None:
    old = asyncio.create_task(client.edit(LONG, document="d"))
    await asyncio.sleep(0.2)
    new = asyncio.create_task(client.edit(FIX, document="d"))
    with pytest.raises(EngineFailure) as caught:
        await old
    assert caught.value.code == "cancelled"
    assert (await new).candidates


async def test_a_bad_request_gets_one_typed_answer(client: EngineClient) -> None:
    with pytest.raises(EngineFailure) as caught:
        await client.edit(EditRequest("fix", "", "", ""))
    assert caught.value.code == "bad_request"
    assert (await client.status()).state in ("ready", "busy")


async def test_killing_the_engine_fails_that_edit_and_the_next_gets_a_fresh_one(client: EngineClient) -> None:
    pid = (await client.status()).pid
    task = asyncio.create_task(client.edit(LONG))
    await asyncio.sleep(0.2)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(EngineUnavailable, match="died"):
        await task
    fresh = await EngineClient.connect(EngineOptions(idle_s=120))
    assert (await fresh.status()).pid != pid
    assert (await fresh.edit(FIX)).candidates
    await fresh.close()


async def test_other_protocol_versions_and_garbage_are_refused(client: EngineClient) -> None:
    for payload, code in (
        (frames.pack("hello", version=PROTOCOL_VERSION + 1, token=None, client="t"), "bad_version"),
        (frames.HEADER.pack(frames.MAX_FRAME + 1), "too_large"),
        (frames.HEADER.pack(3) + b"\xff\xff\xff", "bad_request"),
        (frames.pack("edit", id=1), "bad_request"),
    ):
        reader, writer = await asyncio.open_unix_connection(str(engine_paths(None, None).socket))
        writer.write(payload)
        answer = await frames.read(reader)
        assert (answer["type"], answer["code"]) == ("error", code)
        assert await reader.read() == b""
        writer.close()
    assert (await client.status()).state in ("ready", "busy")


async def test_an_idle_engine_stops(tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(EMBEDDED, model)
    client = await EngineClient.connect(EngineOptions(model=str(model), idle_s=0.5))
    await client.edit(FIX)
    for _ in range(100):
        if client.closed:
            break
        await asyncio.sleep(0.1)
    assert client.closed
    assert not engine_paths(str(model), None).socket.exists()
    await client.close()


async def test_an_engine_goes_when_another_version_is_installed(tmp_path: Path) -> None:
    here = tmp_path / "installed"
    shutil.copytree(EMBEDDED.parents[1], here / "engine", ignore=shutil.ignore_patterns("base", "__pycache__"))
    environment = {**os.environ, "REDRAFT_RUNTIME_DIR": str(tmp_path / "run")}
    process = subprocess.Popen([sys.executable, "-m", "engine.service.daemon"], cwd=here, env=environment)
    try:
        while not list((tmp_path / "run").glob("*.sock")):
            await asyncio.sleep(0.1)
        await asyncio.sleep(1.5)
        assert process.poll() is None
        (here / "engine" / "__init__.py").touch()
        assert await asyncio.to_thread(process.wait, 20) == 0
    finally:
        process.kill()


async def test_corrupt_weights_are_named_with_a_remedy(tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(EMBEDDED, model)
    (model / "model.safetensors").write_bytes(b"not weights")
    client = await EngineClient.connect(EngineOptions(model=str(model), idle_s=5))
    with pytest.raises(EngineFailure) as caught:
        await client.edit(FIX)
    assert caught.value.code == "model_unavailable"
    assert "download it anew" in caught.value.message
    await client.stop()
    await client.close()


async def test_a_tcp_engine_wants_its_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDRAFT_RUNTIME_DIR", str(tmp_path))
    process = subprocess.Popen([sys.executable, "-m", "engine.service.daemon", "--tcp", "--idle-s", "60"])
    try:
        address = engine_paths(None, None).address
        for _ in range(200):
            if address.exists() and address.read_text():
                break
            await asyncio.sleep(0.05)
        assert stat.S_IMODE(address.stat().st_mode) == 0o600
        client = await EngineClient.connect(EngineOptions(start=False))
        assert (await client.edit(FIX)).candidates
        await client.close()
        address.write_text(address.read_text().replace('"token": "', '"token": "x'))
        with pytest.raises(EngineUnavailable, match="token"):
            await EngineClient._open(engine_paths(None, None))
    finally:
        process.terminate()
        process.wait(10)


async def test_an_interpreter_that_cannot_run_is_named() -> None:
    with pytest.raises(EngineUnavailable, match=r"engine\.path"):
        await EngineClient.connect(EngineOptions(model="/nowhere", python="/nowhere/python"))
