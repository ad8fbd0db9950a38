"""pygls' protocol with our text model, honest answers to malformed messages, and real cancellation."""

from __future__ import annotations

import json
import logging
from collections.abc import Generator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException, JsonRpcMethodNotFound
from pygls.protocol import LanguageServerProtocol, lsp_method

if TYPE_CHECKING:
    from lsp_server.server import RedraftServer

logger = logging.getLogger(__name__)

PARSE_ERROR = lsp.ErrorCodes.ParseError.value
INVALID_REQUEST = lsp.ErrorCodes.InvalidRequest.value
METHOD_NOT_FOUND = lsp.ErrorCodes.MethodNotFound.value
INVALID_PARAMS = lsp.ErrorCodes.InvalidParams.value
INTERNAL_ERROR = lsp.ErrorCodes.InternalError.value
NOT_INITIALIZED = lsp.ErrorCodes.ServerNotInitialized.value
# Of the command that runs; pygls hands a command its arguments alone.
WORK_DONE_TOKEN: ContextVar[int | str | None] = ContextVar("work_done_token", default=None)


class RedraftProtocol(LanguageServerProtocol):
    """Text synchronisation goes to `RedraftServer.documents`; pygls' own mirror splits lines by
    `str.splitlines`, which is not LSP's idea of a line."""

    _server: RedraftServer  # type: ignore[assignment]

    # Messages in

    def receive(self, body: bytes) -> None:
        """One message from the client. A request is answered exactly once, whatever is wrong with it."""
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            self._refuse(None, PARSE_ERROR, "the message is not JSON")
            return
        number = data.get("id") if isinstance(data, dict) else None
        if type(number) not in (int, str):
            number = None
        if not isinstance(data, dict) or data.get("jsonrpc") != self.VERSION or ("id" in data and number is None):
            self._refuse(number, INVALID_REQUEST, 'a message must be an object with jsonrpc "2.0" and a proper id')
        else:
            try:
                self._dispatch(number, data)
            except Exception as error:  # the edge of the process: no message may end the server
                self._server.report_server_error(error, JsonRpcException)

    def refuse_unread(self, why: str) -> None:
        """Answers a message that was not even parsed."""
        self._refuse(None, INVALID_REQUEST, why)

    def _dispatch(self, number: int | str | None, data: dict[str, Any]) -> None:
        if "method" not in data:
            self._receive_response(number, data)
        elif number is None:
            self._receive_notification(data)
        else:
            self._receive_request(number, data)

    def _receive_request(self, number: int | str, data: dict[str, Any]) -> None:
        method = data["method"]
        initializing = method == lsp.INITIALIZE
        if not isinstance(method, str):
            self._refuse(number, INVALID_REQUEST, "the method must be a string")
        elif self._shutdown:
            self._refuse(number, INVALID_REQUEST, "the server is shutting down")
        elif self._workspace is None and not initializing:
            self._refuse(number, NOT_INITIALIZED, "the first request must be initialize")
        elif self._workspace is not None and initializing:
            self._refuse(number, INVALID_REQUEST, "the server is initialized already")
        else:
            try:
                self._get_handler(method)
                message: Any = self.structure_message(data)
            except JsonRpcMethodNotFound:
                self._refuse(number, METHOD_NOT_FOUND, f"unknown method {method[:80]}")
            except Exception:  # what lsprotocol's converters raise is not one type
                self._refuse(number, INVALID_PARAMS, f"invalid params for {method[:80]}")
            else:
                logger.debug("request %s", method)
                self.handle_message(message)

    def _receive_notification(self, data: dict[str, Any]) -> None:
        """Notifications have no answer: a bad one is dropped."""
        if self._workspace is None and data["method"] != lsp.EXIT:
            return
        try:
            if data["method"] != lsp.CANCEL_REQUEST:
                self._get_handler(data["method"])
            message: Any = self.structure_message(data)
        except Exception:  # what lsprotocol's converters raise is not one type
            logger.warning("a notification that is unknown or malformed was dropped")
        else:
            logger.debug("notification %s", data["method"])
            self.handle_message(message)

    def _receive_response(self, number: int | str | None, data: dict[str, Any]) -> None:
        """The client's answer to a request of ours; a malformed one must not leave us waiting."""
        future = self._request_futures.get(number) if number is not None and number in self._result_types else None
        if number is None or future is None or future.done():
            return
        try:
            message: Any = self.structure_message(data)
        except Exception:  # what lsprotocol's converters raise is not one type
            del self._request_futures[number]
            future.set_exception(JsonRpcException(message="the editor's answer was malformed"))
        else:
            self.handle_message(message)

    def _handle_cancel_notification(self, msg_id: Any) -> None:
        if type(msg_id) not in (int, str):
            return
        if self._server.jobs.cancel_request(msg_id):
            super()._handle_cancel_notification(msg_id)

    # Messages out

    def _refuse(self, number: int | str | None, code: int, why: str) -> None:
        """An error response; `number` None where the request's id is unknown (JSON-RPC 2.0, section 5)."""
        self._send_data({"jsonrpc": self.VERSION, "id": number, "error": {"code": code, "message": why}})

    def _send_response(self, msg_id: Any, result: Any = None, error: lsp.ResponseError | None = None) -> None:
        """Internal errors go out without their text and traceback, which may quote code and paths."""
        if error is not None and error.code == INTERNAL_ERROR:
            error = lsp.ResponseError(INTERNAL_ERROR, "internal error, see the server's log")
        super()._send_response(msg_id, result, error)

    def _execute_handler(self, msg_id: Any, handler: Any, callback: Any, args: Any = None, kwargs: Any = None) -> None:
        """pygls never forgets the futures of notifications and of the steps of its generators."""
        super()._execute_handler(msg_id, handler, callback, args, kwargs)
        future = self._request_futures.get(msg_id)
        if future is not None:
            future.add_done_callback(lambda _: self._request_futures.pop(msg_id, None))

    @lsp_method(lsp.SHUTDOWN)
    def lsp_shutdown(self, *args: Any) -> Any:
        """As in pygls, but over a copy: what is cancelled leaves the table at once."""
        yield self.fm.features[lsp.SHUTDOWN], args, None
        for number, future in list(self._request_futures.items()):
            if number != self.msg_id:
                future.cancel()
        self._shutdown = True

    @lsp_method(lsp.INITIALIZE)
    def lsp_initialize(self, params: lsp.InitializeParams) -> Generator[Any, Any, lsp.InitializeResult]:
        """As in pygls, and clients may send a token for the progress of a command."""
        result = yield from super().lsp_initialize(params)
        if result.capabilities.execute_command_provider:
            result.capabilities.execute_command_provider.work_done_progress = True
        return result

    @lsp_method(lsp.WORKSPACE_EXECUTE_COMMAND)
    def lsp_workspace__execute_command(self, params: lsp.ExecuteCommandParams) -> Any:
        """pygls takes an empty list of arguments for one too few, default or not."""
        WORK_DONE_TOKEN.set(params.work_done_token)
        params.arguments = params.arguments or None
        return (yield from super().lsp_workspace__execute_command(params))

    # Text synchronisation

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

    @lsp_method(lsp.NOTEBOOK_DOCUMENT_DID_OPEN)
    def lsp_notebook_document__did_open(self, params: lsp.DidOpenNotebookDocumentParams) -> Any:
        self._server.notebooks.open(params)
        yield from ()

    @lsp_method(lsp.NOTEBOOK_DOCUMENT_DID_CHANGE)
    def lsp_notebook_document__did_change(self, params: lsp.DidChangeNotebookDocumentParams) -> Any:
        self._server.notebooks.change(params)
        yield from ()

    @lsp_method(lsp.NOTEBOOK_DOCUMENT_DID_CLOSE)
    def lsp_notebook_document__did_close(self, params: lsp.DidCloseNotebookDocumentParams) -> Any:
        self._server.notebooks.close(params)
        yield from ()

    @lsp_method(lsp.WINDOW_WORK_DONE_PROGRESS_CANCEL)
    def lsp_work_done_progress_cancel(self, params: lsp.WorkDoneProgressCancelParams) -> Any:
        self._server.jobs.cancel_where("cancelled", token=params.token)
        yield from ()
