"""Editors that do not answer, answer late, open twice, go on with old versions, or hurry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.editors.scripted_engine import ScriptedEngine
from tests.lsp.raw_client import RawClient, until
from tests.lsp.reference_buffer import ReferenceBuffer

TEXT = "a = 1\nb = 2\nc = 3\n"
LINE = {"start": {"line": 1, "character": 0}, "end": {"line": 2, "character": 0}}
BARS = {"window": {"workDoneProgress": True}, "workspace": {"configuration": True}}
REGISTERS = {"workspace": {"didChangeWatchedFiles": {"dynamicRegistration": True}, "configuration": True}}


@pytest_asyncio.fixture
async def engine() -> AsyncIterator[ScriptedEngine]:
    engine = ScriptedEngine()
    engine.script(lambda request: ["b = 20\n", "b = 21\n", "b = 22\n"])
    yield engine
    engine.close()


@pytest_asyncio.fixture
async def client(engine: ScriptedEngine) -> AsyncIterator[RawClient]:
    client = await RawClient.start()
    yield client
    client.check_answers()
    await client.kill()


async def begin(client: RawClient, engine: ScriptedEngine, capabilities: Any = None, **settings: Any) -> None:
    await client.initialize({"engine": {"url": engine.url}, "diagnostics": {"enable": False}, **settings}, capabilities)


class Buffer:
    """One open file in which the server's edits are made."""

    def __init__(self, client: RawClient, uri: str) -> None:
        self.client, self.uri, self.version = client, uri, 1
        self.buffer = ReferenceBuffer(TEXT, "utf-16")
        client.handlers["workspace/applyEdit"] = self.make
        client.open(uri, TEXT)

    def make(self, params: Any) -> dict[str, Any]:
        (change,) = params["edit"]["documentChanges"]
        if change["textDocument"]["version"] != self.version:
            return {"applied": False}
        self.buffer.apply(change["edits"])
        self.version += 1
        identifier = {"uri": self.uri, "version": self.version}
        whole = [{"text": self.buffer.text}]
        self.client.notify("textDocument/didChange", {"textDocument": identifier, "contentChanges": whole})
        return {"applied": True}

    async def rewrite(self, **more: Any) -> dict[str, Any]:
        return await self.client.command("redraft.rewrite", {"uri": self.uri, "range": LINE, **more})


def silent(client: RawClient, *methods: str) -> None:
    """The client takes these requests and never answers."""
    for method in methods:
        client.handlers[method] = lambda params: asyncio.sleep(3600)


@pytest.mark.parametrize("method", ["workspace/configuration", "client/registerCapability"])
async def test_the_server_is_ready_without_an_answer(client: RawClient, engine: ScriptedEngine, method: str) -> None:
    silent(client, method)
    await begin(client, engine, REGISTERS)
    buffer = Buffer(client, "file:///a.py")
    assert (await buffer.rewrite())["applied"]
    await until(lambda: client.status.get("message") == "ready")


async def test_an_edit_goes_on_without_a_progress_bar(client: RawClient, engine: ScriptedEngine) -> None:
    silent(client, "window/workDoneProgress/create")
    await begin(client, engine, BARS)
    assert (await Buffer(client, "file:///a.py").rewrite())["applied"]


async def test_what_is_seen_in_the_text_needs_no_answer(client: RawClient, engine: ScriptedEngine) -> None:
    await begin(client, engine)
    buffer = Buffer(client, "file:///a.py")
    make = buffer.make

    async def and_say_nothing(params: Any) -> None:
        make(params)
        await asyncio.sleep(3600)

    client.handlers["workspace/applyEdit"] = and_say_nothing
    assert (await buffer.rewrite())["applied"]
    assert buffer.buffer.text == TEXT.replace("b = 2", "b = 20")


async def test_an_editor_that_never_makes_the_edit_is_given_up(engine: ScriptedEngine) -> None:
    impatient = "from lsp_server import __main__, edits; edits.ANSWERED_WITHIN_S = 0.3; __main__.main([])"
    client = await RawClient.start(program=("-c", impatient))
    try:
        await begin(client, engine)
        buffer = Buffer(client, "file:///a.py")
        silent(client, "workspace/applyEdit")
        assert "did not answer" in (await buffer.rewrite())["reason"]
        client.handlers["workspace/applyEdit"] = buffer.make
        assert (await buffer.rewrite())["applied"]
    finally:
        await client.kill()


async def test_a_file_opened_again_is_another_file(client: RawClient, engine: ScriptedEngine) -> None:
    await begin(client, engine)
    buffer = Buffer(client, "file:///a.py")
    assert (await buffer.rewrite())["applied"]
    engine.script(lambda request: ["b = 30\n"], steps=50, step_seconds=0.1)
    under_way = asyncio.ensure_future(buffer.rewrite())
    await until(lambda: engine.requests)
    client.open(buffer.uri, buffer.buffer.text)
    assert await under_way == {"applied": False, "reason": "the file was opened again"}
    answer = await client.command("redraft.nextSuggestion", {"uri": buffer.uri})
    assert "no other suggestions" in answer["reason"]


async def test_an_action_of_an_older_version_is_refused(client: RawClient, engine: ScriptedEngine) -> None:
    """A line above is new since: its range means another line by now."""
    await begin(client, engine)
    buffer = Buffer(client, "file:///a.py")
    assert (await buffer.rewrite(version=1))["applied"]
    for version in (1, 3):
        answer = await buffer.rewrite(version=version)
        assert "changed since this was offered" in answer["reason"]
    engine.script(lambda request: ["b = 30\n"])
    assert (await buffer.rewrite(version=2))["applied"]


