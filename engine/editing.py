"""One in-place edit, from request to ranked candidates.

`edit_session` is a generator: it yields canvases to be evaluated, is sent their log-probabilities,
and returns the result. So one scheduler can advance many edits step by step in shared forward
passes, and cancelling an edit is closing its generator.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace

from engine.by_hand import mended_by_hand, suspects
from engine.completion import complete_line
from engine.conflicts import resolutions
from engine.diffusion.lengths import MASK_COUNTS, VARIANTS, likeliest, stretched
from engine.diffusion.mending import fuses_words, indent_of
from engine.diffusion.sampler import StepPolicy, moves, renoise, reverse_step
from engine.diffusion.search import Child, judged_search, nearness
from engine.errors import EditError
from engine.guessing import guess_block
from engine.instructed import SIMPLIFY, rewritten_as_told, rewritten_in_parts, told_by
from engine.languages import SyntaxFault, is_checked, syntax_fault
from engine.messages import Candidate, DenoisingState, EditRequest, EditResult
from engine.models.denoiser import Context, Denoiser
from engine.models.http import Model
from engine.models.vocabulary import BOS, MASK
from engine.models.writer import Writer
from engine.reading import plausible
from engine.regions import Region, line_above, normalise
from engine.syntax import REPORTED_LATE, Judge
from engine.work import (
    NEAR_CHARS,
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
FILL_LENGTHS = (4, 8, 16, 32)  # masks that a fill of unknown length starts from
# What an unsure model repeats scores well, and means nothing.
BABBLE = re.compile(r"([A-Za-z_]{2,8}?)\1{3,}|(\b\w+\W+)\2{3,}")
INDENT = "    "  # of a body, as the model writes it
HEAD = re.compile(r"^\n[ \t]*")
FAR = 40  # lines: a fault reported further below the span is another one
REWRITE_STRENGTH, FIX_MARGIN = 0.3, 4.0  # margin: 1% of correct held-out regions are touched, 3.5% at 2.0

STEPS, REWRITES = 8, 8
RANKING_S = 0.3  # that putting candidates in order may take beyond the deadline

LENGTH_BONUS, MEND_WEIGHT, RANK_COST, NOT_SEARCHED = 0.25, 0.6, 0.13, 10
CLOSE = 0.9  # nats above the cheapest mend by hand: the model never preferred a dearer one rightly


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
    if task := told_by(job.request, job.region, writer, instruction):
        return (yield from rewritten_as_told(job, task, own_idea))
    if isinstance(writer, Writer) and job.region.head:
        return (yield from rewritten_in_parts(job, writer, instruction, own_idea))
    return None


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
    if instruction and (task := told_by(request, region, denoiser.writer, instruction)):
        task.writer.warm(task.asked())


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


def repair_block(work: Work, canvas: list[int], fault: SyntaxFault, judge: Judge) -> Block:
    """The document does not parse: search for the likeliest small edits that make it."""
    block = work.text(canvas)
    at = token_at(work, canvas, suspects(block, fault, judge.first_line)[0], fault.column)

    def sound(text: str) -> bool:
        return work.keeps_frame(text) and not fuses_words(block, text, work.near)

    def verdict(candidate: list[int]) -> float:
        text = work.text(candidate)
        if not sound(text):
            return -1.0
        left = judge.fault(text)
        return float("inf") if left is None and judge.confirm(text) else float(left.line if left else 0)

    mended = mended_by_hand(block, fault, judge, work.region.prefix[-NEAR_CHARS:], sound)
    encode = work.denoiser.vocabulary.encode
    canvases: dict[tuple[int, ...], float] = {(BOS, *encode(text)): cost for text, cost in mended.items()}
    by_hand = {canvas: cost for canvas, cost in canvases.items() if len(canvas) <= work.denoiser.max_canvas}
    limit = max(8, work.request.candidates)
    close = [mended for mended, cost in by_hand.items() if cost <= min(by_hand.values()) + CLOSE]
    search = judged_search(canvas, verdict, nearness(len(canvas), at), limit, thorough=not by_hand)
    likely = [tuple(child.canvas) for child in (yield from work.drive(search, 8, along=close))]
    found = list(dict.fromkeys([*likely, *close]))
    yield from work.score(found)

    def merit(mended: tuple[int, ...]) -> float:
        """Log-likelihood in nats, less what such a mend costs a priori; weights fitted on held-out mistakes."""
        rank = likely.index(mended) if mended in likely else NOT_SEARCHED
        length = LENGTH_BONUS * len(mended)
        return work.likelihood(mended) + length - MEND_WEIGHT * by_hand.get(mended, 4.0) - RANK_COST * rank

    scored = all(canvas in work.scores for canvas in found)
    best = sorted(found, key=merit, reverse=True) if scored else [*by_hand, *likely]  # time was up
    best = list(dict.fromkeys([*best, *by_hand]))
    return [Child(work.scores.get(mended, -30.0), list(mended)) for mended in best]


def improve_block(work: Work, canvas: list[int]) -> Block:
    """The document parses, or nobody can tell: change only what the model is sure to be wrong."""
    strength = 0.0 if work.request.strength is None else work.request.strength
    margin = FIX_MARGIN * (1 - strength)
    (logits,) = yield from work.ask([canvas], limit=8)
    singles = [
        Child(m.gain, m.apply(canvas)) for m in moves(canvas, logits, work.request.candidates * 2) if m.gain > margin
    ]
    start = [reverse_step(canvas, logits, StepPolicy(margin=margin, max_canvas=work.denoiser.max_canvas), work.rng)]
    start += [child.canvas for child in singles]
    finished = yield from denoise(work, [s for s in start if s != canvas], StepPolicy(threshold=0.6, margin=margin))
    return [child for child in finished if child.canvas != canvas]


def rewrite_block(work: Work, canvas: list[int]) -> Block:
    """Re-noise the block several ways, denoise each, prefer what the model finds likeliest."""
    strength = REWRITE_STRENGTH if work.request.strength is None else work.request.strength
    count = max(REWRITES, 2 * work.request.candidates)
    # From a touch to one and a half times the strength: light noise keeps more of the text right.
    starts = [renoise(canvas[1:], strength * 1.5 * (i + 1) / count, work.rng) for i in range(count)]
    if not work.denoiser.free_length:
        room = work.denoiser.max_canvas
        variants = [stretched(start, work.rng)[:room] for start in starts for _ in range(VARIANTS)]
        starts = yield from likeliest_lengths(work, [*starts, *variants], count)
    policy = StepPolicy(threshold=0.7, margin=3.0, temperature=0.5, max_canvas=work.denoiser.max_canvas)
    finished = yield from denoise(work, [canvas, *starts], policy)
    return [child for child in finished if child.canvas != canvas]


def fill_block(work: Work, canvas: list[int]) -> Block:
    """Write the span anew: its length is open, so several counts of masks race."""
    free = work.denoiser.free_length
    # The newline that whole lines begin with, and a likely indentation, stand in front from the start.
    heads = [work.denoiser.vocabulary.encode(head) for head in fill_heads(work.region)]
    lengths = FILL_LENGTHS if free else MASK_COUNTS
    start = [[BOS, *head, *[MASK] * n] for head in heads for n in lengths if len(head) + n < work.denoiser.max_canvas]
    if not free:
        start = yield from likeliest_lengths(work, start, max(4, work.request.candidates))
    if not work.region.head:
        start.append([BOS])
    policy = StepPolicy(threshold=0.7, margin=3.0, max_canvas=work.denoiser.max_canvas)
    finished = yield from denoise(work, start, policy)
    return [child for child in finished if child.canvas != canvas and not BABBLE.search(work.text(child.canvas))]


def fill_heads(region: Region) -> list[str]:
    """What a fill begins with: the hole's own indentation; where it is empty, that of the lines around it."""
    if not region.head:
        return [""]
    own = HEAD.match(region.span)
    if own:
        return [own.group()]
    above = line_above(region.prefix)
    below = next((line for line in region.suffix.split("\n") if line.strip()), above)
    deeper = indent_of(above) + INDENT if above.rstrip().endswith(":") else indent_of(above)
    return list(dict.fromkeys(("\n" + deeper, "\n" + indent_of(below))))


