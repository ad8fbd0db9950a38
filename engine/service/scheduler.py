"""Advances many edit sessions step by step, their canvases batched into shared forward passes.

One compute thread owns the model. Between any two passes it looks at what was cancelled, so a
cancel takes effect within one step. Sessions take turns: whoever was served longest ago comes first.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from engine.editing import Query, Session
from engine.errors import EditError
from engine.messages import DenoisingState, EditResult
from engine.models.denoiser import CanvasLogits, Denoiser

BATCH_CANVASES = 96  # canvases per forward pass
logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Job:
    """An edit under way. Callbacks run on the compute thread; exactly one of `on_result` and `on_error`
    is called, once."""

    start: Callable[[Denoiser], Session]
    document: str | None
    on_state: Callable[[DenoisingState], None]
    on_result: Callable[[EditResult], None]
    on_error: Callable[[EditError], None]
    session: Session | None = None
    query: Query | None = None
    cancelled: bool = False


class Scheduler:
    def __init__(self, denoiser: Denoiser) -> None:
        self.denoiser = denoiser
        self.edits = 0
        self._queue: list[Job] = []
        self._errands: list[Callable[[Denoiser], None]] = []
        self._wake = threading.Condition()
        self._running = True

    @property
    def queued(self) -> int:
        return len(self._queue)

    def submit(self, job: Job) -> None:
        """Queues `job`; an older one of the same document is cancelled (newest wins)."""
        with self._wake:
            for other in self._queue:
                if job.document is not None and other.document == job.document:
                    other.cancelled = True
            self._queue.append(job)
            self._wake.notify()

    def errand(self, work: Callable[[Denoiser], None]) -> None:
        """Runs `work` on the compute thread between two steps (warming a context, say)."""
        with self._wake:
            self._errands.append(work)
            self._wake.notify()

    def cancel(self, job: Job) -> None:
        with self._wake:
            job.cancelled = True
            self._wake.notify()

    def stop(self) -> None:
        with self._wake:
            self._running = False
            self._wake.notify()

    def run(self) -> None:
        """The compute thread's loop, until `stop`."""
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._queue or self._errands or not self._running)
                if not self._running:
                    break
                errands, self._errands = self._errands, []
                turn = self._take_turn()
            for work in errands:
                work(self.denoiser)
            self._step(turn)
        for job in self._queue:
            job.on_error(EditError("cancelled", "the engine was stopped"))

    def _take_turn(self) -> list[Job]:
        """The jobs of the next pass; they go to the back of the queue."""
        turn: list[Job] = []
        canvases = 0
        for job in self._queue:
            canvases += len(job.query.items) if job.query else 1
            if turn and canvases > BATCH_CANVASES:
                break
            turn.append(job)
        self._queue = self._queue[len(turn) :] + turn
        return turn

    def _step(self, turn: list[Job]) -> None:
        ready = [job for job in turn if self._has_query(job)]
        items = [item for job in ready if job.query for item in job.query.items]
        if not ready:
            return
        try:
            answers = self.denoiser.denoise(items)
        except Exception as error:  # the edge of the process: one bad batch must not end the engine
            self._isolate(ready, error)
            return
        for job in ready:
            assert job.query is not None
            count = len(job.query.items)
            self._advance(job, answers[:count])
            answers = answers[count:]

    def _isolate(self, ready: list[Job], error: Exception) -> None:
        """A pass failed: with several jobs each is tried alone, a lone one is answered with the error."""
        if len(ready) > 1:
            for job in ready:
                self._step([job])
            return
        logger.error("a denoising pass failed: %s", type(error).__name__)
        out_of_memory = (
            isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate" in str(error)
        )
        if out_of_memory:
            self._fail(
                ready[0], EditError("out_of_memory", "the engine ran out of memory: select less or use a smaller model")
            )
        else:
            self._fail(
                ready[0], EditError("internal", f"the model failed ({type(error).__name__}): see the engine's log")
            )

    def _has_query(self, job: Job) -> bool:
        if job.cancelled:
            self._fail(job, EditError("cancelled", "the edit was cancelled"))
            return False
        if job.session is None:
            job.session = job.start(self.denoiser)
            self._advance(job, None)
        return job.query is not None

    def _advance(self, job: Job, answers: list[CanvasLogits] | None) -> None:
        """Sends a session its answers, keeps its next query or delivers its result."""
        assert job.session is not None
        try:
            job.query = next(job.session) if answers is None else job.session.send(answers)
            job.on_state(job.query.state)
        except StopIteration as end:
            self.edits += 1
            self._forget(job)
            job.on_result(end.value)
        except EditError as error:
            self._fail(job, error)
        except Exception as error:  # the edge of the process
            # No traceback: its frames' source lines are ours, but a message may quote the user's code.
            logger.error("an edit session failed: %s at %s", type(error).__name__, where(error))
            self._fail(job, EditError("internal", f"the edit failed ({type(error).__name__}): see the engine's log"))

    def _fail(self, job: Job, error: EditError) -> None:
        self._forget(job)
        if job.session:
            job.session.close()
        job.on_error(error)

    def _forget(self, job: Job) -> None:
        job.query = None
        with self._wake:
            if job in self._queue:
                self._queue.remove(job)


def where(error: BaseException) -> str:
    """File and line the error came from."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "unknown"
