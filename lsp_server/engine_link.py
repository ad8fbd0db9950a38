"""The server's one connection to the engine: made on first use, made anew after the engine's death."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

from engine.messages import DenoisingState, EditRequest, EditResult, EngineStatus
from engine.service.client import EngineClient, EngineOptions
from lsp_server.settings import Settings


class EngineLink:
    def __init__(self) -> None:
        self.options = EngineOptions()
        self._client: EngineClient | None = None
        self._connecting = asyncio.Lock()

    def configure(self, settings: Settings) -> None:
        """Takes effect on the next connection; a change of engine drops the present one."""
        options = EngineOptions(
            model=settings.model_path,
            device=settings.engine_device,
            threads=settings.engine_threads,
            idle_s=settings.engine_idle_seconds,
            url=settings.engine_url,
            python=settings.engine_path or sys.executable,
        )
        if options != self.options:
            self.options, self._client = options, None

    async def client(self) -> EngineClient:
        """Raises EngineUnavailable."""
        async with self._connecting:
            if self._client is None or self._client.closed:
                self._client = await EngineClient.connect(self.options)
            return self._client

    async def edit(
        self, request: EditRequest, document: str, on_state: Callable[[DenoisingState], None] | None
    ) -> EditResult:
        """Raises EngineUnavailable or EngineFailure."""
        return await (await self.client()).edit(request, document=document, on_state=on_state)

    async def warm(self, request: EditRequest) -> None:
        await (await self.client()).warm(request)

    async def status(self) -> EngineStatus:
        return await (await self.client()).status()

    async def stop(self) -> None:
        """Stops the engine if one is running; never starts one."""
        if self._client and not self._client.closed:
            await self._client.stop()
        self._client = None

    async def close(self) -> None:
        if self._client:
            await self._client.close()
