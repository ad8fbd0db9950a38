"""What can go wrong with an engine, seen from the editor: the server lives, says what happened, and serves the next
request.

Most tests use the real daemon without a model; those named "real" load the embedded one. `make stress` kills 100
times in the middle of an edit.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from engine.messages import EditRequest
from engine.service import client as engine_client
from engine.service.client import EngineClient, EngineHangs, EngineOptions, EngineUnavailable
from engine.service.lock import kill_holder
from engine.service.paths import engine_paths
from tests.lsp.light import Runtime
from tests.lsp.raw_client import RawClient
from tests.scale import STRESS, cases

URI = "file:///w/fault.py"
TEXT = "a = 1\r\nb = 2\r\n"
LINE = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 5}}
CODE = "import os\n\n\ndef area(width, height):\n    return (width * height\n\n\nprint(area(2, 3))\n"


@pytest.fixture
def runtime() -> Any:
    place = Runtime()
    yield place
    place.close()


class Desk:
    """An editor with one file, which counts what is applied to it."""

    def __init__(self, client: RawClient, text: str = TEXT) -> None:
        self.client, self.edits = client, 0
        client.handlers["workspace/applyEdit"] = self.apply
        client.keep.add("redraft/denoise")
        self.version = 1
        client.open(URI, text)

    def apply(self, params: Any) -> dict[str, Any]:
        (change,) = params["edit"]["documentChanges"]
        self.edits += 1
        self.version += 1
        changes = [{"range": e["range"], "text": e["newText"]} for e in reversed(change["edits"])]
        identifier = {"uri": URI, "version": self.version}
        self.client.notify("textDocument/didChange", {"textDocument": identifier, "contentChanges": changes})
        return {"applied": True}

    def ask(self, command: str = "redraft.rewrite", where: Any = LINE, **wishes: Any) -> asyncio.Future[dict[str, Any]]:
        argument = {"uri": URI, "range": where, "instruction": json.dumps(wishes) if wishes else None}
        return self.client.ask("workspace/executeCommand", {"command": command, "arguments": [argument]})[1]

    async def edit(self, **wishes: Any) -> dict[str, Any]:
        return (await asyncio.wait_for(self.ask(**(wishes or {"tag": "x"})), 180))["result"]

    async def first_state(self) -> None:
        """Until the engine is seen at work."""
        seen = len([1 for method, _ in self.client.notified if method == "redraft/denoise"])
        await until(lambda: len([1 for m, _ in self.client.notified if m == "redraft/denoise"]) > seen)

    async def refused(self, words: str, **wishes: Any) -> None:
        """An edit that must fail with these words, and then one that must not."""
        before = self.edits
        answer = await self.edit(**wishes)
        assert not answer["applied"]
        assert words in answer["reason"], answer
        assert self.edits == before
        assert self.client.status["busy"] is False
        await self.served()

    async def served(self) -> None:
        answer = await self.edit()
        assert answer["applied"], answer
        assert self.client.status["kind"] == "Normal"
        assert self.client.status["busy"] is False


@pytest_asyncio.fixture
async def desk(runtime: Runtime) -> AsyncIterator[Desk]:
    client = await runtime.client()
    yield Desk(client)
    client.check_answers()
    await client.kill()


async def until(true: Callable[[], Any], within_s: float = 60) -> None:
    async with asyncio.timeout(within_s):
        while not true():
            await asyncio.sleep(0.005)


def processes_of(runtime: Runtime) -> list[int]:
    """Living processes whose runtime folder this is."""
    wanted = f"REDRAFT_RUNTIME_DIR={runtime.folder / 'run'}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.stress
async def test_the_engine_killed_in_mid_edit(desk: Desk, runtime: Runtime) -> None:
    kills = cases(90)
    for number in range(kills):
        answer = desk.ask(tag="never", steps=1000, step_s=0.005)
        await desk.first_state()
        pid = runtime.engine_pid()
        assert pid
        await asyncio.sleep(0.002 * (number % 7))
        os.kill(pid, signal.SIGKILL)
        result = (await answer)["result"]
        assert not result["applied"]
        assert "died" in result["reason"]
        assert (desk.client.status["kind"], desk.client.status["command"]) == ("Error", "redraft.restartEngine")
        assert desk.edits == number
        await desk.served()
    assert len(processes_of(runtime)) <= 3  # server, engine, one killed engine not yet reaped
    print(f"{kills} kills in mid-edit, {desk.edits} edits served after them")


@pytest.mark.stress
async def test_the_real_engine_killed_in_mid_edit(runtime: Runtime) -> None:
    client = await runtime.client(path=sys.executable)
    try:
        text = CODE + "".join(f"value_{i} = compute({i})\n" for i in range(100))
        desk = Desk(client, text)
        everything = {"start": {"line": 8, "character": 0}, "end": {"line": 107, "character": 0}}
        for _ in range(cases(10, 0.1)):
            answer = desk.ask(where=everything)
            await desk.first_state()
            pid = runtime.engine_pid()
            assert pid
            os.kill(pid, signal.SIGKILL)
            result = (await answer)["result"]
            assert "died" in result["reason"]
            assert desk.client.status["kind"] == "Error"
            at = {"start": {"line": 4, "character": 0}, "end": {"line": 4, "character": 0}}
            params = {"command": "redraft.fix", "arguments": [{"uri": URI, "range": at, "message": "never closed"}]}
            fixed = (await client.request("workspace/executeCommand", params))["result"]
            assert fixed["applied"], fixed
            assert (await client.command("redraft.previousSuggestion", {"uri": URI}))["applied"]
        client.check_answers()
    finally:
        await client.kill()


@pytest.mark.parametrize("fault", ["garbage", "huge", "list", "zero", "state", "result", "missing", "die"])
async def test_bad_frames_and_sudden_ends(desk: Desk, fault: str) -> None:
    words = "malformed" if fault in ("result", "missing") else "died"
    await desk.refused(words, fault=fault)
    assert any(p["kind"] == "Error" for m, p in desk.client.notified if m == "redraft/status")


async def test_out_of_memory_in_an_edit(desk: Desk) -> None:
    await desk.refused("ran out of memory", fault="memory")


async def test_nothing_better_found(desk: Desk) -> None:
    await desk.refused("no better text", fault="nothing")


async def test_a_hung_engine_is_ended_and_replaced(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGSTOP in mid-edit, and again before a connection."""
    monkeypatch.setenv("REDRAFT_RUNTIME_DIR", str(runtime.folder / "run"))
    monkeypatch.setattr(engine_client, "HANG_GRACE_S", 1.5)
    monkeypatch.setattr(engine_client, "GREETING_S", 1.5)
    options = EngineOptions(python=runtime.python, idle_s=60)
    request = EditRequest("rewrite", "", TEXT, "", instruction='{"steps": 1000, "step_s": 0.01}')
    client = await EngineClient.connect(options)
    edit = asyncio.create_task(client.edit(request))
    pid = runtime.engine_pid()
    assert pid
    await asyncio.sleep(0.1)
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(EngineHangs, match="hung and was ended"):
        await edit
    await until(lambda: runtime.engine_pid() != pid)
    second = await EngineClient.connect(options)
    pid = (await second.status()).pid
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(EngineHangs):  # `redraft engine status` kills nothing
        await EngineClient.connect(EngineOptions(python=runtime.python, start=False))
    third = await EngineClient.connect(options)
    assert (await third.status()).pid != pid
    for each in (client, second, third):
        await each.close()


