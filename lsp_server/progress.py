"""Work-done progress of one edit: step k of K, cancellable (LSP 3.17, "Work Done Progress")."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

from lsprotocol import types as lsp

from engine.messages import DenoisingState
from lsp_server.jobs import Job

if TYPE_CHECKING:
    from lsp_server.server import RedraftServer

SHOWN_WITHIN_S = 2.0  # else the edit goes on without a bar


class Progress:
    """Of the token that the client sent along with its request, else of one that it takes from us."""

    def __init__(self, server: RedraftServer, job: Job) -> None:
        self._server, self._job = server, job
        self._begun = False

    async def begin(self, title: str, message: str) -> None:
        job, window = self._job, self._server.client_capabilities.window
        if job.token is None and window and window.work_done_progress:
            token = f"redraft-{uuid.uuid4()}"
            try:
                await asyncio.wait_for(self._server.work_done_progress.create_async(token), SHOWN_WITHIN_S)
                job.token = token
            except Exception:  # a client that refuses progress, or is silent, still gets its edit
                job.token = None
        if job.token is not None:
            value = lsp.WorkDoneProgressBegin(title, cancellable=True, message=message, percentage=0)
            self._server.work_done_progress.begin(job.token, value)
            self._begun = True

    def report(self, state: DenoisingState) -> None:
        if self._begun and self._job.token is not None:
            share = round(100 * state.step / max(1, state.of))
            value = lsp.WorkDoneProgressReport(message=f"step {state.step} of {state.of}", percentage=min(100, share))
            self._server.work_done_progress.report(self._job.token, value)

    def end(self) -> None:
        if self._begun and self._job.token is not None:
            self._server.work_done_progress.end(self._job.token, lsp.WorkDoneProgressEnd())
            self._server.work_done_progress.tokens.pop(self._job.token, None)
