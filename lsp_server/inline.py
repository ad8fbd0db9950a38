"""Inline completion: fill at the cursor (LSP 3.18, `textDocument/inlineCompletion`)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lsprotocol import types as lsp

from engine.messages import EditRequest
from engine.service.client import EngineFailure, EngineUnavailable
from lsp_server.text import Document

if TYPE_CHECKING:
    from lsp_server.server import RedraftServer

CLOSERS = " \t)]}:,\"'"  # what may stand right of the cursor
MAX_DOCUMENT = 1_000_000  # characters


@dataclass(frozen=True, slots=True)
class Shown:
    """What the client was last given for a document: at an offset of its text then, without what it replaces."""

    at: int
    text: str
    completions: tuple[str, ...]


async def inline_completions(server: RedraftServer, params: lsp.InlineCompletionParams) -> lsp.InlineCompletionList:
    """Fills at the cursor, or nothing. While somebody types, what was shown and is being typed stays; else the debounce
    comes first, and a request overtaken by a keystroke is dropped. Asked for, there are several to choose from."""
    document = server.documents.get(params.text_document.uri)
    if document is None or not may_fill(server, document):
        return lsp.InlineCompletionList([])
    at = document.offset(params.position)
    automatic = params.context.trigger_kind == lsp.InlineCompletionTriggerKind.Automatic
    chosen = chosen_word(params)
    word, here = (chosen.text, chosen.range) if chosen else ("", lsp.Range(params.position, params.position))
    start = document.offset(here.start)
    shown = None if chosen or not automatic else server.shown.get(document.uri)  # else others are wanted
    texts = wanted(document, at, typed_on(shown, document, at))
    if not texts:
        texts = wanted(document, at, await filled(server, document, at, automatic, document.text[:start] + word))
    whole = tuple(word + text for text in texts)
    if texts:
        server.shown[document.uri] = Shown(start, document.text[:start] + document.text[at:], whole)
    return lsp.InlineCompletionList([lsp.InlineCompletionItem(text, range=here) for text in whole])


def chosen_word(params: lsp.InlineCompletionParams) -> lsp.SelectedCompletionInfo | None:
    """What is selected in the list that is open at the cursor: only what goes on from there can be shown beside it."""
    chosen = params.context.selected_completion_info
    if chosen is None or chosen.range.end != params.position or chosen.range.start.line != params.position.line:
        return None
    return chosen


def may_fill(server: RedraftServer, document: Document) -> bool:
    """Nobody asked: not where it is off, in secret files, or with an engine that the user has stopped."""
    wanted = server.settings_of(document.uri).inline_enable and not server.link.stopped
    return wanted and not server.excluded(document.uri)


def typed_on(shown: Shown | None, document: Document, at: int) -> tuple[str, ...]:
    """What is left of the completions shown before, when the user has since typed their beginning and nothing else."""
    if shown is None or at < shown.at:
        return ()
    typed = document.text[shown.at : at]
    if document.text != shown.text[: shown.at] + typed + shown.text[shown.at :]:
        return ()
    return tuple(text[len(typed) :] for text in shown.completions if text.startswith(typed) and text != typed)


def wanted(document: Document, at: int, texts: tuple[str, ...]) -> tuple[str, ...]:
    """Without those that are blank or would put back what the user has just deleted there, or undone."""
    return tuple(text for text in texts if text.strip() and not document.puts_back(at, text))


async def filled(server: RedraftServer, document: Document, at: int, automatic: bool, typed: str) -> tuple[str, ...]:
    """The engine's candidates, unless the user typed on meanwhile. Nobody asked for an `automatic` one: it is a likely
    line or nothing, and while the debounce lasts the engine reads what stands above. `typed`: the document up to the
    cursor, as if what is chosen were typed."""
    settings, version = server.settings_of(document.uri), document.version

    def overtaken() -> bool:
        return document.version != version or server.documents.get(document.uri) is not document

    if not has_room(document, at):
        return ()
    before = server.notebooks.above(document) + typed
    limit, language = settings.deadline_ms, document.language
    request = EditRequest(
        "fill", before, "", document.text[at:], language, candidates=3, deadline_ms=limit, quick=automatic
    )
    try:
        if automatic and settings.inline_debounce_ms:
            await asyncio.gather(asyncio.sleep(settings.inline_debounce_ms / 1000), server.link.warm(request))
        if overtaken():
            return ()
        result = await server.link.edit(request, f"inline:{document.uri}", None)
    except (EngineUnavailable, EngineFailure):
        return ()  # an edit that somebody asks for will tell
    return () if overtaken() else tuple(candidate.text for candidate in result.candidates)


def has_room(document: Document, at: int) -> bool:
    """Right of the cursor there is nothing, or what closes something."""
    end = document.line_bounds(document.position(at).line)[1]
    return len(document.text) <= MAX_DOCUMENT and not document.text[at:end].strip("\r\n").strip(CLOSERS)
