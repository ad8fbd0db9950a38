"""What the parts of one edit share: the block being edited, its context and judge, and the model's answers so far."""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from random import Random

from engine.by_hand import suspects
from engine.diffusion.sampler import log_likelihood
from engine.diffusion.search import Child, Evaluation
from engine.languages import SyntaxFault, is_checked
from engine.messages import DenoisingState, EditRequest, EditResult
from engine.models.denoiser import CanvasItem, CanvasLogits, Context, Denoiser
from engine.models.vocabulary import MASK
from engine.regions import Region
from engine.syntax import REPORTED_LATE, Judge

CHARS_PER_TOKEN = 8  # more than any context needs, so that only the near text is tokenised
STAY_CHARS, STAY_TOKENS = 1024, 64  # typed before the beginning of what is read in order moves
SCORED_AT_ONCE = 32  # canvases of one pass: a cancel waits for it
NEAR_LINES = 1  # above and below the lines that the parser's words point to
NEAR_CHARS = 2000  # on either side of the region, where names and indentation are looked up

Answers = list[CanvasLogits]
Session = Generator["Query", Answers, EditResult]
Block = Generator["Query", Answers, list[Child]]
Scored = tuple[str, float]  # a text of the span as the model writes it, and its score
Texts = Generator["Query", Answers, list[Scored]]


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
    around: tuple[str, str]  # the rest of the span
    stem: str  # what canvases begin with that is no news: the newline in front of whole lines
    passes: int = 0
    steps: int = 0
    late: bool = False
    shown: str | None = None  # what stands for the block meanwhile; None: the first canvas
    scores: dict[tuple[int, ...], float] = field(default_factory=dict[tuple[int, ...], float])

    def ask(
        self,
        canvases: Sequence[Sequence[int]],
        limit: int,
        masks_only: bool = False,
        contexts: Sequence[Context] | None = None,
        rows: Sequence[tuple[int, ...]] | None = None,
    ) -> Generator[Query, Answers, Answers]:
        """One forward pass over `canvases`; their own likelihoods are kept as scores. `masks_only`: canvases
        with masks are evaluated at the masks alone, and not scored; `rows`: at these. `contexts`: theirs, others than
        the block's."""
        wanted = rows or [mask_places(canvas) if masks_only and MASK in canvas else None for canvas in canvases]
        items = tuple(
            CanvasItem(context, tuple(canvas), places)
            for context, canvas, places in zip(
                contexts or [self.context] * len(canvases), canvases, wanted, strict=True
            )
        )
        text = self.text(canvases[0]) if self.shown is None else self.shown
        shown = text.join(self.around).removeprefix(self.stem)
        answers = yield Query(items, DenoisingState(self.steps, max(limit, self.steps), shown))
        self.passes += 1
        self.steps += 1
        for item, logits in zip(items, answers, strict=True):
            if item.rows is None and contexts is None:
                self.scores[item.canvas] = log_likelihood(item.canvas, logits)
        self.late = time.monotonic() > self.deadline
        return answers

    def drive(self, search: Evaluation, limit: int, along: Sequence[tuple[int, ...]] = ()) -> Block:
        """Answers a search's questions with forward passes, until it ends or the deadline comes. `along`: canvases
        that want a score, evaluated in the first pass."""
        try:
            canvases = next(search)
            answers = yield from self.ask([*canvases, *along], limit, masks_only=True)
            while not self.late:
                canvases = search.send(answers[: len(canvases)])
                answers = (yield from self.ask(canvases, limit, masks_only=True)) if canvases else []
        except StopIteration as end:
            return end.value
        return []

    def score(self, canvases: Sequence[tuple[int, ...]]) -> Generator[Query, Answers, None]:
        """Sees to it that `canvases` have scores, as long as there is time."""
        unscored = [canvas for canvas in canvases if canvas not in self.scores]
        for start in range(0, len(unscored), SCORED_AT_ONCE):
            if self.late:
                return
            yield from self.ask(unscored[start : start + SCORED_AT_ONCE], limit=8)

    def likelihood(self, canvas: Sequence[int]) -> float:
        """Pseudo-log-likelihood of a whole canvas that has a score, nats."""
        return self.scores[tuple(canvas)] * len(canvas)

    @property
    def near(self) -> str:
        """The code around the region, as far as names are likely to be shared with it."""
        return self.region.prefix[-NEAR_CHARS:] + self.region.suffix[:NEAR_CHARS]

    def text(self, canvas: Sequence[int]) -> str:
        return self.denoiser.vocabulary.decode(canvas)

    def keeps_frame(self, text: str) -> bool:
        """A whole-line span still begins with its newline; nothing unprintable crept in."""
        return (not text or text.startswith(self.region.head)) and "\ufffd" not in text


