"""Changes of behaviour that somebody may ask for: what was before, and in which words it is asked for."""

from __future__ import annotations

import ast
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from engine.training import behaviours, calls, checks
from engine.training.behaviours import KINDS, behaviour
from engine.training.classwide import method
from engine.training.refactorings import classes, functions, parsed
from engine.training.trees import Function
from engine.training.wordings import LONGEST, condition

ENGINE = Path(__file__).resolve().parents[2] / "engine"


def asked(kind: str, source: str) -> set[tuple[str, str]]:
    """What `kind` makes of `source`: instructions, and the code before."""
    undo = next(getattr(module, kind) for module in (behaviours, calls, checks) if hasattr(module, kind))
    made: set[tuple[str, str]] = set()
    for seed in range(120):
        function = ast.parse(source).body[0]
        assert isinstance(function, Function)
        told = undo(function, Random(seed))
        if told is not None:
            made.add((told, ast.unparse(ast.fix_missing_locations(function))))
    return made


@pytest.mark.parametrize(
    ("kind", "after", "before", "instruction"),
    [
        (
            "guard",
            "def half(size):\n    if size <= 0:\n        raise ValueError('size')\n    return size / 2",
            "def half(size):\n    return size / 2",
            "raise ValueError when size is not positive",
        ),
        (
            "guard",
            "def f(lines):\n    for line in lines:\n        if not line.strip():\n            continue\n        g()",
            "def f(lines):\n    for line in lines:\n        g()",
            "skip blank lines",
        ),
        (
            "guard",
            "def f(rows):\n    if not rows:\n        return []\n    return g(rows)",
            "def f(rows):\n    return g(rows)",
            "return an empty list when there are no rows",
        ),
        (
            "only",
            "def f(xs):\n    for x in xs:\n        if x.ready:\n            g(x)",
            "def f(xs):\n    for x in xs:\n        g(x)",
            "do it only when there is a ready of x",
        ),
        (
            "filtered",
            "def f(xs):\n    return [x for x in xs if x > 0]",
            "def f(xs):\n    return [x for x in xs]",
            "only xs where x is positive",
        ),
        (
            "branch",
            "def f(n):\n    if n > 9:\n        return 'A'\n    elif n > 5:\n        return 'B'\n    return 'C'",
            "def f(n):\n    if n > 9:\n        return 'A'\n    return 'C'",
            "return B when n is more than 5",
        ),
        (
            "parameter",
            "def f(text, sep=', '):\n    return text.split(sep)",
            "def f(text):\n    return text.split(', ')",
            "add a parameter sep with the default ', '",
        ),
        (
            "keyword",
            "def f(xs):\n    return sorted(xs, key=lambda x: x.born, reverse=True)",
            "def f(xs):\n    return sorted(xs, reverse=True)",
            "sort by born",
        ),
        (
            "wrapping",
            "def f(a, b):\n    return round(a / b, 2)",
            "def f(a, b):\n    return a / b",
            "round to 2 digits",
        ),
        ("wrapping", "def f(n):\n    return min(n, 100)", "def f(n):\n    return n", "cap n at 100"),
        (
            "lookup",
            "def f(self, key):\n    return self.values.get(key)",
            "def f(self, key):\n    return self.values[key]",
            "return None when the key is missing",
        ),
        (
            "argument",
            "def f(line):\n    return line.split('=', 1)",
            "def f(line):\n    return line.split('=')",
            "split only at the first '='",
        ),
        ("too", "def f(a):\n    return a, len(a)", "def f(a):\n    return a", "also return the length of a"),
        (
            "generator",
            "def f(xs):\n    for x in xs:\n        yield x * 2",
            "def f(xs):\n    result = []\n    for x in xs:\n        result.append(x * 2)\n    return result",
            "make it a generator",
        ),
        (
            "caught",
            "def f(x):\n    try:\n        return g(x)\n    except KeyError:\n        return None",
            "def f(x):\n    return g(x)",
            "return None on KeyError",
        ),
        (
            "chained",
            "def f(self, x):\n    self.x = x\n    return self",
            "def f(self, x):\n    self.x = x",
            "return self so that calls can be chained",
        ),
        (
            "early",
            "def f(x):\n    if x > 1:\n        return 'many'\n    return 'one'",
            "def f(x):\n    if x > 1:\n        result = 'many'\n    else:\n        result = 'one'\n    return result",
            "use early returns",
        ),
        (
            "membership",
            "def f(xs):\n    seen = set()\n    for x in xs:\n        seen.add(x)\n    return len(seen)",
            "def f(xs):\n    seen = []\n    for x in xs:\n        seen.append(x)\n    return len(seen)",
            "use a set for seen",
        ),
    ],
)
def test_what_is_undone_is_asked_for(kind: str, after: str, before: str, instruction: str) -> None:
    assert (instruction, before) in asked(kind, after)


