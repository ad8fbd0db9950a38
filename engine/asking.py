"""What the writer answers when it is asked to fix the bug, with the code around in view: the foremost source of guesses
and the judge of all of them."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from engine.answers import departures, read_copy
from engine.reading import Reading, look_over
from engine.told import FENCE, Told, told_by
from engine.work import Answers, Query, Work

FIX = "Fix the bug"
OFFERS = 8  # answers that become guesses
ABOVE, BELOW = "The code above it:\n", "The code below it:\n"
ABOVE_CHARS, BELOW_CHARS = 320, 120  # as it was trained, of the code around


@dataclass(slots=True)
class Asked:
    """What was asked, the `reading` of the answer that nothing is wrong, and the `offers`: other texts of the span, the
    likeliest first."""

    told: Told
    reading: Reading
    offers: list[str]


def ask_for_a_fix(work: Work) -> Generator[Query, Answers, Asked | None]:
    """`work`: the writer's on the whole span. None when the writer cannot be asked about it."""
    told = told_by(work.request, work.region, work.denoiser, FIX)
    if told is None:
        return None
    work.context = told.asked(
        told_around(work.request.language, work.region.prefix + work.region.head, work.region.suffix)
    )
    copy = yield from read_copy(work, told, work.region)
    answers = yield from departures(work, told, copy, work.region, OFFERS)
    offers = [told.text(answer.text, work.region) for answer in answers]
    reading = Reading(work, FENCE, copy.ids, copy.likely[:, 0].tolist(), [])
    return Asked(told, reading, [text for text in offers if work.judge is None or work.judge.fault(text) is None])


def told_around(
    language: str, prefix: str, suffix: str, above_chars: int = ABOVE_CHARS, below_chars: int = BELOW_CHARS
) -> str:
    """What is said of the code around: at most so many characters of it."""
    above, below = whole_lines(prefix, -above_chars), whole_lines(suffix.lstrip("\n"), below_chars)
    around = ((ABOVE, above), (BELOW, below))
    return "".join(f"{where}{FENCE}{language}\n{code}{FENCE}\n" for where, code in around if code)


def how_likely(asked: Asked, texts: Sequence[str]) -> Generator[Query, Answers, dict[str, float]]:
    """How much likelier each of `texts` is as the answer than that the code is right, nats; without those that the
    writer cannot answer."""
    answers = {text: asked.told.answer(text, asked.reading.work.region) for text in texts}
    possible = {text: answer for text, answer in answers.items() if answer is not None}
    nats = yield from look_over(asked.reading, list(possible.values()))
    return {text: nats[answer] for text, answer in possible.items()}


def whole_lines(text: str, chars: int) -> str:
    """The last or, counted from the front, first lines of `text` with at most so many characters."""
    if not chars or not text:
        return ""
    kept = text[chars:] if chars < 0 else text[:chars]
    if len(kept) < len(text):
        kept = kept.partition("\n")[2] if chars < 0 else kept.rpartition("\n")[0]
    return kept.strip("\n") + "\n" if kept.strip() else ""
