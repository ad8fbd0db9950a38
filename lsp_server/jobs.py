"""The table of edits under way, and how each can be cancelled.

pygls lets the coroutine of a cancelled executeCommand run on, so we keep our own: a job ends by
`$/cancelRequest`, by `window/workDoneProgress/cancel`, by a command, or by a newer job of the same
document.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from itertools import count
from typing import Any


@dataclass(slots=True, eq=False)
class Job:
    number: int
    uri: str
    request_id: int | str | None
    token: int | str | None  # of its progress
    task: asyncio.Task[Any] | None = None
    why_cancelled: str = "cancelled"
    drawn: str = ""  # the last canvas that the client was shown
    applying: bool = False  # the edit is on its way to the editor, which may have made it already

    def cancel(self, why: str) -> bool:
        """False when it is too late for it."""
        if self.task is None or self.task.done() or self.applying:
            return False
        self.why_cancelled = why
        return self.task.cancel()


class Jobs:
    def __init__(self) -> None:
        self._jobs: set[Job] = set()
        self._numbers = count(1)

    def __len__(self) -> int:
        return len(self._jobs)

    def create(self, uri: str, request_id: int | str | None, token: int | str | None) -> Job:
        """A new job; older ones of the same document are cancelled."""
        self.cancel_where("a newer request took its place", uri=uri)
        job = Job(next(self._numbers), uri, request_id, token)
        self._jobs.add(job)
        return job

    async def run(self, job: Job, work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
        """The outcome of `work`; when the job is cancelled, an outcome that says so."""
        job.task = asyncio.create_task(work)
        try:
            return await asyncio.shield(job.task)
        except asyncio.CancelledError:
            job.cancel("cancelled")
            return {"applied": False, "reason": job.why_cancelled}
        finally:
            self._jobs.discard(job)

    def others(self, than: Job) -> bool:
        return bool(self._jobs - {than})

    def cancel_request(self, request_id: int | str) -> bool:
        """False when it is too late: the answer is to say what became of the edit."""
        asked = [job for job in self._jobs if job.request_id == request_id]
        return all(job.cancel("cancelled") for job in asked)

    async def end_all(self, why: str) -> None:
        """Cancels every job and waits until they have said so."""
        ending = [job.task for job in self._jobs if job.cancel(why) and job.task]
        await asyncio.gather(*ending, return_exceptions=True)

    def cancel_where(self, why: str, **wanted: Any) -> int:
        """Cancels every job whose attributes equal all of `wanted`; how many there were to cancel."""
        matching = [job for job in self._jobs if all(getattr(job, name) == value for name, value in wanted.items())]
        return sum(job.cancel(why) for job in matching)
