"""Rewrites as an instruction says, by the writer, which was trained on edits in the form of a conversation
(`engine.training.asked`): the user's turn asks, its own holds the code.

An answer is mostly a copy. So the likeliest answers depart from the copy at one place and go on as is likeliest then:
one pass over the copy tells how likely every departure is, and the likeliest are finished together.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from itertools import count
from operator import attrgetter

import torch
from torch import Tensor

from engine.diffusion.mending import indent_of
from engine.errors import EditError
from engine.lookup import read_along
from engine.messages import EditRequest
from engine.models.denoiser import Context, Denoiser
from engine.models.vocabulary import BOS, MASK
from engine.models.writer import Writer
from engine.regions import Region, hidden_text, visible_span
from engine.unbound import WORD, left_unbound
from engine.work import Answers, Job, Query, Scored, Texts, Work
from engine.writing import Draft

FENCE = "```"
EDITOR = "You edit {0} code as the user says, and change nothing else."
ASKED = "Edit this {0} code: {1}.\n"
SIMPLIFY = "Simplify"  # what a rewrite is told when nobody says how
LONGEST = 240  # tokens of code; in longer code the writer loses the thread
DEPARTURES, TOGETHER = 16, 4  # that are looked at, and that are taken on in one pass
ROOM = 1200  # tokens of those, so that what was read of them is kept
WANTED = 4  # answers
UNASKED = 5.0  # nats that it costs to leave out a definition, or to leave a name unbound
UNHEARD = 2.0  # nats that it costs not to use a name of the instruction that is new
NAME = re.compile(r"\b(?:\w*_\w*|\w+[A-Z]\w*|\w+(?=[.(]\w))")  # in an instruction: what is code and no word
PASSES = 48  # after which the answers found so far will do
DEFINED = re.compile(r"\b(?:def|class|function|func|fn|struct|interface|enum|trait) +(\w+)")
PART = 100  # tokens of longer code that are rewritten at a time: of more, the writer may leave out a function
INDENTED = re.compile(r"\n[ \t]*[^\s)\]}]")  # a line that may begin a statement
ASKED_CHARS = 400  # of an instruction
LONGER = 40  # tokens that an answer may have more than the code


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

    def asked(self, around: str = "") -> Context:
        """What the writer answers to. `around`: what it is told of the lines around, which helps in training alone."""
        system = [*self.begun("system", EDITOR.format(self.language)), *self.closed()]
        request = around + ASKED.format(self.language, self.instruction) + self.fenced(self.code)
        user = [*self.begun("user", request), *self.closed()]
        return Context((), (*system, *user, *self.begun("assistant", f"{FENCE}{self.language}\n")), (), ordered=True)

    def text(self, answer: str, region: Region) -> str:
        """`answer` in the place of the code, as a denoiser would have written it."""
        return hidden_text(textwrap.indent(answer, self.indent) + self.behind, region)

    def answer(self, text: str, region: Region) -> str | None:
        """What the writer would have answered for `text`, as a denoiser writes it, to be in the place of the code; None
        when it cannot have."""
        answer = textwrap.dedent(visible_span(replace(region, span=text))).removesuffix(self.behind) + "\n"
        return answer if self.text(answer.rstrip("\n"), region) == text else None


def told_by(request: EditRequest, region: Region, writer: Denoiser | None, instruction: str) -> Told | None:
    """None when there is no writer that has learned to follow, or the code is too long for it or would seem to end
    before its end. Raises EditError("too_large") for an instruction that the writer would not understand to its end."""
    if not isinstance(writer, Writer):
        return None
    instruction = " ".join(instruction.split()).rstrip(".")
    if len(instruction) > ASKED_CHARS:
        raise EditError(
            "too_large",
            f"the embedded model follows instructions of up to {ASKED_CHARS} characters, this one has"
            f" {len(instruction):,}: say it shorter, or choose a larger model (redraft model use)",
        )
    span = visible_span(region)
    indent, code = indent_removed(span)
    code = code.rstrip("\n") + "\n"
    if FENCE in code or len(writer.vocabulary.encode(code)) > LONGEST:
        return None
    return Told(writer, request.language, instruction, code, indent, span[len(span.rstrip("\n")) :])


def indent_removed(text: str) -> tuple[str, str]:
    """The indentation that all lines of `text` share, and the lines without it."""
    code = textwrap.dedent(text)
    indented, plain = first_line(text), first_line(code)
    return indented[: len(indented) - len(plain)], code


def first_line(text: str) -> str:
    """The first that is not blank; "" when all are."""
    return next((line for line in text.split("\n") if line.strip()), "")


def rewritten_as_told(job: Job, told: Told, own_idea: bool) -> Texts:
    """Texts for the whole span, best first. `own_idea`: nobody said how; then what breaks the code is no answer."""
    work = job.open("", job.region.span, "", told.writer)
    wanted = max(WANTED, job.request.candidates)
    texts, _ = yield from answers_to(work, told, job.region, wanted, own_idea)
    return texts


def rewritten_in_parts(job: Job, writer: Writer, instruction: str, own_idea: bool) -> Texts:
    """The whole span, in which every part is as told that is likelier so than as it is."""
    parts = in_parts(job.region.span, lambda text: len(writer.vocabulary.encode(text)))
    done, gains = "", [0.0]
    for i, part in enumerate(parts):
        rest = "".join(parts[i + 1 :])
        region = replace(job.region, prefix=job.region.prefix + done, span=part, suffix=rest + job.region.suffix)
        told = told_by(job.request, region, writer, instruction)
        if told and part.strip() and not job.late:
            work = job.open(done, part, rest, writer)
            texts, as_it_is = yield from answers_to(work, told, region, 1, own_idea)
            better = [one for one in texts if one[1] > as_it_is and not (work.judge and work.judge.fault(one[0]))]
            if better:
                part, likely = better[0]
                gains.append(likely - as_it_is)
        done += part
    return [(done, sum(gains) / len(parts))] if done != job.region.span else []


def in_parts(span: str, length: Callable[[str], int]) -> list[str]:
    """`span` in parts that are not too long, cut in front of the lines that are indented least."""
    parts, lines = list[str](), list[str]()
    for line in filter(None, re.split(r"(?=\n)", span)):
        if len(lines) > 1 and length("".join(lines) + line) > PART:
            at = min(range(1, len(lines)), key=lambda i: (INDENTED.match(lines[i]) is None, depth(lines[i]), -i))
            parts.append("".join(lines[:at]))
            lines = lines[at:]
        lines.append(line)
    return [*parts, "".join(lines)]


def depth(line: str) -> int:
    return len(indent_of(line.removeprefix("\n")))


def answers_to(
    work: Work, told: Told, region: Region, wanted: int, own_idea: bool
) -> Generator[Query, Answers, tuple[list[Scored], float]]:
    """At least the `wanted` texts in the place of the code, best first, with the mean log-probability of their tokens,
    and that of the code as it is."""
    work.context = told.asked()
    copy = yield from read_copy(work, told)
    found = yield from departures(work, told, copy, region, wanted)
    texts = [
        (told.text(answer.text, region), answer.likely / answer.length)
        for answer in found
        if not own_idea or not answer.cost
    ]
    # Nobody asked for a certain change: a short answer is not better for being short.
    return sorted(texts, key=lambda one: -one[1]) if own_idea else texts, float(copy.likely.mean())


@dataclass(slots=True)
class Copy:
    """What the writer makes of the code as an answer. `ids` of it and of the fence behind; `likely` [ids, 1]: their
    log-probabilities; `departing` [ids, vocabulary]: those of every first departure."""

    ids: list[int]
    likely: Tensor
    departing: Tensor


@dataclass(frozen=True, slots=True)
class Answer:
    """`text` without its last line end; `likely`: log-probability of its `length` tokens, nats; `cost`: nats for what
    it breaks that nobody wanted broken."""

    text: str
    likely: float
    length: int
    cost: float

    @property
    def worth(self) -> float:
        return self.likely - self.cost


def read_copy(work: Work, told: Told) -> Generator[Query, Answers, Copy]:
    """`work`: the writer's on the code, in the context of what was asked."""
    ids = work.denoiser.vocabulary.encode(told.code + FENCE)
    # With a mask behind it, what is read of the copy is kept, and answers go on from there.
    (logits,) = yield from work.ask([(BOS, *ids, MASK)], limit=8, rows=[tuple(range(1, len(ids) + 1))])
    actual = torch.tensor(ids)[:, None]
    likely = logits.tokens.gather(1, actual)
    return Copy(ids, likely, (likely.cumsum(0) - likely + logits.tokens).scatter(1, actual, -torch.inf))


