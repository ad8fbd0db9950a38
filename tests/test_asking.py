"""What the writer answers when it is asked for a fix: copies that depart once, in the user's indentation."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import pytest

from engine.asking import Asked, ask_for_a_fix, likelier
from engine.messages import EditRequest
from engine.models.denoiser import EmbeddedDenoiser
from engine.regions import normalise
from engine.work import Job

ABOVE = "def area(width, height):\n"
LINES = "    size = width * heigth\n    return size\n"
BELOW = "\n\nprint(area(2, 3))\n"


def driven(steps: Generator[Any, Any, Any], denoiser: EmbeddedDenoiser) -> Any:
    try:
        query = next(steps)
        while True:
            query = steps.send(denoiser.denoise(query.items))
    except StopIteration as end:
        return end.value


def asked_of(denoiser: EmbeddedDenoiser, prefix: str, span: str, suffix: str) -> tuple[str, Asked | None]:
    region = normalise(prefix, span, suffix)
    job = Job(EditRequest("fix", prefix, span, suffix), denoiser, region, True, time.monotonic() + 60)
    work = job.open("", region.span, "", denoiser.writer)
    return region.span, driven(ask_for_a_fix(work, region.span), denoiser)


def test_a_misspelt_name_is_mended_first_in_its_indentation(denoiser: EmbeddedDenoiser) -> None:
    block, asked = asked_of(denoiser, ABOVE, LINES, BELOW)
    assert asked is not None
    assert block not in asked.reading.offers
    assert block.replace("heigth", "height") in asked.reading.offers[:3]
    assert all(line[:4] == "    " for offer in asked.reading.offers for line in offer.split("\n") if line)
    assert (asked.told.above, asked.told.below) == (ABOVE, "print(area(2, 3))\n")


def test_a_better_answer_is_likelier_than_a_copy_and_nonsense_is_not(denoiser: EmbeddedDenoiser) -> None:
    block, asked = asked_of(denoiser, ABOVE, LINES, BELOW)
    assert asked is not None
    texts = [block.replace("heigth", "height"), block.replace("heigth", "weigth"), block, "\nsize = 1"]
    right, wrong, same, shifted = driven(likelier(asked, texts), denoiser)
    assert right > same == pytest.approx(0, abs=0.05)
    assert wrong < same
    assert shifted == -30.0  # it lacks the indentation, so that it is no answer to the question


def test_answers_stand_for_blocks_and_blocks_for_answers(denoiser: EmbeddedDenoiser) -> None:
    _, asked = asked_of(denoiser, "if a:\n", "        x = 1\n\n    y = 2\n", "")
    assert asked is not None
    assert asked.told.indent == "    "
    assert asked.told.code == "    x = 1\n\ny = 2\n"
    for answer in ("    x = 2\n\ny = 3\n", "x = 1\n", ""):
        assert asked.answer(asked.block(answer)) == answer


@pytest.mark.parametrize(
    ("prefix", "span", "suffix"),
    [("x = ", "1", "\n"), ("x = 1\n", "\n\n", "y = 2\n"), ("", "value = value + 1\n" * 60, "")],
    ids=["a fragment", "blank lines", "too long"],
)
def test_what_cannot_be_asked_for_is_not(denoiser: EmbeddedDenoiser, prefix: str, span: str, suffix: str) -> None:
    assert asked_of(denoiser, prefix, span, suffix)[1] is None
