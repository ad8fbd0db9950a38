"""Notebooks synchronised as such: the code above a cell is the context of an edit in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from tests.editors.scripted_engine import ScriptedEngine
from tests.lsp.raw_client import RawClient

BOOK = "file:///home/me/book.ipynb"
TEXTS = [
    "import math\n\n\ndef area(r):\n    return math.pi * r**2",
    "%matplotlib inline\nx = (",
    "x = 1",
    "print(area(x",
]
SYNC = {"notebookDocument": {"synchronization": {"dynamicRegistration": False}}}


def cell(number: int) -> str:
    return f"vscode-notebook-cell:/home/me/book.ipynb#W{number}sZmlsZQ%3D%3D"


def item(number: int, text: str) -> dict[str, Any]:
    return {"uri": cell(number), "languageId": "python", "version": 1, "text": text}


def open_book(client: RawClient) -> None:
    cells = [{"kind": 2, "document": cell(number)} for number in range(len(TEXTS))]
    book = {"uri": BOOK, "notebookType": "jupyter-notebook", "version": 1, "cells": cells}
    items = [item(number, text) for number, text in enumerate(TEXTS)]
    client.notify("notebookDocument/didOpen", {"notebookDocument": book, "cellTextDocuments": items})


def change_cells(client: RawClient, **changes: Any) -> None:
    book = {"uri": BOOK, "version": 2}
    client.notify("notebookDocument/didChange", {"notebookDocument": book, "change": {"cells": changes}})


async def rewrite(client: RawClient, number: int) -> dict[str, Any]:
    where = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 1}}
    return await client.command("redraft.rewrite", {"uri": cell(number), "range": where, "apply": False})


@pytest_asyncio.fixture
async def engine() -> AsyncIterator[ScriptedEngine]:
    engine = ScriptedEngine()
    engine.script(lambda request: [request.span + "# seen"])
    yield engine
    engine.close()


@pytest_asyncio.fixture
async def client(engine: ScriptedEngine) -> AsyncIterator[RawClient]:
    client = await RawClient.start()
    answer = await client.initialize({"engine": {"url": engine.url}, "diagnostics": {"enable": False}}, SYNC)
    assert answer["capabilities"]["notebookDocumentSync"] == {"notebookSelector": [{"cells": [{"language": "python"}]}]}
    yield client
    await client.kill()


async def test_the_code_above_is_context_and_what_does_not_parse_is_not(
    client: RawClient, engine: ScriptedEngine
) -> None:
    open_book(client)
    answer = await rewrite(client, 3)
    assert answer["proposal"]["original"] == TEXTS[3]
    assert answer["proposal"]["range"]["start"] == {"line": 0, "character": 0}
    assert engine.requests[-1].prefix == TEXTS[0] + "\n\n" + TEXTS[2] + "\n\n"
    assert engine.requests[-1].suffix == ""
    await rewrite(client, 0)
    assert engine.requests[-1].prefix == ""


async def test_cells_that_come_go_and_change_count_at_once(client: RawClient, engine: ScriptedEngine) -> None:
    open_book(client)
    array = {"start": 1, "deleteCount": 1, "cells": [{"kind": 2, "document": cell(9)}]}
    structure = {"array": array, "didOpen": [item(9, "y = 2\n")], "didClose": [{"uri": cell(1)}]}
    change_cells(client, structure=structure)
    here = {"start": {"line": 0, "character": 4}, "end": {"line": 0, "character": 5}}
    content = {"document": {"uri": cell(2), "version": 2}, "changes": [{"range": here, "text": "'🙂'"}]}
    change_cells(client, textContent=[content])
    await rewrite(client, 3)
    assert engine.requests[-1].prefix == TEXTS[0] + "\n\ny = 2\n\nx = '🙂'\n\n"
    assert "not open" in (await rewrite(client, 1))["reason"]
    change_cells(client, structure={"array": {"start": 3, "deleteCount": 1}})
    change_cells(
        client, structure={"array": {"start": 0, "deleteCount": 0, "cells": [{"kind": 2, "document": cell(3)}]}}
    )
    await rewrite(client, 3)  # moved to the top
    assert engine.requests[-1].prefix == ""
    documents = [{"uri": cell(number)} for number in (0, 9, 2, 3)]
    client.notify("notebookDocument/didClose", {"notebookDocument": {"uri": BOOK}, "cellTextDocuments": documents})
    assert "not open" in (await rewrite(client, 3))["reason"]


async def test_changes_of_notebooks_that_are_not_open_and_odd_ones_do_no_harm(client: RawClient) -> None:
    change_cells(client, structure={"array": {"start": 0, "deleteCount": 5}})
    open_book(client)
    change_cells(client, structure={"array": {"start": 99, "deleteCount": 99}})
    change_cells(client, structure={"array": "nonsense"})
    change_cells(client)
    client.notify("notebookDocument/didOpen", {"notebookDocument": {"uri": BOOK}})
    assert (await rewrite(client, 0))["proposal"]


async def test_a_cell_is_mended_by_the_real_model() -> None:
    client = await RawClient.start()
    await client.initialize({}, {**SYNC, "textDocument": {"diagnostic": {}}})
    try:
        open_book(client)
        report = await client.request("textDocument/diagnostic", {"textDocument": {"uri": cell(3)}})
        (found,) = report["result"]["items"]
        assert found["range"]["start"]["line"] == 0
        fix = {"uri": cell(3), "range": found["range"], "message": found["message"], "apply": False}
        best = (await client.command("redraft.fix", fix))["proposal"]["candidates"][0]
        assert best["parses"]
        compile(best["text"], "cell", "exec")
    finally:
        await client.kill()
