"""Human-like mistakes: each applies where it should, breaks or keeps the parse as its kind says."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from functools import cache
from random import Random
from types import FunctionType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.diffusion.mistakes import BREAKING, MISLEADING, break_span
from engine.diffusion.mistakes.layout import drop_body, drop_header, half_typed, indent_line, indent_run
from engine.diffusion.mistakes.names import other_attribute, other_name, unquote
from engine.diffusion.mistakes.semantic import drop_argument, drop_guard, leave_block, swap_arguments
from engine.diffusion.mistakes.surface import FILL, Mistake, code_of, names_in, statements, typo
from engine.diffusion.mistakes.syntax import (
    drop_colon,
    drop_parameters,
    drop_quote,
    print_statement,
    quote_inside,
)

RICH = '''
from os import path, sep as separator
import numpy as np

@cache(maxsize=1)
async def pick(self, key: int, items=[], size=None, *args, other=0, **kwargs) -> str:
    """Pick the first item of the list."""
    start, total = 0, not key
    # the loop counts them all
    for i in range(len(items)):
        if key not in items and items[0] is not None or i == 10:
            total += items[i - 1] * 2 - size
            continue
        elif key != self.items.get("key", 0) and i <= -1 and size >= 2:
            print("it's done", f"{key} of {size}", r"\\d+", 'can\\'t')
        else:
            items.append(str(key).strip())
    try:
        value = await self.fetch(key, 1, timeout=3, *args)
    except ValueError as error:
        raise TypeError("no", key) from error
    except (OSError, KeyError):
        return {
            "a": key,
            "b": None,
        }, items[1:], items[i]
    flag = key if size else None
    long = total + \\
        size
    if flag is None:
        return
    try:
        total += 1
        zip(one=range(0, size), strict=True, flag=self.flag)
        total = self.total
    except KeyError:
        pass
    yield from call(one, "two", self)
    assert isinstance(flag, (int, str)), True
    return self.items()
'''
PLAIN = """
    def add(self, key, value=None, size=1):
        if key in self.seen:
            return "name"
        first(key, value)
        second(key)
        return self.values[key] == value
"""


def outcomes(mistake: Mistake, text: str, scope: str = "", tries: int = 60) -> set[str]:
    made = (mistake(text, scope or text, Random(seed)) for seed in range(tries))
    return {text for text in made if text is not None}


def parses(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return True


@cache
def corpus() -> tuple[tuple[str, str, str], ...]:
    """(before, span, after): a few lines of code of functions of the standard library."""
    rng, found = Random(7), list[tuple[str, str, str]]()
    modules = (textwrap, inspect, ast, __import__("random"), __import__("shutil"), __import__("json.decoder"))
    sources = [inspect.getsource(f) for m in modules for f in vars(m).values() if isinstance(f, FunctionType)]
    for source in (s for s in sources if parses(s)):
        lines = source.rstrip("\n").split("\n")
        for _ in range(3):
            count = rng.choice((1, 1, 2, 3, 4, 6))
            at = rng.randrange(len(lines))
            span = "\n" + "\n".join(lines[at : at + count])
            if any(c not in f"{FILL}#\"'\n " for c in code_of(span)):  # more than prose and comments
                found.append(("\n".join(lines[:at]), span, "".join("\n" + line for line in lines[at + count :])))
    return tuple(found)


def share_that_parses(syntax_share: float) -> float:
    rng, good = Random(1), 0
    for before, span, after in corpus():
        broken = break_span(span, before[-500:] + span + after[:250], rng, 1, syntax_share)
        assert broken != span
        good += parses(before + broken + after)
    return good / len(corpus())


def test_syntax_mistakes_mostly_break_the_parse() -> None:
    assert len(corpus()) > 300
    assert share_that_parses(1.0) < 0.4


def test_semantic_mistakes_almost_always_keep_the_parse() -> None:
    assert share_that_parses(0.0) > 0.9


@pytest.mark.parametrize("count", [1, 2, 4])
def test_same_seed_same_text(count: int) -> None:
    made = [break_span(RICH, RICH, Random(seed), count) for seed in range(50)]
    assert made == [break_span(RICH, RICH, Random(seed), count) for seed in range(50)]
    assert len(set(made)) > 40
    assert RICH not in made


@pytest.mark.parametrize("index", range(len(BREAKING.mistakes) + len(MISLEADING.mistakes)))
def test_every_mistake_applies_somewhere(index: int) -> None:
    mistake = (BREAKING.mistakes + MISLEADING.mistakes)[index]
    assert (outcomes(mistake, RICH, tries=20) | outcomes(mistake, PLAIN, tries=20)) - {RICH, PLAIN}


@pytest.mark.parametrize(
    ("mistake", "text", "made"),
    [
        (drop_colon, "\n    if key:  # why", "\n    if key  # why"),
        (drop_quote, "\nname = 'a b'", "\nname = 'a b"),
        (quote_inside, "\nname = 'dont'", "\nname = 'don't'"),
        (quote_inside, '\nsay("no way")', '\nsay("no "way"")'),
        (drop_parameters, "\ndef one(self):", "\ndef one:"),
        (print_statement, "\nprint(key, 1)", "\nprint key, 1"),
        (indent_line, "\nif a:\n    b()", "\nif a:\nb()"),
        (indent_run, "\na()\nb()", "\n    a()\n    b()"),
        (half_typed, "\nkey = items[0]\nf(key)", "\nkey =\nf(key)"),
        (drop_body, "\nif a:\n    b()\n    c()\nd()", "\nif a:\nd()"),
        (drop_header, "\nif a:\n    b()", "\n    b()"),
        (swap_arguments, "\nf(a, b, c=d)", "\nf(b, a, c=d)"),
        (drop_argument, "\nf(a, b='x, y')", "\nf(b='x, y')"),
        (other_attribute, "\nself.one = self.two", "\nself.two = self.two"),
        (unquote, "\nget('key')", "\nget(key)"),
        (drop_guard, "\nif not a:\n    return\nb()", "\nb()"),
        (drop_guard, "\nif not a:\n    return\nb()", "\nreturn\nb()"),
        (leave_block, "\nif a:\n    b()\n    c()\nd()", "\nif a:\n    b()\nc()\nd()"),
        (leave_block, "\nif a:\n    b()\n    c()\nd()", "\nif a:\n    b()\n    c()\n    d()"),
    ],
)
def test_what_a_mistake_makes(mistake: Mistake, text: str, made: str) -> None:
    assert made in outcomes(mistake, text)


def test_names_come_from_the_code_around() -> None:
    assert outcomes(other_name, "\nx = key", scope="first + 'second' + call(third)  # fourth") <= {
        f"\n{a} = {b}" for a in ("x", "first", "third") for b in ("key", "first", "third")
    }


def test_names_keep_their_role() -> None:
    assert names_in("a = f(b) + g()\nself.c(d)\nreturn a or u'e'") == (("a", "b", "d"), ("f", "g"))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a = 'b' # c", f"a = '{FILL}' #{FILL * 2}"),
        ('"""a\nb""" + c', f'"""{FILL * 3}""" + c'),
        ("x = 'it\\'s' + '", f"x = '{FILL * 5}' + '"),
        ('the end.\n    """\n    return a', f"{FILL * 16}\n    return a"),
        ("\n    The value of it.\n", f"\n    {FILL * 16}\n"),
        ("\n    return not a is b", "\n    return not a is b"),
    ],
)
def test_comments_strings_and_prose_are_no_code(text: str, code: str) -> None:
    assert code_of(text) == code


