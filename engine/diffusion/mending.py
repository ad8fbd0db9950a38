"""Mends that undo the commonest mistakes one at a time: the edit forward process, inverted by hand.

The model proposes what it finds likely; these proposals add what a bracket, a quote, a colon or an
indentation can do near the place where the parser gave up. The judge keeps those that parse, the model's
likelihood ranks them with its own (`engine.repairing`). Purely textual.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain, pairwise, product
from keyword import iskeyword, kwlist

from engine.diffusion.slips import undone

PIECE = re.compile(r"\w+|[^\S\n]+|\n *|[^\w\s]")
WORD = re.compile(r"\w+")
PROSE = re.compile(r"[A-Za-z][\w'-]*[,.]?(?: +[\w'-]+[,.]?)+[^=()\[\]{}\"]*$")
ENDED = re.compile(r"[ \t]*(?:#.*)?(?:\n|$)")  # nothing but blanks and a comment follow
NEAR = 2  # lines above the fault that may hold the mistake
# What is inserted between pieces, with its cost in nats within a line and at its end: the rarer, the dearer.
INSERTED = {")": (1.5, 0.5), "]": (2.0, 1.5), "}": (2.5, 2.0), "(": (2.0, 4.0), "[": (3.0, 4.0), "{": (3.5, 4.5),
            ":": (3.5, 0.5), ",": (1.5, 1.0), '"': (1.5, 1.0), "'": (1.5, 1.0), " =": (2.0, 6.0), ".": (4.0, 6.0),
            " as": (5.0, 6.0), " in": (4.5, 6.0), " +": (4.0, 6.0), "\\": (6.0, 2.5)}  # fmt: skip
BARE = re.compile(r"(?<=[(=,\[])\s*([^\"'(),=\[\]\s#][^\"',=\[\]]*?)\s*(?=[,)\]]|$)")  # an argument without its quotes
PATH = re.compile(r"(?<=[(=,\[])\s*([^\"'=,\s][^\"'=,]*/[^\"'=,]*?)\s*(?=,|[)\]]\s*$|$)")
# Brackets behind a comment that are no part of it.
SWALLOWED = re.compile(r"(.*?\S)(\s*#[^()\[\]{}]*?)([)\]}]+)[ \t]*$")
CLOSERS, QUOTES = ")]}", "\"'"
CLOSED_BY = {"(": ")", "[": "]", "{": "}"}
OPENED_BY = {closer: opener for opener, closer in CLOSED_BY.items()}
NOT_CLOSED = re.compile(r"'([(\[{])' was never closed")  # CPython's words, 3.10 and later
NOT_OPENED = re.compile(r"unmatched '([)\]}])'")
BESIDE_THE_POINT = 2.0  # nats, of other pieces than the one that the parser misses
KNOWN = frozenset((*kwlist, *dir(builtins)))
SWAPPED = 2.4
DELETED = {"(": 4.0, "[": 4.0, "{": 4.0, "@": 4.0}
REPLACED = {"=": ("==", ":"), ";": (":", ","), ":": ("=", ","), ".": (",",), ",": (".",), "(": "[", "[": "(", ")": "]",
            "]": ")", "}": ")", "{": "(", "'": '"', '"': "'", "“": '"', "”": '"', "‘": "'", "’": "'"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mend:
    """A new text of the span, and what it costs a priori in nats."""

    text: str
    cost: float


def mends(text: str, lines: Iterable[int], context: str, fault: str = "") -> list[Mend]:
    """Distinct one-step mends of `text` near its 0-based `lines`, cheapest first. `context`: the code above; `fault`:
    the parser's words."""
    found: dict[str, float] = {}
    missed = missed_piece(fault)
    for mend in chain.from_iterable(near_line(text, line, context, missed) for line in lines):
        if mend.text != text and mend.cost < found.get(mend.text, float("inf")):
            found[mend.text] = mend.cost
    return sorted((Mend(t, c) for t, c in found.items()), key=lambda mend: mend.cost)


