"""Rewrites as an instruction says, by the writer: of the code as a whole, or part by part where it is long."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from dataclasses import replace

from engine.answers import departures, read_copy
from engine.diffusion.mending import indent_of
from engine.models.writer import Writer
from engine.regions import Region
from engine.told import Told, told_by
from engine.work import Answers, Job, Query, Scored, Texts, Work

SIMPLIFY = "Simplify"  # what a rewrite is told when nobody says how
WANTED = 4  # answers
PART = 100  # tokens of longer code that are rewritten at a time: of more, the writer may leave out a function
INDENTED = re.compile(r"\n[ \t]*[^\s)\]}]")  # a line that may begin a statement


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
