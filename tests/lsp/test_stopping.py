"""`redraft.stopEngine` and `redraft.restartEngine`: no engine is left over, and none comes back by itself."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lsp.light import Runtime
from tests.lsp.raw_client import RawClient, until
from tests.lsp.test_fixes import BROKEN, published

URI = "file:///shape.py"
LINE = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 3}}
REWRITE = {"command": "redraft.rewrite", "arguments": [{"uri": URI, "range": LINE, "apply": False}]}


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    runtime = Runtime()
    yield runtime
    runtime.close()


def ask(client: RawClient) -> asyncio.Future[dict[str, Any]]:
    return client.ask("workspace/executeCommand", REWRITE)[1]


@pytest.mark.parametrize("after_s", [0.0, 0.1, 0.5, 1.5])
async def test_an_engine_that_is_starting_is_stopped(runtime: Runtime, after_s: float) -> None:
    """At any moment: before its process, before its socket, while it loads."""
    client = await runtime.client({"REDRAFT_TEST_LOAD_S": "4"})
    client.open(URI, "abc = 1\n")
    answer = ask(client)
    await until(lambda: client.status.get("busy"))
    await asyncio.sleep(after_s)
    assert (await client.command("redraft.stopEngine"))["kind"] == "Inactive"
    assert (await answer)["result"] == {"applied": False, "reason": "the engine was stopped"}
    await until(lambda: runtime.engine_pid() is None)
    await asyncio.sleep(0.5)
    assert runtime.engine_pid() is None
    assert client.status["kind"] == "Inactive"
    assert (await ask(client))["result"]["proposal"]  # the next edit starts another
    await client.kill()


async def test_a_starting_engine_outlives_the_edit_that_wanted_it(runtime: Runtime) -> None:
    client = await runtime.client({"REDRAFT_TEST_LOAD_S": "1"})
    client.open(URI, "abc = 1\n")
    answer = ask(client)
    await until(lambda: client.status.get("busy"))
    await client.command("redraft.cancel")
    assert (await answer)["result"]["reason"] == "cancelled"
    await until(runtime.engine_pid)
    first = runtime.engine_pid()
    assert (await ask(client))["result"]["proposal"]
    assert runtime.engine_pid() == first
    await client.kill()


async def test_an_engine_that_another_window_started_is_stopped(runtime: Runtime) -> None:
    one, other = await runtime.client(), await runtime.client()
    one.open(URI, "abc = 1\n")
    assert (await ask(one))["result"]["proposal"]
    assert runtime.engine_pid()
    assert (await other.command("redraft.stopEngine"))["kind"] == "Inactive"
    await until(lambda: runtime.engine_pid() is None)
    assert (await other.command("redraft.stopEngine"))["kind"] == "Inactive"  # there is none by now
    assert (await ask(one))["result"]["proposal"]
    for client in (one, other):
        await client.kill()


async def test_no_search_that_began_before_wakes_a_stopped_engine_and_a_restart_searches_anew(runtime: Runtime) -> None:
    client = await runtime.client(path=sys.executable)
    client.keep.add("textDocument/publishDiagnostics")
    client.open(URI, BROKEN)  # a search waits for the pause
    await client.command("redraft.stopEngine")
    assert await published(client, 1) == []
    assert runtime.engine_pid() is None
    client.notified.clear()
    assert (await client.command("redraft.restartEngine"))["kind"] == "Normal"
    (found,) = await published(client, 1)
    assert found["range"]["start"]["line"] == 1
    await client.kill()


async def test_another_model_while_the_engine_starts_is_the_one_that_serves(runtime: Runtime) -> None:
    client = await runtime.client({"REDRAFT_TEST_LOAD_S": "2"})
    client.open(URI, "abc = 1\n")
    answer = ask(client)
    await until(runtime.engine_pid)
    first = runtime.engine_pid()
    (runtime.folder / "other").mkdir()
    chosen = await client.command("redraft.selectModel", {"path": str(runtime.folder / "other")})
    assert chosen["kind"] == "Normal", chosen
    assert (await answer)["result"]["reason"] == "the model was changed"
    proposed = (await ask(client))["result"]
    assert proposed.get("proposal"), proposed
    assert (await client.command("redraft.status"))["engine"]["pid"] not in (None, first)
    await client.command("redraft.stopEngine")
    await client.kill()