def missed_piece(fault: str) -> str:
    """The piece that the parser misses, going by its words; "" when they do not tell."""
    if fault == "expected ':'":
        return ":"
    if found := NOT_CLOSED.match(fault):
        return CLOSED_BY[found[1]]
    found = NOT_OPENED.match(fault)
    return OPENED_BY[found[1]] if found else ""


def near_line(text: str, line: int, context: str, missed: str) -> Iterator[Mend]:
    starts = [0, *(m.end() for m in re.finditer("\n", text)), len(text) + 1]
    first = max(0, min(line, len(starts) - 2) - NEAR)
    last = max(0, min(line, len(starts) - 2))
    begin, end = starts[first], starts[last + 1] - 1
    for new, cost in undone(text, starts[last], end):
        yield Mend(new, cost)
    yield from pieces_changed(text, begin, end, missed)
    yield from pieces_swapped(text, begin, end)
    if missed in CLOSED_BY:
        yield from words_opened(text, begin, end, missed, context)
    for i in range(first, last + 1):
        yield from line_changed(text, starts[i], starts[i + 1] - 1, context, abs(last - i))


def pieces_changed(text: str, begin: int, end: int, missed: str) -> Iterator[Mend]:
    """One piece inserted, deleted or replaced between `begin` and `end`; `missed`: what the parser misses."""
    doubts = {new: BESIDE_THE_POINT if missed and new not in (missed, *QUOTES) else 0.0 for new in INSERTED}
    for piece in PIECE.finditer(text, begin, end):
        at, stop, old = piece.start(), piece.end(), piece.group()
        ends_line = ENDED.match(text, at) is not None
        # What stands there belongs to what is before it, hardly to a new piece; and two quotes in a row hold nothing.
        goes_on = bool(WORD.match(old)) or old in ".(["
        for new, (within, last) in INSERTED.items():
            doubled = new in QUOTES and (
                (goes_on and text[at - 1 : at] == new) or (old == new and WORD.match(text, stop))
            )
            doubt = 2.0 if doubled or (goes_on and new in CLOSERS) else 0.0
            yield Mend(text[:at] + new + text[at:], doubts[new] + (last if ends_line else within + doubt))
        if old in "'\"":
            yield Mend(f"{text[:at]}\\{text[at:]}", 2.0)
        for new in REPLACED.get(old, ()):
            yield Mend(text[:at] + new + text[stop:], 2.0)
        if not old.isspace():
            rest = text[stop:].removeprefix(" ") if text[at - 1 : at].isspace() else text[stop:]
            yield Mend(text[:at] + rest, DELETED.get(old, 1.5) if len(old) == 1 else 4.0)
        if old.isidentifier():
            for word in get_close_matches(old, kwlist, n=2, cutoff=0.6):
                yield Mend(text[:at] + word + text[stop:], 1.0)
    for new, (_, last) in INSERTED.items():
        yield Mend(text[:end] + new + text[end:], doubts[new] + last)


def pieces_swapped(text: str, begin: int, end: int) -> Iterator[Mend]:
    """Two pieces between `begin` and `end` in the other order, one at least no word."""
    for first, second in pairwise(PIECE.finditer(text, begin, end)):
        one, other = first.group(), second.group()
        if not (one.isspace() or other.isspace() or one == other):
            yield Mend(text[: first.start()] + other + one + text[second.end() :], SWAPPED)


def words_opened(text: str, begin: int, end: int, bracket: str, context: str) -> Iterator[Mend]:
    """A word that is two words, known here, once `bracket` stands between them."""
    known = KNOWN.union(WORD.findall(context), WORD.findall(text))
    for word in WORD.finditer(text, begin, end):
        for at in range(word.start() + 1, word.end()):
            left, right = text[word.start() : at], text[at : word.end()]
            strangers = (left not in known) + (right not in known and not right.isdecimal())
            if strangers < 2 and left.isidentifier():
                yield Mend(text[:at] + bracket + text[at:], 0.5 + 2.0 * strangers)


