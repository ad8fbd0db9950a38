"""pygls' protocol with our text model, honest answers to malformed messages, and real cancellation."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams
from pygls.protocol import LanguageServerProtocol, lsp_method

if TYPE_CHECKING:
    from lsp_server.server import RedraftServer

logger = logging.getLogger(__name__)


class RedraftProtocol(LanguageServerProtocol):
    """Text synchronisation goes to `RedraftServer.documents`; pygls' own mirror splits lines by
    `str.splitlines`, which is not LSP's idea of a line."""

    _server: RedraftServer  # type: ignore[assignment]

    def structure_message(self, data: dict[str, Any]) -> Any:
        """Answers a request whose params have the wrong shape with -32602 (pygls would stay silent)."""
        try:
            return super().structure_message(data)
        except JsonRpcException as error:
            if "method" in data and "id" in data:
                self._result_types.pop(data["id"], None)
                invalid = JsonRpcInvalidParams(message=f"invalid params for {str(data['method'])[:80]}")
                self._send_response(data["id"], None, invalid.to_response_error())
            raise error

    def _handle_cancel_notification(self, msg_id: Any) -> None:
        self._server.jobs.cancel_where("cancelled", request_id=msg_id)
        super()._handle_cancel_notification(msg_id)

    @lsp_method(lsp.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(self, params: lsp.DidOpenTextDocumentParams) -> Any:
        item = params.text_document
        self._server.open_document(item.uri, item.text, item.version, item.language_id)
        yield from ()

    @lsp_method(lsp.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: lsp.DidChangeTextDocumentParams) -> Any:
        self._server.change_document(params.text_document.uri, params.text_document.version, params.content_changes)
        yield from ()

    @lsp_method(lsp.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(self, params: lsp.DidCloseTextDocumentParams) -> Any:
        self._server.close_document(params.text_document.uri)
        yield from ()

    @lsp_method(lsp.WINDOW_WORK_DONE_PROGRESS_CANCEL)
    def lsp_work_done_progress_cancel(self, params: lsp.WorkDoneProgressCancelParams) -> Any:
        self._server.jobs.cancel_where("cancelled", token=params.token)
        yield from ()
