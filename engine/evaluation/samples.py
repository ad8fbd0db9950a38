"""Documents to time edits on: real functions, of chosen lengths, that parse.

They are put together from the top-level functions of this Python's standard library, so that nothing
need be shipped or fetched. Must not import torch.
"""

from __future__ import annotations

import ast
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

from engine.evaluation.bench import EvaluationError
from engine.evaluation.metrics import compiles, seeded
from engine.regions import split_lines

Measure = Callable[[str], int]  # length of a text in tokens

MODULES = (
    "argparse", "ast", "calendar", "configparser", "csv", "difflib", "fnmatch", "fractions", "ftplib", "gettext",
    "glob", "heapq", "inspect", "locale", "ntpath", "pickletools", "pprint", "shutil", "statistics", "string",
    "subprocess", "tarfile", "textwrap", "tokenize", "traceback", "typing", "uuid", "warnings", "zipfile",
)  # fmt: skip
BREAKABLE = "():[]"  # leaving one of these out is the commonest slip that no parser forgives


@dataclass(frozen=True, slots=True)
class CodeSample:
    """A document that parses, `prefix + span + suffix`; with `broken` for the span it does not parse."""

    prefix: str
    span: str
    suffix: str
    broken: str


@dataclass(frozen=True, slots=True)
class Function:
    """A function's source with the blank lines after it, and its length in tokens."""

    text: str
    tokens: int


@cache
def standard_functions() -> tuple[str, ...]:
    """Source of the top-level functions of `MODULES`, as far as this Python has them as files."""
    folder = Path(sysconfig.get_path("stdlib"))
    found: list[str] = []
    for path in (folder / f"{name}.py" for name in MODULES):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            lines = split_lines(text)
            for node in ast.parse(text).body:
                if isinstance(node, ast.FunctionDef) and not node.decorator_list:
                    found.append("".join(lines[node.lineno - 1 : node.end_lineno]).rstrip() + "\n\n\n")
    if not found:
        raise EvaluationError(f"no standard library sources in {folder}: install Python with its .py files")
    return tuple(found)


def code_samples(count: int, span: int, context: int, measure: Measure, seed: int) -> list[CodeSample]:
    """`count` different documents: a span of about `span` tokens, whole lines of a function, with about two
    thirds of `context` tokens before it and one third after it."""
    library = [Function(text, measure(text)) for text in standard_functions()]
    return [code_sample(span, context, library, measure, seeded(seed, span, context, i)) for i in range(count)]


def code_sample(span: int, context: int, library: Sequence[Function], measure: Measure, rng: Random) -> CodeSample:
    for _ in range(100):
        lines = split_lines(at_least(span, library, rng))
        start, end = cut_lines(lines, span, measure, rng)
        above, text, below = "".join(lines[:start]), "".join(lines[start:end]), "".join(lines[end:])
        prefix = at_most(context * 2 // 3 - measure(above), library, rng) + above
        suffix = below + at_most(context // 3 - measure(below), library, rng)
        broken = break_syntax(prefix, text, suffix, rng)
        if broken is not None:
            return CodeSample(prefix, text, suffix, broken)
    raise EvaluationError(f"no sample with a span of {span} tokens could be made")


def at_least(tokens: int, library: Sequence[Function], rng: Random) -> str:
    """One function of `tokens` tokens to half as many again, where there are such; else several functions."""
    fitting = [f for f in library if tokens <= f.tokens <= tokens * 3 // 2]
    if fitting:
        return rng.choice(fitting).text
    taken: list[str] = []
    while tokens > 0:
        function = rng.choice(library)
        taken.append(function.text)
        tokens -= function.tokens
    return "".join(taken)


def at_most(tokens: int, library: Sequence[Function], rng: Random) -> str:
    """As many whole functions as fit."""
    taken: list[str] = []
    while fitting := [f for f in library if f.tokens <= tokens]:
        function = rng.choice(fitting)
        taken.append(function.text)
        tokens -= function.tokens
    return "".join(taken)


def cut_lines(lines: list[str], tokens: int, measure: Measure, rng: Random) -> tuple[int, int]:
    """A run of lines with about `tokens` tokens, as near as whole lines allow."""
    sizes = [measure(line) for line in lines]
    starts = [i for i, line in enumerate(lines) if line.strip() and sum(sizes[i:]) >= tokens]
    start = rng.choice(starts) if starts else 0
    end, total = start, 0
    while end < len(lines) and (end == start or total + sizes[end] / 2 < tokens):
        total += sizes[end]
        end += 1
    return start, end


def break_syntax(prefix: str, span: str, suffix: str, rng: Random) -> str | None:
    """The span without one of its brackets or colons, so that the document does not parse any more; None
    when no such slip does it."""
    places = [i for i, char in enumerate(span) if char in BREAKABLE]
    rng.shuffle(places)
    for place in places[:20]:
        broken = span[:place] + span[place + 1 :]
        if not compiles(prefix + broken + suffix):
            return broken
    return None
