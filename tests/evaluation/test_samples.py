from __future__ import annotations

import pytest

from engine.evaluation.clients import rough_tokens
from engine.evaluation.metrics import compiles
from engine.evaluation.samples import CodeSample, code_samples


@pytest.mark.parametrize(("span", "context"), [(16, 256), (64, 512), (256, 256), (512, 2048)])
def test_samples_parse_until_they_are_broken_and_have_the_length_asked_for(span: int, context: int):
    samples = code_samples(10, span, context, rough_tokens, seed=1)
    for sample in samples:
        assert compiles(sample.prefix + sample.span + sample.suffix)
        assert not compiles(sample.prefix + sample.broken + sample.suffix)
        assert len(sample.broken) == len(sample.span) - 1
        assert sample.prefix == "" or sample.prefix.endswith("\n")
        assert sample.span.endswith("\n")
    assert mean([rough_tokens(s.span) for s in samples]) == pytest.approx(span, rel=0.25)
    assert mean([rough_tokens(s.prefix + s.suffix) for s in samples]) == pytest.approx(context, rel=0.25)


def test_the_seed_decides():
    def draw(seed: int) -> list[CodeSample]:
        return code_samples(3, 32, 256, rough_tokens, seed)

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)
    assert len({sample.span for sample in draw(1)}) == 3


def mean(values: list[int]) -> float:
    return sum(values) / len(values)
