"""One edit from request to candidates, by the embedded model."""

from __future__ import annotations

import re
import time

import pytest

from engine.denoising import BABBLE
from engine.editing import edit_session, run_session, warm_context
from engine.errors import EditError
from engine.languages import python_fault
from engine.messages import EditRequest
from engine.ranking import rank
from engine.regions import normalise
from engine.work import split_blocks

BROKEN = EditRequest("fix", "def f(x):\n", "    return int((x + 1)\n", "\n\nprint(f(2))\n")


def test_a_missing_bracket_is_mended(denoiser) -> None:
    result = run_session(edit_session(BROKEN, denoiser), denoiser)
    assert result.candidates
    best = result.candidates[0]
    assert best.parses
    assert python_fault(BROKEN.prefix + best.text + BROKEN.suffix) is None
    assert len({c.text for c in result.candidates}) == len(result.candidates)
    assert all(c.text != BROKEN.span for c in result.candidates)


def test_one_of_two_faults_is_mended(denoiser) -> None:
    below = "\n\ndef g(x):\n    y = x\n\n    if x > 3\n        return y\n"
    request = EditRequest("fix", BROKEN.prefix, BROKEN.span, below)
    best = run_session(edit_session(request, denoiser), denoiser).candidates[0]
    assert python_fault(request.prefix + best.text) is None
    left = python_fault(request.prefix + best.text + below)
    assert left
    assert "':'" in left.message


def test_old_python_is_brought_up_to_date(denoiser) -> None:
    request = EditRequest("fix", "def f(x):\n", "    print 'value', x\n    print x\n", "    return x\n", candidates=10)
    result = run_session(edit_session(request, denoiser), denoiser)
    assert result.candidates[0].text == "    print('value', x)\n    print(x)\n"


@pytest.mark.parametrize(
    ("above", "span", "below", "mended"),
    [
        ("def f(x):\n    return sum(\n", "        [x, 1]\n", "\n\nprint(f(2))\n", "        [x, 1]\n    )\n"),
        (
            'def f(x):\n    """Add one.\n\n',
            "    And return it.\n",
            "    return x + 1\n",
            '    And return it.\n    """\n',
        ),
    ],
)
def test_what_is_left_open_above_is_closed(denoiser, above: str, span: str, below: str, mended: str) -> None:
    request = EditRequest("fix", above, span, below, candidates=10)
    texts = [candidate.text for candidate in run_session(edit_session(request, denoiser), denoiser).candidates]
    assert mended in texts
    assert all(python_fault(above + text + below) is None for text in texts)


def test_rewriting_broken_code_mends_it_first(denoiser) -> None:
    request = EditRequest("rewrite", BROKEN.prefix, BROKEN.span, BROKEN.suffix, candidates=3)
    best = run_session(edit_session(request, denoiser), denoiser).candidates[0]
    assert best.parses


def test_noise_leads_to_no_babble(denoiser) -> None:
    """The small model alone offers `datadata =_uint1(f)` and the like here; the writer does not believe them."""
    above, span, below = "def read_int4(f):\n", "    data = f.read(4)\n    n = read_uint1(f)\n", "    return n\n"
    request = EditRequest("rewrite", above, span, below, candidates=5, strength=0.3)
    result = run_session(edit_session(request, denoiser), denoiser)
    words = set(re.findall(r"\w+", " ".join(candidate.text for candidate in result.candidates)))
    assert result.candidates
    assert not [word for word in words if re.search(r"(\w{3,})\1", word)]


def test_the_same_seed_gives_the_same_result(denoiser) -> None:
    request = EditRequest("rewrite", "def f(x):\n", "    y = x + 1\n    return y\n", "", seed=7)
    first, second = (run_session(edit_session(request, denoiser), denoiser) for _ in range(2))
    assert [one.text for one in first.candidates] == [one.text for one in second.candidates]
    assert [one.score for one in first.candidates] == pytest.approx([one.score for one in second.candidates])


def test_what_parsed_is_never_broken(denoiser) -> None:
    for intent in ("fix", "rewrite", "fill"):
        request = EditRequest(intent, "def f(x):\n", "    return x\n", "\n\nprint(f(2))\n", strength=1.0)
        for candidate in run_session(edit_session(request, denoiser), denoiser).candidates:
            assert python_fault(request.prefix + candidate.text + request.suffix) is None


