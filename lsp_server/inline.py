"""Inline completion: fill at the cursor."""

from __future__ import annotations

import asyncio

from lsprotocol import types as lsp

from engine.messages import EditRequest
from engine.service.client import EngineFailure, EngineUnavailable
from lsp_server.server import RedraftServer

NOTHING = lsp.InlineCompletionList([])
CLOSERS = " \t)]}:,\"'"  # what may stand right of the cursor


async def inline_completions(server: RedraftServer, params: lsp.InlineCompletionParams) -> lsp.InlineCompletionList:
    """One fill at the cursor, or nothing. The debounce comes first; a request overtaken by a keystroke
    is dropped."""
    document = server.documents.get(params.text_document.uri)
    if document is None or not server.settings_of(document.uri).inline_enable or server.excluded(document.uri):
        return NOTHING
    settings, version = server.settings_of(document.uri), document.version
    if params.context.trigger_kind == lsp.InlineCompletionTriggerKind.Automatic:
        await asyncio.sleep(settings.inline_debounce_ms / 1000)
    if document.version != version or server.documents.get(document.uri) is not document:
        return NOTHING
    at = document.offset(params.position)
    end = document.line_bounds(params.position.line)[1]
    if document.text[at:end].strip("\r\n").strip(CLOSERS) or len(document.text) > 1_000_000:
        return NOTHING
    request = EditRequest(
        "fill",
        document.text[:at],
        "",
        document.text[at:],
        document.language,
        candidates=3,
        deadline_ms=settings.deadline_ms,
    )
    try:
        result = await server.link.edit(request, f"inline:{document.uri}", None)
    except (EngineUnavailable, EngineFailure):
        return NOTHING
    if document.version != version:
        return NOTHING
    here = lsp.Range(params.position, params.position)
    return lsp.InlineCompletionList(
        [lsp.InlineCompletionItem(c.text, range=here) for c in result.candidates if c.text.strip()]
    )
