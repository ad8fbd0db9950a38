"""Mistakes of naming: the wrong name, attribute, word or string, and names misspelled.

Owns the table NAMING of (weight, mistake); what is left almost always parses.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from keyword import iskeyword
from random import Random

from engine.diffusion.mistakes.surface import (
    FILL,
    STRING,
    Mistake,
    code_of,
    cut,
    names_in,
    pick,
    pick_name,
    rewrite,
    typo,
)

# Words people confuse, as parts of names too (start_row for end_row).
FAMILIES = (
    "start end stop begin; left right; first last; prev next; head tail; row col column; width height; "
    "key value item; keys values items; min max; get set pop; add remove discard append extend insert; "
    "src dst; source target; input output; before after; old new; upper lower; top bottom; x y z; i j k "
    "n; a b c; str int float bytes bool repr; list tuple set dict; any all; len sum; lstrip rstrip strip; "
    "startswith endswith; find index count; read readline readlines; write writelines; load loads; dump "
    "dumps; encode decode; join split; floor ceil round; isinstance issubclass; sorted reversed; "
    "staticmethod classmethod property; parent child; rows cols columns; request response; args kwargs; "
    "ValueError TypeError KeyError IndexError AttributeError RuntimeError; OSError IOError "
    "FileNotFoundError; name path; path file filename; self cls; assertEqual assertTrue assertFalse "
    "assertIn; debug info warning error; exists isfile isdir; basename dirname; sin cos; line lines; data "
    "result value; size length count; update copy"
)
CONFUSED: dict[str, tuple[str, ...]] = {}
for family in FAMILIES.split(";"):
    members = tuple(family.split())
    for member in members:
        CONFUSED[member] = CONFUSED.get(member, ()) + tuple(m for m in members if m != member)
WORD = re.compile(r"[A-Za-z]{3,}")
ATTRIBUTE = re.compile(r"(?<=[\w)\]]\.)[A-Za-z_]\w*")
QUALIFIED = re.compile(r"(?<![\w.\"'])[A-Za-z_]\w*\.(?=[A-Za-z_])")
TAIL = re.compile(r"(?<=\w)\.[a-z_]\w*(?:\(\))?(?![\w(=])")
DECLARED = re.compile(
    r"[ \t]*(?:@|(?:async|def|class|import|from|global|nonlocal|with|except)\b)"
    r"|.*\b(?:for|as|lambda) [\w, ]*\Z"
)
ASSIGNED_OR_CALLED = re.compile(r"\(| ?=(?!=)")
IMPORT = re.compile(r"[ \t]*(?:from|import) ")
HUMP = re.compile(r"(?<=[a-z])([A-Z])")
LETTERS = re.compile(r"[A-Za-z]+")


def pick_use(text: str, rng: Random) -> tuple[int, int] | None:
    """Span of a name that is read: neither called, nor assigned, nor declared."""
    code = code_of(text)
    span = pick_name(code, rng)
    if span is None or ASSIGNED_OR_CALLED.match(code, span[1]):
        return None
    return None if DECLARED.match(code[code.rfind("\n", 0, span[0]) + 1 : span[0]]) else span


def other_name(text: str, scope: str, rng: Random) -> str | None:
    """Another name from around; with even odds one that looks alike, if there is one."""
    code = code_of(text)
    span = pick_name(code, rng)
    if span is None or IMPORT.match(code, code.rfind("\n", 0, span[0]) + 1):
        return None
    name = code[span[0] : span[1]]
    values, calls = names_in(scope)
    pool = calls if code.startswith("(", span[1]) and len(calls) > 1 else values
    others = [other for other in pool if other != name]
    alike = [o for o in others if o[0] == name[0] or o[-3:] == name[-3:] or len(o) == len(name)]
    pool = alike if alike and rng.random() < 0.5 else others
    return cut(text, *span, rng.choice(pool)) if pool else None


def other_attribute(text: str, scope: str, rng: Random) -> str | None:
    match = pick(ATTRIBUTE, code_of(text), rng)
    if match is None:
        return None
    others = [found for found in ATTRIBUTE.findall(code_of(scope)) if found != match.group()]
    return cut(text, *match.span(), rng.choice(others)) if others else None


def confuse_word(text: str, scope: str, rng: Random) -> str | None:
    """A name, or a part of one, taken for its counterpart."""
    found = [match for match in LETTERS.finditer(code_of(text)) if match.group() in CONFUSED]
    if not found:
        return None
    match = rng.choice(found)
    return cut(text, *match.span(), rng.choice(CONFUSED[match.group()]))


def misspell_name(text: str, scope: str, rng: Random) -> str | None:
    return respell(text, typo, 3, rng)


def near_name(text: str, scope: str, rng: Random) -> str | None:
    """A name as one remembers it: plural for singular, without its underscore, in another style."""
    return respell(text, misremember, 1, rng)


def respell(text: str, change: Callable[[str, Random], str], shortest: int, rng: Random) -> str | None:
    span = pick_name(code_of(text), rng, attributes=True)
    if span is None or span[1] - span[0] < shortest:
        return None
    name = change(text[span[0] : span[1]], rng)
    return cut(text, *span, name) if name.isidentifier() and not iskeyword(name) else None


def misremember(name: str, rng: Random) -> str:
    kind = rng.randrange(6)
    if kind == 0:
        return name[:-1] if name.endswith("s") else name + "s"
    if kind == 1:
        return name[1:] if name.startswith("_") else "_" + name
    if kind == 2:
        return name.replace("_", "", 1) if "_" in name[1:] else HUMP.sub(r"_\1", name).lower()
    if kind == 3:
        parts = name.split("_")
        del parts[rng.randrange(len(parts))]
        return "_".join(parts)
    if kind == 4:
        return name[0].swapcase() + name[1:]
    return name[: rng.randint(1, len(name))]


def add_self(text: str, scope: str, rng: Random) -> str | None:
    span = pick_use(text, rng) if "self" in scope else None
    return cut(text, span[0], span[0], "self.") if span else None


def drop_qualifier(text: str, scope: str, rng: Random) -> str | None:
    match = pick(QUALIFIED, code_of(text), rng)
    return cut(text, *match.span()) if match else None


def drop_tail(text: str, scope: str, rng: Random) -> str | None:
    """An attribute or empty call at the end of an expression left out."""
    match = pick(TAIL, code_of(text), rng)
    return cut(text, *match.span()) if match else None


def add_tail(text: str, scope: str, rng: Random) -> str | None:
    span, tails = pick_use(text, rng), TAIL.findall(code_of(scope))
    if span is None or not tails or text[span[1] : span[1] + 1] in ("", "."):
        return None
    return cut(text, span[1], span[1], rng.choice(tails))


def other_string(text: str, scope: str, rng: Random) -> str | None:
    match = pick(STRING, code_of(text), rng)
    if match is None:
        return None
    old = text[match.start() : match.end()]
    others = [scope[m.start() : m.end()] for m in STRING.finditer(code_of(scope))]
    others = [other for other in others if other != old]
    return cut(text, *match.span(), rng.choice(others)) if others else None


def change_string(text: str, scope: str, rng: Random) -> str | None:
    """A word in a string misspelled, in another case, left out or taken for another."""
    match = pick(STRING, code_of(text), rng)
    word = pick(WORD, text[match.start() + 1 : match.end() - 1], rng) if match else None
    if match is None or word is None or text[match.start() + word.start()] == "\\":
        return None
    found, kind = word.group(), rng.random()
    if kind < 0.5:
        new = typo(found, rng)
    elif kind < 0.75:
        new = found.swapcase() if rng.random() < 0.3 else found[0].swapcase() + found[1:]
    else:
        new = found[:-1] if found.endswith("s") else found + "s"
    at = match.start() + 1
    return cut(text, at + word.start(), at + word.end(), new)


def misspell_prose(text: str, scope: str, rng: Random) -> str | None:
    """A word of a comment or docstring misspelled, repeated or left out."""
    code = code_of(text)
    words = [m for m in WORD.finditer(text) if code[m.start()] == FILL]
    if not words:
        return None
    match, kind = rng.choice(words), rng.random()
    if kind < 0.7:
        return cut(text, *match.span(), typo(match.group(), rng))
    if kind < 0.85:
        return cut(text, match.end(), match.end(), " " + match.group())
    return cut(text, match.start(), match.end() + text.startswith(" ", match.end()))


def unquote(text: str, scope: str, rng: Random) -> str | None:
    """A string's quotes forgotten, where what is left is a name."""
    match = pick(STRING, code_of(text), rng)
    if match is None:
        return None
    inside = text[match.start() + 1 : match.end() - 1]
    if not inside.isidentifier() or iskeyword(inside) or text[match.start() - 1 : match.start()].isalnum():
        return None
    return cut(text, *match.span(), inside)


def quote_name(text: str, scope: str, rng: Random) -> str | None:
    """A variable's name in quotes where its value is meant."""
    span = pick_use(text, rng)
    if span is None or text[: span[0]].rstrip(" ")[-1:] not in ("(", "=", ",", "["):
        return None
    return cut(text, *span, f'"{text[span[0] : span[1]]}"')


NAMING: tuple[tuple[float, Mistake], ...] = (
    (14.0, other_name),
    (5.0, other_attribute),
    (6.0, confuse_word),
    (6.0, misspell_name),
    (5.0, near_name),
    (4.0, rewrite(r"\bself\.(?=[A-Za-z_])", "")),
    (0.5, rewrite(r"\bself\b(?=\.)", "cls", "this", "slef", "sef", "super()")),
    (2.0, add_self),
    (3.0, drop_qualifier),
    (3.0, drop_tail),
    (1.5, add_tail),
    (2.5, other_string),
    (3.0, change_string),
    (3.0, misspell_prose),
    (1.0, unquote),
    (0.7, quote_name),
    (1.5, rewrite(r"\b[fF](?=[\"'])", "")),
    (0.7, rewrite(r"\b(?:r|b|rb|u)(?=[\"'])", "")),
)
