"""Rewrites as an instruction says, by the writer, which was trained on edits in the form of a conversation
(`engine.training.asked`): the user's turn asks, its own holds the code.

An answer is mostly a copy. So the likeliest answers depart from the copy at one place and go on as is likeliest then:
one pass over the copy tells how likely every departure is, and the likeliest are finished together.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.completion import written_ahead
from engine.diffusion.mending import indent_of
from engine.errors import EditError
from engine.messages import EditRequest
from engine.models.denoiser import Context, Denoiser
from engine.models.vocabulary import BOS, MASK
from engine.models.writer import Writer
from engine.regions import Region, hidden_text, visible_span
from engine.unbound import left_unbound
from engine.work import Answers, Job, Query, Scored, Texts, Work
from engine.writing import Draft, written_on

FENCE = "```"
EDITOR = "You edit {0} code as the user says, and change nothing else."
ASKED = "Edit this {0} code: {1}.\n"
SIMPLIFY = "Simplify"  # what a rewrite is told when nobody says how
SHORT, LONGEST = 48, 240  # tokens of code with many answers, and with few; in longer code the writer loses the thread
MANY, FEW = 8, 2  # answers
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
    texts, _ = yield from answers_to(work, told, job.region, own_idea)
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
            texts, as_it_is = yield from answers_to(work, told, region, own_idea)
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
    work: Work, told: Told, region: Region, own_idea: bool
) -> Generator[Query, Answers, tuple[list[Scored], float]]:
    """Texts in the place of the code, best first, with the mean log-probability of their tokens, and that of the code
    as it is."""
    work.context = told.asked()
    copy = yield from read_copy(work, told)
    texts = [(told.text(answer, region), likely) for answer, likely in (yield from departures(work, told, copy))]
    return sound(texts, region, told.language) if own_idea else texts, float(copy.likely.mean())


def sound(texts: list[Scored], region: Region, language: str) -> list[Scored]:
    """Those that leave something there and no name unbound. Likeliest a token: a short one is not better for being
    short."""
    before = left_unbound(region, region.span, language)
    kept = [one for one in texts if one[0].strip() and left_unbound(region, one[0], language) <= before]
    return sorted(kept, key=lambda one: -one[1])


@dataclass(slots=True)
class Copy:
    """What the writer makes of the code as an answer. `ids` of it and of the fence behind; `likely` [ids, 1]: their
    log-probabilities; `departing` [ids, vocabulary]: those of every first departure."""

    ids: list[int]
    likely: Tensor
    departing: Tensor


def read_copy(work: Work, told: Told) -> Generator[Query, Answers, Copy]:
    """`work`: the writer's on the code, in the context of what was asked."""
    ids = work.denoiser.vocabulary.encode(told.code + FENCE)
    # With a mask behind it, what is read of the copy is kept, and answers go on from there.
    (logits,) = yield from work.ask([(BOS, *ids, MASK)], limit=8, rows=[tuple(range(1, len(ids) + 1))])
    actual = torch.tensor(ids)[:, None]
    likely = logits.tokens.gather(1, actual)
    return Copy(ids, likely, (likely.cumsum(0) - likely + logits.tokens).scatter(1, actual, -torch.inf))


def departures(work: Work, told: Told, copy: Copy, few: int = FEW) -> Generator[Query, Answers, list[Scored]]:
    """The likeliest answers other than the code as it is, the likeliest first, with the mean log-probability of their
    tokens. `few`: how many to code that is not short."""
    drafts = yield from finished(work, started(work, copy, few), len(copy.ids))
    answers: dict[str, tuple[float, int]] = {}  # without their last line end
    for draft in drafts:
        text = work.text(draft.ids).partition(FENCE)[0].rstrip("\n")
        one = draft.likely, len(draft.ids)
        answers[text] = max(one, answers.get(text, one))  # some texts are to be had in two spellings
    answers.pop(told.code.rstrip("\n"), None)
    best = sorted(answers.items(), key=lambda one: -one[1][0])
    return [(answer, nats / count) for answer, (nats, count) in best]


def started(work: Work, copy: Copy, few: int) -> list[Draft]:
    """The copy up to its likeliest departures, these included."""
    best = copy.departing.flatten().topk(MANY if len(copy.ids) <= SHORT else few)
    drafts: list[Draft] = []
    for place, nats in zip(best.indices.tolist(), best.values.tolist(), strict=True):
        at, token = divmod(place, copy.departing.shape[1])
        drafts.append(Draft("", True, [*copy.ids[:at], token], nats, ended=FENCE in work.text([token])))
    return drafts


def finished(work: Work, drafts: list[Draft], length: int) -> Generator[Query, Answers, list[Draft]]:
    """Those that come to an end. In long code one after the other, in few passes: what of it stays is read along."""
    if length <= SHORT:
        return (yield from written_on(work, drafts, FENCE, length + LONGER))
    done: list[Draft] = []
    for draft in drafts:
        done.append((yield from written_ahead(work, draft, FENCE, length + LONGER)))
    return [draft for draft in done if draft.ended]
