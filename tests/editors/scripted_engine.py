"""An engine that answers what a test tells it to, at the speed the test wants.

It speaks the engine's own protocol on a TCP port, for `redraft.engine.url`. For what is asserted about the
editor (two changes, a slow edit, a cancel half-way) the model's taste must not matter; the tests with the
real engine are beside these.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from engine.messages import PROTOCOL_VERSION, Candidate, DenoisingState, EditRequest, EditResult, EngineStatus
from engine.service import frames

Answer = Callable[[EditRequest], Sequence[str]]
CLAMP = """def clamp(value, low, high):
    if value < low:
        return low
    if value > high:
        return low
    return value
"""
BOTH = CLAMP.replace("if value < low:", "if low > value:").replace(
    "high:\n        return low", "high:\n        return high"
)


@dataclass(slots=True)
class Edits:
    """Those of one connection, which numbers them by itself. `idle`: that nobody asked for."""

    tasks: dict[int, asyncio.Task[None]] = field(default_factory=dict[int, "asyncio.Task[None]"])
    idle: set[int] = field(default_factory=set[int])


class ScriptedEngine:
    """Runs in a thread of its own until `close`."""

    def __init__(self) -> None:
        self.answer: Answer = lambda request: []
        self.steps = 2
        self.step_seconds = 0.02
        self.requests: list[EditRequest] = []
        self.warmed: list[EditRequest] = []
        self.cancelled = 0
        self.remote: str | None = None  # where it says that it sends code
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._started.wait(10)

    @property
    def url(self) -> str:
        return f"tcp://127.0.0.1:{self._port}"

    def script(self, answer: Answer, *, steps: int = 2, step_seconds: float = 0.02) -> None:
        self.answer, self.steps, self.step_seconds = answer, steps, step_seconds
        self.requests.clear()
        self.warmed.clear()
        self.cancelled = 0

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        self._thread.join(10)

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        self._loop.stop()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self._port = server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await frames.read(reader)
        writer.write(frames.pack("welcome", version=PROTOCOL_VERSION, status=self._status()))
        edits = Edits()
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                self._handle(await frames.read(reader), writer, edits)

    def _handle(self, frame: dict[str, Any], writer: asyncio.StreamWriter, edits: Edits) -> None:
        number = frame["id"]
        if frame["type"] == "edit":
            request = frames.field(frame, "request", EditRequest)
            if str(frame.get("document")).startswith("idle:"):
                edits.idle.add(number)  # the server looks for a fix by itself, whenever it likes
            else:
                self.requests.append(request)
            edits.tasks[number] = asyncio.ensure_future(self._edit(number, request, writer))
        elif frame["type"] == "warm":
            self.warmed.append(frames.field(frame, "request", EditRequest))
            writer.write(frames.pack("done", id=number))
        elif frame["type"] == "cancel":
            self.cancelled += number not in edits.idle
            edits.tasks[number].cancel()
            writer.write(frames.pack("error", id=number, code="cancelled", message="the edit was cancelled"))
        elif frame["type"] == "status":
            writer.write(frames.pack("status", id=number, status=self._status()))

    async def _edit(self, number: int, request: EditRequest, writer: asyncio.StreamWriter) -> None:
        texts = self.answer(request)
        final = texts[0] if texts else request.span
        for step in range(1, self.steps + 1):
            writer.write(
                frames.pack(
                    "state", id=number, state=DenoisingState(step, self.steps, half_done(final, step / self.steps))
                )
            )
            await asyncio.sleep(self.step_seconds)
        candidates = tuple(Candidate(text, -0.1 * (i + 1), True) for i, text in enumerate(texts))
        result = EditResult(candidates, self.steps, self.steps, 1.0, "done" if texts else "unchanged")
        writer.write(frames.pack("result", id=number, result=result))

    def _status(self) -> EngineStatus:
        counts = (1, 1.0, 10.0, len(self.requests), 0)
        return EngineStatus("0.1.0", "scripted", 1_000_000, "cpu", "ready", "ready", *counts, remote=self.remote)


def half_done(text: str, share: float) -> str:
    """`text` with its later part still masked."""
    shown = round(len(text) * share)
    return text[:shown] + "".join(char if char.isspace() else "\u2591" for char in text[shown:])


def two_suggestions(request: EditRequest) -> Sequence[str]:
    """Two changes; then one, which takes a line away."""
    return [BOTH, CLAMP.replace("    return value\n", "")] if request.span == CLAMP else [request.span + "# seen\n"]
