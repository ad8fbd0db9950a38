"""The real server with the real engine, over stdio, as an editor sees it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import pytest_lsp
from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException
from pytest_lsp import ClientServerConfig, LanguageClient, client_capabilities

from examples.demo import Editor
from lsp_server.text import LINE_END

BROKEN = "import os\n\n\ndef area(width, height):\n    return (width * height\n\n\nprint(area(2, 3))\n"


def at(line: int, start: int = 0, end: int = 0) -> lsp.Range:
    return lsp.Range(lsp.Position(line, start), lsp.Position(line, end))


class Session:
    """An editor on one file, with a server of its own."""

    def __init__(self, path: Path, text: str, capabilities: lsp.ClientCapabilities | None = None) -> None:
        self.editor = Editor(path, text, capabilities)
        self.client = self.editor.client
        self.progress: dict[Any, list[str]] = {}
        self.client.feature(lsp.WINDOW_WORK_DONE_PROGRESS_CREATE)(lambda _: None)
        self.client.feature(lsp.PROGRESS)(lambda params: self.on_progress(params))

    def on_progress(self, params: lsp.ProgressParams) -> None:
        self.progress.setdefault(params.token, []).append(plain(params.value)["kind"])

    @property
    def text(self) -> str:
        return self.editor.document.text

    async def actions(self, where: lsp.Range, diagnostics: list[lsp.Diagnostic] | None = None) -> list[Any]:
        identifier = lsp.TextDocumentIdentifier(self.editor.document.uri)
        context = lsp.CodeActionContext(diagnostics or [])
        found = await self.client.text_document_code_action_async(lsp.CodeActionParams(identifier, where, context))
        return list(found or [])

    async def command(self, name: str, **argument: Any) -> Any:
        fields = {"uri": self.editor.document.uri, "version": self.editor.document.version, **argument}
        return plain(await self.client.workspace_execute_command_async(lsp.ExecuteCommandParams(name, [fields])))

    async def run(self, command: lsp.Command) -> Any:
        params = lsp.ExecuteCommandParams(command.command, command.arguments)
        return plain(await self.client.workspace_execute_command_async(params))

    async def fix(self, line: int) -> Any:
        return await self.command("redraft.fix", range=position(line), message="syntax error")

    async def diagnostics(self) -> list[lsp.Diagnostic]:
        identifier = lsp.TextDocumentIdentifier(self.editor.document.uri)
        report: Any = await self.client.text_document_diagnostic_async(lsp.DocumentDiagnosticParams(identifier))
        return list(report.items)


def position(line: int, end: int | None = None) -> dict[str, Any]:
    return {"start": {"line": line, "character": 0}, "end": {"line": line if end is None else end, "character": 0}}


def plain(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else value._asdict()


@pytest_asyncio.fixture
async def open_session(tmp_path: Path) -> AsyncIterator[Any]:
    sessions: list[Session] = []

    async def start(text: str, name: str = "shape.py", capabilities: lsp.ClientCapabilities | None = None) -> Session:
        session = Session(tmp_path / name, text, capabilities)
        await session.editor.start()
        sessions.append(session)
        return session

    yield start
    for session in sessions:
        await session.client.shutdown_async(None)
        session.client.exit(None)


@pytest_lsp.fixture(
    config=ClientServerConfig(server_command=[sys.executable, "-m", "lsp_server"]),
    params=["neovim", "visual_studio_code"],
)
async def real_client(request: pytest.FixtureRequest, lsp_client: LanguageClient) -> AsyncIterator[None]:
    lsp_client.feature(lsp.CLIENT_REGISTER_CAPABILITY)(lambda _: None)
    await lsp_client.initialize_session(
        lsp.InitializeParams(capabilities=client_capabilities(request.param), root_uri=None)
    )
    yield
    await lsp_client.shutdown_session()


async def test_the_capabilities_of_real_clients_are_met(real_client: LanguageClient) -> None:
    uri = "file:///tmp/broken.py"
    real_client.text_document_did_open(lsp.DidOpenTextDocumentParams(lsp.TextDocumentItem(uri, "python", 1, BROKEN)))
    result = await real_client.text_document_code_action_async(
        lsp.CodeActionParams(lsp.TextDocumentIdentifier(uri), at(4, 0, 5), lsp.CodeActionContext([]))
    )
    assert result


async def test_a_syntax_error_is_reported_and_fixed_in_one_versioned_edit(open_session: Any) -> None:
    session = await open_session(BROKEN)
    (diagnostic,) = await session.diagnostics()
    assert diagnostic.source == "redraft"
    action = next(a for a in await session.actions(diagnostic.range, [diagnostic]) if a.title.startswith("Fix with"))
    assert action.kind == lsp.CodeActionKind.QuickFix
    assert action.edit is None
    answer = await session.run(action.command)
    assert answer["applied"], answer
    assert session.editor.document.version == 2
    compile(session.text, "shape.py", "exec")
    changed = [(a, b) for a, b in zip(BROKEN.splitlines(), session.text.splitlines(), strict=False) if a != b]
    assert len(changed) == 1
    assert await session.diagnostics() == []


async def test_bytes_outside_the_region_stay_as_they_are(open_session: Any) -> None:
    text = "x = '🙂'\r\n\x0c# \u2028 odd\r\ndef f(a):\r\n\treturn (a\r\n\r\nlast = 1"
    session = await open_session(text)
    answer = await session.fix(3)
    assert answer["applied"], answer
    compile(session.text, "shape.py", "exec")
    assert session.text.startswith("x = '🙂'\r\n\x0c# \u2028 odd\r\n")
    assert session.text.endswith("\r\n\r\nlast = 1")
    assert "\n" not in session.text.replace("\r\n", "")


async def test_next_and_previous_suggestion_switch_without_recomputing(open_session: Any) -> None:
    session = await open_session(BROKEN)
    first = await session.fix(4)
    assert first["applied"]
    fixed = session.text
    assert plain(await session.command("redraft.previousSuggestion"))["applied"]
    assert session.text == BROKEN
    assert plain(await session.command("redraft.nextSuggestion"))["applied"]
    assert session.text == fixed


async def test_a_guess_is_made_only_when_asked_for_and_others_follow(open_session: Any) -> None:
    text = "class Node:\n    def size(self):\n        return self.numebr  # the nubmer of nodes\n"
    session = await open_session(text)
    actions = {a.title: a.command for a in await session.actions(at(2, 0, 40))}
    assert not (await session.run(actions["Fix selection"]))["applied"]
    assert session.text == text
    answer = await session.run(actions["Guess a fix of selection"])
    assert answer["applied"], answer
    assert answer["candidates"] == 4
    first = session.text
    assert first in (text.replace("numebr", "number"), text.replace("nubmer", "number"))
    assert plain(await session.command("redraft.nextSuggestion"))["applied"]
    assert session.text not in (text, first)


async def test_typing_inside_the_region_refuses_the_edit_and_typing_outside_moves_it(open_session: Any) -> None:
    session = await open_session(BROKEN)
    await session.fix(4)
    session.editor.document.text = BROKEN
    session.editor.tell()

    work = asyncio.create_task(session.fix(4))
    await asyncio.sleep(0)
    document = session.editor.document
    document.apply(lsp.TextDocumentContentChangePartial(at(4, 11, 11), "1 + "))
    send_change(session, at(4, 11, 11), "1 + ")
    answer = await work
    assert not answer["applied"]
    assert "changed while" in answer["reason"]
    assert session.text == BROKEN.replace("return (", "return 1 + (")


def send_change(session: Session, where: lsp.Range, text: str) -> None:
    document = session.editor.document
    document.version += 1
    session.client.text_document_did_change(
        lsp.DidChangeTextDocumentParams(
            lsp.VersionedTextDocumentIdentifier(document.version, document.uri),
            [lsp.TextDocumentContentChangePartial(where, text)],
        )
    )


async def test_typing_above_the_region_moves_the_edit(open_session: Any) -> None:
    session = await open_session(BROKEN)
    work = asyncio.create_task(session.fix(4))
    await asyncio.sleep(0)
    session.editor.document.apply(lsp.TextDocumentContentChangePartial(at(0), "# first\n"))
    send_change(session, at(0), "# first\n")
    answer = await work
    assert answer["applied"], answer
    assert session.text.startswith("# first\nimport os\n")
    compile(session.text, "shape.py", "exec")


async def test_secret_and_closed_files_are_refused(open_session: Any) -> None:
    session = await open_session("password = (1\n", name="secrets.py")
    assert await session.diagnostics() == []
    actions = await session.actions(at(0, 0, 5))
    assert all(a.disabled and "secrets.*" in a.disabled.reason for a in actions)
    answer = await session.fix(0)
    assert "excluded" in answer["reason"]
    answer = plain(
        await session.client.workspace_execute_command_async(
            lsp.ExecuteCommandParams("redraft.fix", [{"uri": "file:///other.py", "range": position(0)}])
        )
    )
    assert "not open" in answer["reason"]


async def test_bad_ranges_files_and_arguments_are_refused(open_session: Any) -> None:
    session = await open_session("x = 1\n")
    assert "outside the document" in (await session.command("redraft.rewrite", range=position(99)))["reason"]
    assert "needs" in (await session.command("redraft.rewrite"))["reason"]
    with pytest.raises(JsonRpcException):
        await session.client.workspace_execute_command_async(lsp.ExecuteCommandParams("redraft.fix", ["nonsense"]))
    with pytest.raises(JsonRpcException):
        await session.client.workspace_execute_command_async(lsp.ExecuteCommandParams("redraft.unknown", []))
    session.editor.document.text = "x = 1\n" * 200_000
    session.editor.tell()
    assert "characters" in (await session.command("redraft.rewrite", range=position(0)))["reason"]


async def test_cancelling_changes_nothing(open_session: Any) -> None:
    body = "".join(f"    value_{i} = compute({i})\n" for i in range(100))
    session = await open_session(f"def f():\n{body}")
    before = session.text
    work = asyncio.create_task(session.command("redraft.rewrite", range=position(1, 101)))
    await asyncio.sleep(0.2)
    await session.command("redraft.cancel")
    answer = await work
    assert answer == {"applied": False, "reason": "cancelled"}
    assert session.text == before


async def test_progress_is_reported_to_clients_that_show_it(open_session: Any) -> None:
    capabilities = lsp.ClientCapabilities(window=lsp.WindowClientCapabilities(work_done_progress=True))
    session = await open_session(BROKEN, capabilities=capabilities)
    answer = await session.fix(4)
    assert answer["applied"], answer
    (kinds,) = session.progress.values()
    assert kinds[0] == "begin"
    assert kinds[-1] == "end"
    assert "report" in kinds


async def test_code_actions_for_selections_and_holes(open_session: Any) -> None:
    session = await open_session("def f():\n    pass\n\n\nx = 1\n")
    titles = [a.title for a in await session.actions(at(1, 0, 8))]
    assert titles[0] == "Rewrite selection"
    assert "Fill here" in titles
    assert [a.title for a in await session.actions(at(4))] == []


def test_only_lsp_line_endings_count() -> None:
    assert len(LINE_END.findall("a\n b\r\n c\r d\x0c e\u2028 f\x85")) == 3


async def test_all_syntax_errors_are_mended_in_one_edit(open_session: Any) -> None:
    text = BROKEN + "\n\ndef volume(area, height)\n    return area * height\n\n\nprint(volume(2, 3)\n"
    session = await open_session(text)
    where = at(0, 0, 0)
    identifier = lsp.TextDocumentIdentifier(session.editor.document.uri)
    context = lsp.CodeActionContext([], only=[lsp.CodeActionKind("source.fixAll")])
    (action,) = await session.client.text_document_code_action_async(lsp.CodeActionParams(identifier, where, context))
    answer = plain(
        await session.client.workspace_execute_command_async(
            lsp.ExecuteCommandParams(action.command.command, action.command.arguments)
        )
    )
    assert answer["applied"], answer
    assert session.editor.document.version == 2
    compile(session.text, "shape.py", "exec")
    assert (await session.command("redraft.previousSuggestion"))["applied"]
    assert session.text == text
