"""The scheduler: fair, bounded passes, cancels at once, and nobody's answer depends on the company."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator, Sequence

import pytest

from engine.editing import edit_session, run_session
from engine.errors import EditError
from engine.messages import EditRequest, EditResult
from engine.models.denoiser import CanvasItem, CanvasLogits, EmbeddedDenoiser, pass_tokens
from engine.service.scheduler import ACTIVE, Job, Scheduler

SPANS = ["print(foo(1)\n", "x = [1, 2\n", "if x\n    y = 2\n", "def f(a, b:\n    return a\n"]
LONG = EditRequest("rewrite", "", "".join(f"value_{i} = compute({i})\n" for i in range(60)), "")


def fix(number: int) -> EditRequest:
    return EditRequest("fix", f"a = {number}\n", SPANS[number % len(SPANS)], "x = 1\n", candidates=2)


class Recorder:
    """Submits jobs and keeps what came back, in order."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.thread = threading.Thread(target=scheduler.run, daemon=True)
        self.ended: list[str] = []
        self.results: dict[str, EditResult | EditError] = {}
        self.changed = threading.Condition()

    def submit(self, name: str, request: EditRequest, client: int = 0, document: str | None = None) -> Job:
        end = functools.partial(self.end, name)
        start = functools.partial(edit_session, request)
        job = Job(start, document, lambda state: None, on_result=end, on_error=end, client=client)
        self.scheduler.submit(job)
        return job

    def end(self, name: str, result: EditResult | EditError) -> None:
        with self.changed:
            assert name not in self.results, "answered twice"
            self.results[name] = result
            self.ended.append(name)
            self.changed.notify()

    def wait(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.ended) >= count, timeout=120)


class Watched:
    """The real denoiser, with a record of its passes."""

    def __init__(self, denoiser: EmbeddedDenoiser) -> None:
        self.denoiser = denoiser
        self.passes: list[list[CanvasItem]] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self.denoiser, name)

    def denoise(self, items: Sequence[CanvasItem]) -> list[CanvasLogits]:
        self.passes.append(list(items))
        return self.denoiser.denoise(items)


@pytest.fixture
def recorder(denoiser: EmbeddedDenoiser) -> Iterator[Recorder]:
    recorder = Recorder(Scheduler(Watched(denoiser)))  # type: ignore[arg-type]
    yield recorder
    recorder.scheduler.stop()
    recorder.thread.join(60)


def run(recorder: Recorder) -> None:
    recorder.thread.start()


def test_edits_in_company_end_as_alone_and_passes_are_bounded(recorder: Recorder, denoiser: EmbeddedDenoiser) -> None:
    requests = [fix(i) for i in range(ACTIVE + 4)]
    for i, request in enumerate(requests):
        recorder.submit(str(i), request, client=i)
    run(recorder)
    recorder.wait(len(requests))
    for i, request in enumerate(requests):
        alone = run_session(edit_session(request, denoiser), denoiser)
        together = recorder.results[str(i)]
        assert isinstance(together, EditResult)
        assert [c.text for c in together.candidates] == [c.text for c in alone.candidates]
    for items in recorder.scheduler.denoiser.passes:  # type: ignore[attr-defined]
        assert len(items) == 1 or sum(len(item.canvas) for item in items) <= pass_tokens("cpu")
    assert recorder.scheduler.queued == 0


def test_one_clients_many_edits_do_not_starve_another(recorder: Recorder) -> None:
    for i in range(2 * ACTIVE):
        recorder.submit(f"many {i}", fix(i), client=1)
    recorder.submit("few", fix(0), client=2)
    run(recorder)
    recorder.wait(2 * ACTIVE + 1)
    assert recorder.ended.index("few") < ACTIVE + 1


def test_a_short_edit_overtakes_a_long_one(recorder: Recorder) -> None:
    long = recorder.submit("long", LONG, client=1)
    recorder.submit("short", fix(0), client=2)
    run(recorder)
    recorder.wait(1)
    assert recorder.ended == ["short"]
    recorder.scheduler.cancel(long)


def test_a_cancelled_edit_is_answered_before_the_next_pass_even_while_it_waits(recorder: Recorder) -> None:
    jobs = [recorder.submit(f"long {i}", LONG, client=i) for i in range(ACTIVE + 2)]
    recorder.scheduler.cancel(jobs[0])
    recorder.scheduler.cancel(jobs[-1])
    recorder.scheduler.errand(lambda denoiser: [recorder.scheduler.cancel(job) for job in jobs[1:3]])
    run(recorder)
    recorder.wait(4)
    assert set(recorder.ended) == {"long 0", "long 1", "long 2", f"long {ACTIVE + 1}"}
    assert len(recorder.scheduler.denoiser.passes) <= 1  # type: ignore[attr-defined]
    for job in jobs:
        recorder.scheduler.cancel(job)
    recorder.wait(len(jobs))
    assert all(isinstance(r, EditError) and r.code == "cancelled" for r in recorder.results.values())


def test_the_newest_of_a_document_wins_and_others_stay(recorder: Recorder) -> None:
    recorder.submit("old", LONG, document="d")
    recorder.submit("other", fix(1), document="e")
    recorder.submit("new", fix(2), document="d")
    run(recorder)
    recorder.wait(3)
    old = recorder.results["old"]
    assert isinstance(old, EditError)
    assert old.code == "cancelled"
    assert isinstance(recorder.results["new"], EditResult)
    assert isinstance(recorder.results["other"], EditResult)