@pytest.mark.skipif(not STRESS, reason="waits out the real 30 s; the test above is the short form")
@pytest.mark.stress
async def test_a_hung_engine_behind_a_server(desk: Desk, runtime: Runtime) -> None:
    answer = desk.ask(steps=1000, step_s=0.01)
    await desk.first_state()
    pid = runtime.engine_pid()
    assert pid
    os.kill(pid, signal.SIGSTOP)
    result = (await asyncio.wait_for(answer, 120))["result"]
    assert "hung and was ended" in result["reason"]
    assert desk.client.status["kind"] == "Error"
    await desk.served()
    pid = runtime.engine_pid()
    assert pid
    os.kill(pid, signal.SIGSTOP)
    await desk.client.alive()
    answer = desk.ask(tag="x")
    assert "hung and was ended" in (await asyncio.wait_for(answer, 120))["result"]["reason"]
    await desk.served()


async def test_a_slow_load_is_waited_for_and_told(runtime: Runtime) -> None:
    client = await runtime.client({"REDRAFT_TEST_LOAD_S": "2"})
    desk = Desk(client)
    answer = desk.ask(tag="x")
    began = time.monotonic()
    status = await client.command("redraft.status")
    assert status["engine"]["state"] == "loading"
    assert status["busy"]
    assert time.monotonic() - began < 30
    assert (await answer)["result"]["applied"]
    await client.kill()


async def test_a_cancel_while_the_model_loads(runtime: Runtime) -> None:
    client = await runtime.client({"REDRAFT_TEST_LOAD_S": "2"})
    desk = Desk(client)
    answer = desk.ask(tag="x")
    assert (await client.command("redraft.status"))["engine"]["state"] == "loading"
    await client.command("redraft.cancel", {"uri": URI})
    assert (await answer)["result"] == {"applied": False, "reason": "cancelled"}
    await desk.served()
    assert desk.edits == 1
    await client.kill()


async def test_a_model_that_does_not_load_is_tried_again(runtime: Runtime) -> None:
    client = await runtime.client({"REDRAFT_TEST_LOAD_FAULT": "out of memory while loading the model"})
    desk = Desk(client)
    for _ in range(2):
        answer = await desk.edit()
        assert "out of memory while loading" in answer["reason"]
    first = runtime.engine_pid()
    await until(lambda: runtime.engine_pid() is None, 20)
    assert "out of memory while loading" in (await desk.edit())["reason"]
    assert runtime.engine_pid() not in (None, first)
    await client.kill()


