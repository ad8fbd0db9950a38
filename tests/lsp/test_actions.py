"""What is offered where: holes, presets, alternatives, kinds, tags. The commands are run as a client runs them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.editors.scripted_engine import ScriptedEngine
from tests.lsp.raw_client import RawClient
from tests.lsp.reference_buffer import ReferenceBuffer

URI = "file:///a.py"
FULL = {"textDocument": {"codeAction": {"tagSupport": {"valueSet": [1]}, "disabledSupport": True}}}
HOLES = """def add(a, b):
    ...


def sub(a, b): pass


def mul(a, b):
    pass


def div(a, b):
    # TODO: by zero
    return ...


def first(pair: tuple[int, ...], table: "Table") -> int:
    return table[..., 0] + x[1, ...] + call(...)
"""


@pytest_asyncio.fixture
async def engine() -> AsyncIterator[ScriptedEngine]:
    engine = ScriptedEngine()
    yield engine
    engine.close()


@pytest_asyncio.fixture
async def start(engine: ScriptedEngine) -> AsyncIterator[Any]:
    clients: list[RawClient] = []

    async def begin(text: str, capabilities: Any = None, language: str = "python", **settings: Any) -> Editor:
        client = await RawClient.start()
        clients.append(client)
        await client.initialize(
            {"engine": {"url": engine.url}, "diagnostics": {"enable": False}, **settings}, capabilities
        )
        return Editor(client, text, language)

    yield begin
    for client in clients:
        client.check_answers()
        await client.kill()


class Editor:
    """A client that knows standard LSP only."""

    def __init__(self, client: RawClient, text: str, language: str) -> None:
        self.client, self.buffer, self.version = client, ReferenceBuffer(text, "utf-16"), 1
        client.handlers["workspace/applyEdit"] = self.make
        client.open(URI, text, language)

    @property
    def text(self) -> str:
        return self.buffer.text

    def make(self, params: Any) -> dict[str, Any]:
        (change,) = params["edit"]["documentChanges"]
        assert change["textDocument"]["version"] == self.version
        self.buffer.apply(change["edits"])
        self.tell()
        return {"applied": True}

    def tell(self) -> None:
        self.version += 1
        identifier = {"uri": URI, "version": self.version}
        changes = [{"text": self.text}]
        self.client.notify("textDocument/didChange", {"textDocument": identifier, "contentChanges": changes})

    async def actions(self, *where: int, diagnostics: Any = (), **context: Any) -> dict[str, Any]:
        """By title; `where`: line and character, of a selection's end, too."""
        line, character, *end = where
        to = {"line": end[0], "character": end[1]} if end else {"line": line, "character": character}
        place = {"start": {"line": line, "character": character}, "end": to}
        context = {"diagnostics": list(diagnostics), **context}
        params = {"textDocument": {"uri": URI}, "range": place, "context": context}
        found = (await self.client.request("textDocument/codeAction", params))["result"]
        return {action["title"]: action for action in found}

    async def run(self, action: dict[str, Any], **more: Any) -> dict[str, Any]:
        (argument,) = action["command"]["arguments"]
        return await self.client.command(action["command"]["command"], {**argument, **more})


@pytest.mark.parametrize(
    ("line", "character", "hole"),
    [
        (1, 0, "..."),
        (1, 7, "..."),
        (8, 6, "pass"),
        (12, 0, "# TODO: by zero"),
        (13, 11, "..."),
        (13, 14, "..."),
        (17, 44, "..."),
        (13, 10, None),
        (4, 16, None),  # `pass` behind a header
        (16, 25, None),  # a type
        (17, 18, None),  # an index
        (17, 33, None),
        (0, 0, None),
    ],
)
async def test_a_hole_is_filled_and_nothing_else(
    start: Any, engine: ScriptedEngine, line: int, character: int, hole: str | None
) -> None:
    engine.script(lambda request: ["filled"])
    editor = await start(HOLES)
    action = (await editor.actions(line, character)).get("Fill here")
    assert (action is not None) == (hole is not None)
    if action and hole:
        assert (await editor.run(action))["applied"]
        (request,) = engine.requests
        assert (request.intent, request.span) == ("fill", hole)
        assert editor.text == request.prefix + "filled" + request.suffix
        assert editor.text.replace("filled", hole) == HOLES


async def test_dots_that_are_no_value_are_no_holes(start: Any) -> None:
    editor = await start("f(...args);\n", language="javascript")
    assert await editor.actions(0, 3) == {}


