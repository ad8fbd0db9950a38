"""The asyncio client of the engine daemon, which it starts on demand. Must not import torch."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from engine import __version__
from engine.messages import PROTOCOL_VERSION, DenoisingState, EditRequest, EditResult, EngineStatus, ErrorCode
from engine.models.choice import remote_host
from engine.service import frames
from engine.service.frames import FrameError
from engine.service.lock import kill_holder
from engine.service.paths import EnginePaths, engine_paths, whole_path

GREETING_S = 30.0  # within which a live engine greets, loading its model or not
HANG_GRACE_S = 30.0  # silence after which an engine that owes an answer counts as dead

T = TypeVar("T")


class Writer(Protocol):
    """What a client needs of a stream to the engine."""

    def write(self, frame: bytes, /) -> None: ...

    def close(self) -> None: ...


class EngineUnavailable(Exception):
    """No engine, or it died. One line that says why and what to do."""


class NoEngine(EngineUnavailable):
    """None runs, and none was to be started."""


class EngineHangs(EngineUnavailable):
    """It holds the connection and is silent."""


class EngineFailure(Exception):
    """The engine answered with an error."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code: ErrorCode = code
        self.message = message


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Which engine to use. `url` ("tcp://host:port" or "wss://host:port", token in REDRAFT_ENGINE_TOKEN) names a
    running one; else one is started by `python`, unless `start` is off."""

    model: str | None = None
    device: str | None = None
    threads: int | None = None
    idle_s: float = 900.0
    url: str | None = None
    python: str = sys.executable
    start: bool = True

    def __post_init__(self) -> None:
        if self.model:  # the engine runs in another folder
            object.__setattr__(self, "model", whole_path(self.model))


class EngineClient:
    """One connection. Many requests may be under way; `closed` once the connection is gone."""

    def __init__(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        self._reader, self._writer = reader, writer
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._watching: dict[int, Callable[[DenoisingState], None]] = {}
        self._last_id = 0
        self._heard = time.monotonic()
        self._task: asyncio.Task[None] | None = None
        self._lock: Path | None = None  # of an engine of this machine
        self.status_at_start: EngineStatus | None = None

    @classmethod
    async def connect(cls, options: EngineOptions, timeout_s: float = 60.0) -> EngineClient:
        """Connects, starting the daemon when none runs. Raises EngineUnavailable."""
        if options.url:
            return await cls._connect_url(options.url)
        try:
            paths = engine_paths(options.model, options.device)
        except OSError as error:
            raise EngineUnavailable(f"no private runtime folder: {error}") from error
        give_up = time.monotonic() + timeout_s
        process: subprocess.Popen[bytes] | None = None
        while time.monotonic() < give_up:
            try:
                return await cls._open(paths)
            except EngineHangs:
                if not options.start:
                    raise
                kill_holder(paths.lock)
            except OSError:
                pass  # none yet
            if not options.start:
                raise NoEngine("no engine is running: start one with `redraft engine serve`")
            if process is None or process.poll() == 0:  # 0: another one had the lock, and may have gone since
                process = start_daemon(options, paths)
            elif process.returncode is not None:
                raise EngineUnavailable(f"the engine did not start: {last_line(paths.log)}")
            await asyncio.sleep(0.05)
        raise EngineUnavailable(f"the engine did not answer within {timeout_s:.0f} s, see {paths.log}")

    @classmethod
    async def _open(cls, paths: EnginePaths) -> EngineClient:
        """Raises OSError when none runs, EngineHangs, or EngineUnavailable when it refuses us."""
        if os.name == "posix" and not paths.address.exists():
            client = await cls._greet(*await asyncio.open_unix_connection(str(paths.socket)), token=None)
        else:
            try:
                address = json.loads(paths.address.read_text())
                host, port, token = (address[name] for name in ("host", "port", "token"))
            except (ValueError, KeyError, TypeError) as error:
                raise FileNotFoundError(f"{paths.address} is being written") from error
            client = await cls._greet(*await asyncio.open_connection(host, port), token=token)
        client._lock = paths.lock
        return client

    @classmethod
    async def _connect_url(cls, url: str) -> EngineClient:
        if url.startswith(("ws://", "wss://")):
            return await cls._connect_websocket(url)
        host, _, port = url.removeprefix("tcp://").rpartition(":")
        if not host or not port.isdigit():
            raise EngineUnavailable(f"engine.url {url!r} is not of the form tcp://HOST:PORT or wss://HOST:PORT")
        if remote_host(url):
            raise EngineUnavailable("tcp:// would send code unencrypted to another machine: use wss://")
        try:
            streams = await asyncio.open_connection(host, int(port))
            return await cls._greet(*streams, token=os.environ.get("REDRAFT_ENGINE_TOKEN"))
        except (OSError, OverflowError) as error:
            raise EngineUnavailable(f"no engine at {url}: {getattr(error, 'strerror', None) or error}") from error

    @classmethod
    async def _connect_websocket(cls, url: str) -> EngineClient:
        try:
            from engine.service.websocket import open_websocket
        except ImportError as error:
            raise EngineUnavailable(f"{url} needs websockets: pip install websockets") from error
        try:
            streams = await open_websocket(url)
            return await cls._greet(*streams, token=os.environ.get("REDRAFT_ENGINE_TOKEN"))
        except ssl.SSLCertVerificationError as error:
            trusted = f"{error.verify_message}: check the address, or name its authority's file in SSL_CERT_FILE"
            raise EngineUnavailable(f"the certificate at {url} is not trusted, {trusted}") from error
        except (OSError, ValueError) as error:  # ValueError: an address that is none
            raise EngineUnavailable(f"no engine at {url}: {getattr(error, 'strerror', None) or error}") from error

    @classmethod
    async def _greet(cls, reader: asyncio.StreamReader, writer: Writer, token: str | None) -> EngineClient:
        """Raises OSError when the engine hangs up, EngineHangs, or EngineUnavailable when it refuses us."""
        client = cls(reader, writer)
        try:
            writer.write(frames.pack("hello", version=PROTOCOL_VERSION, token=token, client=f"redraft {__version__}"))
            answer = await asyncio.wait_for(frames.read(reader), GREETING_S)
            if answer["type"] != "welcome":
                raise EngineUnavailable(f"the engine refused: {str(answer.get('message', answer['type']))[:300]}")
            client.status_at_start = frames.field(answer, "status", EngineStatus)
            client._task = asyncio.create_task(client._listen())
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("the engine hung up") from error
        except asyncio.TimeoutError as error:
            raise EngineHangs("the engine does not answer: stop it with `redraft engine stop --force`") from error
        except FrameError as error:
            raise EngineUnavailable(f"that is no engine of ours: {error}") from error
        finally:
            if client.closed:
                writer.close()
        return client

    @property
    def closed(self) -> bool:
        return self._task is None or self._task.done()

    async def edit(
        self,
        request: EditRequest,
        *,
        document: str | None = None,
        on_state: Callable[[DenoisingState], None] | None = None,
    ) -> EditResult:
        """One edit. A newer edit of the same `document` cancels an older one. Cancelling the awaiting
        task cancels the edit. Raises EngineFailure or EngineUnavailable."""
        fields = {"document": document, "stream": on_state is not None, "request": request}
        return self._field(await self._ask("edit", on_state, **fields), "result", EditResult)

    async def warm(self, request: EditRequest) -> None:
        """Has the context of a likely edit encoded ahead of time."""
        await self._ask("warm", request=request)

    async def status(self) -> EngineStatus:
        return self._field(await self._ask("status"), "status", EngineStatus)

    def _field(self, answer: dict[str, Any], name: str, kind: type[T]) -> T:
        try:
            return frames.field(answer, name, kind)
        except FrameError as error:
            self._writer.close()
            raise EngineUnavailable(f"the engine's answer is malformed ({error}): try again") from error

    async def stop(self) -> None:
        """Stops the daemon."""
        await self._ask("stop")

    async def close(self) -> None:
        self._writer.close()
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _ask(
        self, kind: str, on_state: Callable[[DenoisingState], None] | None = None, **fields: Any
    ) -> dict[str, Any]:
        if self.closed:
            raise EngineUnavailable("the engine has gone: try again, a new one will be started")
        self._last_id += 1
        number = self._last_id
        try:
            frame = frames.pack(kind, id=number, **fields)
        except FrameError as error:
            raise EngineFailure(error.code, str(error)) from error
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        if on_state:
            self._watching[number] = on_state
        try:
            self._writer.write(frame)
            self._heard = time.monotonic()
            return await self._answer(future)
        except asyncio.CancelledError:
            with contextlib.suppress(OSError):
                self._writer.write(frames.pack("cancel", id=number))
            raise
        finally:
            self._waiting.pop(number, None)
            self._watching.pop(number, None)

    async def _answer(self, future: asyncio.Future[dict[str, Any]]) -> dict[str, Any]:
        while True:
            done, _ = await asyncio.wait([future], timeout=1.0)
            if done:
                answer = future.result()
                if answer["type"] == "error":
                    raise EngineFailure(answer.get("code", "internal"), str(answer.get("message", "")))
                return answer
            if time.monotonic() - self._heard > HANG_GRACE_S:
                self._writer.close()
                if self._lock and kill_holder(self._lock):
                    raise EngineHangs("the engine hung and was ended: try again, a new one will be started")
                raise EngineHangs("the engine hangs: stop it with `redraft engine stop --force` and try again")

    async def _listen(self) -> None:
        """Hands every frame to whoever waits for it, until the engine is gone."""
        try:
            while True:
                frame = await frames.read(self._reader)
                self._heard = time.monotonic()
                number = frame.get("id")
                if frame["type"] == "state" and number in self._watching:
                    self._watching[number](frames.field(frame, "state", DenoisingState))
                elif number in self._waiting and frame["type"] != "state" and not self._waiting[number].done():
                    self._waiting[number].set_result(frame)
        except (asyncio.IncompleteReadError, OSError, FrameError):
            pass
        finally:
            self._writer.close()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(
                        EngineUnavailable("the engine died during the edit: nothing was changed, try again")
                    )
                    future.exception()  # whoever waited may have been cancelled meanwhile


def start_daemon(options: EngineOptions, paths: EnginePaths) -> subprocess.Popen[bytes]:
    """Starts the daemon in a session of its own; the loser of a race finds the lock taken and exits 0.

    Raises EngineUnavailable when the interpreter cannot be run."""
    command = [options.python, "-m", "engine.service.daemon", "--idle-s", str(options.idle_s)]
    for flag, value in (("--model", options.model), ("--device", options.device), ("--threads", options.threads)):
        if value is not None:
            command += [flag, str(value)]
    try:
        with paths.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603  # the interpreter is the user's own setting
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=Path.home()
            )
    except OSError as error:
        raise EngineUnavailable(
            f"{options.python} cannot be run: {error.strerror}, set engine.path to a Python with redraft"
        ) from error


def last_line(log: Path) -> str:
    with contextlib.suppress(OSError):
        lines = log.read_text(errors="replace").strip().splitlines()
        if lines:
            return lines[-1][:300]
    return f"see {log}"