def line_changed(text: str, start: int, stop: int, context: str, distance: int) -> Iterator[Mend]:
    """The line at `start:stop` indented otherwise, given a body, closed, commented out or left out."""
    line = text[start:stop]
    body, own = line.lstrip(" \t"), indent_of(line)
    if not body:
        return
    before, after = text[:start], text[stop:]
    above = [x for x in (context + before).split("\n") if x.strip()][-6:]
    levels = {indent_of(x) for x in above} | {indent_of(x) + "    " for x in above[-1:]}
    for level in {*levels, ""} - {own}:
        likely = above and level == indent_of(above[-1])
        yield Mend(before + level + body + after, (1.0 if likely else 2.0) + distance)
        moved = re.sub(rf"(?m)^{re.escape(own)}(?=\S| )", level, line + after) if own else ""
        if moved:
            yield Mend(before + moved, 2.0 + distance)
    yield Mend(f"{before}{line}\n{own}    pass{after}", 3.0)
    yield Mend(f"{before}{own}pass\n{line}{after}", 5.0)
    if above:
        deeper = indent_of(above[-1]) + "    "
        yield Mend(f"{before}{deeper}pass\n{line}{after}", 4.0)
    yield Mend(f"{before}{own}# {body}{after}", 1.0 if is_prose(body) else 5.0)
    if is_prose(body):
        yield Mend(f"{before}# {body}{after}", 1.0)
    yield Mend(f"{before}#{line}{after}", 6.0)
    yield Mend(before + after.removeprefix("\n"), 6.0)
    for mark in ('"""', "'''"):
        yield Mend(f"{before}{line}{mark}{after}", 4.5)
        yield Mend(f"{before}{line}\n{own}{mark}{after}", 4.0)
        yield Mend(f"{before}{own}{mark}\n{line}{after}", 4.5)
    for mark in CLOSERS:
        yield Mend(f"{before}{line}\n{mark}{after}", 4.0)
    if line.count("(") > line.count(")"):
        yield Mend(f"{before}{line.rstrip()}):{after}", 1.0)
    if found := SWALLOWED.match(line):
        yield Mend(f"{before}{found[1]}{found[3]}{found[2]}{after}", 0.3)
    opening = opening_line(context + before, own)
    if closer := CLOSED_BY.get(opening[-1:]):
        yield Mend(f"{before}{line}\n{indent_of(opening)}{closer}{after}", 0.5)
    yield from requoted(before, line, after)


def is_prose(line: str) -> bool:
    """Whether `line` reads like words rather than code: it wants a comment sign."""
    return PROSE.match(line) is not None and not iskeyword(line.split()[0])


def opening_line(above: str, indent: str) -> str:
    """The nearest line above that is indented less, without trailing blanks; "" where there is none."""
    lines = (line.rstrip() for line in reversed(above.split("\n")))
    return next((line for line in lines if line and len(indent_of(line)) < len(indent)), "")


def fuses_words(before: str, after: str, around: str) -> bool:
    """Whether a word of `after`, unknown in `before` and `around`, is two words of `before` run together, what
    stood between them but blanks left out: it parses, and means nothing."""
    words = list(WORD.finditer(before))
    new = set(WORD.findall(after)).difference(WORD.findall(before))
    new.difference_update(WORD.findall(around) if new else ())
    return any(a.group() + b.group() in new and before[a.end() : b.start()].strip() for a, b in pairwise(words))


def indent_of(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def requoted(before: str, line: str, after: str) -> Iterator[Mend]:
    """Strings that hold their own quote: escaped, or quoted otherwise; bare text quoted."""
    for quote, other in (("'", '"'), ('"', "'")):
        places = [m.start() for m in re.finditer(quote, line)]
        if len(places) >= 3 and other not in line:
            yield Mend(before + line[: places[0]] + other + line[places[0] + 1 : places[-1]] + other
                       + line[places[-1] + 1 :] + after, 2.0)  # fmt: skip
    for form, cost in ((BARE, 3.5), (PATH, 2.0)):
        for (a, b), quote in product((m.span(1) for m in form.finditer(line)), QUOTES):
            yield Mend(f"{before}{line[:a]}{quote}{line[a:b]}{quote}{line[b:]}{after}", cost)
