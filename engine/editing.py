"""One in-place edit, from request to ranked candidates.

`edit_session` is a generator: it yields canvases to be evaluated, is sent their log-probabilities,
and returns the result. So one scheduler can advance many edits step by step in shared forward
passes, and cancelling an edit is closing its generator.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from engine.by_hand import mended_by_hand, suspects
from engine.diffusion.lengths import MASK_COUNTS, VARIANTS, likeliest, stretched
from engine.diffusion.mending import fuses_words
from engine.diffusion.sampler import StepPolicy, log_likelihood, moves, renoise, reverse_step
from engine.diffusion.search import Child, judged_search, nearness
from engine.errors import EditError
from engine.languages import SyntaxFault, is_checked, syntax_fault
from engine.messages import Candidate, DenoisingState, EditRequest, EditResult
from engine.models.denoiser import CanvasItem, CanvasLogits, Context, Denoiser
from engine.models.http import Model
from engine.models.vocabulary import BOS, MASK
from engine.regions import Region, normalise
from engine.syntax import REPORTED_LATE, Judge

MAX_DOCUMENT = 2_000_000  # characters: above it the parser alone would take seconds
MAX_SPAN = 20_000  # characters
FILL_LENGTHS = (4, 8, 16, 32)  # masks that a fill of unknown length starts from
CHARS_PER_TOKEN = 8  # more than any context needs, so that only the near text is tokenised
HEAD = re.compile(r"^\n[ \t]*")
FAR = 40  # lines: a fault reported further below the span is another one
REWRITE_STRENGTH, FIX_MARGIN = 0.3, 4.0  # margin: 1% of correct held-out regions are touched, 3.5% at 2.0

STEPS, REWRITES = 8, 8

NEAR_CHARS = 2000  # on either side of the region, where names and indentation are looked up
LENGTH_BONUS, MEND_WEIGHT, RANK_COST, NOT_SEARCHED = 0.25, 0.6, 0.13, 10

Answers = list[CanvasLogits]
Session = Generator["Query", Answers, EditResult]


@dataclass(frozen=True, slots=True)
class Query:
    """What one session needs evaluated before it can go on, and what to show meanwhile."""

    items: tuple[CanvasItem, ...]
    state: DenoisingState


@dataclass(slots=True)
class Work:
    """What one block of a session works with, and its counts."""

    request: EditRequest
    denoiser: Denoiser
    region: Region
    context: Context
    judge: Judge | None
    parsed: bool  # the document parses as it is
    rng: Random
    deadline: float
    passes: int = 0
    steps: int = 0
    late: bool = False
    scores: dict[tuple[int, ...], float] = field(default_factory=dict[tuple[int, ...], float])

    def ask(
        self, canvases: Sequence[Sequence[int]], limit: int, masks_only: bool = False, context: Context | None = None
    ) -> Generator[Query, Answers, Answers]:
        """One forward pass over `canvases`; their own likelihoods are kept as scores. `masks_only`: canvases
        with masks are evaluated at the masks alone, and not scored. `context`: another than the block's."""
        items = tuple(
            CanvasItem(
                context or self.context, tuple(canvas), mask_places(canvas) if masks_only and MASK in canvas else None
            )
            for canvas in canvases
        )
        shown = self.denoiser.vocabulary.decode(canvases[0]).removeprefix(self.region.head)
        answers = yield Query(items, DenoisingState(self.steps, max(limit, self.steps), shown))
        self.passes += 1
        self.steps += 1
        for item, logits in zip(items, answers, strict=True):
            if item.rows is None and context is None:
                self.scores[item.canvas] = log_likelihood(item.canvas, logits)
        self.late = time.monotonic() > self.deadline
        return answers

    @property
    def near(self) -> str:
        """The code around the region, as far as names are likely to be shared with it."""
        return self.region.prefix[-NEAR_CHARS:] + self.region.suffix[:NEAR_CHARS]

    def text(self, canvas: Sequence[int]) -> str:
        return self.denoiser.vocabulary.decode(canvas)

    def keeps_frame(self, text: str) -> bool:
        """A whole-line span still begins with its newline; nothing unprintable crept in."""
        return (not text or text.startswith(self.region.head)) and "\ufffd" not in text


