"""Inline completion: what is shown stays while it is typed, and nothing just deleted is proposed again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from lsprotocol import types as lsp

from lsp_server.text import Document
from tests.editors.scripted_engine import ScriptedEngine
from tests.lsp.light import light_server
from tests.lsp.raw_client import RawClient, until

URI = "file:///a.py"


async def complete(
    client: RawClient, character: int, kind: lsp.InlineCompletionTriggerKind = lsp.InlineCompletionTriggerKind.Automatic
) -> list[str]:
    position = {"line": 0, "character": character}
    params = {"textDocument": {"uri": URI}, "position": position, "context": {"triggerKind": int(kind)}}
    items = (await client.request("textDocument/inlineCompletion", params))["result"]["items"]
    assert all(item["range"] == {"start": position, "end": position} for item in items)
    return [item["insertText"] for item in items]


async def beside(client: RawClient, start: int, end: int, word: str) -> list[tuple[str, int]]:
    """Texts, and where they begin, while the list at `end` has `word` selected for what is typed from `start` on."""
    position = {"line": 0, "character": end}
    chosen = {"range": {"start": {"line": 0, "character": start}, "end": position}, "text": word}
    context = {"triggerKind": int(lsp.InlineCompletionTriggerKind.Automatic), "selectedCompletionInfo": chosen}
    params = {"textDocument": {"uri": URI}, "position": position, "context": context}
    items = (await client.request("textDocument/inlineCompletion", params))["result"]["items"]
    assert all(item["range"]["end"] == position for item in items)
    return [(item["insertText"], item["range"]["start"]["character"]) for item in items]


def type_at(client: RawClient, character: int, text: str, version: int, deleted: int = 0) -> None:
    where = {"start": {"line": 0, "character": character}, "end": {"line": 0, "character": character + deleted}}
    document = {"uri": URI, "version": version}
    client.notify(
        "textDocument/didChange", {"textDocument": document, "contentChanges": [{"range": where, "text": text}]}
    )


async def edits(client: RawClient) -> int:
    return (await client.command("redraft.status"))["engine"]["edits"]


async def test_what_is_shown_stays_while_it_is_typed() -> None:
    async with light_server(capabilities={}, settings={"inline": {"enable": True}}) as client:
        client.open(URI, "x = 1\n")
        assert await complete(client, 5) == [" #x;", " #x~;"]
        asked = await edits(client)
        type_at(client, 5, " #", 2)
        assert await complete(client, 7) == ["x;", "x~;"]
        type_at(client, 7, "x~", 3)
        assert await complete(client, 9) == [";"]
        assert await edits(client) == asked  # no engine was asked for what was known
        type_at(client, 9, "?", 4)
        assert await complete(client, 10) == [" #x;", " #x~;"]  # typed otherwise: asked anew
        assert await edits(client) == asked + 1


async def test_while_the_debounce_lasts_the_engine_reads_and_then_offers_one_likely_line() -> None:
    engine = ScriptedEngine()
    engine.script(lambda request: [" + 1"])
    client = await RawClient.start()
    try:
        await client.initialize({"engine": {"url": engine.url}, "inline": {"enable": True, "debounceMs": 300}})
        client.open(URI, "x = 1\n")
        asked = asyncio.ensure_future(complete(client, 5))
        await until(lambda: engine.warmed)
        assert not engine.requests
        assert await asked == [" + 1"]
        assert engine.requests == engine.warmed
        assert engine.requests[0].quick
        invoked = lsp.InlineCompletionTriggerKind.Invoked
        assert await complete(client, 5, invoked) == [" + 1"]  # asked for: anew, the best, and at once
        assert len(engine.warmed) == 1
        assert not engine.requests[1].quick
    finally:
        await client.kill()
        engine.close()


async def test_what_was_just_deleted_is_not_proposed() -> None:
    async with light_server(capabilities={}, settings={"inline": {"enable": True}}) as client:
        client.open(URI, "x = 1 #x;\n")
        for version, last in enumerate(range(8, 4, -1), 2):  # four backspaces
            type_at(client, last, "", version, deleted=1)
        assert await complete(client, 5) == [" #x~;"]


async def test_what_was_accepted_and_undone_is_not_proposed_again() -> None:
    async with light_server(capabilities={}, settings={"inline": {"enable": True}}) as client:
        client.open(URI, "x = 1\n")
        assert await complete(client, 5) == [" #x;", " #x~;"]
        type_at(client, 5, " #x;", 2)
        type_at(client, 5, "", 3, deleted=4)
        assert await complete(client, 5) == [" #x~;"]


async def test_nothing_in_front_of_other_code() -> None:
    async with light_server(capabilities={}, settings={"inline": {"enable": True}}) as client:
        client.open(URI, "f(x) + g(y)\n")
        assert await complete(client, 4) == []
        assert await complete(client, 10) == [" #x;", " #x~;"]  # only a bracket follows


@pytest.mark.parametrize(
    ("keys", "expected"), [([(3, 4), (2, 3)], "cd"), ([(2, 3), (2, 3)], "cd"), ([(0, 1), (2, 3)], "d")]
)
def test_deletions_add_up(keys: list[tuple[int, int]], expected: str) -> None:
    document = Document(URI, "abcdef\n", 1, "python", "utf-16")
    for start, end in keys:
        where = lsp.Range(lsp.Position(0, start), lsp.Position(0, end))
        document.apply(lsp.TextDocumentContentChangePartial(where, ""))
    assert document.deleted == (2, expected)
    assert document.puts_back(2, expected)
    assert not document.puts_back(2, expected + "ef")  # so little may have been a slip
    assert not document.puts_back(2, "other")
    assert not document.puts_back(1, expected)
    here = lsp.Position(0, 2)
    document.apply(lsp.TextDocumentContentChangePartial(lsp.Range(here, here), "new"))
    assert document.deleted is None


def test_a_selection_typed_over_with_its_own_beginning_is_not_put_back() -> None:
    document = Document(URI, "total = sum(values)\n", 1, "python", "utf-16")
    where = lsp.Range(lsp.Position(0, 8), lsp.Position(0, 19))
    document.apply(lsp.TextDocumentContentChangePartial(where, "su"))
    assert document.puts_back(10, "m(values)")
    assert not document.puts_back(10, "pply")
    for at, key in ((10, "m"), (11, "(")):  # and typed on, key by key
        here = lsp.Position(0, at)
        document.apply(lsp.TextDocumentContentChangePartial(lsp.Range(here, here), key))
        assert document.puts_back(at + 1, "m(values)"[at - 9 :])
    assert not document.puts_back(12, "items)")
    here = lsp.Position(0, 12)
    document.apply(lsp.TextDocumentContentChangePartial(lsp.Range(here, here), "items"))
    assert document.deleted is None


async def test_a_completion_that_would_restore_what_a_selection_held_is_not_proposed() -> None:
    async with light_server(capabilities={}, settings={"inline": {"enable": True}}) as client:
        client.open(URI, "x = 1 #x;\n")
        type_at(client, 5, " ", 2, deleted=4)  # the comment is selected, and its first characters are typed instead
        type_at(client, 6, "#", 3)
        assert await complete(client, 7) == [" #x;", " #x~;"]  # neither is what stood there
        type_at(client, 5, "", 4, deleted=2)
        assert await complete(client, 5) == [" #x~;"]


def test_an_empty_change_deletes_nothing() -> None:
    document = Document(URI, "ab\n", 1, "python", "utf-16")
    nothing: Any = lsp.Range(lsp.Position(0, 1), lsp.Position(0, 1))
    document.apply(lsp.TextDocumentContentChangePartial(nothing, ""))
    assert document.deleted is None


async def test_beside_an_open_list_only_what_goes_on_from_its_selection_is_shown() -> None:
    engine = ScriptedEngine()
    engine.script(lambda request: ["(path)"] if request.prefix.endswith("x = read_text") else [" + 1"])
    client = await RawClient.start()
    try:
        await client.initialize({"engine": {"url": engine.url}, "inline": {"enable": True, "debounceMs": 0}})
        client.open(URI, "x = rea\n")
        assert await beside(client, 4, 7, "read_text") == [("read_text(path)", 4)]
        assert await beside(client, 4, 7, "reader") == [("reader + 1", 4)]
        assert await beside(client, 4, 7, "read_text") == [("read_text(path)", 4)]
        type_at(client, 7, "d_text", 2)  # the list is gone, what was shown goes on
        assert await complete(client, 13) == ["(path)"]
    finally:
        await client.kill()
        engine.close()
