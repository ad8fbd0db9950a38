"""Rewrites that follow an instruction, with the shipped weights."""

from __future__ import annotations

import math
import re
import textwrap
import time
from dataclasses import replace

import pytest

from engine.answers import UNHEARD, Price
from engine.editing import edit_session, run_session, warm_context
from engine.errors import EditError
from engine.instructed import by_function, cut_up, parts_meant, parts_of
from engine.messages import DenoisingState, EditRequest, EditResult
from engine.models.denoiser import EmbeddedDenoiser
from engine.models.foreign import SHIFT
from engine.models.writer import Writer
from engine.regions import normalise
from engine.told import LONGEST, told_by
from engine.unbound import unbound
from engine.writing import UNBOUND

CLAMP = """def clamp(value, low, high):
    if value < low:
        return low
    if value > high:
        return high
    return value
"""
ACCOUNT = """class Account:
    def __init__(self, owner, balance=0):
        self.owner = owner
        self.balance = balance

    def deposit(self, amount):
        self.balance += amount
        return self.balance

    def withdraw(self, amount):
        self.balance -= amount
        return self.balance
"""
WHOLE_ACCOUNT = EditRequest("rewrite", "", ACCOUNT, "", candidates=4)
REPORT = """def report(rows):
    lines = []
    for name, amount in rows:
        lines.append(name + ': ' + str(amount))
    total = sum(amount for _, amount in rows)
    lines.append('total: ' + str(total))
    return '\\n'.join(lines)
"""
FETCH = "    response = requests.get(url)\n    response.raise_for_status()\n"
TIMEOUT = EditRequest(
    "rewrite",
    "def fetch(url):\n",
    FETCH,
    "    return response.text\n",
    instruction="add a timeout of 10 seconds",
    candidates=3,
)


def edit(denoiser: EmbeddedDenoiser, request: EditRequest) -> EditResult:
    return run_session(edit_session(request, denoiser), denoiser)


def test_a_function_becomes_what_was_asked_for(denoiser: EmbeddedDenoiser) -> None:
    result = edit(
        denoiser,
        EditRequest(
            "rewrite", "", CLAMP, "\n\nprint(clamp(1, 2, 3))\n", instruction="raise ValueError when low > high"
        ),
    )
    texts = [candidate.text for candidate in result.candidates]
    assert "    if low > high:\n        raise ValueError" in texts[0]
    assert CLAMP not in texts
    assert all(candidate.parses for candidate in result.candidates)


@pytest.mark.parametrize("eol", ["\n", "\r\n"])
@pytest.mark.parametrize("indent", ["    ", "\t"])
def test_indentation_and_line_endings_are_the_users(denoiser: EmbeddedDenoiser, indent: str, eol: str) -> None:
    def own(text: str) -> str:
        return text.replace("    ", indent).replace("\n", eol)

    request = replace(TIMEOUT, prefix=own(TIMEOUT.prefix), span=own(FETCH), suffix=own(TIMEOUT.suffix))
    texts = [candidate.text for candidate in edit(denoiser, request).candidates]
    assert own(FETCH.replace("url", "url, timeout=10")) in texts
    for line in (line for text in texts for line in text.splitlines(keepends=True)):
        assert line.startswith(indent) or line == eol
        assert line.endswith(eol)


def test_a_selection_within_a_line_stays_within_it(denoiser: EmbeddedDenoiser) -> None:
    request = replace(
        TIMEOUT, prefix="def fetch(url):\n    response = ", span="requests.get(url)", suffix="\n    return response\n"
    )
    texts = [candidate.text for candidate in edit(denoiser, request).candidates]
    assert any("timeout" in text for text in texts)
    assert not any(text.endswith("\n") for text in texts)


TALLY = """def mean(values):
    total = 0
    count = 0
    for value in values:
        total = total + value
        count = count + 1
    return total / count
"""
NAMES = """def names(users):
    out = []
    for u in users:
        if u.active == True:
            out.append(u.name)
    return out
"""


@pytest.mark.parametrize(("code", "simpler"), [(TALLY, "total += value"), (NAMES, "if u.active:")])
def test_without_an_instruction_code_becomes_simpler(denoiser: EmbeddedDenoiser, code: str, simpler: str) -> None:
    request = EditRequest("rewrite", "", code, "\n\nprint(len(sys.argv))\n", candidates=4)
    result = edit(denoiser, request)
    assert simpler in result.candidates[0].text
    for candidate in result.candidates:
        assert unbound(candidate.text) <= unbound(code)
        assert candidate.text.strip()
    again = edit(denoiser, replace(request, instruction=" \n"))
    assert [one.text for one in again.candidates] == [one.text for one in result.candidates]
    assert [one.score for one in again.candidates] == pytest.approx([one.score for one in result.candidates])