def faulty_lines(region: Region, span: str, fault: SyntaxFault) -> tuple[str, str, str] | None:
    """`span`, in the place of the region's, cut around the lines that may hold the mistake that the document's `fault`
    tells: those above, those at fault, those below. None when the mistake is elsewhere."""
    first_line, pieces = region.prefix.count("\n"), re.split(r"(?=\n)", span)
    if not first_line <= fault.line < first_line + len(pieces) + REPORTED_LATE:
        return None
    places = [min(line, len(pieces) - 1) for line in suspects(span, fault, first_line)]
    first, last = max(0, min(places) - NEAR_LINES), max(places) + NEAR_LINES
    return "".join(pieces[:first]), "".join(pieces[first : last + 1]), "".join(pieces[last + 1 :])


def room_in(denoiser: Denoiser) -> int:
    """Tokens of a block that leave the canvas room to grow."""
    return denoiser.max_canvas * 2 // 3


def split_blocks(span: str, denoiser: Denoiser) -> list[str]:
    """The span in blocks of whole lines; one block when it is short."""
    room = room_in(denoiser)
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


@dataclass(slots=True)
class Job:
    """One session: what is edited, and the blocks it was done in."""

    request: EditRequest
    denoiser: Denoiser
    region: Region
    parsed: bool  # the document parses as it is
    deadline: float
    blocks: list[Work] = field(default_factory=list[Work])

    def open(self, above: str, block: str, below: str, denoiser: Denoiser | None = None) -> Work:
        """The work on one block; `above` and `below`: the rest of the span; `denoiser`: another than the job's."""
        denoiser = denoiser or self.denoiser
        prefix, suffix, language = self.region.prefix + above, below + self.region.suffix, self.request.language
        context = make_context(self.request, denoiser, prefix, suffix)
        judge = Judge(prefix, suffix, language, None if self.parsed else block) if is_checked(language) else None
        rng = Random(f"{self.request.seed}/{len(prefix)}")
        around = above, below
        stem = self.region.head
        work = Work(self.request, denoiser, self.region, context, judge, self.parsed, rng, self.deadline, around, stem)
        self.blocks.append(work)
        return work

    @property
    def late(self) -> bool:
        return any(work.late for work in self.blocks)

    @property
    def steps(self) -> int:
        return sum(work.steps for work in self.blocks)

    @property
    def passes(self) -> int:
        return sum(work.passes for work in self.blocks)


def make_context(request: EditRequest, denoiser: Denoiser, prefix: str, suffix: str) -> Context:
    """What the model sees around the canvas. The cut is at a line start, so that typing far away does
    not shift the tokens near by; a denoiser that reads in order goes on from what it has read, so for it the
    beginning stays where it is for a while, too."""
    encode = denoiser.vocabulary.encode
    start = rounded(len(prefix) - CHARS_PER_TOKEN * denoiser.max_prefix, STAY_CHARS if denoiser.ordered else 1)
    near = prefix[start:]
    seen = not denoiser.ordered or (request.intent == "fill" and not request.quick)
    ids = encode(near[max(0, near.find("\n")) :] if start else near)
    return Context(
        tuple(encode(request.instruction or "")[:40]),
        tuple(ids[rounded(len(ids) - denoiser.max_prefix, STAY_TOKENS if denoiser.ordered else 1) :]),
        tuple(encode(suffix[: CHARS_PER_TOKEN * denoiser.max_suffix])[: denoiser.max_suffix]) if seen else (),
        denoiser.ordered,
    )


def rounded(excess: int, step: int) -> int:
    """What to leave out so that at least `excess` is: a multiple of `step`."""
    return max(0, -(-excess // step) * step)


def mask_places(canvas: Sequence[int]) -> tuple[int, ...]:
    return tuple(i for i, token in enumerate(canvas) if token == MASK)
