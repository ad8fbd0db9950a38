"""One client of the engine: its greeting, its requests, its answers."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hmac
import logging
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from engine.messages import PROTOCOL_VERSION, EditRequest
from engine.service import frames
from engine.service.frames import FrameError

if TYPE_CHECKING:
    from engine.service.daemon import Daemon

MAX_UNREAD = 4 * frames.MAX_FRAME  # bytes a client may leave unread
PULSE_S = 3.0  # how often a client that waits hears from us
logger = logging.getLogger("redraft.engine")


def check_hello(hello: dict[str, Any], token: str | None) -> None:
    """Raises FrameError unless a client's first frame is a greeting in our protocol, with `token` if any."""
    if hello["type"] != "hello":
        raise FrameError("bad_request", "the first frame must be hello")
    version = frames.field(hello, "version", int)
    if version != PROTOCOL_VERSION:
        raise FrameError(
            "bad_version",
            f"the engine speaks protocol {PROTOCOL_VERSION}, you {version}: restart it with `redraft engine stop`",
        )
    given = hello.get("token")
    if token and not (isinstance(given, str) and hmac.compare_digest(given.encode(), token.encode())):
        raise FrameError("unauthorized", "missing or wrong token")


class Connection:
    """One client. Every request is answered exactly once; what it started ends with it."""

    def __init__(self, daemon: Daemon, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.daemon, self.reader, self.writer = daemon, reader, writer
        self.loop = asyncio.get_running_loop()
        self.jobs: dict[int, Any] = {}  # request id -> scheduler job
        self.tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        await self._greet()
        pulse = self._spawn(self._pulse())
        try:
            while True:
                frame = await frames.read(self.reader)
                self.daemon.last_request = time.monotonic()
                try:
                    self._handle(frame)
                except FrameError as error:
                    number = frame.get("id")
                    self.send("error", id=number if type(number) is int else None, code=error.code, message=str(error))
        finally:
            pulse.cancel()

    async def _greet(self) -> None:
        hello = await asyncio.wait_for(frames.read(self.reader), 10)
        check_hello(hello, self.daemon.token)
        self.send("welcome", version=PROTOCOL_VERSION, status=self.daemon.status())

    def _handle(self, frame: dict[str, Any]) -> None:
        number = frames.field(frame, "id", int)
        kind = frame["type"]
        if kind == "edit":
            if number in self.jobs:
                raise FrameError("bad_request", f"id {number} is in use")
            request = frames.field(frame, "request", EditRequest)
            document = frame.get("document")
            self.jobs[number] = None
            self._spawn(
                self._edit(
                    number, request, document if isinstance(document, str) else None, frame.get("stream") is True
                )
            )
        elif kind == "warm":
            request = frames.field(frame, "request", EditRequest)
            self.jobs[number] = None  # somebody waits: the pulse is for them too
            self._spawn(self._warm(number, request))
        elif kind == "cancel":
            self._cancel(number)
        elif kind == "status":
            self.send("status", id=number, status=self.daemon.status())
        elif kind == "stop":
            self.send("done", id=number)
            self.daemon.stopping.set()
        else:
            raise FrameError("bad_request", f"unknown request {kind[:40]!r}")

    async def _edit(self, number: int, request: EditRequest, document: str | None, stream: bool) -> None:
        if not await self._ready(number):
            return
        from engine.rewriting import open_session
        from engine.service.scheduler import Job

        if number not in self.jobs:  # cancelled while the model loaded
            self.send("error", id=number, code="cancelled", message="the edit was cancelled")
            return
        job = Job(
            start=functools.partial(open_session, request),
            document=document,
            client=id(self),
            on_state=lambda state: self._later("state", number, state=state) if stream else None,
            on_result=lambda result: self._finish("result", number, result=result),
            on_error=lambda error: self._finish("error", number, code=error.code, message=error.message),
        )
        self.jobs[number] = job
        self.daemon.scheduler.submit(job)

    async def _warm(self, number: int, request: EditRequest) -> None:
        if not await self._ready(number):
            return
        from engine.errors import EditError
        from engine.rewriting import warm as warm_context

        def warm(denoiser: Any) -> None:
            try:
                warm_context(request, denoiser)
            except EditError as error:
                self._finish("error", number, code=error.code, message=error.message)
            except Exception as error:  # the edge of the process: the compute thread must live on
                logger.error("warming a context failed: %s", type(error).__name__)
                self._finish("error", number, code="internal", message="the context could not be encoded")
            else:
                self._finish("done", number)

        self.daemon.scheduler.errand(warm)

    async def _ready(self, number: int) -> bool:
        """Waits for the model; answers the request itself when there is none."""
        await self.daemon.loaded.wait()
        if self.daemon.scheduler is None:
            self.jobs.pop(number, None)
            self.send("error", id=number, code="model_unavailable", message=self.daemon.message)
        return self.daemon.scheduler is not None

    def _cancel(self, number: int) -> None:
        if number not in self.jobs:
            return
        job = self.jobs[number]
        if job is None:
            del self.jobs[number]
        else:
            self.daemon.scheduler.cancel(job)

    def _later(self, kind: str, number: int, **fields: Any) -> None:
        """`send` from the compute thread."""
        with contextlib.suppress(RuntimeError):  # the loop may be closing
            self.loop.call_soon_threadsafe(functools.partial(self.send, kind, id=number, **fields))

    def _finish(self, kind: str, number: int, **fields: Any) -> None:
        def finish() -> None:
            self.jobs.pop(number, None)
            self.daemon.last_request = time.monotonic()
            self.send(kind, id=number, **fields)

        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(finish)

    def send(self, kind: str, **fields: Any) -> None:
        if self.writer.is_closing():
            return
        try:
            frame = frames.pack(kind, **fields)
        except FrameError as error:
            why = "the answer is too large: select less or ask for fewer candidates"
            frame = frames.pack("error", id=fields["id"], code=error.code, message=why)
        self.writer.write(frame)
        if self.writer.transport.get_write_buffer_size() > MAX_UNREAD:
            self.writer.transport.abort()  # a client that asks and never reads

    async def _pulse(self) -> None:
        """Tells a waiting client that we live, so that a hung engine can be told from a busy one."""
        while True:
            await asyncio.sleep(PULSE_S)
            if self.jobs:
                self.send("pulse", id=0)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def close(self) -> None:
        for job in self.jobs.values():
            if job is not None:
                self.daemon.scheduler.cancel(job)
        self.jobs.clear()
        for task in self.tasks:
            task.cancel()
        self.writer.close()