def edit_session(request: EditRequest, denoiser: Denoiser) -> Session:
    """Edits `request.span`. Raises EditError("bad_request" or "too_large") before the first query."""
    started = time.monotonic()
    check(request)
    region = normalise(request.prefix, request.span, request.suffix)
    deadline = started + request.deadline_ms / 1000 if request.deadline_ms else float("inf")
    parsed = is_checked(request.language) and parses(region, region.span, request.language)
    done = ""
    passes = steps = 0
    late = False
    finalists: list[Child] = []
    blocks = split_blocks(region.span, denoiser)
    for i, block in enumerate(blocks):
        rest = "".join(blocks[i + 1 :])
        work = block_work(
            request, denoiser, region, region.prefix + done, block, rest + region.suffix, parsed, deadline
        )
        finalists = yield from edit_block(work, block, final=i == len(blocks) - 1)
        passes, steps, late = passes + work.passes, steps + work.steps, late or work.late
        if i < len(blocks) - 1:
            done += work.text(finalists[0].canvas) if finalists else block
    texts = [(done + denoiser.vocabulary.decode(child.canvas), child.score) for child in finalists]
    candidates = rank(texts, region, request)
    reason = "deadline" if late else "done" if candidates else "unchanged"
    return EditResult(candidates, steps, passes, 1000 * (time.monotonic() - started), reason)


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
    if request.strength is not None and not 0 <= request.strength <= 1:
        raise EditError("bad_request", "strength must be between 0 and 1")


def split_blocks(span: str, denoiser: Denoiser) -> list[str]:
    """The span in blocks of whole lines that leave the canvas room to grow; one block when it is short."""
    room = denoiser.max_canvas * 2 // 3
    ids = denoiser.vocabulary.encode(span)
    if len(ids) <= room:
        return [span]
    blocks: list[list[int]] = [[]]
    for line in split_at_newlines(ids, denoiser):
        for start in range(0, len(line), room):  # a line longer than a block is cut
            piece = line[start : start + room]
            if len(blocks[-1]) + len(piece) > room:
                blocks.append([])
            blocks[-1].extend(piece)
    return [denoiser.vocabulary.decode(block) for block in blocks if block]


def split_at_newlines(ids: list[int], denoiser: Denoiser) -> list[list[int]]:
    lines: list[list[int]] = [[]]
    for token in ids:
        if denoiser.vocabulary.decode([token])[:1] == "\n" and lines[-1]:
            lines.append([])
        lines[-1].append(token)
    return lines


def block_work(
    request: EditRequest,
    denoiser: Denoiser,
    region: Region,
    prefix: str,
    block: str,
    suffix: str,
    parsed: bool,
    deadline: float,
) -> Work:
    context = make_context(request, denoiser, prefix, suffix)
    language = request.language
    judge = Judge(prefix, suffix, language, None if parsed else block) if is_checked(language) else None
    return Work(request, denoiser, region, context, judge, parsed, Random(f"{request.seed}/{len(prefix)}"), deadline)


def make_context(request: EditRequest, denoiser: Denoiser, prefix: str, suffix: str) -> Context:
    """What the model sees around the canvas. The cut is at a line start, so that typing far away does
    not shift the tokens near by."""
    encode = denoiser.vocabulary.encode
    near = prefix[-CHARS_PER_TOKEN * denoiser.max_prefix :]
    if len(near) < len(prefix):
        near = near[near.find("\n") :]
    return Context(
        tuple(encode(request.instruction or "")[:40]),
        tuple(encode(near)[-denoiser.max_prefix :]),
        tuple(encode(suffix[: CHARS_PER_TOKEN * denoiser.max_suffix])[: denoiser.max_suffix]),
    )


def warm_context(request: EditRequest, denoiser: Denoiser) -> None:
    """Encodes the context of an edit that is likely to come."""
    region = normalise(request.prefix, request.span, request.suffix)
    denoiser.warm(make_context(request, denoiser, region.prefix, region.suffix))


Block = Generator[Query, Answers, list[Child]]


