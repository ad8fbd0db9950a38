"""Rewrites as an instruction says, by the writer, which was tuned to follow instructions (SmolLM2, arXiv 2502.02737,
section 5) in the form of a conversation: the user's turn asks, its own holds the code.

It is too small to be right at once, so several answers are drafted together, and judged the other way round: by how
likely the instruction is for one who sees the code before and after (the noisy channel, arXiv 1908.05731).
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Generator, Sequence
from dataclasses import dataclass

from engine.completion import written_ahead
from engine.messages import EditRequest
from engine.models.denoiser import Context, Denoiser
from engine.models.vocabulary import BOS
from engine.models.writer import Writer
from engine.reading import log_probability
from engine.regions import Region, hidden_text, visible_span
from engine.work import Answers, Job, Query, Scored, Texts, Work
from engine.writing import Draft, written_on

FENCE = "```"
EDITOR = "You edit {0} code as the user says, and change nothing else."
ASKED = "Edit this {0} code: {1}.\n"
OBSERVER = "You describe changes of {0} code."
SEEN = "What was the instruction for this change?\nBefore:\n{0}\nAfter:\n"
SHORT, LONGEST = 48, 240  # tokens of code that get eight drafts, and one; in longer code the writer loses the thread
ASKED_CHARS = 400  # of an instruction
LONGER = 40  # tokens that an answer may have more than the code, and more than twice as many as short code
HALF = 4  # of the drafts
JUDGED = 6  # answers
SURE, LOST = 10.0, 2.0  # nats for one nat a token more, and for a word of the first line that is missing
WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Told:
    """What is to be done to which code, by whom. `code`: whole lines, without the `indent` that they share and without
    the line ends `behind` them."""

    writer: Writer
    language: str
    instruction: str
    code: str
    indent: str
    behind: str

    def fenced(self, code: str) -> str:
        return f"{FENCE}{self.language}\n{code}{FENCE}"

    def begun(self, who: str, said: str) -> list[int]:
        """A turn of the conversation that is still open."""
        return [self.writer.turn_ends[0], *self.writer.vocabulary.encode(f"{who}\n{said}")]

    def closed(self) -> list[int]:
        return [self.writer.turn_ends[1], *self.writer.vocabulary.encode("\n")]

    def asked(self) -> Context:
        """What the writer answers to."""
        system = [*self.begun("system", EDITOR.format(self.language)), *self.closed()]
        request = ASKED.format(self.language, self.instruction) + self.fenced(self.code)
        user = [*self.begun("user", request), *self.closed()]
        return Context((), (*system, *user, *self.begun("assistant", f"{FENCE}{self.language}\n")), (), ordered=True)

    def seen(self) -> Context:
        """What one who is asked for the instruction has seen, but for the code as it has become."""
        system = [*self.begun("system", OBSERVER.format(self.language)), *self.closed()]
        user = self.begun("user", SEEN.format(self.fenced(self.code)))
        return Context((), (*system, *user), (), ordered=True)

    def text(self, answer: str, region: Region) -> str:
        """`answer` in the place of the code, as a denoiser would have written it."""
        return hidden_text(textwrap.indent(answer.rstrip("\n"), self.indent) + self.behind, region)


def told_by(request: EditRequest, region: Region, writer: Denoiser | None) -> Told | None:
    """None when there is no writer that has learned to follow, or the code is too long for it."""
    if not isinstance(writer, Writer):
        return None
    span = visible_span(region)
    code = textwrap.dedent(span).rstrip("\n") + "\n"
    if len(writer.vocabulary.encode(code)) > LONGEST:
        return None
    first = first_line(span)
    indent = "" if code[0].isspace() else first[: len(first) - len(first.lstrip())]
    instruction = " ".join((request.instruction or "").split())[:ASKED_CHARS].rstrip(".")
    return Told(writer, request.language, instruction, code, indent, span[len(span.rstrip("\n")) :])


def first_line(text: str) -> str:
    """The first that is not blank; "" when all are."""
    return next((line for line in text.split("\n") if line.strip()), "")


def rewritten_as_told(job: Job, told: Told) -> Texts:
    """Texts for the whole span, best first."""
    work = job.open("", job.region.span, "", told.writer)
    answers = yield from answered(work, told)
    explained = yield from explanations(work, told, [answer for answer, _ in answers])

    def merit(number: int) -> float:
        answer, likely = answers[number]
        missing = set(WORD.findall(first_line(told.code))) - set(WORD.findall(answer))
        return explained[number] + SURE * likely - LOST * len(missing)

    best = [answers[number] for number in sorted(range(len(answers)), key=merit, reverse=True)]
    return [(told.text(answer, job.region), likely) for answer, likely in best]


def answered(work: Work, told: Told) -> Generator[Query, Answers, list[Scored]]:
    """The likeliest answers other than the code as it is, and the mean log-probability of their tokens. Long code gets
    one, in few passes: what of it stays is read along."""
    work.context, encode = told.asked(), work.denoiser.vocabulary.encode
    header = first_line(told.code).rstrip()
    # Half of them begin with the code's own header: it is seldom to be changed, and the writer likes to.
    first = encode(header) if header.endswith((":", "{")) else []
    length = len(encode(told.code))
    if length > SHORT:  # eight would not be there in time
        drafts = [(yield from written_ahead(work, Draft("", True, first), FENCE, length + LONGER))]
    else:
        begun = [Draft("", i == 0, list(first)) for i in range(HALF)]
        free = [Draft("", i == 0 and bool(first)) for i in range(HALF)]
        drafts = yield from written_on(work, [*begun, *free], FENCE, 2 * length + LONGER)
    likely: dict[str, float] = {}
    for draft in drafts:
        if draft.ended and draft.ids:
            answer = work.text(draft.ids).rstrip("\n") + "\n"
            likely[answer] = max(likely.get(answer, -100.0), draft.likely / len(draft.ids))
    likely.pop(told.code, None)
    return sorted(likely.items(), key=lambda one: -one[1])[:JUDGED]


def explanations(work: Work, told: Told, answers: Sequence[str]) -> Generator[Query, Answers, list[float]]:
    """The log-probability of the instruction when the code has become each of `answers`, nats; zeros when there is no
    choice, no time or no room."""
    if len(answers) < 2 or work.late:
        return [0.0] * len(answers)
    encode = work.denoiser.vocabulary.encode
    said = encode(told.instruction.capitalize() + ".")
    behind = [*told.closed(), *told.begun("assistant", ""), *said]
    canvases = [(BOS, *encode(told.fenced(answer)), *behind) for answer in answers]
    if max(map(len, canvases)) > work.denoiser.max_canvas:
        return [0.0] * len(answers)
    rows = [tuple(range(len(canvas) - len(said), len(canvas))) for canvas in canvases]
    logits = yield from work.ask(canvases, limit=8, contexts=[told.seen()] * len(canvases), rows=rows)
    return [log_probability(*one) for one in zip(canvases, rows, logits, strict=True)]
