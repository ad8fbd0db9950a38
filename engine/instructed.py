"""Rewrites as an instruction says, by the writer: function by function, and part by part where one is long."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace

from engine.answers import ABOUT_DEFINITIONS, departures, read_copy
from engine.diffusion.mending import indent_of
from engine.messages import EditRequest
from engine.models.writer import Writer
from engine.regions import Region
from engine.told import LONGEST, Told, told_by
from engine.work import Answers, Job, Query, Scored, Texts, Work
from engine.writing import FEWEST

SIMPLIFY = "Simplify"  # what a rewrite is told when nobody says how
PART = 100  # tokens of longer code that are rewritten at a time: of more, the writer may leave out a function
DEF = r"(?:def|function|func|fn)"
FUNCTION = re.compile(rf"\n[ \t]*(?:(?P<decorator>@)|(?:[a-z]+ +)*{DEF}\b)")
CLASS = re.compile(r"\bclass\b")
OF_A_CLASS = re.compile(  # what is asked of a class as a whole
    r"(?i)\b(?:add|write|implement|support|give)\b.*\b(?:method|property|operator|__\w+__|len|repr|iteration|indexing)\b"
    r"|\b(?:dataclass|iterable|comparable|sortable|hashable|callable|context manager|with statement|len\(\))\b"
)
NAMED = re.compile(rf"\b{DEF} +(\w+)")
BEFORE_NAME = r"\b(?:in|from|of|to|method|function) (?:\w+(?:, \w+)* and )?"  # and a name is that of a function
BEHIND_NAME = r"(?:\(| (?:should|must|needs?|returns?|takes?|raises?)\b)"
INDENTED = re.compile(r"\n[ \t]*[^\s)\]}]")  # a line that may begin a statement


def rewritten(
    job: Job, writer: Writer, instruction: str, own_idea: bool
) -> Generator[Query, Answers, list[Scored] | None]:
    """Texts for the whole span, best first; None when the writer cannot be told about it. `own_idea`: nobody said how;
    then what breaks the code is no answer."""
    parts = parts_of(job.region, writer, instruction)
    if len(parts) > 1 and (texts := (yield from rewritten_in_parts(job, writer, instruction, own_idea, parts))):
        return texts
    told = told_by(job.request, job.region, writer, instruction)
    if told is None:
        return [] if len(parts) > 1 else None
    work = job.open("", job.region.span, "", writer)
    wanted = max(FEWEST, job.request.candidates)
    texts, _ = yield from answers_to(work, told, job.region, wanted, own_idea)
    return texts


def told_first(request: EditRequest, region: Region, writer: Writer, instruction: str) -> Told | None:
    """What the writer is told first when `region` is rewritten."""
    first, *rest = parts_of(region, writer, instruction)
    return told_by(request, replace(region, span=first, suffix="".join(rest) + region.suffix), writer, instruction)


def rewritten_in_parts(job: Job, writer: Writer, instruction: str, own_idea: bool, parts: Sequence[str]) -> Texts:
    """The whole span, in which every part is as told that is likelier so than as it is; then with one of them alone,
    the surest first. Nothing, when there is none."""
    changed, gains = list(parts), dict[int, float]()
    meant = parts_meant(parts, instruction)
    for i, part in enumerate(parts):
        if not meant[i] or job.late:
            continue
        done, rest = "".join(changed[:i]), "".join(parts[i + 1 :])
        region = replace(job.region, prefix=job.region.prefix + done, span=part, suffix=rest + job.region.suffix)
        told = told_by(job.request, region, writer, instruction)
        if told:
            work = job.open(done, part, rest, writer)
            texts, as_it_is = yield from answers_to(work, told, region, 1, own_idea)
            better = [one for one in texts if one[1] > as_it_is and not (work.judge and work.judge.fault(one[0]))]
            if better:
                changed[i], gains[i] = better[0][0], better[0][1] - as_it_is
    surest = sorted(gains, key=lambda i: -gains[i]) if len(gains) > 1 else []
    alone = [("".join((*parts[:i], changed[i], *parts[i + 1 :])), gains[i] / len(parts)) for i in surest]
    return [("".join(changed), sum(gains.values()) / len(parts)), *alone] if gains else []


def parts_of(region: Region, writer: Writer, instruction: str) -> list[str]:
    """What of the span the writer is told at a time: each function, unless the instruction is about a class that is
    not too long; what is longer than it can be told is cut up."""
    if not region.head:
        return [region.span]

    def length(text: str) -> int:
        return len(writer.vocabulary.encode(text))

    if CLASS.search(region.span) and OF_A_CLASS.search(instruction) and length(region.span) <= LONGEST:
        return [region.span]
    return [
        part for one in by_function(region.span) for part in (cut_up(one, length) if length(one) > LONGEST else [one])
    ]


def parts_meant(parts: Sequence[str], instruction: str) -> list[bool]:
    """Which parts the instruction is about: those that define what it names as somebody speaks of a function, where
    there are such."""
    spoken_of = [any(speaks_of(name, instruction) for name in NAMED.findall(part)) for part in parts]
    if any(spoken_of) and not ABOUT_DEFINITIONS.search(instruction):
        return spoken_of
    return [bool(part.strip()) for part in parts]


def speaks_of(name: str, instruction: str) -> bool:
    """`add` may be any word, *in add* and *add should* are about a function."""
    word = rf"\b{re.escape(name)}\b"
    about = word if "_" in name.strip("_") else rf"{BEFORE_NAME}{word}|{word}{BEHIND_NAME}"
    return re.search(about, instruction) is not None


def by_function(span: str) -> list[str]:
    """`span` cut in front of its functions; what stands in front of the first goes with it."""
    parts, outermost, decorated = [""], None, False
    for line in lines_of(span):
        if starts := FUNCTION.match(line):
            if outermost is not None and depth(line) <= outermost and not decorated:
                parts.append("")
            outermost = depth(line) if outermost is None else min(outermost, depth(line))
        decorated = starts is not None and starts["decorator"] is not None
        parts[-1] += line
    return parts


def cut_up(span: str, length: Callable[[str], int]) -> list[str]:
    """`span` in parts that are not too long, cut in front of the lines that are indented least."""
    parts, lines = list[str](), list[str]()
    for line in lines_of(span):
        if len(lines) > 1 and length("".join(lines) + line) > PART:
            at = min(range(1, len(lines)), key=lambda i: (INDENTED.match(lines[i]) is None, depth(lines[i]), -i))
            parts.append("".join(lines[:at]))
            lines = lines[at:]
        lines.append(line)
    return [*parts, "".join(lines)]


def lines_of(span: str) -> list[str]:
    """The lines, each with the line end in front of it."""
    return [line for line in re.split(r"(?=\n)", span) if line]


def depth(line: str) -> int:
    return len(indent_of(line.removeprefix("\n")))


def answers_to(
    work: Work, told: Told, region: Region, wanted: int, own_idea: bool
) -> Generator[Query, Answers, tuple[list[Scored], float]]:
    """At least the `wanted` texts in the place of the code, best first, with the mean log-probability of their tokens,
    and that of the code as it is."""
    work.context = told.asked()
    copy = yield from read_copy(work, told, region)
    found = yield from departures(work, told, copy, region, wanted)
    texts = [
        (told.text(answer.text, region), answer.likely / answer.length)
        for answer in found
        if not own_idea or not answer.cost
    ]
    # Nobody asked for a certain change: a short answer is not better for being short.
    return sorted(texts, key=lambda one: -one[1]) if own_idea else texts, float(copy.likely.mean())
