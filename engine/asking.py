"""The writer asked to fix a block: what it answers, and how likely it finds other answers."""

from __future__ import annotations

import textwrap
from collections.abc import Generator
from dataclasses import dataclass

from engine.instructed import FENCE, FIX, LONGEST, Told, departures, indent_removed
from engine.models.writer import Writer
from engine.reading import Reading, look_over
from engine.work import Answers, Query, Work

ABOVE_CHARS, BELOW_CHARS = 320, 120  # of the code around it that the writer sees


@dataclass(slots=True)
class Asked:
    """The writer's work on a block, `reading` of a copy; its `offers`: blocks, as a denoiser writes them."""

    told: Told
    reading: Reading

    def block(self, answer: str) -> str:
        """`answer` as a denoiser would have written it in the place of the block."""
        text = textwrap.indent(answer.rstrip("\n"), self.told.indent)
        return f"\n{text}{self.told.behind}" if text else self.told.behind

    def answer(self, block: str) -> str | None:
        """The other way round; None when `block` lacks the indentation."""
        shared, text = self.told.indent, block.removeprefix("\n").rstrip("\n")
        if not all(line.startswith(shared) for line in text.split("\n") if line.strip()):
            return None
        return "".join(f"{line.removeprefix(shared)}\n" for line in text.split("\n")) if text else ""


def ask_for_a_fix(work: Work, block: str) -> Generator[Query, Answers, Asked | None]:
    """None when the block is not of whole lines, or longer than what the writer can follow. `work`: the writer's on
    the block, from now on on a copy."""
    code, writer = block.removeprefix("\n").rstrip("\n"), work.denoiser
    if not isinstance(writer, Writer) or not block.startswith("\n") or not code.strip() or FENCE in code:
        return None
    indent, code = indent_removed(code)
    above = whole_lines((work.region.prefix + work.around[0]).lstrip("\n"), -ABOVE_CHARS)
    below = whole_lines((work.around[1] + work.region.suffix).lstrip("\n"), BELOW_CHARS)
    behind = block[len(block.rstrip("\n")) :]
    told = Told(writer, work.request.language, FIX, f"{code}\n", indent, behind, above, below)
    if len(writer.vocabulary.encode(told.code + FENCE)) > LONGEST:
        return None
    copy = yield from departures(work, told)
    asked = Asked(told, Reading(work, FENCE, copy.ids, copy.likely, []))
    asked.reading.offers = [asked.block(answer) for answer, _ in copy.answers]
    return asked


def likelier(asked: Asked, blocks: list[str]) -> Generator[Query, Answers, list[float]]:
    """How much likelier than a copy the writer finds each of `blocks` as its answer, nats."""
    answers = [asked.answer(block) for block in blocks]
    known = [answer for answer in answers if answer is not None]
    nats = iter((yield from look_over(asked.reading, known)))
    return [-30.0 if answer is None else next(nats) for answer in answers]


def whole_lines(text: str, chars: int) -> str:
    """The last or, counted from the front, first lines of `text` with at most so many characters."""
    if not chars or not text:
        return ""
    kept = text[chars:] if chars < 0 else text[:chars]
    if len(kept) < len(text):
        kept = kept.partition("\n")[2] if chars < 0 else kept.rpartition("\n")[0]
    return kept.strip("\n") + "\n" if kept.strip() else ""