def test_a_long_span_is_edited_block_by_block(denoiser) -> None:
    lines = "".join(f"    value_{i} = compute({i}, offset={i})\n" for i in range(60))
    request = EditRequest("fix", "def f():\n", lines.replace("compute(59,", "compute((59,"), "    return value_0\n")
    result = run_session(edit_session(request, denoiser), denoiser)
    for candidate in result.candidates:
        assert candidate.text.startswith("    value_0 = compute(0, offset=0)\n")


@pytest.mark.parametrize("broken", [0, 10, 19])
def test_a_mistake_in_any_block_of_a_long_span_is_mended(denoiser, broken: int) -> None:
    right = [f"def area{i}(width, height):\n    return (width * height)\n\n\n" for i in range(20)]
    wrong = [text.replace("height)\n\n", "height\n\n") if i == broken else text for i, text in enumerate(right)]
    assert len(split_blocks("".join(wrong), denoiser)) > 2
    request = EditRequest("fix", "", "".join(wrong), "")
    result = run_session(edit_session(request, denoiser), denoiser)
    assert result.candidates[0].text == "".join(right)


LONG = [f"    value_{i} = compute({i}, offset={i})\n" for i in range(20)]


def broken_lines(*numbers: int) -> EditRequest:
    lines = [line.replace(")", "") if i in numbers else line for i, line in enumerate(LONG)]
    return EditRequest("fix", "def f():\n", "".join(lines), "    return value_0\n")


def test_only_the_lines_around_a_mistake_are_denoised(denoiser) -> None:
    lengths, states = list[int](), list[str]()

    class Watched:
        def denoise(self, items):
            lengths.extend(len(item.canvas) for item in items)
            return denoiser.denoise(items)

    session = edit_session(broken_lines(9), denoiser)
    result = run_session(session, Watched(), on_state=lambda state: states.append(state.text))
    assert result.candidates[0].text == "".join(LONG)
    assert max(lengths) < len(denoiser.vocabulary.encode("".join(LONG))) / 2
    assert all(state.startswith(LONG[0]) and LONG[-1].rstrip() in state for state in states)


def test_mistakes_far_apart_in_one_span_are_mended_one_after_the_other(denoiser) -> None:
    result = run_session(edit_session(broken_lines(2, 17), denoiser), denoiser)
    assert result.candidates[0].text == "".join(LONG)


def test_a_warmed_context_is_the_one_that_the_mend_reads(denoiser, monkeypatch) -> None:
    request = broken_lines(5)
    warm_context(request, denoiser)
    encoded = list[object]()
    encode_context = denoiser.model.encode_context
    monkeypatch.setattr(denoiser.model, "encode_context", lambda *a: encoded.append(a) or encode_context(*a))
    assert run_session(edit_session(request, denoiser), denoiser).candidates
    assert not encoded


def test_the_blocks_that_the_deadline_leaves_stay_as_they_are(denoiser) -> None:
    """Each block of this one takes the mends by hand some seconds, were all of them tried."""
    deep = "[" * 3000 + "1 2" + "]" * 3000
    began = time.process_time()
    request = EditRequest("fix", "", deep, "", "json", deadline_ms=500)
    result = run_session(edit_session(request, denoiser), denoiser)
    assert time.process_time() - began < 12
    assert result.reason == "deadline"


def test_a_deadline_is_kept(denoiser) -> None:
    request = EditRequest("rewrite", "", "x = 1\n" * 40, "", deadline_ms=1)
    result = run_session(edit_session(request, denoiser), denoiser)
    assert result.reason in ("deadline", "unchanged", "done")
    assert result.forward_passes <= 12


def test_cancelling_ends_the_session_before_the_next_step(denoiser) -> None:
    request = EditRequest("rewrite", "", "".join(f"value_{i} = compute({i})\n" for i in range(9)), "", strength=0.9)
    session = edit_session(request, denoiser)
    seen = []
    with pytest.raises(EditError) as caught:
        run_session(session, denoiser, on_state=seen.append, cancelled=lambda: len(seen) == 2)
    assert caught.value.code == "cancelled"
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("request_", "code", "word"),
    [
        (EditRequest("fix", "", "", "x = 1\n"), "bad_request", "empty"),
        (EditRequest("fix", "", "x" * 30_000, ""), "too_large", "select less"),
        (EditRequest("fix", "x" * 2_000_001, "y", ""), "too_large", "limit"),
        (EditRequest("rewrite", "", "a", "", instruction="x" * 2_001), "too_large", "say it shorter"),
        (EditRequest("fix", "", "a\0b", ""), "bad_request", "not text"),
        (EditRequest("fix", "", "a", "", candidates=0), "bad_request", "candidates"),
        (EditRequest("fix", "", "a", "", strength=2.0), "bad_request", "strength"),
    ],
)
def test_bad_requests_are_refused_in_one_line(denoiser, request_: EditRequest, code: str, word: str) -> None:
    with pytest.raises(EditError) as caught:
        next(edit_session(request_, denoiser))
    assert caught.value.code == code
    assert word in caught.value.message
    assert "\n" not in caught.value.message


