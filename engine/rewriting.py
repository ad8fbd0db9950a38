"""Edits by models that answer whole texts: a session like any other, with the same region, syntax guard,
candidates, cancel and deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, wait
from dataclasses import replace

from engine.editing import check, edit_session, warm_context
from engine.errors import EditError
from engine.messages import DenoisingState, EditRequest, EditResult
from engine.models.http import Ask, HttpModel, Model
from engine.models.prompts import Hole, answer_text
from engine.ranking import rank
from engine.regions import Region, hidden_text, normalise, visible_span
from engine.work import Query, Session

CALLS = 4  # texts asked for at once; more candidates than that would cost more than they bring
POLL_S = 0.02


def open_session(request: EditRequest, model: Model) -> Session:
    """The session that edits by `model`."""
    return text_session(request, model) if isinstance(model, HttpModel) else edit_session(request, model)


def warm(request: EditRequest, model: Model) -> None:
    """Encodes the context of an edit that is likely to come; nothing is sent anywhere for it."""
    if not isinstance(model, HttpModel):
        warm_context(request, model)


def text_session(request: EditRequest, model: HttpModel) -> Session:
    """Edits `request.span` by texts of `model`. Its queries hold no canvases: they only let the scheduler go
    round, look for cancels and show what has been written. Where the server fails, the model's stand-in edits; if
    there is none, raises EditError as the model does."""
    started = time.monotonic()
    check(request)
    region = normalise(request.prefix, request.span, request.suffix)
    deadline = started + request.deadline_ms / 1000 if request.deadline_ms else float("inf")
    seen = [""]
    hole = visible_hole(request, region)
    futures = [
        model.write(Ask(hole, number, request.seed, deadline, watcher(seen, number)))
        for number in range(calls(request, model))
    ]
    try:
        # A request that gave up at the deadline may be seen to have ended before the deadline is.
        late = (yield from poll(futures, deadline, seen)) or time.monotonic() >= deadline
    finally:  # also when the edit is cancelled
        for future in futures:
            future.cancel()
    try:
        texts = written(futures, late)
    except EditError as error:
        if error.code != "model_unavailable" or model.stand_in is None:
            raise
        model.fallback = f"the embedded model stands in: {error.message}"
        left = None if request.deadline_ms is None else max(1, int(1000 * (deadline - time.monotonic())))
        return (yield from edit_session(replace(request, deadline_ms=left), model.stand_in()))
    model.fallback = None
    span = visible_span(region)
    finalists = [(hidden_text(answer_text(text, span), region), 0.0) for text in texts]
    candidates = rank(finalists, region, request, request.candidates, deadline)
    reason = "deadline" if late else "done" if candidates else "unchanged"
    return EditResult(candidates, 1, len(futures), 1000 * (time.monotonic() - started), reason)


def calls(request: EditRequest, model: HttpModel) -> int:
    """Mercury answers the same request with the same text."""
    return 1 if model.choice.protocol == "mercury" else min(request.candidates, CALLS)


def watcher(seen: list[str], number: int) -> Callable[[str], None]:
    """Keeps what the first text looks like so far."""

    def on_text(text: str) -> None:
        if number == 0:
            seen[0] = text

    return on_text


def poll(futures: list[Future[str]], deadline: float, seen: list[str]) -> Generator[Query, object, bool]:
    """Until all texts are there (False) or the deadline has come (True)."""
    while True:
        yield Query((), DenoisingState(0, 1, seen[0]))
        if not wait(futures, timeout=POLL_S).not_done:
            return False
        if time.monotonic() > deadline:
            return True


def written(futures: list[Future[str]], late: bool) -> list[str]:
    """The texts that came, in order. Raises the first failure when none came, unless the deadline did."""
    ended = [future for future in futures if future.done() and not future.cancelled()]
    texts = [future.result() for future in ended if future.exception() is None]
    failures = [error for future in ended if (error := future.exception()) is not None]
    if not texts and failures and not late:
        raise failures[0] if isinstance(failures[0], EditError) else EditError("internal", "the request failed")
    return texts


def visible_hole(request: EditRequest, region: Region) -> Hole:
    return Hole(
        request.intent,
        region.prefix + region.head,
        visible_span(region),
        region.suffix.removeprefix(region.tail),
        request.language,
        request.path,
        "\n".join(filter(None, (request.instruction, *(d.message for d in request.diagnostics)))) or None,
    )
