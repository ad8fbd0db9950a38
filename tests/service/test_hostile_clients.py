"""Whoever reaches the engine's socket: strangers are kept out, and what is let in cannot hurt it."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import msgpack
import pytest
import pytest_asyncio

from engine.messages import PROTOCOL_VERSION, Diagnostic, EditRequest
from engine.service import frames
from engine.service.client import EngineClient, EngineFailure, EngineOptions
from engine.service.paths import EnginePaths, engine_paths, runtime_dir
from tests.lsp.light import Runtime
from tests.lsp.test_raw import resident_mb
from tests.scale import cases

HELLO = frames.pack("hello", version=PROTOCOL_VERSION, token=None, client="test")
EDIT = EditRequest("rewrite", "", "a = 1\n", "", instruction='{"tag": "x"}')


@pytest.fixture
def paths(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Runtime, EnginePaths]]:
    runtime = Runtime()
    monkeypatch.setenv("REDRAFT_RUNTIME_DIR", str(runtime.folder / "run"))
    yield runtime, engine_paths(None, None)
    runtime.close()


@pytest_asyncio.fixture
async def engine(paths: tuple[Runtime, EnginePaths]) -> AsyncIterator[tuple[EngineClient, EnginePaths]]:
    client = await EngineClient.connect(EngineOptions(python=paths[0].python, idle_s=60))
    yield client, paths[1]
    assert (await client.edit(EDIT)).candidates, "the engine serves no more"
    await client.close()


async def raw(paths: EnginePaths, *sent: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_unix_connection(str(paths.socket))
    writer.write(b"".join(sent))
    return reader, writer


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# Files


async def test_everything_in_the_runtime_folder_is_private_under_any_umask(paths: tuple[Runtime, EnginePaths]) -> None:
    before = os.umask(0)
    try:
        client = await EngineClient.connect(EngineOptions(python=paths[0].python, idle_s=60))
    finally:
        os.umask(before)
    assert mode(paths[1].socket) == 0o600
    assert mode(runtime_dir()) == 0o700
    await client.close()


def test_a_runtime_folder_that_others_could_exchange_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine"
    monkeypatch.setenv("REDRAFT_RUNTIME_DIR", str(mine))
    assert runtime_dir() == mine
    mine.chmod(0o777)
    assert mode(runtime_dir()) == 0o700
    (tmp_path / "link").symlink_to(mine)
    monkeypatch.setenv("REDRAFT_RUNTIME_DIR", str(tmp_path / "link"))
    with pytest.raises(PermissionError, match="REDRAFT_RUNTIME_DIR"):
        runtime_dir()
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    monkeypatch.setenv("REDRAFT_RUNTIME_DIR", str(tmp_path / "open" / "redraft"))
    with pytest.raises(PermissionError, match="rename"):
        runtime_dir()


@pytest.fixture
def tcp(paths: tuple[Runtime, EnginePaths]) -> Iterator[tuple[EnginePaths, dict[str, Any]]]:
    """A TCP engine, whose address file somebody had made world-readable beforehand."""
    runtime, where = paths
    where.address.write_text("{}")
    where.address.chmod(0o666)
    process = subprocess.Popen([runtime.python, "-m", "engine.service.daemon", "--tcp"], stderr=subprocess.PIPE)
    assert process.stderr
    address: dict[str, Any] = {}
    while "token" not in address:
        assert process.poll() is None
        try:
            address = json.loads(where.address.read_text())
        except (OSError, ValueError):
            continue
    yield where, address
    process.kill()
    assert address["token"] not in process.stderr.read().decode()
    process.wait()


async def test_a_token_is_needed_private_and_never_logged(tcp: tuple[EnginePaths, dict[str, Any]]) -> None:
    where, address = tcp
    assert mode(where.address) == 0o600
    assert address["host"] == "127.0.0.1"
    assert len(address["token"]) >= 32
    for token in (None, "", "x", 3, ["x"], address["token"][:-1], address["token"] + "x", b"\xff", {"a": 1}):
        reader, writer = await asyncio.open_connection(address["host"], address["port"])
        writer.write(frames.pack("hello", version=PROTOCOL_VERSION, token=token, client="t"))
        answer = await asyncio.wait_for(frames.read(reader), 20)
        assert (answer["type"], answer["code"]) == ("error", "unauthorized")
        assert address["token"] not in str(answer)
        writer.write(frames.pack("edit", id=1, request=EDIT))
        with suppress(ConnectionError):  # a frame sent to a closed connection may come back as a reset
            assert await reader.read() == b""
        writer.close()
    client = await EngineClient.connect(EngineOptions(start=False))
    assert (await client.edit(EDIT)).candidates
    await client.close()
    arguments = Path(f"/proc/{(await connected_pid(where))}/cmdline").read_text()
    assert address["token"] not in arguments


async def connected_pid(where: EnginePaths) -> int:
    client = await EngineClient.connect(EngineOptions(start=False))
    pid = (await client.status()).pid
    await client.close()
    assert where.lock.exists()
    return pid


# Bytes

HEADS = [
    b"",
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    frames.HEADER.pack(frames.MAX_FRAME + 1),
    frames.HEADER.pack(frames.MAX_FRAME) + b"x",
    b"GET / HTTP/1.1\r\n\r\n",
    frames.pack("edit", id=1, request=EDIT),
    frames.pack("hello"),
    frames.pack("hello", version="1", token=None, client="t"),
    frames.pack("hello", version=2**63, token=None, client="t"),
    HELLO + b"\xff\xff\xff\xff",
    HELLO + frames.HEADER.pack(6) + msgpack.packb([1, 2, 3, 4, 5]),
    HELLO + frames.HEADER.pack(100_001) + b"\x91" * 100_000 + b"\xc0",
    HELLO + frames.HEADER.pack(5) + b"\xdd\xff\xff\xff\xff",  # an array of four billion
    HELLO + frames.HEADER.pack(5) + b"\xc6\xff\xff\xff\xff",  # four gigabytes of bytes
]


async def test_bad_beginnings_end_that_connection_only(engine: tuple[EngineClient, EnginePaths]) -> None:
    client, paths = engine
    before = resident_mb((await client.status()).pid)
    for head in HEADS * 5:
        _, writer = await raw(paths, head)
        if head:
            writer.write_eof()
        await asyncio.sleep(0)
        writer.close()
    assert (await client.status()).state == "ready"
    assert resident_mb((await client.status()).pid) < before + 60


def value(rng: Random, depth: int = 0) -> Any:
    simple = [None, True, 0, 1, -1, 2**63, 0.5, float("nan"), "", "fix", "x" * 300, b"\xff", "🙂"]
    if depth > 2 or rng.random() < 0.6:
        return rng.choice(simple)
    if rng.random() < 0.5:
        return [value(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    return {rng.choice(["id", "type", "span", "a"]): value(rng, depth + 1) for _ in range(rng.randint(0, 3))}


def frame(rng: Random, number: int) -> tuple[bytes, bool]:
    """A frame that follows the greeting, and whether it is owed an answer that carries its id."""
    plain = frames.unpack(frames.pack("edit", id=number, request=EDIT)[4:])
    kind = rng.choice(["edit", "edit", "edit", "warm", "status", "cancel", "nonsense", "hello", ""])
    tree: dict[str, Any] = {**plain, "type": kind}
    if rng.random() < 0.8:
        tree["request"] = {**plain["request"], rng.choice([*plain["request"], "more"]): value(rng)}
    if rng.random() < 0.2:
        tree["request"] = value(rng)
    if rng.random() < 0.3:
        tree[rng.choice(["document", "stream", "extra", "request"])] = value(rng)
    body = msgpack.packb(tree)
    return frames.HEADER.pack(len(body)) + body, kind != "cancel"


@pytest.mark.stress
async def test_hostile_requests_have_one_answer_each(engine: tuple[EngineClient, EnginePaths]) -> None:
    _, paths = engine
    count, rng = cases(20_000), Random(3)
    reader, writer = await raw(paths, HELLO)
    assert (await frames.read(reader))["type"] == "welcome"
    owed: dict[int, int] = {}

    async def listen() -> None:
        while True:
            answer = await frames.read(reader)
            if answer["type"] in ("error", "result", "done", "status") and answer["id"]:
                owed[answer["id"]] -= 1

    listening = asyncio.create_task(listen())
    for number in range(1, count + 1):
        sent, is_owed = frame(rng, number)
        owed[number] = int(is_owed)
        writer.write(sent)
        await writer.drain()
    async with asyncio.timeout(120):
        while any(owed.values()):
            assert not listening.done()
            await asyncio.sleep(0.05)
    assert min(owed.values()) == 0
    listening.cancel()
    writer.close()


@pytest.mark.stress
async def test_noise_in_the_frames_of_a_greeted_client(engine: tuple[EngineClient, EnginePaths]) -> None:
    client, paths = engine
    rng = Random(4)
    for _ in range(cases(2_000)):
        body = bytearray(frames.pack("edit", id=1, request=EDIT)[4:])
        for _ in range(rng.randint(1, 8)):
            body[rng.randrange(len(body))] = rng.randrange(256)
        reader, writer = await raw(paths, HELLO, frames.HEADER.pack(len(body)), bytes(body))
        assert (await frames.read(reader))["type"] == "welcome"
        answer = await asyncio.wait_for(frames.read(reader), 20)
        assert answer["type"] in ("error", "result", "state", "done", "status")
        writer.close()
    assert (await client.status()).state in ("ready", "busy")


async def test_a_client_that_leaves_takes_its_work_with_it(engine: tuple[EngineClient, EnginePaths]) -> None:
    client, paths = engine
    slow = EditRequest("rewrite", "", "a\n", "", instruction='{"steps": 100000, "step_s": 0.001}')
    reader, writer = await raw(paths, HELLO, *(frames.pack("edit", id=i, request=slow) for i in range(1, 20)))
    await frames.read(reader)
    async with asyncio.timeout(20):
        while (await client.status()).queued < 19:
            await asyncio.sleep(0.01)
        writer.close()
        while (await client.status()).queued:
            await asyncio.sleep(0.01)


def test_the_tests_run_the_light_engine(paths: tuple[Runtime, EnginePaths]) -> None:
    done = subprocess.run([paths[0].python, "-m", "engine.service.daemon", "--help"], capture_output=True, check=True)
    assert b"--idle-s" in done.stdout
    assert sys.executable in Path(paths[0].python).read_text()


ODD = [
    {"candidates": 0},
    {"candidates": -1},
    {"candidates": 2**62},
    {"strength": float("nan")},
    {"strength": float("inf")},
    {"strength": -0.5},
    {"deadline_ms": 0},
    {"deadline_ms": -(2**62)},
    {"seed": -(2**62)},
    {"seed": 2**63},
    {"max_steps": 0},
    {"max_steps": -5},
    {"language": "\0"},
    {"language": "x" * 100_000},
    {"path": "../../etc/passwd"},
    {"instruction": "x" * 100_000},
    {"instruction": "<mask><del><bos>\0"},
    {"span": "<mask>" * 500},
    {"span": ""},
    {"span": "\0"},
    {"span": "x" * 200_000},
    {"prefix": "(" * 50_000},
    {"suffix": "\n" * 500_000},
    {"diagnostics": (Diagnostic(-5, -5, ""), Diagnostic(2**62, 2**62, "x" * 10_000))},
]


async def test_the_real_engine_answers_odd_requests_and_goes_on(paths: tuple[Runtime, EnginePaths]) -> None:
    client = await EngineClient.connect(EngineOptions(idle_s=60))
    plain = EditRequest("fix", "", "print(foo(1)\n", "x = 1\n", candidates=2, deadline_ms=300)
    requests = [replace(plain, **change) for change in ODD]
    for work in [*map(client.edit, requests), *map(client.warm, requests[-8:])]:
        try:
            await asyncio.wait_for(work, 180)
        except EngineFailure as error:
            assert error.code in ("bad_request", "too_large"), str(error)
    assert (await client.edit(plain)).reason in ("done", "deadline", "unchanged")
    await client.close()