def likeliest_lengths(work: Work, canvases: list[list[int]], count: int) -> Generator[Query, Answers, list[list[int]]]:
    """The `count` canvases whose numbers of masks fit best."""
    seen = yield from work.ask(canvases, limit=8, masks_only=True)
    blind = yield from work.ask(canvases, limit=8, masks_only=True, contexts=[Context((), (), ())] * len(canvases))
    return likeliest(canvases, seen, blind, count)


def denoise(work: Work, canvases: list[list[int]], policy: StepPolicy) -> Block:
    """All canvases in parallel to their fixed points, or until steps or time run out."""
    limit = work.request.max_steps or STEPS
    finished: dict[tuple[int, ...], Child] = {}
    active = distinct_canvases(canvases)
    for step in range(limit):
        if not active or work.late:
            break
        answers = yield from work.ask(active, limit)
        # The last step is kept for looking over what the others wrote.
        bold = replace(policy, least=1 / max(1, limit - 1 - step))
        if (by := work.denoiser.entropy_bound) is not None:
            bold = replace(bold, bound=by.bound, temperature=by.temperature(limit - step, limit))
        moved: list[list[int]] = []
        for canvas, logits in zip(active, answers, strict=True):
            after = reverse_step(canvas, logits, bold, work.rng)
            if after == canvas or tuple(after) in work.scores:
                settled = tuple(canvas)
                if MASK not in settled:
                    finished.setdefault(settled, Child(work.scores[settled], canvas))
            else:
                moved.append(after)
        active = distinct_canvases(moved)
    for canvas in active:  # time is up: what stands without masks still counts
        if MASK not in canvas:
            finished.setdefault(tuple(canvas), Child(work.scores.get(tuple(canvas), -30.0), canvas))
    return sorted(finished.values(), key=lambda child: -child.score)