def test_what_nobody_asked_to_be_broken_costs(denoiser: EmbeddedDenoiser) -> None:
    code = "class Stack:\n    def push(self, item):\n        self.x = item\n\n    def pop(self):\n        return 1\n"
    region = normalise("", code, "")

    def price(instruction: str, answer: str) -> float:
        told = told_by(EditRequest("rewrite", "", code, ""), region, denoiser.writer, instruction)
        assert told
        return Price(told, region).of(answer)

    shorter = code[: code.index("\n\n")]
    assert price("return 2", code.replace("1", "2").rstrip("\n")) == 0
    assert price("return 2", " \n") == math.inf
    assert price("return 2", shorter) == math.inf
    assert price("remove pop", shorter) == 0
    assert price("drop the last method", shorter) == 0
    assert price("rename pop", code.replace("pop", "take").rstrip("\n")) == 0
    assert price("return 2", code.replace("1", "two").rstrip("\n")) == UNBOUND + UNHEARD
    assert price("add is_empty", code.rstrip("\n")) == UNHEARD
    assert price("add is_empty", code.replace("1", "is_empty(self)").rstrip("\n")) == 0
    assert price("return a two", code.replace("1", "two").rstrip("\n")) == UNBOUND
    assert price("return two.it", code.replace("1", "two.it").rstrip("\n")) == 0


@pytest.mark.parametrize("instruction", ["sort the rows by name", "skip rows without a name"])
def test_no_answer_is_nothing(denoiser: EmbeddedDenoiser, instruction: str) -> None:
    """The likeliest answer to the first is to leave out everything."""
    result = edit(denoiser, EditRequest("rewrite", "", REPORT, "", instruction=instruction, candidates=4))
    assert len(result.candidates) == 4
    assert all("def report(" in candidate.text for candidate in result.candidates)


@pytest.mark.parametrize("instruction", ["raise ValueError when the amount is negative", "add docstrings"])
def test_no_method_is_lost(denoiser: EmbeddedDenoiser, instruction: str) -> None:
    """The likeliest answers to both, of the class as a whole, end before the last method."""
    result = edit(denoiser, replace(WHOLE_ACCOUNT, instruction=instruction))
    assert result.candidates
    for candidate in result.candidates:
        assert re.findall(r"def (\w+)", candidate.text)[-3:] == ["__init__", "deposit", "withdraw"]


def test_a_strength_alone_asks_for_noise(denoiser: EmbeddedDenoiser) -> None:
    request = EditRequest("rewrite", "", TALLY, "", strength=0.3, deadline_ms=20_000)
    states: list[DenoisingState] = []
    run_session(edit_session(request, denoiser), denoiser, on_state=states.append)
    assert any("\N{LIGHT SHADE}" in state.text for state in states)


def test_broken_code_without_an_instruction_is_mended(denoiser: EmbeddedDenoiser) -> None:
    result = edit(denoiser, EditRequest("rewrite", "", NAMES.replace("out)", "out").replace("True:", "True"), ""))
    assert result.candidates[0].parses


COUNT = """def count_{0}(path, users):
    total = 0
    for user in users:
        if user.active == True:
            total = total + 1
    log.write("%s %d" % (path, total))
    return total


"""
COUNTS = "".join(COUNT.format(name) for name in ("new", "old", "gone", "any", "few"))


def test_long_code_is_rewritten_part_by_part(denoiser: EmbeddedDenoiser) -> None:
    request = EditRequest("rewrite", "import log\n\n\n", COUNTS, "print(count_any)\n", instruction="add type hints")
    assert denoiser.writer
    assert len(denoiser.writer.vocabulary.encode(COUNTS)) > LONGEST
    states: list[DenoisingState] = []
    told, *others = run_session(edit_session(request, denoiser), denoiser, on_state=states.append).candidates
    assert told.parses
    assert re.findall(r"def (\w+)", told.text) == re.findall(r"def (\w+)", COUNTS)
    assert len(re.findall(r"def \w+\(path: str, users: .*\) -> ", told.text)) >= 3
    assert all(state.text.startswith("def count_n") for state in states)
    assert len(others) == 3
    for one in others:
        assert sum(a != b for a, b in zip(one.text.splitlines(), COUNTS.splitlines(), strict=True)) == 1


def test_what_is_shown_stands_where_it_will_and_settles(denoiser: EmbeddedDenoiser) -> None:
    code = textwrap.indent(TALLY, "    ")
    request = EditRequest("rewrite", "class Tally:\n", code, "", instruction="use sum", candidates=1)
    states: list[DenoisingState] = []
    told = run_session(edit_session(request, denoiser), denoiser, on_state=states.append).candidates[0]
    shown = [state.text for state in states]
    assert shown[0].strip("\n") == code.strip("\n")
    assert all(text.startswith("    def ") for text in shown)
    assert any(text.rstrip("\n").endswith("\N{LIGHT SHADE}") for text in shown)
    assert shown[-1].strip("\n") == told.text.strip("\n")


def test_methods_are_rewritten_one_by_one(denoiser: EmbeddedDenoiser) -> None:
    renamed, *_ = edit(denoiser, replace(WHOLE_ACCOUNT, instruction="rename balance to funds")).candidates
    assert renamed.text == ACCOUNT.replace("balance", "funds")


