"""What the writer puts into holes, with the shipped weights."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from engine.editing import edit_session, run_session
from engine.languages import python_fault
from engine.messages import EditRequest, EditResult
from engine.models.denoiser import EmbeddedDenoiser
from engine.work import STAY_TOKENS, make_context

MEAN = EditRequest(
    "fill", "def mean(values):\n    total = 0\n    for v in values:\n", "", "    return total / len(values)\n"
)
METHOD = EditRequest(
    "fill",
    "class Person:\n    def __init__(self, name, age):\n",
    "        ...\n",
    "\n    def greet(self):\n        return f'{self.name} is {self.age}'\n",
)


def edit(denoiser: EmbeddedDenoiser, request: EditRequest) -> EditResult:
    return run_session(edit_session(request, denoiser), denoiser)


def test_a_line_is_written_where_one_is_missing(denoiser: EmbeddedDenoiser) -> None:
    result = edit(denoiser, MEAN)
    assert result.candidates[0].text == "        total += v\n"
    assert result.candidates[0].parses


def test_several_lines_are_written_where_they_are_missing(denoiser: EmbeddedDenoiser) -> None:
    texts = [candidate.text for candidate in edit(denoiser, METHOD).candidates]
    assert texts[0] == "        self.name = name\n        self.age = age\n"


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ("def is_even(n):\n    retu", "\n", "rn n % 2 == 0"),  # in the middle of a word
        ("import os\n\n\ndef exists(path):\n    ", "\n", "return os.path.exists(path)"),  # behind the indentation
        ("def load(path):\n    with open(", ") as file:\n        return file.read()\n", "path"),  # before what closes
    ],
)
def test_a_hole_within_a_line(denoiser: EmbeddedDenoiser, before: str, after: str, text: str) -> None:
    result = edit(denoiser, EditRequest("fill", before, "", after))
    assert text in [candidate.text for candidate in result.candidates]
    assert all(python_fault(before + candidate.text + after) is None for candidate in result.candidates)


@pytest.mark.parametrize(
    ("above", "below", "name"),
    [
        ("def product(values):\n", "    for value in values:\n        result *= value\n    return result\n", "result"),
        (
            "def digits(text):\n",
            "    for c in text:\n        if c.isdigit():\n            kept.append(c)\n    return kept\n",
            "kept",
        ),
    ],
)
def test_what_stands_below_tells_which_name_to_bind(
    denoiser: EmbeddedDenoiser, above: str, below: str, name: str
) -> None:
    (filled,) = edit(denoiser, EditRequest("fill", above, "", below, candidates=1)).candidates
    assert f"    {name} = " in filled.text


def test_a_missing_import_is_no_reason_to_bind_its_name(denoiser: EmbeddedDenoiser) -> None:
    above, below = (
        "def norm(values):\n    squares = []\n    for value in values:\n",
        "    return np.sqrt(sum(squares))\n",
    )
    result = edit(denoiser, EditRequest("fill", above, "", below, candidates=4))
    assert result.candidates[0].text.startswith("        squares.append(")


def test_the_same_seed_writes_the_same(denoiser: EmbeddedDenoiser) -> None:
    assert edit(denoiser, METHOD).candidates == edit(denoiser, METHOD).candidates


def test_an_instruction_is_followed_and_not_written(denoiser: EmbeddedDenoiser) -> None:
    request = EditRequest("fill", "def order(items):\n    items = list(items)\n", "", "    return items\n")
    (told,) = edit(denoiser, replace(request, candidates=1, instruction="reverse the items")).candidates
    assert "::-1" in told.text or "reverse" in told.text
    assert "#" not in told.text


def test_tabs_and_line_endings_are_the_users(denoiser: EmbeddedDenoiser) -> None:
    prefix, suffix = (text.replace("    ", "\t").replace("\n", "\r\n") for text in (MEAN.prefix, MEAN.suffix))
    result = edit(denoiser, replace(MEAN, prefix=prefix, suffix=suffix))
    assert result.candidates[0].text == "\t\ttotal += v\r\n"


def test_at_the_deadline_it_stops(denoiser: EmbeddedDenoiser) -> None:
    edit(denoiser, MEAN)  # loads the writer
    started = time.monotonic()
    result = edit(denoiser, replace(METHOD, deadline_ms=1))
    assert result.reason == "deadline"
    assert result.forward_passes == 1
    assert time.monotonic() - started < 5


def test_typing_on_leaves_the_beginning_of_what_is_read(denoiser: EmbeddedDenoiser) -> None:
    writer, text = denoiser.writer, "".join(f"value_{i} = compute({i}, offset={i})\n" for i in range(400))
    assert writer is not None
    beginnings: list[tuple[int, ...]] = []
    for end in range(len(text) - 200, len(text)):
        prefix = make_context(EditRequest("fill", text[:end], "", ""), writer, text[:end], "").prefix
        assert writer.max_prefix - STAY_TOKENS <= len(prefix) <= writer.max_prefix
        beginnings.append(prefix[:16])
    assert len(set(beginnings)) <= 4


@pytest.mark.parametrize(
    ("request_", "seen"),
    [(MEAN, True), (replace(MEAN, quick=True), False), (replace(MEAN, intent="rewrite", span="x\n"), False)],
)
def test_only_who_fills_a_hole_sees_below(denoiser: EmbeddedDenoiser, request_: EditRequest, seen: bool) -> None:
    writer = denoiser.writer
    assert writer is not None
    assert bool(make_context(request_, writer, MEAN.prefix, MEAN.suffix).suffix) == seen
    assert make_context(request_, denoiser, MEAN.prefix, MEAN.suffix).suffix


def test_mending_does_not_load_the_writer() -> None:
    from engine.models.loading import load_embedded

    mender = load_embedded()
    assert isinstance(mender, EmbeddedDenoiser)
    edit(mender, EditRequest("fix", "", "x = (1\n", "y = 2\n"))
    assert mender._writer is None


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("behind", ["日本", "naïve", "🙂", "Ω"])
def test_letters_of_several_bytes_may_stand_in_front(denoiser: EmbeddedDenoiser, behind: str, quick: bool) -> None:
    result = edit(denoiser, EditRequest("fill", f"# {behind}", "", "\nx = 1\n", quick=quick))
    assert result.forward_passes <= 60
