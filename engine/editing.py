"""One in-place edit, from request to ranked candidates.

`edit_session` is a generator: it yields canvases to be evaluated, is sent their log-probabilities,
and returns the result. So one scheduler can advance many edits step by step in shared forward
passes, and cancelling an edit is closing its generator.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress

from engine.completion import complete_line
from engine.conflicts import resolutions
from engine.denoising import fill_block, improve_block, rewrite_block
from engine.errors import EditError
from engine.guessing import guess_block
from engine.instructed import SIMPLIFY, rewritten, told_first
from engine.languages import SyntaxFault, is_checked
from engine.messages import Candidate, DenoisingState, EditRequest, EditResult
from engine.models.denoiser import Denoiser
from engine.models.http import Model
from engine.models.vocabulary import BOS
from engine.models.writer import Writer
from engine.ranking import rank
from engine.reading import plausible
from engine.regions import Region, normalise
from engine.repairing import repair_block
from engine.syntax import REPORTED_LATE, document_fault
from engine.work import (
    Answers,
    Block,
    Job,
    Query,
    Scored,
    Session,
    Texts,
    Work,
    faulty_lines,
    make_context,
    room_in,
    split_blocks,
)
from engine.writing import write_block

MAX_DOCUMENT = 2_000_000  # characters: above it the parser alone would take seconds
MAX_SPAN = 20_000  # characters
MAX_INSTRUCTION = 2_000  # characters
FAR = 40  # lines: a fault reported further below the span is another one


def edit_session(request: EditRequest, denoiser: Denoiser) -> Session:
    """Edits `request.span`. Raises EditError("bad_request" or "too_large") before the first query."""
    started = time.monotonic()
    check(request)
    region = normalise(request.prefix, request.span, request.suffix)
    deadline = started + request.deadline_ms / 1000 if request.deadline_ms else float("inf")
    fault = fault_with(region, region.span, request.language)
    parsed = is_checked(request.language) and fault is None
    job = Job(request, who_edits(request, denoiser), region, parsed, deadline)
    texts = list(resolved(job)) or (yield from narrowed(job, fault)) or (yield from told(job))
    if texts is None:
        texts = yield from edited(job)
    candidates = rank(texts, region, request, request.candidates, deadline)
    guesses: tuple[Candidate, ...] = ()
    if request.guesses and request.intent == "fix" and parsed and not candidates:
        guesses = rank((yield from guessed(job)), region, request, request.guesses, deadline)
    reason = "deadline" if job.late else "done" if candidates else "unchanged"
    return EditResult(candidates, job.steps, job.passes, 1000 * (time.monotonic() - started), reason, guesses)


def who_edits(request: EditRequest, denoiser: Denoiser) -> Denoiser:
    return (denoiser.writer or denoiser) if request.intent == "fill" else denoiser


def resolved(job: Job) -> Iterator[Scored]:
    """What the conflicts of a merge in the span can become: only its author knows which, so none is denoised."""
    if job.request.intent == "fix" and not job.parsed:
        for i, text in enumerate(resolutions(job.region.span)):
            yield text, -float(i)


def narrowed(job: Job, told: SyntaxFault | None) -> Texts:
    """Mends each mistake of a span that does not parse in the few lines around it, which are all that is denoised.
    Nothing, where that does not mend them all. `told`: the fault of the document as it is."""
    region, texts = job.region, list[Scored]()
    mended, left = region.span, len(region.span)
    while job.request.intent == "fix" and not job.late:
        cut = faulty_lines(region, mended, told) if told else None
        if cut is None:
            return texts
        above, block, below = cut
        if block == region.span or len(below) >= left:
            break
        work, left = job.open(above, block, below), len(below)
        if work.judge is None or (fault := work.judge.fault(block)) is None:
            break
        canvas = [BOS, *work.denoiser.vocabulary.encode(block)]
        if len(canvas) > room_in(work.denoiser):
            break
        finalists = yield from repair_block(work, canvas, fault, work.judge)
        if not finalists:
            break
        texts = [(work.text(child.canvas).join((above, below)), child.score) for child in finalists]
        mended = texts[0][0]
        told = fault_with(region, mended, job.request.language)
    return texts if job.late else []


def told(job: Job) -> Generator[Query, Answers, list[Scored] | None]:
    """Rewrites as the instruction says, or as nobody would mind; None where there is nobody to be told."""
    instruction = told_what(job.request)
    own_idea = not (job.request.instruction or "").strip()
    if not instruction or (own_idea and is_checked(job.request.language) and not job.parsed):
        return None
    writer = job.denoiser.writer
    return (yield from rewritten(job, writer, instruction, own_idea)) if isinstance(writer, Writer) else None


def told_what(request: EditRequest) -> str:
    """What a rewrite is to do, in words; "" where there are none: with a `strength` alone, the span is re-noised."""
    instruction = (request.instruction or "").strip()
    if request.intent != "rewrite" or (request.strength is not None and not instruction):
        return ""
    return instruction or SIMPLIFY


def edited(job: Job) -> Texts:
    """The span block by block, in order, each in the context of those before it as they became."""
    done, score = "", 0.0  # the blocks before, and the score of the last of them that was changed
    texts: list[Scored] = []
    blocks = split_blocks(job.region.span, job.denoiser)
    for i, block in enumerate(blocks):
        rest = "".join(blocks[i + 1 :])
        work = job.open(done, block, rest)
        finalists = yield from edit_block(work, block, final=not rest)
        if job.request.intent == "rewrite" and job.parsed and job.denoiser.writer and not job.late:
            writing = job.open(done, block, rest, job.denoiser.writer)
            finalists = yield from plausible(writing, work, block, finalists)
        if job.late or not rest:
            kept = [] if finalists or done == "".join(blocks[:i]) else [(done + block + rest, score)]
            texts = [(done + work.text(child.canvas) + rest, child.score) for child in finalists] or kept
            break
        if finalists:
            block, score = work.text(finalists[0].canvas), finalists[0].score
        done += block
    return texts


def guessed(job: Job) -> Texts:
    """Guesses for every block, the others as they are, best first."""
    texts: list[Scored] = []
    blocks = split_blocks(job.region.span, job.denoiser)
    for i, block in enumerate(blocks):
        above, below = "".join(blocks[:i]), "".join(blocks[i + 1 :])
        work = job.open(above, block, below)
        writing = job.open(above, block, below, job.denoiser.writer) if job.denoiser.writer else None
        for child in (yield from guess_block(work, block, writing)):
            texts.append((above + work.text(child.canvas) + below, child.score))
        if job.late:
            break
    return sorted(texts, key=lambda scored: -scored[1])


def check(request: EditRequest) -> None:
    """Raises EditError when the request cannot be meant."""
    if len(request.span) > MAX_SPAN:
        raise EditError(
            "too_large", f"the region has {len(request.span):,} characters, the limit is {MAX_SPAN:,}: select less"
        )
    size = len(request.prefix) + len(request.span) + len(request.suffix)
    if size > MAX_DOCUMENT:
        raise EditError("too_large", f"the document has {size:,} characters, the limit is {MAX_DOCUMENT:,}")
    said = len(request.instruction or "")
    if said > MAX_INSTRUCTION:
        raise EditError(
            "too_large", f"the instruction has {said:,} characters, the limit is {MAX_INSTRUCTION:,}: say it shorter"
        )
    if "\0" in request.span or "\0" in request.prefix[-1000:]:
        raise EditError("bad_request", "the document holds NUL characters: it is not text")
    if request.intent != "fill" and not request.span:
        raise EditError(
            "bad_request", f"nothing to {request.intent}: the region is empty, select some code or use fill"
        )
    if not 1 <= request.candidates <= 100:
        raise EditError("bad_request", "candidates must be between 1 and 100")
    if not 0 <= request.guesses <= 100:
        raise EditError("bad_request", "guesses must be between 0 and 100")
    if request.strength is not None and not 0 <= request.strength <= 1:
        raise EditError("bad_request", "strength must be between 0 and 1")


def warm_context(request: EditRequest, denoiser: Denoiser) -> None:
    """Encodes the context of an edit that is likely to come."""
    region = normalise(request.prefix, request.span, request.suffix)
    fault = fault_with(region, region.span, request.language) if request.intent == "fix" else None
    above, _, below = (faulty_lines(region, region.span, fault) if fault else None) or ("", "", "")
    who = who_edits(request, denoiser)
    who.warm(make_context(request, who, region.prefix + above, below + region.suffix))
    instruction = told_what(request)
    with suppress(EditError):  # the edit itself will tell the user
        writer = denoiser.writer
        if instruction and isinstance(writer, Writer) and (first := told_first(request, region, writer, instruction)):
            writer.warm(first.asked())


def edit_block(work: Work, block: str, final: bool) -> Block:
    """Finished canvases for one block, best first, none of them the block as it was."""
    canvas = [BOS, *work.denoiser.vocabulary.encode(block)]
    if work.request.intent == "fill":
        if not work.denoiser.ordered:
            return (yield from fill_block(work, canvas))
        return (yield from complete_line(work) if work.request.quick else write_block(work))
    if work.request.intent == "rewrite":
        mended = [] if work.parsed else (yield from fix_block(work, canvas, block, final))
        return mended + (yield from rewrite_block(work, canvas))
    return (yield from fix_block(work, canvas, block, final))


def fix_block(work: Work, canvas: list[int], block: str, final: bool) -> Block:
    """Mends what the parser reports in or soon after the block, else what the model is sure of."""
    fault = work.judge.fault(block) if work.judge and not work.parsed else None
    if fault and work.judge:
        last = work.judge.first_line + block.count("\n")
        if not final and fault.line > last + REPORTED_LATE:
            return []  # the fault is further down
        # Of the faults above only one that leaves something open can be mended here; another is in a verdict's way.
        if (work.judge.first_line <= fault.line or fault.leaves_open) and fault.line <= last + FAR:
            return (yield from repair_block(work, canvas, fault, work.judge))
    return (yield from improve_block(work, canvas))


def fault_with(region: Region, text: str, language: str) -> SyntaxFault | None:
    """The fault of the document with `text` in the region."""
    return document_fault(region.prefix + text + region.suffix, language)


def run_session(
    session: Session,
    denoiser: Model,
    on_state: Callable[[DenoisingState], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> EditResult:
    """Drives one session alone. Raises EditError as `edit_session` does, and EditError("cancelled")."""
    try:
        query = next(session)
        while True:
            if cancelled and cancelled():
                session.close()
                raise EditError("cancelled", "the edit was cancelled")
            if on_state:
                on_state(query.state)
            query = session.send(denoiser.denoise(query.items))
    except StopIteration as end:
        return end.value
