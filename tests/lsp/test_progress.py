"""Work-done progress of the edits: whose token it is, how it cancels, and what is typed while the bar is made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.editors.scripted_engine import ScriptedEngine
from tests.lsp.raw_client import RawClient, until
from tests.lsp.reference_buffer import ReferenceBuffer
from tests.lsp.test_rude_editors import BARS, LINE, TEXT, Buffer

URI = "file:///a.py"


@pytest_asyncio.fixture
async def engine() -> AsyncIterator[ScriptedEngine]:
    engine = ScriptedEngine()
    engine.script(lambda request: ["b = 20\n"])
    yield engine
    engine.close()


@pytest_asyncio.fixture
async def client(engine: ScriptedEngine) -> AsyncIterator[RawClient]:
    client = await RawClient.start()
    client.keep.add("$/progress")
    answer = await client.initialize({"engine": {"url": engine.url}, "diagnostics": {"enable": False}}, BARS)
    assert answer["capabilities"]["executeCommandProvider"]["workDoneProgress"]
    yield client
    client.check_answers()
    await client.kill()


def reported(client: RawClient) -> dict[Any, list[dict[str, Any]]]:
    """The values of all progress so far, by token."""
    found: dict[Any, list[dict[str, Any]]] = {}
    for method, params in client.notified:
        if method == "$/progress":
            found.setdefault(params["token"], []).append(params["value"])
    return found


def asked(uri: str = URI, **more: Any) -> dict[str, Any]:
    return {"command": "redraft.rewrite", "arguments": [{"uri": uri, "range": LINE, **more}]}


@pytest.mark.parametrize("place", ["params", "argument", "ours"])
async def test_the_bar_says_step_k_of_n_and_cancels(client: RawClient, engine: ScriptedEngine, place: str) -> None:
    """With the token of the request (LSP 3.17, `ExecuteCommandParams`), of its argument, or one of ours."""
    buffer = Buffer(client, URI)
    engine.script(lambda request: ["b = 30\n"], steps=40, step_seconds=0.1)
    params = asked(workDoneToken="mine") if place == "argument" else asked()
    _, answer = client.ask(
        "workspace/executeCommand", {**params, "workDoneToken": "mine"} if place == "params" else params
    )
    await until(lambda: any(len(values) > 2 for values in reported(client).values()))
    ((token, (begin, first, *_)),) = reported(client).items()
    assert (token == "mine") == (place != "ours")
    assert begin["kind"] == "begin"
    assert begin["cancellable"]
    assert first == {"kind": "report", "message": "step 1 of 40", "percentage": 2}
    client.notify("window/workDoneProgress/cancel", {"token": "another"})
    client.notify("window/workDoneProgress/cancel", {"token": token})
    assert (await answer)["result"] == {"applied": False, "reason": "cancelled"}
    await until(lambda: engine.cancelled == 1)
    assert reported(client)[token][-1] == {"kind": "end"}
    assert buffer.buffer.text == TEXT
    assert not client.status["busy"]


@pytest.mark.parametrize(("line", "character", "outside"), [(0, 0, True), (1, 0, True), (1, 1, False), (2, 0, True)])
async def test_typing_while_the_bar_is_made_moves_the_region_or_ends_the_edit(
    client: RawClient, engine: ScriptedEngine, line: int, character: int, outside: bool
) -> None:
    buffer = Buffer(client, URI)
    here = {"line": line, "character": character}
    where = {"start": here, "end": here}

    def type_first(_: Any) -> None:
        buffer.buffer.splice(where, "new\n")
        buffer.version += 1
        changes = [{"range": where, "text": "new\n"}]
        document = {"uri": URI, "version": buffer.version}
        client.notify("textDocument/didChange", {"textDocument": document, "contentChanges": changes})

    client.handlers["window/workDoneProgress/create"] = type_first
    answer = await buffer.rewrite(version=1)
    assert answer["applied"] == outside, answer
    assert engine.requests[-1].span == "b = 2\n"
    typed = ReferenceBuffer(TEXT, "utf-16")
    typed.splice(where, "new\n")
    assert buffer.buffer.text == (typed.text.replace("b = 2", "b = 20") if outside else typed.text)


async def test_the_bar_says_that_the_model_loads(client: RawClient) -> None:
    buffer = Buffer(client, URI)
    assert (await buffer.rewrite())["applied"]
    assert "no better text was found" in (await buffer.rewrite())["reason"]  # it stands there by now
    bars = [values[0]["message"] for values in reported(client).values()]
    assert bars == ["loading the model", "Rewrite under way"]
    said = [params["message"] for method, params in client.notified if method == "redraft/status" and params["busy"]]
    assert said[:2] == ["loading the model", "Rewrite under way"]


async def test_a_bar_that_comes_too_late_is_not_begun(client: RawClient) -> None:
    client.handlers["window/workDoneProgress/create"] = lambda _: asyncio.sleep(3)
    assert (await Buffer(client, URI).rewrite())["applied"]
    await asyncio.sleep(1.5)
    assert reported(client) == {}
