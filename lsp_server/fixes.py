"""Syntax errors for which the engine has a fix that parses: found while the user pauses, given up when typing goes on.

Our diagnostics stand for these alone: that the code is wrong the user's other servers say, too.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from lsprotocol import types as lsp

from engine.messages import EditResult
from engine.service.client import EngineFailure, EngineUnavailable
from lsp_server.actions import plain_range
from lsp_server.diagnostics import syntax_diagnostics
from lsp_server.edits import CannotEdit, make_request, region_of
from lsp_server.fix_all import gets_further, splice
from lsp_server.text import Document

if TYPE_CHECKING:
    from lsp_server.server import RedraftServer

PAUSE_S = 0.4


@dataclass(frozen=True, slots=True)
class Verified:
    """The fix of a document's first syntax error. `region`: the offsets that `result` was asked for."""

    text: str
    diagnostic: lsp.Diagnostic
    region: tuple[int, int]
    result: EditResult


class Fixes:
    """At most one search and one fix a document."""

    def __init__(self, server: RedraftServer) -> None:
        self._server = server
        self._searches: dict[str, asyncio.Task[list[lsp.Diagnostic]]] = {}
        self._verified: dict[str, Verified] = {}

    def changed(self, document: Document) -> None:
        """The text or the settings of `document` are new: a client that does not pull hears of its fixes later."""
        self.forget(document.uri)
        if not self._server.pulls_diagnostics:
            self._search(document).add_done_callback(partial(self._publish, document))

    def forget(self, uri: str) -> None:
        self._verified.pop(uri, None)
        search = self._searches.pop(uri, None)
        if search:
            search.cancel()

    async def diagnostics(self, document: Document) -> list[lsp.Diagnostic]:
        """For a client that pulls: of the text as it is when typing pauses."""
        while self._server.documents.get(document.uri) is document:
            search = self._search(document)
            await asyncio.wait([search])
            if not search.cancelled():
                return search.result()
            if self._searches.get(document.uri) is search:
                raise asyncio.CancelledError  # not superseded: the server ends
        return []

    def known(self, document: Document, region: tuple[int, int]) -> EditResult | None:
        """The verified fix of `region`, when nothing has changed since."""
        verified = self._verified.get(document.uri)
        same = verified and verified.region == region and verified.text == document.text
        return verified.result if verified and same else None

    def _search(self, document: Document) -> asyncio.Task[list[lsp.Diagnostic]]:
        if document.uri not in self._searches:
            self._searches[document.uri] = asyncio.create_task(self._look(document))
        return self._searches[document.uri]

    async def _look(self, document: Document) -> list[lsp.Diagnostic]:
        settings = self._server.settings_of(document.uri)
        if not settings.diagnostics_enable or self._server.excluded(document.uri):
            return []
        await asyncio.sleep(PAUSE_S)
        if self._server.link.stopped:
            return []
        for fault in syntax_diagnostics(document, settings.diagnostics_severity):
            verified = await self._verify(document, fault)
            if verified:
                self._verified[document.uri] = verified
                return [fault]
        return []

    async def _verify(self, document: Document, fault: lsp.Diagnostic) -> Verified | None:
        argument = {"range": plain_range(fault.range), "message": fault.message}
        try:
            region = region_of(document, "fix", argument)
            request = make_request(self._server, document, "fix", argument, *region)
            # Under a name of its own: it must not push aside an edit that the user asked for.
            result = await self._server.link.edit(request, f"idle:{document.uri}", None)
        except (CannotEdit, EngineFailure, EngineUnavailable):
            return None  # whoever asks for an edit will be told
        # Other faults may be left further down: the mend of this one is verified by getting past it.
        best = splice(document.text, *region, result.candidates[0]) if result.candidates else document.text
        return Verified(document.text, fault, region, result) if gets_further(document, best) else None

    def _publish(self, document: Document, search: asyncio.Task[list[lsp.Diagnostic]]) -> None:
        if not search.cancelled() and self._server.documents.get(document.uri) is document:
            params = lsp.PublishDiagnosticsParams(document.uri, search.result(), document.version)
            self._server.text_document_publish_diagnostics(params)