def distinct_canvases(canvases: list[list[int]]) -> list[list[int]]:
    return [list(c) for c in dict.fromkeys(tuple(c) for c in canvases)]


def token_at(work: Work, canvas: list[int], line: int, column: int) -> int:
    """Index in `canvas` of the token at 0-based `line` of the span's text and `column` of that line."""
    text = work.text(canvas)
    lines = text.split("\n")
    offset = sum(len(part) + 1 for part in lines[: max(0, line)]) + column
    seen = 0
    for i, token in enumerate(canvas):
        seen += len(work.text([token]))
        if seen > offset:
            return i
    return len(canvas) - 1


def rank(
    finalists: Sequence[Scored], region: Region, request: EditRequest, limit: int, deadline: float
) -> tuple[Candidate, ...]:
    """At most `limit` distinct candidates in the user's form; those that do not parse only when none does and nothing
    parsed before. `finalists`: texts as the model writes them with their scores, best first. After the `deadline` those
    that there are will do."""
    found: dict[str, Candidate] = {}
    valid: list[Candidate] = []
    checked, give_up = is_checked(request.language), max(deadline, time.monotonic() + RANKING_S)
    parsed_before = checked and parses(request, request.span)
    for text, score in finalists:
        if valid and time.monotonic() > give_up:
            break
        try:
            restored = region.restore(text)
        except ValueError:
            continue
        if restored == request.span or restored in found or "\ufffd" in restored:
            continue
        parsed = parses(request, restored) if checked else None
        if parsed or not parsed_before:
            found[restored] = Candidate(restored, score, parsed)
            valid += [found[restored]] if parsed is not False else []
        if len(valid) == limit:
            break
    return tuple((valid or list(found.values()))[:limit])


def parses(request: EditRequest, text: str) -> bool:
    """Whether the user's document does with `text` in the region."""
    document = (request.prefix + text + request.suffix).removeprefix("\ufeff")
    return syntax_fault(document, request.language) is None


def fault_with(region: Region, text: str, language: str) -> SyntaxFault | None:
    """The fault of the document with `text` in the region."""
    return syntax_fault(region.prefix + text + region.suffix, language)


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
