"""The protocol over a websocket, one frame a message: what a client of a cluster reads and writes.

Must not import torch.
"""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from engine.models.choice import remote_host
from engine.service import frames


class WebSocketWriter:
    """As much of an asyncio.StreamWriter as the client needs."""

    def __init__(self, socket: ClientConnection, reader: asyncio.StreamReader) -> None:
        self._socket, self._reader = socket, reader
        self._out: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._tasks = [asyncio.create_task(self._send()), asyncio.create_task(self._receive())]

    def write(self, frame: bytes) -> None:
        self._out.put_nowait(frame)

    def close(self) -> None:
        self._out.put_nowait(None)

    async def _send(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while (frame := await self._out.get()) is not None:
                await self._socket.send(frame)
        await self._socket.close()

    async def _receive(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in self._socket:
                if isinstance(message, bytes):
                    self._reader.feed_data(message)
        self._reader.feed_eof()


async def open_websocket(url: str) -> tuple[asyncio.StreamReader, WebSocketWriter]:
    """Connects to ws://HOST:PORT (this machine only) or wss://HOST:PORT, whose certificate must be trusted
    (SSL_CERT_FILE names another authority). Raises OSError, with the reason."""
    parts = urlsplit(url)
    if parts.scheme == "ws" and remote_host(url):
        raise OSError("ws:// would send code unencrypted to another machine: use wss://")
    try:
        socket = await connect(url, max_size=frames.MAX_FRAME + frames.HEADER.size, open_timeout=10)
    except (InvalidHandshake, InvalidURI, TimeoutError) as error:
        raise OSError(f"no websocket there ({str(error) or type(error).__name__})") from error
    reader = asyncio.StreamReader()
    return reader, WebSocketWriter(socket, reader)
