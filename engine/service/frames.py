"""Frames on the socket: a 4-byte big-endian length, then one msgpack map with a "type".

Strict on the way in: a frame that is too long, not a map, or whose fields are missing, unknown or of
the wrong type is a `FrameError`, never anything worse. Must not import torch.
"""

from __future__ import annotations

import asyncio
import struct
from dataclasses import asdict
from typing import Any, TypeVar

import msgpack
from cattrs import Converter

from engine.messages import ErrorCode

MAX_FRAME = 16 * 1024 * 1024
HEADER = struct.Struct(">I")
T = TypeVar("T")


class FrameError(Exception):
    """A frame that breaks the protocol. `code` is what the peer is told."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code: ErrorCode = code


def _exactly(kind: type, *also: type) -> Any:
    def structure(value: object, _: type) -> object:
        if type(value) is not kind and type(value) not in also:
            raise ValueError(f"expected {kind.__name__}, got {type(value).__name__}")
        return value

    return structure


_converter = Converter(forbid_extra_keys=True, detailed_validation=False)
_converter.register_structure_hook(str, _exactly(str))
_converter.register_structure_hook(int, _exactly(int))
_converter.register_structure_hook(float, _exactly(float, int))
_converter.register_structure_hook(bool, _exactly(bool))


def pack(kind: str, **fields: Any) -> bytes:
    """One frame. Dataclasses among `fields` become maps. Raises FrameError("too_large" or "bad_request")."""
    plain = {k: asdict(v) if hasattr(v, "__dataclass_fields__") else v for k, v in fields.items()}
    try:
        body: bytes = msgpack.packb({"type": kind, **plain})  # type: ignore[assignment]
    except UnicodeEncodeError as error:
        raise FrameError("bad_request", "the text holds broken characters (lone surrogates)") from error
    except (OverflowError, ValueError) as error:
        raise FrameError("bad_request", "a number is out of range or the nesting too deep") from error
    if len(body) > MAX_FRAME:
        raise FrameError("too_large", f"the request has {len(body):,} bytes, the limit is {MAX_FRAME:,}")
    return HEADER.pack(len(body)) + body


async def read(reader: asyncio.StreamReader) -> dict[str, Any]:
    """The next frame. Raises FrameError, or IncompleteReadError at the end of the stream."""
    (length,) = HEADER.unpack(await reader.readexactly(HEADER.size))
    if length > MAX_FRAME:
        raise FrameError("too_large", f"a frame of {length:,} bytes, the limit is {MAX_FRAME:,}")
    return unpack(await reader.readexactly(length))


def unpack(body: bytes) -> dict[str, Any]:
    """The map in a frame's body. Raises FrameError("bad_request")."""
    try:
        frame = msgpack.unpackb(body)
    except (ValueError, msgpack.UnpackException, RecursionError) as error:
        raise FrameError("bad_request", f"not a msgpack frame: {type(error).__name__}") from error
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
        raise FrameError("bad_request", "a frame must be a map with a type")
    return frame


def field(frame: dict[str, Any], name: str, kind: type[T]) -> T:
    """One typed field of a frame. Raises FrameError("bad_request") naming it."""
    if name not in frame:
        raise FrameError("bad_request", f"{frame['type']}: {name} is missing")
    return structure(frame[name], kind, f"{frame['type']}.{name}")


def structure(value: object, kind: type[T], where: str) -> T:
    try:
        return _converter.structure(value, kind)
    except Exception as error:  # the edge of the process: cattrs raises many kinds, some of them bare
        # The value itself stays out of the message: it may hold code.
        raise FrameError("bad_request", f"{where} is not valid ({type(error).__name__})") from error
