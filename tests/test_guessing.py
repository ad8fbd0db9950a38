"""Guesses come only when asked for, of code that parses and that the model is not sure of, and are never the span."""

from dataclasses import replace

import pytest

from engine.editing import edit_session, run_session
from engine.errors import EditError
from engine.languages import syntax_fault
from engine.messages import EditRequest, EditResult
from engine.models.denoiser import EmbeddedDenoiser

LARGEST = """def largest(values):
    best = values[0]
    for value in values:
        if value < best:
            best = value
    return best
"""
ASKED = EditRequest("fix", "", LARGEST, "\n\nprint(largest([1, 3, 2]))\n", guesses=40)


def edit(denoiser: EmbeddedDenoiser, request: EditRequest) -> EditResult:
    return run_session(edit_session(request, denoiser), denoiser)


def test_none_unless_asked_for(denoiser: EmbeddedDenoiser) -> None:
    assert edit(denoiser, replace(ASKED, guesses=0)).guesses == ()


def test_what_undoes_a_swapped_comparison_is_among_them(denoiser: EmbeddedDenoiser) -> None:
    result = edit(denoiser, ASKED)
    texts = [guess.text for guess in result.guesses]
    assert result.candidates == ()
    assert result.reason == "unchanged"
    assert LARGEST.replace("<", ">") in texts
    assert LARGEST not in texts
    assert len(texts) == len(set(texts)) == 40
    assert [g.score for g in result.guesses] == sorted((g.score for g in result.guesses), reverse=True)
    assert all(syntax_fault(ASKED.prefix + text + ASKED.suffix, "python") is None for text in texts)


def test_the_same_seed_guesses_the_same(denoiser: EmbeddedDenoiser) -> None:
    first, second = (edit(denoiser, ASKED).guesses for _ in range(2))
    assert [guess.text for guess in first] == [guess.text for guess in second]
    assert [guess.score for guess in first] == pytest.approx([guess.score for guess in second], rel=1e-4)


def test_a_span_of_several_blocks_is_guessed_at_block_by_block(denoiser: EmbeddedDenoiser) -> None:
    span = "".join(LARGEST.replace("largest", f"largest_{i}") + "\n\n" for i in range(5))
    result = edit(denoiser, EditRequest("fix", "", span, "x = 1\n", guesses=100))
    changed = {i for g in result.guesses for i, (a, b) in enumerate(zip(span, g.text, strict=False)) if a != b}
    assert min(changed) < len(span) // 4
    assert max(changed) > len(span) * 3 // 4


@pytest.mark.parametrize("code", ["def f(:\n    pass\n", "x = (1\n"])
def test_what_does_not_parse_is_mended_instead(denoiser: EmbeddedDenoiser, code: str) -> None:
    result = edit(denoiser, EditRequest("fix", "", code, "", guesses=5))
    assert result.candidates
    assert result.guesses == ()


def test_wrong_counts_are_refused(denoiser: EmbeddedDenoiser) -> None:
    with pytest.raises(EditError, match="guesses must be between 0 and 100"):
        edit(denoiser, replace(ASKED, guesses=101))