@pytest.mark.parametrize(
    ("code", "begin"),
    [
        (ACCOUNT, ["class Account", "def deposit(s", "def withdraw("]),
        (
            "\nx = 1\n@cache\ndef f():\n    def g():\n        pass\n\n\n@cache\n@wraps\ndef h():\n",
            ["x = 1", "@cache\n@wraps"],
        ),
        ("\nfunction f() {\n}\n\nexport async function g() {\n}\n", ["function f()", "export async "]),
        ("\nx = 1\ny = 2\n", ["x = 1"]),
    ],
)
def test_parts_are_functions(code: str, begin: list[str]) -> None:
    parts = by_function(code)
    assert "".join(parts) == code
    assert [part.strip()[: len(start)] for part, start in zip(parts, begin, strict=True)] == begin


@pytest.mark.parametrize(
    ("instruction", "meant"),
    [
        ("raise ValueError in withdraw when the amount is negative", ["withdraw"]),
        ("deposit should return nothing", ["deposit"]),
        ("return self from deposit and withdraw", ["deposit", "withdraw"]),
        ("do not allow negative amounts", ["__init__", "deposit", "withdraw"]),
        ("deposit a cent", ["__init__", "deposit", "withdraw"]),
        ("rename it in withdraw", ["__init__", "deposit", "withdraw"]),  # and where it is called
        ("add a timeout in transfer", ["__init__", "deposit", "withdraw"]),
    ],
)
def test_only_functions_that_are_meant_are_rewritten(instruction: str, meant: list[str]) -> None:
    parts = by_function(ACCOUNT)
    chosen = [part for part, is_meant in zip(parts, parts_meant(parts, instruction), strict=True) if is_meant]
    assert [re.findall(r"def (\w+)", part)[0] for part in chosen] == meant


@pytest.mark.parametrize(
    ("instruction", "count"),
    [
        ("add a method close", 1),
        ("make this a dataclass", 1),
        ("support len()", 1),
        ("add a __repr__ that shows the owner", 1),
        ("add a parameter limit to withdraw", 3),
        ("return the balance", 3),
    ],
)
def test_what_is_asked_of_a_class_is_not_asked_of_its_methods(
    denoiser: EmbeddedDenoiser, instruction: str, count: int
) -> None:
    region = normalise("", ACCOUNT, "")
    writer = denoiser.writer
    assert isinstance(writer, Writer)
    assert len(parts_of(region, writer, instruction)) == count


def test_parts_are_whole_statements(denoiser: EmbeddedDenoiser) -> None:
    span = normalise("", COUNTS, "print(count_any)\n").span
    parts = cut_up(span, lambda text: len(text) // 3)
    assert "".join(parts) == span
    assert [part.strip()[:9] for part in parts] == ["def count"] * 5


def test_code_with_fences_in_it_is_left_to_the_denoiser(denoiser: EmbeddedDenoiser) -> None:
    span = 'TEXT = """\n```\n"""\nx = 1\n'
    for candidate in edit(denoiser, EditRequest("rewrite", "", span, "", instruction="rename x to y")).candidates:
        assert "```" in candidate.text


def test_an_instruction_that_it_would_not_read_to_its_end_is_refused(denoiser: EmbeddedDenoiser) -> None:
    long = replace(TIMEOUT, instruction="add a timeout of 10 seconds " + "and mind the style " * 50)
    with pytest.raises(EditError, match=r"up to 400 characters, this one has 9\d\d: say it shorter") as caught:
        edit(denoiser, long)
    assert caught.value.code == "too_large"
    warm_context(long, denoiser)


def test_at_the_deadline_it_stops(denoiser: EmbeddedDenoiser) -> None:
    edit(denoiser, TIMEOUT)  # loads the writer
    started = time.monotonic()
    assert edit(denoiser, replace(TIMEOUT, deadline_ms=1)).reason == "deadline"
    assert time.monotonic() - started < 5


def test_code_cannot_end_the_users_turn(denoiser: EmbeddedDenoiser) -> None:
    request = EditRequest("rewrite", "", "print('<|im_end|>')\n", "")
    told = told_by(request, normalise("", request.span, ""), denoiser.writer, "x<|im_end|>y")
    assert told
    ids = told.asked().prefix
    assert ids.count(told.writer.turn_ends[1]) == 2
    assert told.writer.vocabulary.decode(ids).count("<|im_end|>") == 4


def test_the_question_is_read_as_soon_as_typing_pauses(denoiser: EmbeddedDenoiser) -> None:
    warm_context(TIMEOUT, denoiser)
    told = told_by(
        TIMEOUT,
        normalise(TIMEOUT.prefix, TIMEOUT.span, TIMEOUT.suffix),
        denoiser.writer,
        TIMEOUT.instruction or "",
    )
    assert told
    assert (tuple(token - SHIFT for token in told.asked().prefix[:-1]), ()) in told.writer._contexts._kept


def test_code_that_holds_a_fence_is_not_asked_for_in_one(denoiser: EmbeddedDenoiser) -> None:
    code = "# ```\n# f(1)\n# ```\ndef f(x):\n    return x\n"
    request = EditRequest("rewrite", "", code, "", instruction="add one")
    assert told_by(request, normalise("", code, ""), denoiser.writer, "add one") is None
    assert all("def f" in candidate.text for candidate in edit(denoiser, request).candidates)
