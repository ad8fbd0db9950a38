"""Edits with a form of their own that real fixes share: a word spelt wrong, a name in another case, a type that is not
told, a value not converted. How likely each is, is counted (`engine.diffusion.patterns`).

Purely textual. An edit that repeats itself (a name, a division) is made everywhere in the text at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from heapq import nlargest
from itertools import chain, islice
from keyword import kwlist

from rapidfuzz.distance import OSA

Edit = tuple[str, str]  # the text as edited, and the name of the form

PART = re.compile(r"[A-Z]?[a-z]{3,}|[A-Z]{4,}")  # of a name or a sentence: what can be a word
LETTERS = "abcdefghijklmnopqrstuvwxyz"
SPELLINGS = 3  # of one word
IDENTIFIER = re.compile(r"[A-Za-z_]\w{2,}")
LIKE, ALIKE = 2, 0.55  # names that one is mistaken for; how similar, from 0 to 1
NAME = re.compile(r"\b[a-z_]\w*[A-Z]\w*\b|\b[A-Z]\b")
HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
SIGNATURE = re.compile(r"^([ \t]*(?:async )?def \w+\(.*\))(?=\s*:)", re.M)
RETURNED = ("None", "bool", "int", "str", "float", "list", "dict", "tuple", "Any")
CONVERTED = ("int", "str", "float", "list", "tuple", "set", "sorted", "len", "dict", "bool")
VALUE = re.compile(r"(?:(?<= = )|(?<=return ))[^=\n]+$|(?<=\()[\w.\[\]]+(?=\))|(?<= in )[^:\n]+(?=:)", re.M)
DIVISION = re.compile(r"(?<!/)/(?!/)")
ITEMS = re.compile(r", [\w.]+(?=[,)\]\n]|$)", re.M), re.compile(r"(?<=[(\[ ])(?!self\b|cls\b)[\w.]+, ")
SUPER = re.compile(r"super\(\w+, self\)")
IMPORT = re.compile(r"^([ \t]*from )(?=\w)", re.M)
TEMPLATE = re.compile(r"(?<![\w\"'])(?=\"[^\"\n]*\{\w[^\"\n]*\"|'[^'\n]*\{\w[^'\n]*')")


def edits(text: str, scope: str, words: Mapping[str, int]) -> Iterator[Edit]:
    """`text`, a few lines of Python, edited in every form. `scope`: it and the code around it; `words`: those that are
    spelt right, by frequency's rank."""
    yield from spelt(text, words)
    yield from mistaken(text, scope)
    yield from renamed(text)
    for name in RETURNED:
        yield SIGNATURE.sub(rf"\1 -> {name}", text), f"-> {name}"
    for value in VALUE.finditer(text):
        for name in CONVERTED:
            yield f"{text[: value.start()]}{name}({value.group()}){text[value.end() :]}", f"{name}()"
    yield from shortened(text)
    yield SUPER.sub("super()", text), "super()"
    yield DIVISION.sub("//", text), "//"
    yield IMPORT.sub(r"\1.", text), "from ."
    yield TEMPLATE.sub("f", text), "f-string"


def spelt(text: str, words: Mapping[str, int]) -> Iterator[Edit]:
    """Words that are none, one slip away from a word."""
    for part in dict.fromkeys(PART.findall(text)):
        if part.lower() in words:
            continue
        near = sorted(words.keys() & slips(part.lower()), key=lambda word: words[word])
        for rank, word in enumerate(islice(near, SPELLINGS)):
            cased = word.upper() if part.isupper() else word.capitalize() if part[0].isupper() else word
            yield re.sub(rf"(?<![a-z]){part}(?![a-z])", cased, text), f"spelling {rank}"


def slips(word: str) -> set[str]:
    """What one letter left out, added, changed or two swapped make of `word` (P. Norvig, "How to Write a Spelling
    Corrector", 2007)."""
    halves = [(word[:i], word[i:]) for i in range(len(word) + 1)]
    left_out = [a + b[1:] for a, b in halves if b]
    swapped = [a + b[1] + b[0] + b[2:] for a, b in halves if len(b) > 1]
    changed = [a + letter + b[1:] for a, b in halves if b for letter in LETTERS]
    added = [a + letter + b for a, b in halves for letter in LETTERS]
    return {*left_out, *swapped, *changed, *added}


def shortened(text: str) -> Iterator[Edit]:
    """One item left out of several: a name imported, a parameter, an argument."""
    for item in chain.from_iterable(items.finditer(text) for items in ITEMS):
        line = text[text.rfind("\n", 0, item.start()) + 1 :]
        where = next((word for word in ("import", "def") if re.match(rf"\s*(?:from .*)?{word}\b", line)), "elsewhere")
        yield text[: item.start()] + text[item.end() :], f"item left out, {where}"


def mistaken(text: str, scope: str) -> Iterator[Edit]:
    """Names mistaken for a name like them in the scope."""
    others = set(IDENTIFIER.findall(scope)).difference(kwlist)
    for name in dict.fromkeys(IDENTIFIER.findall(text)):
        if name in kwlist:
            continue
        like = ((OSA.normalized_similarity(name, other), other) for other in others if other != name)
        for likeness, other in nlargest(LIKE, (pair for pair in like if pair[0] >= ALIKE)):
            form = f"name {likeness:.1f}"
            yield re.sub(rf"\b{name}\b", other, text), form
            places = list(re.finditer(rf"\b{name}\b", text))
            for place in places if len(places) > 1 else ():
                yield text[: place.start()] + other + text[place.end() :], form


def renamed(text: str) -> Iterator[Edit]:
    """Names in lower case with underscores, one at a time and all."""
    names = dict.fromkeys(NAME.findall(text))
    whole = text
    for name in names:
        lower = HUMP.sub("_", name).lower()
        yield re.sub(rf"\b{name}\b", lower, text), "snake_case, def" if f"def {name}" in text else "snake_case"
        whole = re.sub(rf"\b{name}\b", lower, whole)
    if len(names) > 1:
        yield whole, "snake_case"
