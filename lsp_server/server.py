"""The server object: open documents, settings, status, jobs, and the connection to the engine.

The LSP features are registered on it in `lsp_server.features`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import traceback
from collections.abc import Sequence
from typing import Any, BinaryIO

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException, JsonRpcInternalError
from pygls.io_ import StdoutWriter
from pygls.lsp.server import LanguageServer

from engine import __version__
from engine.messages import DenoisingState
from lsp_server.actions import plain_range
from lsp_server.configuration import Configuration
from lsp_server.diagnostics import syntax_diagnostics
from lsp_server.diffs import changed_parts
from lsp_server.edits import Suggestions
from lsp_server.engine_link import EngineLink
from lsp_server.fixes import Fixes
from lsp_server.inline import Shown
from lsp_server.jobs import Job, Jobs
from lsp_server.notebooks import SYNC, Notebooks
from lsp_server.protocol import RedraftProtocol
from lsp_server.secrets import excluded_by
from lsp_server.settings import Settings
from lsp_server.text import Document, Tracked
from lsp_server.transport import end_with, serve

logger = logging.getLogger(__name__)


class RedraftServer(LanguageServer):
    protocol: RedraftProtocol  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__(
            "redraft",
            __version__,
            text_document_sync_kind=lsp.TextDocumentSyncKind.Incremental,
            notebook_document_sync=SYNC,
            protocol_cls=RedraftProtocol,
        )
        self.documents: dict[str, Document] = {}
        self.jobs = Jobs()
        self.link = EngineLink()
        self.suggestions: dict[str, Suggestions] = {}
        self.shown: dict[str, Shown] = {}
        self.configuration = Configuration(self)
        self.fixes = Fixes(self)
        self.notebooks = Notebooks(self)
        self._watching_client: asyncio.Task[None] | None = None
        self.status: dict[str, Any] = {
            "busy": False,
            "kind": "Normal",
            "message": "starting",
            "command": None,
            "remote": None,
        }

    # Its client

    def start_io(self, stdin: BinaryIO | None = None, stdout: BinaryIO | None = None) -> None:
        """Serves the client on stdin and stdout until it hangs up or says `exit` (SystemExit)."""
        self.protocol.set_writer(StdoutWriter(stdout or sys.stdout.buffer))
        try:
            asyncio.run(serve(stdin or sys.stdin.buffer, self.protocol, self.thread_pool))
        finally:
            self.shutdown()

    def start_tcp(self, host: str, port: int) -> None:
        """Serves the first client that connects."""
        with socket.create_server((host, port)) as listener:
            connection, _ = listener.accept()
        with connection, connection.makefile("rb") as source, connection.makefile("wb") as sink:
            self.start_io(source, sink)

    def end_with_client(self, process_id: int | None) -> None:
        if process_id is not None and 0 < process_id < 2**31:
            self._watching_client = asyncio.create_task(end_with(process_id))

    # Documents

    def open_document(self, uri: str, text: str, version: int | None, language: str) -> None:
        encoding = self.workspace.position_encoding or lsp.PositionEncodingKind.Utf16
        self._forget(uri, "the file was opened again")
        document = Document(uri, text, version, language, str(getattr(encoding, "value", encoding)))
        self.documents[uri] = document
        self.fixes.changed(document)

    def change_document(
        self, uri: str, version: int | None, changes: Sequence[lsp.TextDocumentContentChangeEvent]
    ) -> None:
        document = self.documents.get(uri)
        if document is None:
            logger.warning("change of a document that is not open")
            return
        for change in changes:
            document.apply(change)
        document.version = version
        self.fixes.changed(document)

    def close_document(self, uri: str) -> None:
        self._forget(uri, "the file was closed")
        if not self.pulls_diagnostics:
            self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri, []))

    def _forget(self, uri: str, why: str) -> None:
        for table in (self.documents, self.suggestions, self.shown):
            table.pop(uri, None)
        self.fixes.forget(uri)
        self.jobs.cancel_where(why, uri=uri)

    # Diagnostics

    @property
    def pulls_diagnostics(self) -> bool:
        capabilities = self.client_capabilities.text_document
        return bool(capabilities and capabilities.diagnostic)

    def syntax_errors(self, document: Document) -> list[lsp.Diagnostic]:
        """By the parser alone; nobody has looked for a fix."""
        settings = self.settings_of(document.uri)
        if not settings.diagnostics_enable or self.excluded(document.uri):
            return []
        return syntax_diagnostics(document, settings.diagnostics_severity)

    # Settings

    def settings_of(self, uri: str) -> Settings:
        return self.configuration.of(self.notebooks.book_of(uri))

    def diagnose_all(self) -> None:
        """After a change of settings; a client that pulls diagnostics is asked to pull them again."""
        workspace = self.client_capabilities.workspace
        if self.pulls_diagnostics and workspace and workspace.diagnostics and workspace.diagnostics.refresh_support:
            self.workspace_diagnostic_refresh(None)
        for document in self.documents.values():
            self.fixes.changed(document)

    # What the user sees

    def excluded(self, uri: str) -> str | None:
        return excluded_by(self.notebooks.book_of(uri), self.settings_of(uri).exclude)

    def why_not(self, uri: str) -> str | None:
        """Why no edit of `uri` can be made now, in words."""
        glob = self.excluded(uri)
        if glob:
            return f"excluded by {glob}"
        return "the model is loading: try again in a few seconds" if self.link.loading else None

    def confirm_edits(self, uri: str) -> bool:
        workspace = self.client_capabilities.workspace
        supported = workspace and workspace.workspace_edit and workspace.workspace_edit.change_annotation_support
        return bool(supported) and self.settings_of(uri).needs_confirmation

    def refuse(self, message: str) -> dict[str, Any]:
        """Tells the user why nothing was changed, and the caller too."""
        self.window_show_message(lsp.ShowMessageParams(lsp.MessageType.Warning, f"Redraft: {message}"))
        return {"applied": False, "reason": message}

    def set_status(self, *, busy: bool, message: str, kind: str = "Normal", command: str | None = None) -> None:
        """`redraft/status`, where it changed. That code leaves the machine, or that the embedded model stands in for
        another, is said with whatever else there is to say."""
        if self.link.fallback and not busy and kind == "Normal":
            kind, message = "Warning", self.link.fallback
        status = {"busy": busy, "kind": kind, "message": message, "command": command, "remote": self.link.remote}
        if status != self.status:
            self.status = status
            logger.info("%s: %s", kind, message)
            self.protocol.notify("redraft/status", status)

    def repeat_status(self) -> None:
        """The same again, with what the engine has told since of where code goes and what stands in."""
        busy, kind, message, command = (self.status[name] for name in ("busy", "kind", "message", "command"))
        if kind == "Warning":  # it was a stand-in's
            kind, message = "Normal", "ready"
        self.set_status(busy=busy, kind=kind, message=message, command=command)

    def notify_denoise(self, document: Document, region: Tracked, job: Job, state: DenoisingState) -> None:
        """Streams a denoising state to clients that draw it (see docs/protocol.md)."""
        canvas = Document("", state.text, None, document.language, document.encoding)
        changed = [plain_range(canvas.range(*part)) for part in changed_parts(job.drawn, state.text)]
        job.drawn = state.text
        self.protocol.notify(
            "redraft/denoise",
            {
                "job": job.number,
                "uri": document.uri,
                "version": document.version,
                "range": plain_range(document.range(region.start, region.end)),
                "step": state.step,
                "of": state.of,
                "text": state.text,
                "changed": changed,
            },
        )

    def report_server_error(self, error: Exception, source: Any) -> None:
        """To the log by kind and place only: the text may quote the user's code, and a pop-up helps nobody."""
        cause = sys.exc_info()[1] or error  # pygls wraps what was raised
        if isinstance(cause, JsonRpcException) and not isinstance(cause, JsonRpcInternalError):
            return  # the client's fault, and it was told
        logger.error("%s at %s while handling a message", type(cause).__name__, place(cause))


def place(error: BaseException) -> str:
    """File and line the error came from."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "an unknown place"