def test_only_what_parses_is_offered_beside_it(denoiser) -> None:
    holes = [
        ("def f(", "):\n    return 1\n"),
        ("x = [1, ", "]\n"),
        ("if x", ":\n    y = 2\n"),
        ("def f(x):\n    ", "\n"),
    ]
    results = [
        run_session(edit_session(EditRequest("fill", above, "", below, candidates=8), denoiser), denoiser).candidates
        for above, below in holes
    ]
    assert any(candidates and candidates[0].parses for candidates in results)
    assert all(len({candidate.parses for candidate in candidates}) <= 1 for candidates in results)


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        ("def f(a, b)\n    return (a + b\n", "def f(a, b):\n    return (a + b)\n"),
        ("def f(a, b)\n    if a > b\n        return a\n", "def f(a, b):\n    if a > b:\n        return a\n"),
        ("def f(a, b)\n    return [a, (b\n", "def f(a, b):\n    return [a, (b)]\n"),
        ("def f(a, b\n    return a\n", "def f(a, b):\n    return a\n"),
    ],
)
def test_mistakes_close_to_each_other_are_mended_together(denoiser, broken: str, mended: str) -> None:
    request = EditRequest("fix", "", broken, "\n\nprint(f(1, 2))\n")
    result = run_session(edit_session(request, denoiser), denoiser)
    assert result.candidates[0].text == mended
    assert result.candidates[0].parses


def test_a_mistake_below_the_span_is_not_in_the_way(denoiser) -> None:
    """What is offered does not parse alone, but the mistake in it is gone."""
    span, below = "def f(x):\n    if x = 1:\n", "        return 2\n    else\n        return 3\n"
    result = run_session(edit_session(EditRequest("fix", "", span, below), denoiser), denoiser)
    assert result.candidates[0].text == span.replace("=", "==")
    assert result.candidates[0].parses is False


@pytest.mark.parametrize(
    ("text", "babble"),
    [
        ("ibibibibib", True),
        ("get(a, a, a, a, a)", True),
        ("x = 1000000", False),
        ("first, second = second, first", False),
    ],
)
def test_babble_is_told_from_code(text: str, babble: bool) -> None:
    assert bool(BABBLE.search(text)) == babble


def test_a_fill_of_an_empty_hole_has_the_indentation_of_the_lines_around_it(denoiser) -> None:
    request = EditRequest("fill", "def size(items):\n    for item in items:\n", "", "    return item\n")
    result = run_session(edit_session(request, denoiser), denoiser)
    assert result.candidates
    assert all(candidate.text.startswith("    ") and candidate.text.endswith("\n") for candidate in result.candidates)


def test_what_is_offered_parses_as_the_user_will_have_it() -> None:
    above = "def f():\n" + "\tx = 1\n" * 9 + "def g(x):\n"
    request = EditRequest("rewrite", above, "    y = x\n\tz = y\n", "", language="python")
    region = normalise(request.prefix, request.span, request.suffix)
    finalists = [("\n    y = x\n        z = 1", 0.0)]
    for candidate in rank(finalists, region, request, 4, float("inf")):
        assert candidate.parses == (python_fault(above + candidate.text) is None)


def test_a_byte_order_mark_does_not_switch_the_parser_off() -> None:
    request = EditRequest("rewrite", "\ufeffdef f(x):\n", "    return x\n", "")
    region = normalise(request.prefix, request.span, request.suffix)
    finalists = [("\n    return (x", 0.0), ("\n    return +x", -1.0)]
    assert [c.text for c in rank(finalists, region, request, 4, float("inf"))] == ["    return +x\n"]


def test_ranking_ends_soon_after_the_deadline() -> None:
    request = EditRequest("rewrite", "x = 1\n" * 20_000, "y = 1\n", "z = 1\n" * 20_000)
    region = normalise(request.prefix, request.span, request.suffix)
    finalists = [(f"\ny = {i}", 0.0) for i in range(2, 102)]
    started = time.monotonic()
    found = rank(finalists, region, request, 100, started)
    assert 1 <= len(found) < 100
    assert time.monotonic() - started < 5