def departures(
    work: Work, told: Told, copy: Copy, region: Region, wanted: int
) -> Generator[Query, Answers, list[Answer]]:
    """The best answers other than the code as it is, which is that of `region`, the best first. Of the likeliest
    departures those are taken on that are likeliest so far, until the `wanted` answers are better than what is left can
    become."""
    most = len(copy.ids) + LONGER
    together = max(1, min(TOGETHER, ROOM // most))
    price, drafts = Price(told, region), started(work, copy)
    found: dict[str, Answer] = {told.code.rstrip("\n"): Answer("", -math.inf, 1, 0.0)}  # the copy is no answer
    for passes in count():
        for draft in filter(attrgetter("ended"), drafts):
            text = work.text(draft.ids).partition(FENCE)[0].rstrip("\n")
            if text not in found:  # some texts are to be had in two spellings
                found[text] = Answer(text, draft.likely, len(draft.ids), price.of(text))
        worths = sorted((answer.worth for answer in found.values()), reverse=True)
        least = worths[wanted - 1] if len(worths) >= wanted else -math.inf
        drafts = [draft for draft in drafts if not draft.ended and draft.likely > least and len(draft.ids) < most]
        if not drafts or work.late or (passes >= PASSES and len(found) > 1):
            break
        drafts.sort(key=lambda draft: -draft.likely)
        yield from read_along(work, drafts[:together], most, FENCE)
    answers = [answer for answer in found.values() if answer.worth > -math.inf]
    return sorted(answers, key=lambda answer: -answer.worth)


def started(work: Work, copy: Copy) -> list[Draft]:
    """The copy up to its likeliest departures, these included, the likeliest first."""
    best = copy.departing.flatten().topk(DEPARTURES)
    drafts: list[Draft] = []
    for place, nats in zip(best.indices.tolist(), best.values.tolist(), strict=True):
        at, token = divmod(place, copy.departing.shape[1])
        drafts.append(Draft("", True, [*copy.ids[:at], token], nats, ended=FENCE in work.text([token])))
    return drafts


class Price:
    """What an answer costs: nothing is not what anybody asks for, and neither is to leave out a definition or to use a
    name that nobody binds, unless the instruction speaks of it; and new names that the instruction speaks of are to be
    used."""

    def __init__(self, told: Told, region: Region) -> None:
        self.told, self.region = told, region
        self.defined, self.unbound = set(DEFINED.findall(told.code)), self.left_unbound(told.code.rstrip("\n"))
        self.words, self.names = set(WORD.findall(told.instruction)), set(NAME.findall(told.instruction))
        self.new = self.names.difference(WORD.findall(told.code))

    def left_unbound(self, answer: str) -> set[str]:
        return left_unbound(self.region, self.told.text(answer, self.region), self.told.language)

    def of(self, answer: str) -> float:
        if not answer.strip():
            return math.inf
        defined = set(DEFINED.findall(answer))
        lost = self.defined - defined - self.words if len(defined) < len(self.defined) else set[str]()
        unasked = lost | (self.left_unbound(answer) - self.unbound - self.names)
        return UNASKED * len(unasked) + UNHEARD * len(self.new.difference(WORD.findall(answer)))