def test_what_nobody_needs_is_put_in() -> None:
    made = asked("unused", "def f(x):\n    y = x\n    return y")
    assert ("remove the unused parameter debug", "def f(x, debug):\n    y = x\n    return y") in made
    assert ("remove the print", "def f(x):\n    y = x\n    print(x)\n    return y") in made


@pytest.mark.parametrize(
    ("test", "words", "opposite"),
    [
        ("size <= 0", "size is not positive", "size is positive"),
        ("not items", "there are no items", "items is not empty"),
        ("len(parts) < 3", "there are fewer than 3 parts", "parts has at least 3 items"),
        ("name is None", "name is missing", "name is given"),
        ("n % 2 == 0", "n is even", "n is odd"),
        ("0 <= i < n", "i is between zero and n", "i is not between 0 and n"),
        ("key not in self.seen", "key is not in the seen", "key is already in seen"),
        ("isinstance(x, str)", "x is a string", "x is not a string"),
        ("a > 1 and b > 1", "a is above 1 and b exceeds 1", "a is at most 1 or b is 1 or less"),
        ("self.is_open", "it is open", "it is not open"),
    ],
)
def test_conditions_are_told_in_words(test: str, words: str, opposite: str) -> None:
    node = ast.parse(test, mode="eval").body
    assert words in {condition(node, Random(seed)) for seed in range(600)}
    assert opposite in {condition(node, Random(seed), holds=False) for seed in range(600)}


def test_a_condition_that_takes_too_many_words_is_not_told() -> None:
    node = ast.parse(f"frobnicate({'x' * LONGEST})", mode="eval").body
    assert condition(node, Random(0)) is None


@pytest.mark.parametrize(
    ("after", "instruction", "before"),
    [
        (
            "class A:\n\n    def f(self):\n        return 1\n\n    def __len__(self):\n        return 2\n",
            "support len()",
            "class A:\n\n    def f(self):\n        return 1\n",
        ),
        (
            'class A:\n\n    def f(self):\n        """Returns one."""\n        return 1\n\n'
            "    def g(self):\n        return 2\n",
            "add a f method that returns one.".removesuffix("."),
            "class A:\n\n    def g(self):\n        return 2\n",
        ),
        (
            "@dataclass\nclass A:\n    x: int\n    y: int = 0\n",
            "make this a dataclass",
            "class A:\n\n    def __init__(self, x, y=0):\n        self.x = x\n        self.y = y\n",
        ),
    ],
)
def test_classes_are_asked_for_as_a_whole(after: str, instruction: str, before: str) -> None:
    made = {(asked[0], asked[1]) for seed in range(200) if (asked := method(after, Random(seed)))}
    assert (instruction, before) in made


def test_every_example_of_real_code_parses_and_asks_for_a_change() -> None:
    rng = Random(0)
    code = [file.read_text() for file in sorted(ENGINE.rglob("*.py"))]
    made = [one for text in code for source in functions(text) if (one := behaviour(source, rng))]
    made += [one for text in code for source in classes(text) if (one := method(source, rng))]
    assert len(made) > 100
    for instruction, before, after in made:
        assert instruction.strip()
        assert before != after
        assert parsed(before)
        assert parsed(after)


def test_no_kind_changes_what_it_cannot_undo() -> None:
    sources = list(islice(functions((ENGINE / "editing.py").read_text()), 20))
    for source in sources:
        for undo in KINDS:
            function = ast.parse(source).body[0]
            assert isinstance(function, Function)
            told = undo(function, Random(1))
            assert told is None or ast.unparse(ast.fix_missing_locations(function)) != ast.unparse(ast.parse(source))
