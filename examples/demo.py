"""The main job, end to end: a real language server mends, rewrites and completes a real file.

Starts `redraft-lsp` over stdio, opens a broken file, asks for code actions, runs the fix and then a rewrite, takes a
line out and has it filled in, and applies what the server sends. Edit the file and other things happen.
"""

from __future__ import annotations

import argparse
import asyncio
import difflib
import sys
import time
from pathlib import Path
from typing import Any

from lsprotocol import types as lsp
from pygls.lsp.client import LanguageClient
from pygls.protocol import default_converter
from rich.console import Console
from rich.syntax import Syntax

from engine import __version__
from lsp_server.text import Document

console = Console(highlight=False)
LEFT_OUT = "self.items[name] = item"  # the line that is taken out


def converter() -> Any:
    """lsprotocol takes every code action with a command for a bare command; this tells them apart."""
    chosen = default_converter()

    def action(value: Any, _: Any) -> Any:
        return chosen.structure(value, lsp.Command if isinstance(value.get("command"), str) else lsp.CodeAction)

    chosen.register_structure_hook(lsp.Command | lsp.CodeAction, action)
    return chosen


class Editor:
    """The smallest honest editor: one buffer, which the server's workspace edits change."""

    def __init__(self, path: Path, text: str | None = None, capabilities: lsp.ClientCapabilities | None = None) -> None:
        self.client = LanguageClient("redraft-demo", __version__, converter_factory=converter)
        self.document = Document(
            path.resolve().as_uri(), path.read_text() if text is None else text, 1, "python", "utf-16"
        )
        self.capabilities = capabilities or lsp.ClientCapabilities()
        self.messages: list[str] = []
        self.steps = 0
        self.client.feature(lsp.WORKSPACE_APPLY_EDIT)(lambda params: self.apply_edit(params))
        self.client.feature("redraft/denoise")(lambda params: self.denoise(params))
        for method in ("redraft/status", lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS):
            self.client.feature(method)(lambda _: None)
        self.client.feature(lsp.WINDOW_SHOW_MESSAGE)(lambda params: self.messages.append(params.message))

    def apply_edit(self, params: lsp.ApplyWorkspaceEditParams) -> lsp.ApplyWorkspaceEditResult:
        changes: list[Any] = [e for change in params.edit.document_changes or [] for e in change.edits]
        for edit in sorted(changes, key=lambda e: (-e.range.start.line, -e.range.start.character)):
            self.document.apply(lsp.TextDocumentContentChangePartial(edit.range, edit.new_text))
        self.tell()
        return lsp.ApplyWorkspaceEditResult(applied=True)

    def tell(self) -> None:
        """Tells the server of the buffer as it is now."""
        self.document.version = (self.document.version or 0) + 1
        self.client.text_document_did_change(
            lsp.DidChangeTextDocumentParams(
                lsp.VersionedTextDocumentIdentifier(self.document.version, self.document.uri),
                [lsp.TextDocumentContentChangeWholeDocument(self.document.text)],
            )
        )

    def leave_out(self, line: int) -> lsp.Range:
        """`...` in the place of a line."""
        start, end = self.document.line_bounds(line)
        text = self.document.text[start:end]
        hole = lsp.Range(lsp.Position(line, 0), lsp.Position(line + 1, 0))
        self.document.apply(lsp.TextDocumentContentChangePartial(hole, text.replace(text.strip(), "...")))
        self.tell()
        return lsp.Range(hole.start, hole.start)

    def denoise(self, params: Any) -> None:
        self.steps += 1

    async def start(self) -> float:
        """Seconds until the server has answered `initialize`."""
        began = time.monotonic()
        await self.client.start_io(sys.executable, "-m", "lsp_server")
        answer = await self.client.initialize_async(lsp.InitializeParams(self.capabilities))
        self.document.encoding = getattr(answer.capabilities.position_encoding, "value", "utf-16")
        took = time.monotonic() - began
        self.client.initialized(lsp.InitializedParams())
        document = self.document
        item = lsp.TextDocumentItem(document.uri, "python", document.version or 1, document.text)
        self.client.text_document_did_open(lsp.DidOpenTextDocumentParams(item))
        return took

    async def run(self, title: str, where: lsp.Range, diagnostics: list[lsp.Diagnostic]) -> None:
        """Asks for code actions at `where`, runs the one whose title begins with `title`, shows what changed."""
        context = lsp.CodeActionContext(diagnostics)
        identifier = lsp.TextDocumentIdentifier(self.document.uri)
        actions = await self.client.text_document_code_action_async(lsp.CodeActionParams(identifier, where, context))
        action = next((a for a in actions or [] if a.title.startswith(title)), None)
        if not isinstance(action, lsp.CodeAction) or action.command is None:
            console.print(f"[yellow]no action {title!r} here: is the file already in order?[/]")
            return
        before, self.steps = self.document.text.splitlines(), 0
        began = time.monotonic()
        answer = await self.client.workspace_execute_command_async(
            lsp.ExecuteCommandParams(action.command.command, action.command.arguments)
        )
        took = 1000 * (time.monotonic() - began)
        console.rule(f"{action.title}")
        show_difference(before, self.document.text.splitlines())
        engine_ms = field(answer, "milliseconds")
        outcome = field(answer, "reason") or "applied"
        console.print(f"{self.steps} denoising states, {took:.0f} ms ({engine_ms} ms in the engine); {outcome}\n")


def field(answer: Any, name: str) -> Any:
    return answer.get(name) if isinstance(answer, dict) else getattr(answer, name, None)


def show_difference(before: list[str], after: list[str]) -> None:
    lines = list(difflib.unified_diff(before, after, "before", "after", lineterm="", n=2))
    console.print(
        Syntax("\n".join(lines) or "(nothing changed)", "diff", theme="ansi_dark", background_color="default")
    )


async def demo(path: Path) -> None:
    editor = Editor(path)
    console.print(f"language server ready in {await editor.start():.2f} s, {path} opened")
    identifier = lsp.TextDocumentIdentifier(editor.document.uri)
    report: Any = await editor.client.text_document_diagnostic_async(lsp.DocumentDiagnosticParams(identifier))
    for diagnostic in report.items:
        console.print(f"line {diagnostic.range.start.line + 1}: [red]{diagnostic.message}[/]")
        await editor.run("Fix with Redraft", diagnostic.range, [diagnostic])
    last = editor.document.line_count - 1
    start = next((i for i, line in enumerate(editor.document.text.splitlines()) if line.startswith("def ")), 0)
    selection = lsp.Range(lsp.Position(start + 1, 0), lsp.Position(last, 0))
    await editor.run("Rewrite selection", selection, [])
    hole = next((i for i, line in enumerate(editor.document.text.splitlines()) if line.strip() == LEFT_OUT), None)
    if hole is not None:
        await editor.run("Fill here", editor.leave_out(hole), [])
    try:
        compile(editor.document.text, str(path), "exec")
        console.print("[green]the file compiles now[/]")
    except SyntaxError as error:
        console.print(f"[red]line {error.lineno}: {error.msg}[/]")
    await editor.client.shutdown_async(None)
    editor.client.exit(None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, default=Path(__file__).parent / "broken" / "inventory.py")
    asyncio.run(demo(parser.parse_args().file))