async def test_changes_without_a_file_and_versions_that_go_back_do_no_harm(
    client: RawClient, engine: ScriptedEngine
) -> None:
    await begin(client, engine)
    identifier = {"uri": "file:///never.py", "version": 7}
    client.notify("textDocument/didChange", {"textDocument": identifier, "contentChanges": [{"text": "x"}]})
    client.notify("textDocument/didClose", {"textDocument": identifier})
    assert not (await client.command("redraft.rewrite", {"uri": "file:///never.py", "range": LINE}))["applied"]
    buffer = Buffer(client, "file:///a.py")
    buffer.version = -3
    identifier = {"uri": buffer.uri, "version": -3}
    client.notify("textDocument/didChange", {"textDocument": identifier, "contentChanges": [{"text": TEXT}]})
    assert (await buffer.rewrite(version=-3))["applied"]


async def test_three_next_suggestions_at_once_come_one_after_the_other(
    client: RawClient, engine: ScriptedEngine
) -> None:
    await begin(client, engine)
    buffer = Buffer(client, "file:///a.py")
    assert (await buffer.rewrite())["applied"]
    answers = await asyncio.gather(*(client.command("redraft.nextSuggestion", {"uri": buffer.uri}) for _ in range(3)))
    assert [answer["suggestion"] for answer in answers] == [2, 3, 0]
    assert buffer.buffer.text == TEXT


async def test_the_status_is_busy_until_the_last_edit_has_ended(client: RawClient, engine: ScriptedEngine) -> None:
    await begin(client, engine)
    files = [Buffer(client, "file:///slow.py"), Buffer(client, "file:///quick.py")]
    engine.script(lambda request: ["b = 30\n"], steps=100, step_seconds=0.1)
    slow = asyncio.ensure_future(files[0].rewrite())
    await until(lambda: engine.requests)
    engine.script(lambda request: ["b = 40\n"])
    assert (await files[1].rewrite())["applied"]
    assert client.status["busy"]
    await client.command("redraft.cancel", {"uri": files[0].uri})
    assert not (await slow)["applied"]
    assert not client.status["busy"]


async def test_a_cancel_that_comes_too_late_is_no_lie(client: RawClient, engine: ScriptedEngine) -> None:
    """The edit is on its way to the editor: the answer says what became of it."""
    await begin(client, engine)
    buffer = Buffer(client, "file:///a.py")
    make = buffer.make

    def cancel_and_make(params: Any) -> dict[str, Any]:
        client.notify("$/cancelRequest", {"id": number})
        return make(params)

    client.handlers["workspace/applyEdit"] = cancel_and_make
    arguments = [{"uri": buffer.uri, "range": LINE}]
    number, answer = client.ask("workspace/executeCommand", {"command": "redraft.rewrite", "arguments": arguments})
    assert (await answer)["result"]["applied"]


async def test_a_stopped_engine_stays_stopped_until_it_is_asked(client: RawClient, engine: ScriptedEngine) -> None:
    await begin(client, engine, inline={"enable": True, "debounceMs": 0})
    buffer = Buffer(client, "file:///a.py")
    engine.script(lambda request: ["b = 30\n"], steps=50, step_seconds=0.1)
    under_way = asyncio.ensure_future(buffer.rewrite())
    await until(lambda: engine.requests)
    assert (await client.command("redraft.stopEngine"))["kind"] == "Inactive"
    assert await under_way == {"applied": False, "reason": "the engine was stopped"}
    assert client.status["kind"] == "Inactive"
    position = {"line": 0, "character": 5}
    params = {"textDocument": {"uri": buffer.uri}, "position": position, "context": {"triggerKind": 1}}
    assert (await client.request("textDocument/inlineCompletion", params))["result"]["items"] == []
    assert (await client.command("redraft.status"))["engine"] is None
    assert len(engine.requests) == 1
    engine.script(lambda request: ["b = 40\n"])
    assert (await buffer.rewrite())["applied"]
    assert (await client.command("redraft.status"))["engine"]["state"] == "ready"


async def test_a_shutdown_in_the_middle_of_an_edit_answers_both(client: RawClient, engine: ScriptedEngine) -> None:
    await begin(client, engine)
    buffer = Buffer(client, "file:///a.py")
    engine.script(lambda request: ["b = 30\n"], steps=50, step_seconds=0.1)
    under_way = asyncio.ensure_future(buffer.rewrite())
    await until(lambda: engine.requests)
    assert (await client.request("shutdown", None))["result"] is None
    assert await under_way == {"applied": False, "reason": "the server shuts down"}
    client.notify("exit", None)
    assert await asyncio.wait_for(client.process.wait(), 20) == 0


async def test_a_fault_of_ours_does_not_leave_the_status_busy(engine: ScriptedEngine) -> None:
    faulty = "from lsp_server import __main__, edits; edits.make_request = None; __main__.main([])"
    client = await RawClient.start(program=("-c", faulty))
    try:
        await begin(client, engine)
        client.open("file:///a.py", TEXT)
        arguments = [{"uri": "file:///a.py", "range": LINE}]
        asked = {"command": "redraft.rewrite", "arguments": arguments}
        assert (await client.request("workspace/executeCommand", asked))["error"]["code"] == -32603
        assert (client.status["busy"], client.status["kind"]) == (False, "Error")
        await client.alive()
    finally:
        await client.kill()
