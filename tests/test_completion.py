"""What is offered at the cursor while somebody types, with the shipped weights."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine import completion, lookup
from engine.editing import edit_session, run_session
from engine.languages import python_fault
from engine.messages import EditRequest, EditResult
from engine.models.denoiser import EmbeddedDenoiser

POINT = "class Point:\n    def __init__(self, x, y):\n        self.x = x\n        self.y = "
CURSORS = {
    "a value": (POINT, "\n"),
    "in a word": ("import os\n\n\ndef exists(path):\n    retu", "\n"),
    "before a bracket": ("def load(path):\n    with open(", ") as file:\n        return file.read()\n"),
    "an empty line": (
        "def area(width, height):\n    return width * height\n\n\ndef volume(width, height, depth):\n",
        "\n",
    ),
}


def complete(denoiser: EmbeddedDenoiser, before: str, after: str, **more: object) -> EditResult:
    request = EditRequest("fill", before, "", after, candidates=3, quick=True)
    return run_session(edit_session(replace(request, **more), denoiser), denoiser)  # type: ignore[arg-type]


def texts(result: EditResult) -> list[str]:
    return [candidate.text for candidate in result.candidates]


def test_a_likely_line_comes_in_few_passes(denoiser: EmbeddedDenoiser) -> None:
    result = complete(denoiser, *CURSORS["a value"])
    assert texts(result) == ["y"]
    assert result.forward_passes <= 3
    assert texts(complete(denoiser, *CURSORS["in a word"])) != []


def test_what_is_right_of_the_cursor_is_not_written_again(denoiser: EmbeddedDenoiser) -> None:
    before, after = CURSORS["before a bracket"]
    result = complete(denoiser, before, after)
    assert any(text.startswith("path") for text in texts(result))
    assert all(python_fault(before + text + after) is None for text in texts(result))


@pytest.mark.parametrize("cursor", CURSORS)
def test_tokens_read_along_change_nothing_but_the_time(
    denoiser: EmbeddedDenoiser, monkeypatch: pytest.MonkeyPatch, cursor: str
) -> None:
    monkeypatch.setattr(completion, "LEAST", -1000.0)
    along = complete(denoiser, *CURSORS[cursor])
    monkeypatch.setattr(lookup, "continuation", lambda *_: ())
    one_by_one = complete(denoiser, *CURSORS[cursor])
    assert texts(along) == texts(one_by_one) != []
    assert along.forward_passes <= one_by_one.forward_passes


def test_where_anything_may_follow_nothing_is_offered(denoiser: EmbeddedDenoiser) -> None:
    result = complete(denoiser, "import os\n\n# ", "\n")
    assert (result.candidates, result.reason) == ((), "unchanged")


def test_at_the_deadline_nothing_half_written_is_offered(denoiser: EmbeddedDenoiser) -> None:
    result = complete(denoiser, *CURSORS["an empty line"], deadline_ms=1)
    assert (result.candidates, result.reason) == ((), "deadline")
