"""The next suggestion without computing it, and edits that the editor asks the user about first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from tests.editors.scripted_engine import BOTH, CLAMP, ScriptedEngine
from tests.lsp.raw_client import RawClient
from tests.lsp.reference_buffer import ReferenceBuffer

URI = "file:///clamp.py"
ABOVE, BELOW = "import math\n\n\n", "\n\nprint(clamp(3, 1, 2))\n"
SHORT = "def clamp(value, low, high):\n    return max(low, min(value, high))\n"
ASKS = {"workspace": {"workspaceEdit": {"documentChanges": True, "changeAnnotationSupport": {}}}}


class Editor:
    """One buffer that the server's edits change. `leave_out`: how many of an edit's changes the user unticks;
    `accept`: whether the user wants it at all."""

    def __init__(self, client: RawClient) -> None:
        self.client, self.buffer, self.version = client, ReferenceBuffer(ABOVE + CLAMP + BELOW, "utf-16"), 1
        self.accept, self.leave_out = True, 0
        self.edits: list[dict[str, Any]] = []
        client.handlers["workspace/applyEdit"] = self.on_edit
        client.open(URI, self.buffer.text)

    def on_edit(self, params: Any) -> dict[str, Any]:
        self.edits.append(params["edit"])
        (change,) = params["edit"]["documentChanges"]
        assert change["textDocument"] == {"uri": URI, "version": self.version}
        if not self.accept:
            return {"applied": False, "failureReason": "the user said no"}
        self.buffer.apply(change["edits"][self.leave_out :])
        self.tell({"text": self.buffer.text})
        return {"applied": True}

    def type(self, line: int, text: str) -> None:
        here = {"line": line, "character": 0}
        self.buffer.splice({"start": here, "end": here}, text)
        self.tell({"range": {"start": here, "end": here}, "text": text})

    def tell(self, change: dict[str, Any]) -> None:
        self.version += 1
        document = {"uri": URI, "version": self.version}
        self.client.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})

    async def rewrite(self) -> dict[str, Any]:
        where = {"start": {"line": 3, "character": 0}, "end": {"line": 9, "character": 0}}
        return await self.client.command("redraft.rewrite", {"uri": URI, "range": where, "version": self.version})

    async def suggestion(self, name: str) -> dict[str, Any]:
        return await self.client.command(f"redraft.{name}Suggestion", {"uri": URI})


@pytest_asyncio.fixture
async def engine() -> AsyncIterator[ScriptedEngine]:
    engine = ScriptedEngine()
    engine.script(lambda request: [BOTH, SHORT])
    yield engine
    engine.close()


@pytest_asyncio.fixture
async def start(engine: ScriptedEngine) -> AsyncIterator[Any]:
    clients: list[RawClient] = []

    async def begin(capabilities: Any = None, **settings: Any) -> Editor:
        client = await RawClient.start()
        clients.append(client)
        options = {"engine": {"url": engine.url}, "diagnostics": {"enable": False}, **settings}
        await client.initialize(options, capabilities)
        return Editor(client)

    yield begin
    for client in clients:
        await client.kill()


async def test_all_suggestions_follow_each_other_and_nothing_is_computed(start: Any, engine: ScriptedEngine) -> None:
    editor = await start()
    assert (await editor.rewrite())["candidates"] == 2
    for name, text, number in [
        ("next", SHORT, 2),
        ("next", CLAMP, 0),
        ("next", BOTH, 1),
        ("previous", CLAMP, 0),
        ("previous", SHORT, 2),
    ]:
        assert await editor.suggestion(name) == {"applied": True, "suggestion": number, "of": 2}
        assert editor.buffer.text == ABOVE + text + BELOW
    assert len(engine.requests) == 1


async def test_a_suggestion_follows_typing_outside_and_not_inside(start: Any) -> None:
    editor = await start()
    await editor.rewrite()
    editor.type(0, "# above 🙂\n")
    assert (await editor.suggestion("next"))["applied"]
    assert editor.buffer.text == "# above 🙂\n" + ABOVE + SHORT + BELOW
    editor.type(5, "    # inside\n")
    text = editor.buffer.text
    answer = await editor.suggestion("next")
    assert not answer["applied"]
    assert "changed" in answer["reason"]
    assert editor.buffer.text == text


async def test_without_an_edit_there_is_no_other_suggestion(start: Any) -> None:
    editor = await start()
    answer = await editor.suggestion("next")
    assert answer == {"applied": False, "reason": "there are no other suggestions: run Redraft first"}


async def test_the_editor_is_to_ask_when_that_is_wanted_and_it_can(start: Any) -> None:
    editor = await start(ASKS, preview={"needsConfirmation": True})
    assert (await editor.rewrite())["applied"]
    assert editor.buffer.text == ABOVE + BOTH + BELOW
    (edit,) = editor.edits
    assert edit["changeAnnotations"] == {"redraft": {"label": "Redraft rewrite", "needsConfirmation": True}}
    changes = edit["documentChanges"][0]["edits"]
    assert len(changes) == 2
    assert {change["annotationId"] for change in changes} == {"redraft"}


async def test_the_editor_is_not_to_ask_otherwise(start: Any) -> None:
    for editor in (await start(ASKS), await start(preview={"needsConfirmation": True})):
        assert (await editor.rewrite())["applied"]
        (edit,) = editor.edits
        assert "changeAnnotations" not in edit
        assert all("annotationId" not in change for change in edit["documentChanges"][0]["edits"])


async def test_what_the_user_does_not_confirm_is_not_called_applied(start: Any) -> None:
    editor = await start(ASKS, preview={"needsConfirmation": True})
    editor.accept = False
    answer = await editor.rewrite()
    assert not answer["applied"]
    assert "the user said no" in answer["reason"]
    assert editor.buffer.text == ABOVE + CLAMP + BELOW
    editor.accept, editor.leave_out = True, 1
    answer = await editor.rewrite()
    assert not answer["applied"]
    assert "in part" in answer["reason"]
    assert not (await editor.suggestion("next"))["applied"]


async def test_the_user_may_take_long_to_confirm(start: Any) -> None:
    editor = await start(ASKS, preview={"needsConfirmation": True})

    async def slowly(params: Any) -> dict[str, Any]:
        await asyncio.sleep(3)
        return editor.on_edit(params)

    editor.client.handlers["workspace/applyEdit"] = slowly
    assert (await editor.rewrite())["applied"]
    assert editor.buffer.text == ABOVE + BOTH + BELOW
