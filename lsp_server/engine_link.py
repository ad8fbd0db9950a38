"""The server's one connection to the engine: made on first use, made anew after the engine's death."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from dataclasses import replace

from engine.messages import DenoisingState, EditRequest, EditResult, EngineStatus
from engine.models.choice import chosen_host, remote_host
from engine.service.client import EngineClient, EngineFailure, EngineOptions, EngineUnavailable
from lsp_server.settings import Settings

LOOK_S = 0.1  # between two looks at an engine that loads


class EngineLink:
    def __init__(self) -> None:
        self.options = EngineOptions()
        self.stopped = False  # by the user: only what the user asks for starts it again
        self._client: EngineClient | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._loading = False
        self._may_stand_in = False
        self._away: str | None = None  # why an engine of this machine stands in for the one at options.url
        self._status: EngineStatus | None = None  # as last heard from the present engine

    @property
    def remote(self) -> str | None:
        """The host that edits send code to; None: code stays on this machine."""
        there = None if self._away else remote_host(self.options.url)
        return there or (self._status.remote if self._status else chosen_host(self.options.model))

    @property
    def fallback(self) -> str | None:
        """Why another engine or model stands in for the chosen one, if it does."""
        return self._away or (self._status.fallback if self._status else None)

    @property
    def loading(self) -> bool:
        """The engine is starting, or has not answered since it said that it loads its model."""
        return self._starting or (self._loading and self._connected)

    @property
    def serving(self) -> bool:
        """An edit need wait neither for an engine nor for its model."""
        return self._connected and not self._loading

    @property
    def _starting(self) -> bool:
        return self._connecting is not None and not self._connecting.done()

    @property
    def _connected(self) -> bool:
        return self._client is not None and not self._client.closed

    def configure(self, settings: Settings) -> None:
        """A change of engine closes the present connection; the next request makes another."""
        options = EngineOptions(
            model=settings.model_path,
            device=settings.engine_device,
            threads=settings.engine_threads,
            idle_s=settings.engine_idle_seconds,
            url=settings.engine_url,
            python=settings.engine_path or sys.executable,
        )
        if (options, settings.engine_fallback) != (self.options, self._may_stand_in):
            self.options, self._may_stand_in = options, settings.engine_fallback
            self._status = self._away = None
            if self._connecting:
                self._connecting.cancel()
            if self._client:
                task = asyncio.create_task(self._client.close())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
                self._client = None

    async def client(self) -> EngineClient:
        """Raises EngineUnavailable."""
        self.stopped = False
        while self._client is None or self._client.closed:
            if self._connecting is None or self._connecting.done():
                self._connecting = asyncio.create_task(self._connect())
            connecting = self._connecting
            await asyncio.wait([connecting])  # an engine that starts goes on when the edit that wanted it is cancelled
            if self.stopped:
                raise EngineUnavailable("the engine was stopped")
            if not connecting.cancelled():
                connecting.result()
        return self._client

    async def _connect(self) -> None:
        self._away = None
        try:
            client = await EngineClient.connect(self.options)
        except EngineUnavailable as error:
            if not (self.options.url and self._may_stand_in):
                raise
            self._away = f"an engine of this machine stands in: {error}"
            client = await EngineClient.connect(replace(self.options, url=None))
        self._client, self._status = client, client.status_at_start
        self._loading = self._status is not None and self._status.state == "loading"

    async def edit(
        self, request: EditRequest, document: str, on_state: Callable[[DenoisingState], None] | None
    ) -> EditResult:
        """Raises EngineUnavailable or EngineFailure."""
        client = await self.client()
        try:
            result = await client.edit(request, document=document, on_state=on_state)
            if self._loading or self.remote:  # what was loaded, or whether the server was reached
                with contextlib.suppress(EngineUnavailable, EngineFailure):
                    self._status = await client.status()
            return result
        finally:
            self._loading = False

    async def warm(self, request: EditRequest) -> None:
        client = await self.client()
        await client.warm(request)
        self._loading = False

    async def status(self) -> EngineStatus:
        self._status = status = await (await self.client()).status()
        self._loading = status.state == "loading"
        return status

    async def ready(self) -> EngineStatus:
        """Waits until the model is loaded. Raises EngineUnavailable or EngineFailure, with the engine's reason when it
        cannot load it."""
        while (status := await self.status()).state == "loading":  # noqa: ASYNC110  # the engine tells by being asked
            await asyncio.sleep(LOOK_S)
        if status.state == "failed":
            raise EngineUnavailable(status.message)
        return status

    async def stop(self) -> None:
        """Stops the engine of this machine, whoever started it, one that is starting included; never starts one, and
        only takes leave of an engine elsewhere. Raises EngineUnavailable when there is none."""
        self.stopped = True
        if self._connecting:
            await asyncio.wait([self._connecting])
        client, self._client, self._status = self._client, None, None
        if self.options.url and not self._away:
            if client:
                await client.close()
            return
        if client is None or client.closed:
            client = await EngineClient.connect(replace(self.options, url=None, start=False))
        await client.stop()

    async def close(self) -> None:
        if self._connecting:
            self._connecting.cancel()
        if self._client:
            await self._client.close()
