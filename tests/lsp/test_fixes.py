"""Diagnostics stand for verified fixes: found when typing pauses, given up when it goes on, applied as found."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from lsp_server.features import create_server
from lsp_server.text import Document
from tests.lsp.raw_client import ANSWER_WITHIN_S, RawClient

URI = "file:///shape.py"
BROKEN = "def area(width, height):\n    return (width * height\n\n\nprint(area(2, 3))\n"
HOPELESS = "x = 1\n" + ") ] } what is this ((( [ {\n" * 3
PULLS = {"textDocument": {"diagnostic": {}}}


@pytest_asyncio.fixture
async def start(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    """Servers with the real engine and the embedded model."""
    clients: list[RawClient] = []

    async def begin(capabilities: Any = None, **settings: Any) -> RawClient:
        client = await RawClient.start()
        clients.append(client)
        client.keep.add("textDocument/publishDiagnostics")
        await client.initialize(settings, capabilities)
        return client

    yield begin
    for client in clients:
        await client.kill()


def change(client: RawClient, text: str, version: int) -> None:
    document = {"uri": URI, "version": version}
    client.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": text}]})


async def published(client: RawClient, version: int) -> list[Any]:
    """The diagnostics pushed for `version`."""
    async with asyncio.timeout(ANSWER_WITHIN_S):
        while True:
            for method, params in client.notified:
                if method == "textDocument/publishDiagnostics" and params.get("version") == version:
                    return params["diagnostics"]
            await asyncio.sleep(0.02)


async def pull(client: RawClient) -> Any:
    return await client.request("textDocument/diagnostic", {"textDocument": {"uri": URI}})


async def test_a_fault_with_a_fix_is_pushed_and_the_fix_is_at_hand(start: Any) -> None:
    client = await start()
    client.open(URI, BROKEN)
    (found,) = await published(client, 1)
    assert found["range"]["start"]["line"] == 1
    assert found["source"] == "redraft"
    edits = (await client.command("redraft.status"))["engine"]["edits"]
    fix = {"uri": URI, "range": found["range"], "message": found["message"], "apply": False}
    answer = await client.command("redraft.fix", fix)
    assert answer["proposal"]["candidates"][0]["parses"]
    assert (await client.command("redraft.status"))["engine"]["edits"] == edits  # nothing was computed again
    change(client, BROKEN.replace("height\n\n", "height)\n\n"), 2)
    assert await published(client, 2) == []


async def test_one_of_two_faults_has_a_fix_of_its_own(start: Any) -> None:
    client = await start(PULLS)
    client.open(URI, 'def area(width, height)\n    """In metres.\n\n    Both."""\n    if width < 0\n        return 0\n')
    (found,) = (await pull(client))["result"]["items"]
    assert found["range"]["start"]["line"] == 0


async def test_a_merge_conflict_is_mended_whole(start: Any) -> None:
    client = await start(PULLS)
    ours, theirs = ("".join(f"    total_{i} = {i} + {side}\n" for i in range(60)) for side in (1, 2))
    client.open(URI, f"def f():\n<<<<<<< HEAD\n{ours}=======\n{theirs}>>>>>>> other\n    return 1\n")
    (found,) = (await pull(client))["result"]["items"]
    fix = {"uri": URI, "range": found["range"], "message": found["message"], "apply": False}
    proposal = (await client.command("redraft.fix", fix))["proposal"]
    assert [c["text"] for c in proposal["candidates"]][:2] == ["def f():\n" + ours, "def f():\n" + theirs]


async def test_a_fault_without_a_fix_is_left_to_others(start: Any) -> None:
    client = await start(PULLS)
    client.open(URI, HOPELESS)
    assert (await pull(client))["result"]["items"] == []


async def test_typing_gives_up_the_search_and_a_pull_is_answered_when_it_pauses(start: Any) -> None:
    client = await start(PULLS, diagnostics={"severity": "hint"})
    client.open(URI, BROKEN)
    _, first = client.ask("textDocument/diagnostic", {"textDocument": {"uri": URI}})
    change(client, "# a comment\n" + BROKEN, 2)
    (found,) = (await first)["result"]["items"]
    assert found["severity"] == 4
    assert found["range"]["start"]["line"] == 2  # in the text as it is by now
    change(client, BROKEN, 3)
    _, closed = client.ask("textDocument/diagnostic", {"textDocument": {"uri": URI}})
    client.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    assert (await closed)["result"]["items"] == []
    assert (await pull(client))["result"]["items"] == []


async def test_no_search_where_diagnostics_are_off_or_the_file_is_secret(start: Any, tmp_path: Path) -> None:
    client = await start(PULLS, diagnostics={"enable": False})
    client.open(URI, BROKEN)
    assert (await pull(client))["result"]["items"] == []
    client = await start(PULLS, exclude=["shape.*"])
    client.open(URI, BROKEN)
    assert (await pull(client))["result"]["items"] == []


async def test_the_quick_fix_is_offered_before_the_search_has_ended(start: Any) -> None:
    client = await start(PULLS)
    client.open(URI, BROKEN)
    here = {"start": {"line": 1, "character": 4}, "end": {"line": 1, "character": 4}}
    params = {"textDocument": {"uri": URI}, "range": here, "context": {"diagnostics": []}}
    actions = (await client.request("textDocument/codeAction", params))["result"]
    assert "Fix with Redraft: '(' was never closed" in [action["title"] for action in actions]
    shown = {"range": {"start": {"line": 1, "character": 0}, "end": {"line": 1, "character": 9}}, "message": "E999"}
    params["context"] = {"diagnostics": [shown]}
    actions = (await client.request("textDocument/codeAction", params))["result"]
    assert [a["title"] for a in actions if a["kind"] == "quickfix"] == ["Fix with Redraft: E999"]


async def test_a_search_that_is_cancelled_with_the_server_ends_the_pull() -> None:
    """asyncio cancels all tasks at the end, in any order: a pull must not wait for the search again and again."""
    server = create_server()
    document = server.documents[URI] = Document(URI, BROKEN, 1, "python", "utf-16")
    pulling = asyncio.create_task(server.fixes.diagnostics(document))
    await asyncio.sleep(0)
    (search,) = asyncio.all_tasks() - {asyncio.current_task(), pulling}
    search.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pulling