async def test_a_selection_is_a_marked_hole_to_the_character(start: Any, engine: ScriptedEngine) -> None:
    engine.script(lambda request: ["b + c"])
    editor = await start("a = f('🙂', x)\n")
    assert (await editor.run((await editor.actions(0, 12, 0, 13))["Fill selection"]))["applied"]
    assert editor.text == "a = f('🙂', b + c)\n"


async def test_presets_and_a_free_instruction_reach_the_engine(start: Any, engine: ScriptedEngine) -> None:
    engine.script(lambda request: [f"{request.instruction}\n"])
    editor = await start("a = 1\n", instructions=["add types", "y" * 100])
    actions = await editor.actions(0, 0, 0, 3)
    assert (await editor.run(actions["Rewrite selection: add types"]))["applied"]
    assert editor.text == "add types\n"
    actions = await editor.actions(0, 0, 0, 3)
    (long,) = (title for title in actions if title.endswith("..."))
    assert len(long) < 100
    assert (await editor.run(actions["Rewrite selection"], instruction="be kind"))["applied"]
    assert editor.text == "be kind\n"


async def test_the_message_of_any_server_reaches_the_engine(start: Any, engine: ScriptedEngine) -> None:
    engine.script(lambda request: ["a = b\n"])
    editor = await start("b = 1\na = '🙂' + B\n")
    where = {"start": {"line": 1, "character": 11}, "end": {"line": 1, "character": 12}}
    diagnostic = {"range": where, "message": "name 'B' is not defined", "source": "another", "code": 7}
    (action,) = (await editor.actions(1, 4, diagnostics=[diagnostic])).values()
    assert (action["kind"], action["diagnostics"]) == ("quickfix", [diagnostic])
    await editor.run(action)
    (request,) = engine.requests
    assert request.diagnostics[0].message == diagnostic["message"]
    assert (request.diagnostics[0].line, request.diagnostics[0].column) == (1, 10)  # code points


async def test_other_suggestions_are_code_actions_where_one_stands(start: Any, engine: ScriptedEngine) -> None:
    engine.script(lambda request: ["b = 20\nc = 30\n", "b = 21\n"])
    editor = await start("a = 1\nb = 2\nd = 4\n")
    offered = {"Next suggestion", "Previous suggestion"}
    assert not offered & set(await editor.actions(1, 0))
    assert (await editor.run((await editor.actions(1, 0, 1, 5))["Rewrite selection"]))["applied"]
    for line, there in ((0, False), (1, True), (2, True), (3, False)):
        assert bool(offered & set(await editor.actions(line, 0))) == there, line
    assert await editor.run((await editor.actions(2, 0))["Next suggestion"]) == {
        "applied": True,
        "suggestion": 2,
        "of": 2,
    }
    assert editor.text == "a = 1\nb = 21\nd = 4\n"
    assert (await editor.run((await editor.actions(1, 3))["Next suggestion"]))["suggestion"] == 0
    assert editor.text == "a = 1\nb = 2\nd = 4\n"
    assert (await editor.run((await editor.actions(1, 3))["Previous suggestion"]))["suggestion"] == 2
    assert len(engine.requests) == 1  # nothing was computed again
    editor.buffer = ReferenceBuffer(editor.text.replace("b = 21", "b = 210"), "utf-16")
    editor.tell()
    assert not offered & set(await editor.actions(1, 3))


async def test_kinds_and_tags_are_as_asked_for(start: Any) -> None:
    editor = await start("def f(:\n    pass\n", FULL, diagnostics={"enable": True})
    everything = await editor.actions(0, 0, 1, 8)
    kinds = {action["kind"] for action in everything.values()}
    assert kinds == {"refactor.rewrite", "quickfix", "source.fixAll.redraft"}
    assert all(action["tags"] == [1] for action in everything.values())
    for only, expected in (
        (["refactor"], {"refactor.rewrite"}),
        (["refactor.rewrite"], {"refactor.rewrite"}),
        (["quickfix"], {"quickfix"}),
        (["source"], {"source.fixAll.redraft"}),
        (["source.fixAll", "quickfix"], {"source.fixAll.redraft", "quickfix"}),
        (["source.fixAll.other", "refactor.rewrite.x", "refactor.extract"], set[str]()),
    ):
        assert {action["kind"] for action in (await editor.actions(0, 0, 1, 8, only=only)).values()} == expected
    plain = await start("a = 1\n")
    assert all("tags" not in action for action in (await plain.actions(0, 0, 0, 3)).values())


async def test_no_actions_where_they_are_turned_off_or_nothing_is_selected(start: Any) -> None:
    editor = await start("a = 1\n")
    assert await editor.actions(0, 2) == {}
    editor = await start("def f():\n    pass\n", codeAction={"enable": False})
    assert await editor.actions(0, 0, 1, 8) == {}