async def test_the_real_engine_without_memory_to_load(runtime: Runtime) -> None:
    script = runtime.folder / "short-of-memory"
    script.write_text(f'#!/bin/sh\nulimit -v 400000\nexec {sys.executable} "$@"\n')
    script.chmod(0o755)
    client = await runtime.client(path=str(script))
    desk = Desk(client)
    answer = await desk.edit()
    assert not answer["applied"]
    assert answer["reason"]
    await client.alive()
    await client.kill()


async def test_another_protocol_version_is_named_at_once(runtime: Runtime) -> None:
    client = await runtime.client({"REDRAFT_TEST_PROTOCOL": "99"})
    desk = Desk(client)
    began = time.monotonic()
    answer = await desk.edit()
    assert "the engine speaks protocol 99" in answer["reason"]
    assert "redraft engine stop" in answer["reason"]
    assert time.monotonic() - began < 30
    assert client.status["kind"] == "Error"
    await client.kill()


async def test_a_removed_socket_is_made_again(desk: Desk, runtime: Runtime) -> None:
    await desk.served()
    pid = runtime.engine_pid()
    (socket,) = (runtime.folder / "run").glob("*.sock")
    socket.unlink()
    second = await runtime.client()
    await Desk(second).served()
    assert runtime.engine_pid() == pid
    await desk.served()
    await second.kill()


async def test_a_removed_runtime_folder_ends_the_engine_and_a_new_one_serves(desk: Desk, runtime: Runtime) -> None:
    await desk.served()
    for path in (runtime.folder / "run").iterdir():
        path.unlink()
    (runtime.folder / "run").rmdir()
    await until(lambda: len(processes_of(runtime)) == 1, 20)
    await desk.edit()  # the connection may be gone in this very moment
    await desk.served()


async def test_a_url_where_no_engine_is(runtime: Runtime) -> None:
    for url, words in (("tcp://127.0.0.1:9", "no engine at"), ("tcp://x", "not of the form"), ("tcp://h:99999", "no")):
        client = await runtime.client(url=url)
        answer = await Desk(client).edit()
        assert words in answer["reason"]
        assert client.status["kind"] == "Error"
        await client.kill()


async def test_something_else_on_the_socket(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    async def web_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(web_server, "127.0.0.1", 0)
    url = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with pytest.raises(EngineUnavailable, match="no engine of ours"):
        await EngineClient.connect(EngineOptions(url=url))
    server.close()


CLIENT = """
    import json, os, subprocess, sys, time
    python, text = sys.argv[1], "a = 1"
    server = subprocess.Popen([sys.executable, "-m", "lsp_server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    def send(**message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        server.stdin.write(b"Content-Length: %d\\r\\n\\r\\n" % len(body) + body)
        server.stdin.flush()
    options = {"engine": {"path": python, "idleSeconds": 2}}
    send(id=1, method="initialize",
         params={"processId": os.getpid(), "rootUri": None, "capabilities": {}, "initializationOptions": options})
    send(method="initialized", params={})
    item = {"uri": "file:///x.py", "languageId": "python", "version": 1, "text": text}
    send(method="textDocument/didOpen", params={"textDocument": item})
    where = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 1}}
    wishes = json.dumps({"steps": 100000, "step_s": 0.01})
    argument = {"uri": "file:///x.py", "range": where, "instruction": wishes}
    send(id=2, method="workspace/executeCommand", params={"command": "redraft.rewrite", "arguments": [argument]})
    while True:
        line = server.stdout.readline()
        if b"redraft/denoise" in line:
            print("at work", flush=True)
"""


@pytest.mark.parametrize("stopped", [False, True], ids=["engine at work", "engine hung"])
def test_no_process_outlives_a_killed_client(runtime: Runtime, stopped: bool) -> None:
    environment = {**os.environ, "REDRAFT_RUNTIME_DIR": str(runtime.folder / "run")}
    client = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CLIENT), runtime.python],
        env=environment,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    assert client.stdout
    assert client.stdout.readline() == b"at work\n"
    engine = runtime.engine_pid()
    assert engine
    assert set(processes_of(runtime)) > {client.pid, engine}
    if stopped:
        os.kill(engine, signal.SIGSTOP)
    client.kill()
    client.wait()
    left = {engine} if stopped else set()  # a hung engine waits for whoever needs it next, and is then ended
    deadline = time.monotonic() + 30
    while set(processes_of(runtime)) - left and time.monotonic() < deadline:
        time.sleep(0.05)
    assert set(processes_of(runtime)) == left
    if stopped:
        (lock,) = (runtime.folder / "run").glob("*.lock")
        assert kill_holder(lock)


def test_engine_paths_are_one_per_model_and_device() -> None:
    sockets = {engine_paths(model, device).socket for model in (None, "/a", "/b") for device in (None, "cuda")}
    assert len(sockets) == 6
