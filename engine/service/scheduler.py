"""Advances many edit sessions step by step, their canvases batched into shared forward passes.

One compute thread owns the model. A pass is bounded in tokens, and between any two passes it looks at
what was cancelled or newly asked, so a cancel takes effect within one step. Sessions under way take
turns: whoever was served longest ago comes first. Only so many are under way at once, because they
would push each other's context out of the cache; the others wait, and whose client has least under way
is next.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from engine.errors import EditError
from engine.messages import DenoisingState, EditResult
from engine.models.denoiser import CACHED_CONTEXTS, CanvasItem, CanvasLogits, pass_tokens
from engine.models.http import Model
from engine.service.cores import SpareCores
from engine.work import Query, Session

ACTIVE = CACHED_CONTEXTS - 2  # sessions under way at once; the rest of the cache is for warming
logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Job:
    """An edit under way. Callbacks run on the compute thread; exactly one of `on_result` and `on_error`
    is called, once. `client`: whom it is for, so that nobody's many edits starve another's few."""

    start: Callable[[Model], Session]
    document: str | None
    on_state: Callable[[DenoisingState], None]
    on_result: Callable[[EditResult], None]
    on_error: Callable[[EditError], None]
    client: int = 0
    session: Session | None = None
    query: Query | None = None
    answers: list[CanvasLogits] = field(default_factory=list[CanvasLogits])  # to the query, as far as it got
    cancelled: bool = False


class Scheduler:
    def __init__(self, denoiser: Model) -> None:
        self.denoiser = denoiser
        self.edits = 0
        self._queue: list[Job] = []
        self._errands: list[Callable[[Model], None]] = []
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

    def errand(self, work: Callable[[Model], None]) -> None:
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
        spare = SpareCores(torch.get_num_threads())
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._queue or self._errands or not self._running)
                if not self._running:
                    break
                work = self._errands.pop(0) if self._errands else None
                queue = list(self._queue)
            torch.set_num_threads(spare.threads())
            if work:
                work(self.denoiser)
            for job in queue:
                if job.cancelled:
                    self._fail(job, EditError("cancelled", "the edit was cancelled"))
            self._step(self._take_turn())
        for job in self._queue:
            job.on_error(EditError("cancelled", "the engine was stopped"))

    def _take_turn(self) -> list[tuple[Job, list[CanvasItem]]]:
        """What the next pass evaluates; whoever is served goes to the back of the queue."""
        turn: list[tuple[Job, list[CanvasItem]]] = []
        room = pass_tokens(self.denoiser.device)
        for job in self._under_way():
            if job.query and not job.query.items:  # it waits for something else than the model: a server
                self._advance(job, [])
                continue
            items: list[CanvasItem] = []
            for item in job.query.items[len(job.answers) :] if job.query else ():
                if (turn or items) and len(item.canvas) > room:
                    break
                items.append(item)
                room -= len(item.canvas)
            if items:
                turn.append((job, items))
            if room <= 0:
                break
        served = {job for job, _ in turn}
        with self._wake:
            self._queue.sort(key=lambda job: job in served)
        return turn

    def _under_way(self) -> list[Job]:
        """The sessions that take turns, new ones started as far as there is room."""
        active = [job for job in self._queue if job.session]
        waiting = [job for job in self._queue if not job.session and not job.cancelled]
        busy = Counter(job.client for job in active)
        while waiting and len(active) < ACTIVE:
            job = min(waiting, key=lambda job: busy[job.client])
            waiting.remove(job)
            job.session = job.start(self.denoiser)
            self._advance(job, None)
            if job.query:  # else it has ended already
                active.append(job)
                busy[job.client] += 1
        return active

    def _step(self, turn: list[tuple[Job, list[CanvasItem]]]) -> None:
        if not turn:
            return
        try:
            answers = self.denoiser.denoise([item for _, items in turn for item in items])
        except Exception as error:  # the edge of the process: one bad batch must not end the engine
            self._isolate(turn, error)
            return
        for job, items in turn:
            job.answers += answers[: len(items)]
            answers = answers[len(items) :]
            if job.query and len(job.answers) == len(job.query.items):
                self._advance(job, job.answers)

    def _isolate(self, turn: list[tuple[Job, list[CanvasItem]]], error: Exception) -> None:
        """A pass failed: with several jobs each is tried alone, a lone one is answered with the error."""
        if len(turn) > 1:
            for one in turn:
                self._step([one])
            return
        job = turn[0][0]
        logger.error("a denoising pass failed: %s", type(error).__name__)
        out_of_memory = (
            isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate" in str(error)
        )
        if out_of_memory:
            self._fail(
                job, EditError("out_of_memory", "the engine ran out of memory: select less or use a smaller model")
            )
        else:
            self._fail(job, EditError("internal", f"the model failed ({type(error).__name__}): see the engine's log"))

    def _advance(self, job: Job, answers: list[CanvasLogits] | None) -> None:
        """Sends a session its answers, keeps its next query or delivers its result."""
        assert job.session is not None
        job.answers = []
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
