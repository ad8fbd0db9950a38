"""The real daemon without a model: what a test wants of it stands in each request's instruction.

Started as `engine.path` by a language server, or by hand. Socket, lock, frames, idle stop, pulse and the life of
a connection are the daemon's own; only the forward passes are replaced by sleep. An instruction is JSON:
{"tag": text, "steps": n, "step_s": seconds, "fault": name}; the first candidate is the span with the tag at the
end of its first line. REDRAFT_TEST_LOAD_S delays the load, REDRAFT_TEST_LOAD_FAULT spoils it.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from engine import messages
from engine.errors import EditError
from engine.messages import Candidate, DenoisingState, EditRequest, EditResult
from engine.service import connection, daemon, frames

FIRST_LINE = re.compile(r"[^\r\n]*")


@dataclass(eq=False)
class LightJob:
    request: EditRequest
    document: str | None
    on_state: Any
    on_result: Any
    on_error: Any
    step: int = 0
    cancelled: bool = False

    @property
    def wishes(self) -> dict[str, Any]:
        return wishes(self.request.instruction)


def wishes(instruction: Any) -> dict[str, Any]:
    try:
        found = json.loads(instruction)
    except (TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def candidates(request: EditRequest, tag: str) -> tuple[Candidate, ...]:
    end = FIRST_LINE.match(request.span).end()  # type: ignore[union-attr]
    return tuple(
        Candidate(request.span[:end] + mark + request.span[end:], -0.1, None) for mark in (f" #{tag};", f" #{tag}~;")
    )


class LightScheduler:
    """The interface of `engine.service.scheduler.Scheduler`, newest-wins included."""

    def __init__(self) -> None:
        self.denoiser = SimpleNamespace(name="light", parameters=0, device="cpu", remote=None, fallback=None)
        self.edits = 0
        self.jobs: list[LightJob] = []
        self.wake = threading.Condition()
        self.running = True

    @property
    def queued(self) -> int:
        return len(self.jobs)

    def submit(self, job: LightJob) -> None:
        with self.wake:
            for other in self.jobs:
                if job.document is not None and other.document == job.document:
                    other.cancelled = True
            self.jobs.append(job)
            self.wake.notify()

    def cancel(self, job: LightJob) -> None:
        with self.wake:
            job.cancelled = True
            self.wake.notify()

    def stop(self) -> None:
        with self.wake:
            self.running = False
            self.wake.notify()

    def run(self) -> None:
        while True:
            with self.wake:
                self.wake.wait_for(lambda: self.jobs or not self.running)
                jobs = list(self.jobs)
            if not self.running:
                break
            time.sleep(max(float(job.wishes.get("step_s", 0.0)) for job in jobs))
            for job in jobs:
                self.advance(job)
        for job in self.jobs:
            job.on_error(EditError("cancelled", "the engine was stopped"))

    def advance(self, job: LightJob) -> None:
        if job.cancelled:
            self.jobs.remove(job)
            job.on_error(EditError("cancelled", "the edit was cancelled"))
            return
        job.step += 1
        steps = int(job.wishes.get("steps", 1))
        job.on_state(DenoisingState(job.step, steps, job.request.span))
        if job.step < steps:
            return
        self.jobs.remove(job)
        self.edits += 1
        fault = job.wishes.get("fault")
        if fault == "memory":
            job.on_error(EditError("out_of_memory", "the engine ran out of memory: select less"))
        elif fault == "nothing":
            job.on_result(EditResult((), steps, steps, 1.0, "unchanged"))
        elif fault != "silence":
            found = candidates(job.request, str(job.wishes.get("tag", "x")))
            job.on_result(EditResult(found, steps, steps, 1.0, "done"))


BAD_FRAMES = {
    "garbage": frames.HEADER.pack(5) + b"\xc1\xc1\xc1\xc1\xc1",
    "huge": frames.HEADER.pack(frames.MAX_FRAME + 1),
    "half": frames.HEADER.pack(100) + b"\x81\xa4type",
    "list": frames.HEADER.pack(1) + b"\x90",
    "zero": frames.HEADER.pack(0),
}


class LightConnection(daemon.Connection):
    def _handle(self, frame: dict[str, Any]) -> None:
        request = frame.get("request")
        fault = wishes(request.get("instruction")).get("fault") if isinstance(request, dict) else None
        if fault in BAD_FRAMES:
            self.writer.write(BAD_FRAMES[fault])
        elif fault == "state":
            self.writer.write(frames.pack("state", id=frame["id"], state={"step": "x"}))
        elif fault == "result":
            self.writer.write(frames.pack("result", id=frame["id"], result={"candidates": 3}))
        elif fault == "missing":
            self.writer.write(frames.pack("result", id=frame["id"]))
        elif fault == "die":
            os._exit(9)
        else:
            super()._handle(frame)

    async def _edit(self, number: int, request: EditRequest, document: str | None, stream: bool) -> None:
        if not await self._ready(number):
            return
        job = LightJob(
            request,
            document,
            on_state=lambda state: self._later("state", number, state=state) if stream else None,
            on_result=lambda result: self._finish("result", number, result=result),
            on_error=lambda error: self._finish("error", number, code=error.code, message=error.message),
        )
        self.jobs[number] = job
        self.daemon.scheduler.submit(job)

    async def _warm(self, number: int, request: EditRequest) -> None:
        if await self._ready(number):
            self._finish("done", number)


class LightDaemon(daemon.Daemon):
    def _compute(self, loop: Any) -> None:
        time.sleep(float(os.environ.get("REDRAFT_TEST_LOAD_S", "0")))
        fault = os.environ.get("REDRAFT_TEST_LOAD_FAULT")
        if fault:
            self.state, self.message = "failed", fault
        else:
            self.scheduler = LightScheduler()
            self.state, self.message = "ready", "ready"
        loop.call_soon_threadsafe(self.loaded.set)
        if self.scheduler:
            self.scheduler.run()


def interpreter(folder: Path) -> str:
    """An `engine.path` that runs this file in place of the daemon's module."""
    script = folder / "light-python"
    script.write_text(f'#!/bin/sh\nshift 2\nexec {sys.executable} {Path(__file__).resolve()} "$@"\n')
    script.chmod(0o755)
    return str(script)


if __name__ == "__main__":
    daemon.Connection = LightConnection  # type: ignore[misc]
    daemon.Daemon = LightDaemon  # type: ignore[misc]
    version = os.environ.get("REDRAFT_TEST_PROTOCOL")
    if version:
        connection.PROTOCOL_VERSION = messages.PROTOCOL_VERSION = int(version)
    sys.exit(daemon.main())
