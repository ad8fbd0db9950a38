"""The LSP features and commands, each a thin handler."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import asdict
from typing import Any

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcInvalidParams

from engine.service.client import EngineFailure, EngineUnavailable
from lsp_server.actions import KINDS, code_actions
from lsp_server.edits import CannotEdit, Intent, run_edit, switch, take_region, warm
from lsp_server.inline import inline_completions
from lsp_server.protocol import WORK_DONE_TOKEN
from lsp_server.server import RedraftServer
from lsp_server.text import Document


def create_server() -> RedraftServer:
    server = RedraftServer()
    register_lifecycle(server)
    register_features(server)
    register_edit_commands(server)
    register_engine_commands(server)
    return server


def register_lifecycle(server: RedraftServer) -> None:
    @server.feature(lsp.INITIALIZE)
    def initialize(params: lsp.InitializeParams) -> None:
        server.end_with_client(params.process_id)
        server.configuration.take_options(to_plain(params.initialization_options))

    @server.feature(lsp.INITIALIZED)
    async def initialized(_: lsp.InitializedParams) -> None:
        await server.configuration.reload()
        if not server.jobs:
            server.set_status(busy=False, message="ready")
        await server.configuration.register()

    @server.feature(lsp.WORKSPACE_DID_CHANGE_CONFIGURATION)
    async def configuration(params: lsp.DidChangeConfigurationParams) -> None:
        await server.configuration.take_pushed(to_plain(params.settings))

    @server.feature(lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def watched_files(_: lsp.DidChangeWatchedFilesParams) -> None:
        server.configuration.reload_soon()

    @server.feature(lsp.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)
    async def workspace_folders(_: lsp.DidChangeWorkspaceFoldersParams) -> None:
        await server.configuration.reload()

    @server.feature(lsp.SHUTDOWN)
    async def shutdown(_: None) -> None:
        await server.jobs.end_all("the server shuts down")
        server.configuration.close()
        await server.link.close()


def register_features(server: RedraftServer) -> None:
    @server.feature(
        lsp.TEXT_DOCUMENT_CODE_ACTION, lsp.CodeActionOptions(code_action_kinds=list(KINDS), resolve_provider=False)
    )
    def code_action(params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
        document = server.documents.get(params.text_document.uri)
        if document is None:
            return []
        text = server.client_capabilities.text_document
        tag = bool(text and text.code_action and text.code_action.tag_support)
        can_disable = bool(text and text.code_action and text.code_action.disabled_support)
        disabled = server.why_not(document.uri)
        if server.excluded(document.uri) and not can_disable:
            return []
        settings = server.settings_of(document.uri)
        reason, own = disabled if can_disable else None, server.syntax_errors(document)
        kept = server.suggestions.get(document.uri)
        alternatives = kept is not None and kept.stand_at(document, params.range.start.line)
        return code_actions(document, params, settings, reason, tag, own, alternatives)

    @server.feature(
        lsp.TEXT_DOCUMENT_DIAGNOSTIC, lsp.DiagnosticOptions(inter_file_dependencies=False, workspace_diagnostics=False)
    )
    async def diagnostic(params: lsp.DocumentDiagnosticParams) -> lsp.RelatedFullDocumentDiagnosticReport:
        document = server.documents.get(params.text_document.uri)
        return lsp.RelatedFullDocumentDiagnosticReport(await server.fixes.diagnostics(document) if document else [])

    @server.feature(lsp.TEXT_DOCUMENT_INLINE_COMPLETION, lsp.InlineCompletionOptions())
    async def inline_completion(params: lsp.InlineCompletionParams) -> lsp.InlineCompletionList:
        return await inline_completions(server, params)


def register_edit_commands(server: RedraftServer) -> None:
    async def edit(intent: Intent, argument: Any) -> dict[str, Any]:
        argument = to_plain(argument)
        document = document_of(server, argument)
        if document is None:
            return server.refuse("the file is not open in the editor")
        glob = server.excluded(document.uri)
        if glob:
            return server.refuse(f"the file is excluded by {glob}, its content stays here")
        version = argument.get("version")
        if isinstance(version, int) and document.version not in (None, version):
            return server.refuse("the file has changed since this was offered: run it again")
        try:
            region = take_region(document, intent, argument)
        except CannotEdit as error:
            return server.refuse(str(error))
        token = argument.get("workDoneToken", WORK_DONE_TOKEN.get())
        job = server.jobs.create(document.uri, server.protocol.msg_id, token if isinstance(token, (int, str)) else None)
        try:
            return await server.jobs.run(job, run_edit(server, document, intent, argument, region, job))
        finally:
            kept = server.suggestions.get(document.uri)
            if not (kept and kept.region is region):
                document.release(region)

    @server.command("redraft.fix")
    async def fix(argument: Any = None) -> dict[str, Any]:
        return await edit("fix", argument)

    @server.command("redraft.rewrite")
    async def rewrite(argument: Any = None) -> dict[str, Any]:
        return await edit("rewrite", argument)

    @server.command("redraft.fill")
    async def fill(argument: Any = None) -> dict[str, Any]:
        return await edit("fill", argument)

    @server.command("redraft.warm")
    async def warm_up(argument: Any = None) -> dict[str, Any]:
        """{uri, range, intent}: a likely edit, whose context may be encoded already."""
        argument = to_plain(argument)
        document = document_of(server, argument)
        if document is None or server.excluded(document.uri):
            return {"warmed": False, "reason": "the file is not open or excluded"}
        intent = argument.get("intent")
        return await warm(server, document, intent if intent in ("fix", "fill") else "rewrite", argument)

    @server.command("redraft.nextSuggestion")
    async def next_suggestion(argument: Any = None) -> dict[str, Any]:
        return await suggestion(argument, 1)

    @server.command("redraft.previousSuggestion")
    async def previous_suggestion(argument: Any = None) -> dict[str, Any]:
        return await suggestion(argument, -1)

    async def suggestion(argument: Any, by: int) -> dict[str, Any]:
        document = document_of(server, to_plain(argument))
        return await switch(server, document, by) if document else server.refuse("the file is not open in the editor")

    @server.command("redraft.cancel")
    def cancel(argument: Any = None) -> dict[str, Any]:
        """{uri}, or nothing for the edits of all documents."""
        wanted = to_plain(argument)
        uri = wanted.get("uri") if isinstance(wanted, dict) else None
        return {"cancelled": server.jobs.cancel_where("cancelled", **({"uri": uri} if uri else {}))}


def register_engine_commands(server: RedraftServer) -> None:
    @server.command("redraft.status")
    async def status() -> dict[str, Any]:
        if server.link.stopped:
            return {**server.status, "engine": None}
        try:
            engine = await asyncio.wait_for(server.link.status(), 30)
            server.repeat_status()
            return {**server.status, "engine": asdict(engine)}
        except (EngineUnavailable, EngineFailure, asyncio.TimeoutError) as error:
            return {
                **server.status,
                "kind": "Error",
                "message": str(error) or "the engine does not answer",
                "engine": None,
            }

    @server.command("redraft.stopEngine")
    async def stop_engine() -> dict[str, Any]:
        await server.jobs.end_all("the engine was stopped")
        with contextlib.suppress(EngineUnavailable):
            await server.link.stop()
        server.set_status(busy=False, kind="Inactive", message="engine stopped; it starts again with the next edit")
        return server.status

    @server.command("redraft.restartEngine")
    async def restart_engine() -> dict[str, Any]:
        await server.jobs.end_all("the engine was restarted")
        with contextlib.suppress(EngineUnavailable):
            await server.link.stop()
        try:
            server.set_status(busy=True, message="loading the model")
            status = await server.link.ready()
            server.set_status(busy=False, message=f"ready: {status.model}")
            server.diagnose_all()
        except (EngineUnavailable, EngineFailure) as error:
            server.set_status(busy=False, kind="Error", message=str(error), command="redraft.restartEngine")
        return server.status

    @server.command("redraft.selectModel")
    async def select_model(argument: Any = None) -> dict[str, Any]:
        """Uses the model folder {path} from now on; null is the embedded one."""
        chosen = to_plain(argument)
        if not isinstance(chosen, dict) or not isinstance(chosen.get("path"), (str, type(None))):
            raise JsonRpcInvalidParams.of(ValueError("selectModel needs {path: string | null}"))
        await server.jobs.end_all("the model was changed")
        server.configuration.choose_model(chosen.get("path"))
        server.diagnose_all()
        return await restart_engine()


def document_of(server: RedraftServer, argument: Any) -> Document | None:
    """Raises JsonRpcInvalidParams when the argument names no document."""
    if not isinstance(argument, dict) or not isinstance(argument.get("uri"), str):
        raise JsonRpcInvalidParams.of(ValueError("the command needs one argument {uri, range}"))
    return server.documents.get(argument["uri"])


def to_plain(value: Any) -> Any:
    """pygls hands untyped JSON over as nested namedtuples; this makes dicts and lists of them again."""
    if hasattr(value, "_asdict"):
        return {k: to_plain(v) for k, v in value._asdict().items()}
    if isinstance(value, dict):
        return {k: to_plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(v) for v in value]
    return value