def test_statements_are_logical_lines() -> None:
    text = "\nif a:  # b\n    f(c,\n  d)\n\n    '''e\n'''\n"
    assert [(text[s.start : s.end], s.indent, s.header) for s in statements(text)] == [
        ("if a:  # b", 0, True),
        ("f(c,\n  d)", 4, False),
        ("'''e\n'''", 4, False),
    ]


@pytest.mark.parametrize("word", ["a", "def", "return", "élan"])
def test_a_typo_is_one_slip(word: str) -> None:
    for seed in range(50):
        made = typo(word, Random(seed))
        assert abs(len(made) - len(word)) <= 1


def test_count_zero_and_blank_text_stay_as_they_are() -> None:
    assert break_span(RICH, RICH, Random(0), 0) == RICH
    assert break_span("", RICH, Random(0), 3) == ""
    assert break_span("\n    ", RICH, Random(0), 3) == "\n    "


fragments = st.lists(
    st.sampled_from(["\n", "    ", " ", "\t", '"', "'", '"""', "#", "(", ")", "[", "]", "{", "}", ":", ",", "=", "\\"])
    | st.sampled_from(["if ", "def f(", "else", "in", "x", "self.", "0", "f'", " == ", "for", "\r\n", FILL, "é"]),
    max_size=40,
).map("".join)


@settings(max_examples=300, deadline=None)
@given(fragments | st.text(max_size=60), fragments | st.text(max_size=60), st.integers(0, 999), st.integers(1, 4))
def test_never_raises_and_always_differs(span: str, scope: str, seed: int, count: int) -> None:
    once = break_span(span, scope, Random(seed), 1)
    assert (once != span) == bool(span.strip())
    assert break_span(span, scope, Random(seed), count) is not None


@settings(max_examples=60, deadline=None)
@given(fragments, fragments, st.integers(0, 999))
def test_no_mistake_raises(text: str, scope: str, seed: int) -> None:
    every: tuple[Callable[[str, str, Random], str | None], ...] = BREAKING.mistakes + MISLEADING.mistakes
    for mistake in every:
        assert isinstance(mistake(text, scope, Random(seed)), str | None)
