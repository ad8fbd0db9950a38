"""The writer, asked to fix the bug, offers texts for the span and judges others; code comes back as it was laid out."""

from collections.abc import Generator
from typing import TypeVar

import pytest

from engine.asking import Asked, ask_for_a_fix, how_likely, told_around
from engine.messages import EditRequest
from engine.models.denoiser import EmbeddedDenoiser
from engine.regions import normalise
from engine.work import Answers, Job, Query

T = TypeVar("T")
PREFIX = "class Basket:\n    def __init__(self, items):\n        self.items = items\n\n    def size(self):\n"
WRONG, RIGHT = "        return len(items)\n", "        return len(self.items)\n"
SUFFIX = "\n    def first(self):\n        return self.items[0]\n"


def answered(denoiser: EmbeddedDenoiser, asking: Generator[Query, Answers, T]) -> T:
    try:
        query = next(asking)
        while True:
            query = asking.send(denoiser.denoise(query.items))
    except StopIteration as end:
        return end.value


@pytest.fixture
def asked(denoiser: EmbeddedDenoiser) -> Asked:
    region = normalise(PREFIX, WRONG, SUFFIX)
    job = Job(EditRequest("fix", PREFIX, WRONG, SUFFIX), denoiser, region, True, float("inf"))
    made = answered(denoiser, ask_for_a_fix(job.open("", region.span, "", denoiser.writer)))
    assert made
    return made


def test_it_knows_what_the_bug_is(asked: Asked) -> None:
    assert asked.reading.work.region.restore(asked.offers[0]) == RIGHT


def test_it_finds_the_right_text_likelier_than_others(denoiser: EmbeddedDenoiser, asked: Asked) -> None:
    region = asked.reading.work.region
    right, other = (normalise(PREFIX, text, SUFFIX).span for text in (RIGHT, WRONG.replace("len", "max")))
    nats = answered(denoiser, how_likely(asked, [right, other]))
    assert nats[right] > 0 > nats[other]
    assert region.restore(right) == RIGHT


def test_texts_become_answers_and_texts_again(asked: Asked) -> None:
    region = asked.reading.work.region
    for text in (RIGHT, RIGHT + "        # done\n", "        if prices:\n            return 1\n"):
        span = normalise(PREFIX, text, SUFFIX).span
        answer = asked.told.answer(span, region)
        assert answer is not None
        assert not answer.startswith(" ")
        assert asked.told.text(answer.rstrip("\n"), region) == span


def test_what_is_indented_less_cannot_be_answered(asked: Asked) -> None:
    span = normalise(PREFIX, "    return 1\n", SUFFIX).span
    assert asked.told.answer(span, asked.reading.work.region) is None


def test_it_is_told_whole_lines_of_the_code_around() -> None:
    around = told_around("python", "x = 1\n" * 100, "y = 2\n" * 100)
    assert around.count("x = 1\n") == 320 // 6
    assert around.count("y = 2\n") == 120 // 6
    assert told_around("python", "", "\n") == ""
