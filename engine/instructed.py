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

from engine.models.denoiser import Context
from engine.models.vocabulary import BOS
from engine.models.writer import Writer
from engine.regions import hidden_text, visible_span
from engine.work import Answers, Job, Query, Scored, Texts, Work
from engine.writing import DRAWN, Draft, written_on

FENCE = "```"
EDITOR = "You edit {0} code as the user says, and change nothing else."
ASKED = "Edit this {0} code: {1}.\n"
OBSERVER = "You describe changes of {0} code."
SEEN = "What was the instruction for this change?\nBefore:\n{0}\nAfter:\n"
LONGEST = 300  # tokens of code: in longer code the writer loses the thread
LONGER = 40  # tokens that an answer may have more than twice the code's
JUDGED = 6  # answers
SURE, LOST = 10.0, 2.0  # nats for one nat a token more, and for a word of the first line that is missing
WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Told:
    """What is to be done to which code, by whom."""

    language: str
    code: str  # whole lines, without the indentation that they share
    instruction: str
    writer: Writer

    def fenced(self, code: str) -> str:
        return f"{FENCE}{self.language}\n{code}{FENCE}"

    def begun(self, who: str, said: str) -> list[int]:
        """A turn of the conversation that is still open."""
        return [self.writer.turn_ends[0], *self.writer.vocabulary.encode(f"{who}\n{said}")]

    def closed(self) -> list[int]:
        return [self.writer.turn_ends[1], *self.writer.vocabulary.encode("\n")]

    def asked(self) -> list[int]:
        system = [*self.begun("system", EDITOR.format(self.language)), *self.closed()]
        asked = ASKED.format(self.language, self.instruction) + self.fenced(self.code)
        opening = self.begun("assistant", f"{FENCE}{self.language}\n")
        return [*system, *self.begun("user", asked), *self.closed(), *opening]

    def seen(self) -> list[int]:
        system = [*self.begun("system", OBSERVER.format(self.language)), *self.closed()]
        return [*system, *self.begun("user", SEEN.format(self.fenced(self.code)))]


def rewritten_as_told(job: Job, instruction: str, writer: Writer) -> Texts:
    """Texts for the whole span, best first; none when it is too long for `writer`."""
    span = visible_span(job.region)
    first = next((line for line in span.split("\n") if line.strip()), "")
    end = span[len(span.rstrip("\n")) :]
    code = textwrap.dedent(span).rstrip("\n") + "\n"
    indent = "" if code[0].isspace() else first[: len(first) - len(first.lstrip())]
    told = Told(job.request.language, code, " ".join(instruction.split()).rstrip("."), writer)
    length = len(writer.vocabulary.encode(code))
    if length > LONGEST:
        return []
    work = job.open("", job.region.span, "", writer)
    answers = yield from answered(work, told, 2 * length + LONGER)
    explained = yield from explanations(work, told, [answer for answer, _ in answers])

    def merit(number: int) -> float:
        answer, likely = answers[number]
        missing = set(WORD.findall(first)) - set(WORD.findall(answer))
        return explained[number] + SURE * likely - LOST * len(missing)

    texts: list[Scored] = []
    for number in sorted(range(len(answers)), key=merit, reverse=True):
        answer, likely = answers[number]
        texts.append((hidden_text(textwrap.indent(answer.rstrip("\n"), indent) + end, job.region), likely))
    return texts


def answered(work: Work, told: Told, most: int) -> Generator[Query, Answers, list[Scored]]:
    """The likeliest answers of at most so many tokens, other than the code as it is, and the mean log-probability of
    their tokens."""
    work.context = Context((), tuple(told.asked()), (), ordered=True)
    drafts = yield from written_on(work, [Draft("") for _ in range(DRAWN)], FENCE, most)
    likely: dict[str, float] = {}
    for draft in drafts:
        answer = work.text(draft.ids).rstrip("\n") + "\n"
        likely[answer] = max(likely.get(answer, -100.0), draft.likely / max(1, len(draft.ids)))
    likely.pop(told.code, None)
    return sorted(likely.items(), key=lambda one: -one[1])[:JUDGED]


def explanations(work: Work, told: Told, answers: Sequence[str]) -> Generator[Query, Answers, list[float]]:
    """The log-probability of the instruction when the code has become each of `answers`, nats; zeros when there is no
    choice, or no time."""
    if len(answers) < 2 or work.late:
        return [0.0] * len(answers)
    encode = work.denoiser.vocabulary.encode
    said = encode(told.instruction.capitalize() + ".")
    behind = [*told.closed(), *told.begun("assistant", ""), *said]
    canvases = [(BOS, *encode(told.fenced(answer)), *behind)[: work.denoiser.max_canvas] for answer in answers]
    rows = [tuple(range(len(canvas) - len(said), len(canvas))) for canvas in canvases]
    context = Context((), tuple(told.seen()), (), ordered=True)
    logits = yield from work.ask(canvases, limit=8, contexts=[context] * len(canvases), rows=rows)
    return [sum(float(row[token]) for row, token in zip(one.tokens, said, strict=True)) for one in logits]
