"""How a mistake sees text: which characters are code, where names, strings and statements are.

All of it is regular expressions over the text alone, because spans are fragments that no parser
accepts and because it runs for every training sample. Imports nothing of the engine.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from keyword import kwlist
from random import Random
from typing import NamedTuple

# (text, scope, rng) -> the text with one mistake made, or None when the mistake does not apply.
Mistake = Callable[[str, str, Random], "str | None"]

FILL = "\x01"  # stands for every character of a comment's or string's inside; neither \w nor \s
RESERVED = frozenset(kwlist)
LITERAL = re.compile(
    r"#[^\n]*"
    r"|(\"\"\"|''')(?:[^\\]|\\.)*?(?:\1|\Z)"
    r"|\"(?:[^\"\\\n]|\\.)*\""
    r"|'(?:[^'\\\n]|\\.)*'",
    re.DOTALL,
)
TRIPLE = re.compile(r"\"\"\"|'''")
THREE_WORDS = re.compile(r" ([A-Za-z]\w*) (?=([A-Za-z]\w*) ([A-Za-z]\w*))")
WORD = re.compile(r"\.?\w+(?![\w\"'])\(?")  # a string's prefix is none
NO_NAMES = RESERVED | {"self", "cls"}
STRING = re.compile(rf"(?<![\"'])([\"']){FILL}+\1(?![\"'])")
BREAK = re.compile(r"[()\[\]{}\n]")
NEIGHBOURS = {
    letter: row[max(0, i - 1) : i] + row[i + 1 : i + 2]
    for row in ("qwertyuiop", "asdfghjkl", "zxcvbnm")
    for i, letter in enumerate(row)
}


def hide(match: re.Match[str]) -> str:
    literal = match.group()
    if literal[0] == "#":
        return "#" + FILL * (len(literal) - 1)
    width = 3 if match.group(1) else 1
    closed = literal.endswith(literal[:width], width)
    inside = len(literal) - width * (1 + closed)
    return literal[:width] + FILL * inside + literal[:width] * closed


@lru_cache(maxsize=64)
def code_of(text: str) -> str:
    """`text`, as long as before, with the insides of comments, strings and prose hidden by FILL."""
    inside = docstring_end(text)
    code = FILL * inside + LITERAL.sub(hide, text[inside:])
    for match in THREE_WORDS.finditer(code):
        if not RESERVED.isdisjoint(match.groups()):
            continue  # in code one of three words in a row is a keyword, so the rest is a docstring's inside
        begin, end = code.rfind("\n", 0, match.start()) + 1, code.find("\n", match.end())
        end = len(code) if end < 0 else end
        begin += len(code[begin:end]) - len(code[begin:end].lstrip())
        code = code[:begin] + FILL * (end - begin) + code[end:]
    return code


def docstring_end(text: str) -> int:
    """End of the docstring that `text` begins within, 0 when it does not seem to."""
    quotes = list(TRIPLE.finditer(text))
    if len(quotes) % 2 == 0:
        return 0
    before, after = text[: quotes[0].start()], text[quotes[0].end() :]
    line = before[before.rfind("\n") + 1 :].strip()
    if line:
        closes = line[-1] not in "(=,[{:+%" and line.lower() not in {"r", "f", "b", "u", "return"}
    else:
        above = before.rstrip()
        closes = bool(above) and above[-1] not in ":(=,[{" and after.lstrip(" ")[:1] in {"", "\n", ")", "."}
    return quotes[0].end() if closes else 0


@lru_cache(maxsize=8)
def names_in(scope: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Distinct identifiers of `scope` in order: those read or written, those called."""
    found = dict.fromkeys(WORD.findall(code_of(scope)))
    names = [word for word in found if not word[0].isdigit() and word[0] != "."]
    values = tuple(word for word in names if word[-1] != "(" and word not in NO_NAMES)
    calls = tuple(word[:-1] for word in names if word[-1] == "(" and word[:-1] not in NO_NAMES)
    return values, calls


def pick_name(code: str, rng: Random, attributes: bool = False) -> tuple[int, int] | None:
    """Span of a random name in `code`, of an attribute only if `attributes`."""
    words = list(WORD.finditer(code))
    for _ in range(min(8, 2 * len(words))):
        word = rng.choice(words)
        start, end = word.span()
        end -= code[end - 1] == "("
        dotted = code[start] == "."
        start += dotted
        name = code[start:end]
        if (attributes or not dotted) and not name[0].isdigit() and name not in NO_NAMES:
            return start, end
    return None


class Statement(NamedTuple):
    """A logical line, text[start:end]; `newline` is the index of the newline before it, -1 without."""

    newline: int
    start: int
    end: int
    indent: int
    header: bool  # opens a block


@lru_cache(maxsize=16)
def statements(text: str) -> tuple[Statement, ...]:
    """The non-blank logical lines of `text`; a newline in brackets or in a string ends none."""
    code = code_of(text)
    found: list[Statement] = []
    depth, newline = 0, -1
    for match in BREAK.finditer(code + "\n"):
        char = match.group()
        if char in "([{":
            depth += 1
        elif char != "\n":
            depth = max(0, depth - 1)
        elif depth == 0 or match.start() == len(code):
            line = code[newline + 1 : match.start()]
            bare = line.lstrip(" \t")
            if bare:
                start = match.start() - len(bare)
                header = bare.split("#", 1)[0].rstrip().endswith(":")
                found.append(Statement(newline, start, match.start(), len(line) - len(bare), header))
            newline = match.start()
    return tuple(found)


def cut(text: str, start: int, end: int, new: str = "") -> str:
    """`text` with text[start:end] replaced by `new`."""
    return text[:start] + new + text[end:]


def pick(pattern: re.Pattern[str], code: str, rng: Random) -> re.Match[str] | None:
    """One match of `pattern`, each with equal odds."""
    found = list(pattern.finditer(code))
    return rng.choice(found) if found else None


def rewrite(pattern: str, *options: str) -> Mistake:
    """A mistake that puts one of `options` in place of one match of `pattern` in the code."""
    return rewrite_by(pattern, lambda found, rng: rng.choice(options))


def rewrite_by(pattern: str, new: Callable[[str, Random], str], in_code: bool = True) -> Mistake:
    """A mistake that puts `new(matched text, rng)` in place of one match of `pattern`, in the code or
    (in_code=False) anywhere."""
    compiled = re.compile(pattern, re.MULTILINE)

    def mistake(text: str, scope: str, rng: Random) -> str | None:
        match = pick(compiled, code_of(text) if in_code else text, rng)
        if match is None:
            return None
        start, end = match.span()
        return cut(text, start, end, new(text[start:end], rng))

    return mistake


def typo(word: str, rng: Random) -> str:
    """One slip of the fingers in `word`: a letter left out, doubled, exchanged or its neighbour hit."""
    at = rng.randrange(len(word))
    if at == 0 and len(word) > 2 and rng.random() < 0.6:
        at = rng.randrange(1, len(word))  # people see the first letter
    kind = rng.random()
    if kind < 0.3:
        return cut(word, at, at + 1)
    if kind < 0.5:
        return cut(word, at, at, word[at])
    if kind < 0.75 and len(word) > 1:
        at = min(at, len(word) - 2)
        return cut(word, at, at + 2, word[at + 1] + word[at])
    near = NEIGHBOURS.get(word[at].lower(), "_aes")
    return cut(word, at, at + (kind < 0.9), rng.choice(near))
