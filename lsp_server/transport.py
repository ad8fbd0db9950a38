"""The base protocol's frames (LSP 3.17, "Base Protocol"): read with a size limit, and found again after bad ones."""

from __future__ import annotations

import asyncio
import os
import re
from concurrent.futures import Executor
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from lsp_server.protocol import RedraftProtocol

MAX_MESSAGE = 64 * 1024 * 1024  # bytes
MAX_HEADER = 64 * 1024
# Searched, not matched: after a body that was longer than announced, its rest stands in front of the next header.
CONTENT_LENGTH = re.compile(rb"content-length[ \t]*:[ \t]*(\d{1,18})[ \t]*\r?\n\Z", re.IGNORECASE)


class MessageTooLarge(Exception):
    """A body over `MAX_MESSAGE`; it has been skipped."""


def read_message(stream: BinaryIO) -> bytes | None:
    """The body of the next message, or None at the end of the stream. Blocks. Raises MessageTooLarge."""
    length: int | None = None
    while line := stream.readline(MAX_HEADER):
        found = CONTENT_LENGTH.search(line)
        if found:
            length = int(found.group(1))
        elif length is not None and not line.strip():
            if length > MAX_MESSAGE:
                skip(stream, length)
                raise MessageTooLarge(f"a message of {length:,} bytes, the limit is {MAX_MESSAGE:,}")
            body = stream.read(length)
            return body if len(body) == length else None
    return None


def skip(stream: BinaryIO, length: int) -> None:
    while length > 0 and (piece := stream.read(min(length, 1 << 20))):
        length -= len(piece)


async def serve(stream: BinaryIO, protocol: RedraftProtocol, threads: Executor) -> None:
    """Hands every message on `stream` to `protocol`, until the client hangs up."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            body = await loop.run_in_executor(threads, read_message, stream)
        except MessageTooLarge as error:
            protocol.refuse_unread(str(error))
            continue
        except OSError:
            return
        if body is None:
            return
        protocol.receive(body)


async def end_with(process_id: int, every_s: float = 2.0) -> None:
    """Ends this process after its client's (LSP 3.17, `InitializeParams.processId`): whoever else holds the
    other end of our stdin would keep us alive for ever."""
    if os.name != "posix" or not is_running(process_id):  # the id may be of another namespace
        return
    while is_running(process_id):  # noqa: ASYNC110  # a process gives no event
        await asyncio.sleep(every_s)
    os._exit(1)  # a thread blocks in `read_message`, which nothing else ends


def is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