def edit_block(work: Work, block: str, final: bool) -> Block:
    """Finished canvases for one block, best first, none of them the block as it was."""
    canvas = [BOS, *work.denoiser.vocabulary.encode(block)]
    if work.request.intent == "fill":
        return (yield from fill_block(work, canvas))
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
    search = judged_search(canvas, verdict, nearness(len(canvas), at), limit, thorough=not by_hand)
    likely = [tuple(child.canvas) for child in (yield from drive(work, search, 8, along=list(by_hand)))]
    found = list(dict.fromkeys([*likely, *by_hand]))
    unscored = [mended for mended in found if mended not in work.scores]
    if unscored and not work.late:
        yield from work.ask(unscored, limit=8)

    def merit(mended: tuple[int, ...]) -> float:
        """Log-likelihood in nats, less what such a mend costs a priori; weights fitted on held-out mistakes."""
        rank = likely.index(mended) if mended in likely else NOT_SEARCHED
        length = LENGTH_BONUS * len(mended)
        return work.scores[mended] * len(mended) + length - MEND_WEIGHT * by_hand.get(mended, 4.0) - RANK_COST * rank

    best = sorted(found, key=merit, reverse=True) if all(canvas in work.scores for canvas in found) else found
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
    whole_lines = work.region.head and work.region.span.startswith("\n")
    free = work.denoiser.free_length
    # A newline and indentation that the model cannot move to stand in front from the start.
    head = [] if free or not whole_lines else work.denoiser.vocabulary.encode(HEAD.findall(work.region.span)[0])
    room = work.denoiser.max_canvas - len(head)
    start = [[BOS, *head, *[MASK] * n] for n in (FILL_LENGTHS if free else MASK_COUNTS) if n < room]
    if not free:
        start = yield from likeliest_lengths(work, start, max(4, work.request.candidates))
    if not whole_lines:
        start.append([BOS])
    policy = StepPolicy(threshold=0.7, margin=3.0, max_canvas=work.denoiser.max_canvas)
    finished = yield from denoise(work, start, policy)
    return [child for child in finished if child.canvas != canvas]


def likeliest_lengths(work: Work, canvases: list[list[int]], count: int) -> Generator[Query, Answers, list[list[int]]]:
    """The `count` canvases whose numbers of masks fit best."""
    seen = yield from work.ask(canvases, limit=8, masks_only=True)
    blind = yield from work.ask(canvases, limit=8, masks_only=True, context=Context((), (), ()))
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


def mask_places(canvas: Sequence[int]) -> tuple[int, ...]:
    return tuple(i for i, token in enumerate(canvas) if token == MASK)


def distinct_canvases(canvases: list[list[int]]) -> list[list[int]]:
    return [list(c) for c in dict.fromkeys(tuple(c) for c in canvases)]


def drive(
    work: Work,
    search: Generator[list[list[int]], Answers, list[Child]],
    limit: int,
    along: Sequence[tuple[int, ...]],
) -> Block:
    """Answers a search's questions with forward passes, until it ends or the deadline comes. `along`: canvases
    that want a score, evaluated in the first pass."""
    try:
        canvases = next(search)
        answers = yield from work.ask([*canvases, *along], limit, masks_only=True)
        while not work.late:
            canvases = search.send(answers[: len(canvases)])
            answers = (yield from work.ask(canvases, limit, masks_only=True)) if canvases else []
    except StopIteration as end:
        return end.value
    return []


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


def rank(finalists: Sequence[tuple[str, float]], region: Region, request: EditRequest) -> tuple[Candidate, ...]:
    """Distinct candidates in the user's form; those that do not parse only when none does and nothing parsed before.
    `finalists`: texts as the model writes them with their scores, best first."""
    found: dict[str, Candidate] = {}
    checked = is_checked(request.language)
    parsed_before = checked and parses(region, region.span, request.language)
    for text, score in finalists:
        try:
            restored = region.restore(text)
        except ValueError:
            continue
        if restored == request.span or restored in found or "\ufffd" in restored:
            continue
        parsed = parses(region, text, request.language) if checked else None
        if parsed or not parsed_before:
            found[restored] = Candidate(restored, score, parsed)
    valid = [candidate for candidate in found.values() if candidate.parses is not False]
    return tuple((valid or list(found.values()))[: request.candidates])


def parses(region: Region, text: str, language: str) -> bool:
    return syntax_fault(region.prefix + text + region.suffix, language) is None


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
