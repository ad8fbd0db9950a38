"""Documents that are no plain files: cells of notebooks, unsaved and virtual ones, languages beyond Python."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from lsprotocol import types as lsp

from lsp_server.diagnostics import syntax_diagnostics
from lsp_server.text import Document
from tests.lsp.raw_client import RawClient

BROKEN = "def area(w, h):\n    return (w * h\n"
CELL = "vscode-notebook-cell:/home/me/book.ipynb#W1sZmlsZQ%3D%3D"
PULLS = {"textDocument": {"diagnostic": {}}, "workspace": {"workspaceEdit": {"documentChanges": True}}}


@pytest_asyncio.fixture
async def client() -> AsyncIterator[RawClient]:
    """An editor that applies what it is told to."""
    client = await RawClient.start()
    await client.initialize({}, PULLS)
    yield client
    await client.kill()


def apply_edits(client: RawClient, uri: str, text: str) -> dict[str, str]:
    """Makes `client` apply what the server sends; the text is kept under "text"."""
    state = {"text": text}

    def on_edit(params: Any) -> dict[str, Any]:
        (change,) = params["edit"]["documentChanges"]
        assert change["textDocument"] == {"uri": uri, "version": 1}
        document = Document(uri, state["text"], 1, "python", "utf-16")
        for edit in reversed(change["edits"]):
            start, end = (document.offset(lsp.Position(**edit["range"][at])) for at in ("start", "end"))
            state["text"] = state["text"][:start] + edit["newText"] + state["text"][end:]
        changes = [{"text": state["text"]}]
        client.notify("textDocument/didChange", {"textDocument": {"uri": uri, "version": 2}, "contentChanges": changes})
        return {"applied": True}

    client.handlers["workspace/applyEdit"] = on_edit
    return state


@pytest.mark.parametrize(
    "uri",
    [CELL, "untitled:Untitled-1", "untitled:/home/me/new.py", "vscode-vfs://github/me/a.py", "git:/a.py?%7B%7D"],
)
async def test_every_kind_of_document_is_mended(client: RawClient, uri: str) -> None:
    state = apply_edits(client, uri, BROKEN)
    client.open(uri, BROKEN)
    (found,) = (await client.request("textDocument/diagnostic", {"textDocument": {"uri": uri}}))["result"]["items"]
    answer = await client.command("redraft.fix", {"uri": uri, "range": found["range"], "message": found["message"]})
    assert answer["applied"], answer
    compile(state["text"], "cell", "exec")


async def test_another_language_is_mended_by_its_grammar(client: RawClient) -> None:
    uri, text = "file:///a.js", "function area(w, h {\n  return w * h;\n}\n"
    state = apply_edits(client, uri, text)
    client.open(uri, text, language="javascript")
    (found,) = (await client.request("textDocument/diagnostic", {"textDocument": {"uri": uri}}))["result"]["items"]
    answer = await client.command("redraft.fix", {"uri": uri, "range": found["range"], "message": found["message"]})
    assert answer["applied"], answer
    again = Document(uri, state["text"], 2, "javascript", "utf-16")
    assert syntax_diagnostics(again, "error") == []


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("yaml", "- " * 2000 + "a"),
        ("kotlin", '"${' * 5000),
        ("json", "[" * 3000 + "1 2" + "]" * 3000),
        ("python", "(" * 5000),
        ("python", "x = " + "-" * 100_000 + "1"),
        ("python", "x = '\ud800'\n"),
        ("html", "\0<div>" * 3000),
    ],
)
async def test_no_document_is_too_much_for_a_parser(client: RawClient, language: str, text: str) -> None:
    """A diagnostic of another server in it is asked to be mended; server and engine go on."""
    uri, where = (
        f"file:///hostile.{language}",
        {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 3}},
    )
    client.open(uri, text, language=language)
    params = {"textDocument": {"uri": uri}, "range": where, "context": {"diagnostics": []}}
    assert "result" in await client.request("textDocument/codeAction", params)
    assert "result" in await client.request("textDocument/diagnostic", {"textDocument": {"uri": uri}})
    argument = {"uri": uri, "range": where, "message": "syntax error", "apply": False}
    answer = await client.command("redraft.fix", argument)
    refused = ("no better text", "lone surrogates", "holds NUL", "select less")
    assert answer.get("proposal") or any(why in answer["reason"] for why in refused), answer
    engine = (await client.command("redraft.status"))["engine"]
    assert engine["state"] == "ready"


@pytest.mark.parametrize(
    "text",
    ["%matplotlib inline\nx = 1\n", "!ls -l\n", "files = !ls\n", "len?\n", "await task\n", "x = await f()\n"],
)
def test_what_only_notebooks_allow_is_no_error_there(text: str) -> None:
    assert syntax_diagnostics(Document(CELL, text, 1, "python", "utf-16"), "error") == []
    assert syntax_diagnostics(Document("file:///a.py", text, 1, "python", "utf-16"), "error")


def test_cells_are_checked_like_files_otherwise() -> None:
    assert syntax_diagnostics(Document(CELL, BROKEN, 1, "python", "utf-16"), "error")
    assert not syntax_diagnostics(Document(CELL, "x = 5 % 3\ny = [1,\n     2]\n", 1, "python", "utf-16"), "error")
