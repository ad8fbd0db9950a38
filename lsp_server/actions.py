"""Code actions: titles at once, the work in a command (a light bulb must never wait for a model)."""

from __future__ import annotations

import re
from typing import Any

from lsprotocol import types as lsp

from lsp_server.settings import Settings
from lsp_server.text import Document

FIX_ALL = "source.fixAll.redraft"
HOLES = ("...", "pass", "TODO")
# In Python, as a value: `return ...` and `def f(): ...`, but neither `Tuple[int, ...]` nor `x[..., 0]`.
ELLIPSIS = re.compile(r"(?<![\w.\[])\.\.\.(?![\w.\],])")
KINDS = (lsp.CodeActionKind.RefactorRewrite, lsp.CodeActionKind.QuickFix, FIX_ALL)


def code_actions(
    document: Document,
    params: lsp.CodeActionParams,
    settings: Settings,
    disabled: str | None,
    tag: bool,
    own: list[lsp.Diagnostic],
    alternatives: bool,
) -> list[lsp.CodeAction]:
    """What can be done at `params.range`. `disabled`: why nothing can be done now, in words. `own`: our
    diagnostics of the document. `alternatives`: its last edit, which others may take the place of, stands here."""
    if not settings.code_action_enable:
        return []
    wanted = params.context.only

    def allowed(kind: str) -> bool:
        return not wanted or any(kind == w or kind.startswith(f"{w}.") for w in wanted)

    found: list[lsp.CodeAction] = []

    def offer(
        title: str, kind: str, command: str, argument: dict[str, Any], diagnostic: lsp.Diagnostic | None = None
    ) -> None:
        if allowed(kind):
            found.append(
                lsp.CodeAction(
                    title=title,
                    kind=kind,
                    command=lsp.Command(
                        title, command, arguments=[{"uri": document.uri, "version": document.version, **argument}]
                    ),
                    diagnostics=[diagnostic] if diagnostic else None,
                    disabled=lsp.CodeActionDisabled(disabled) if disabled else None,
                    tags=[lsp.CodeActionTag.LlmGenerated] if tag else None,
                )
            )

    for diagnostic in [*params.context.diagnostics, *unreported(own, params)]:
        where = {"range": plain_range(diagnostic.range), "message": diagnostic.message}
        offer(
            f"Fix with Redraft: {shorten(diagnostic.message)}",
            lsp.CodeActionKind.QuickFix,
            "redraft.fix",
            where,
            diagnostic,
        )
    selection = plain_range(params.range)
    if params.range.start != params.range.end:
        offer("Rewrite selection", lsp.CodeActionKind.RefactorRewrite, "redraft.rewrite", {"range": selection})
        for preset in settings.instructions:
            argument = {"range": selection, "instruction": preset}
            offer(
                f"Rewrite selection: {shorten(preset)}", lsp.CodeActionKind.RefactorRewrite, "redraft.rewrite", argument
            )
        if not params.context.diagnostics:
            offer("Fix selection", lsp.CodeActionKind.RefactorRewrite, "redraft.fix", {"range": selection})
            guess = {"range": selection, "guess": True}
            offer("Guess a fix of selection", lsp.CodeActionKind.RefactorRewrite, "redraft.fix", guess)
        offer("Fill selection", lsp.CodeActionKind.RefactorRewrite, "redraft.fill", {"range": selection})
    hole = hole_at(document, params.range.start)
    if hole:
        offer("Fill here", lsp.CodeActionKind.RefactorRewrite, "redraft.fill", {"range": plain_range(hole)})
    if alternatives:
        offer("Next suggestion", lsp.CodeActionKind.RefactorRewrite, "redraft.nextSuggestion", {})
        offer("Previous suggestion", lsp.CodeActionKind.RefactorRewrite, "redraft.previousSuggestion", {})
    if own:
        where = {"range": plain_range(own[0].range), "message": own[0].message, "all": True}
        offer("Fix all syntax errors with Redraft", FIX_ALL, "redraft.fix", where)
    return found


def unreported(own: list[lsp.Diagnostic], params: lsp.CodeActionParams) -> list[lsp.Diagnostic]:
    """Syntax errors in the lines of `params.range` that the client shows nothing about, ours or another server's."""
    shown = [diagnostic.range for diagnostic in params.context.diagnostics]
    return [d for d in own if on_lines_of(params.range, d.range) and not any(on_lines_of(r, d.range) for r in shown)]


def on_lines_of(outer: lsp.Range, inner: lsp.Range) -> bool:
    return outer.start.line <= inner.start.line <= outer.end.line


def shorten(text: str) -> str:
    line = text.split("\n", 1)[0]
    return line if len(line) <= 60 else line[:57] + "..."


def plain_range(value: lsp.Range) -> dict[str, Any]:
    return {
        "start": {"line": value.start.line, "character": value.start.character},
        "end": {"line": value.end.line, "character": value.end.character},
    }


def hole_at(document: Document, position: lsp.Position) -> lsp.Range | None:
    """The placeholder that the line of `position` consists of, without its indentation; in Python also a `...` at the
    cursor."""
    start, end = document.line_bounds(position.line)
    content = document.text[start:end].rstrip("\r\n")
    bare = content.strip()
    if bare in HOLES or bare.startswith(("# TODO", "// TODO")):
        return document.range(start + content.index(bare), start + len(content))
    at = document.offset(position) - start
    found = ELLIPSIS.finditer(content) if document.language == "python" else ()
    return next((document.range(start + m.start(), start + m.end()) for m in found if m.start() <= at <= m.end()), None)
