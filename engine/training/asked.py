"""Edits that somebody asked for, to train the base model on: what it reads, and from where on it is to learn.

Two sources. Real edits: those whose subject names what changed, with the subject as the instruction; small fixes,
with the code around them and the instruction `FIX` alone. Functions and classes of the plain corpus that do what one
may ask for (`engine.training.refactorings`, `behaviours`, `classwide`), and what they were before; some of them with
what was asked of others, to stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np

from engine.asking import ABOVE_CHARS, BELOW_CHARS, FIX, told_around
from engine.diffusion.mistakes import MISLEADING, attempt
from engine.models.foreign import SHIFT
from engine.models.vocabulary import Vocabulary
from engine.models.writer import Writer
from engine.told import FENCE, Told, indent_removed
from engine.training.behaviours import behaviour
from engine.training.classwide import method
from engine.training.refactorings import Change, change, classes, functions

LONGEST_SIDE = 150  # tokens of the code before and after
LONGEST = 480  # tokens of an example
ALIKE = 0.6  # share of a fix's characters that stay
LINES = 384  # tokens of the corpus of which a few lines are broken
PIECE = 20_000  # tokens of the corpus that functions are looked for in
SHARES = {
    "fix": 0.2,
    "injected": 0.04,
    "told": 0.12,
    "refactoring": 0.14,
    "behaviour": 0.36,
    "method": 0.06,
    "unchanged": 0.08,
}
WORD = re.compile(r"[A-Za-z]{4,}")
NOISE = re.compile(r"^\[[^\]]*\]:?\s*|\s*\(?#\d+\)?|^[A-Z, ]{2,}:\s*|^(?:Merge|Revert)\b.*")
CODE = re.compile(r"^\s*[^\W\d]\w*.*[(=:.\[]|^\s*(?:return|raise|del|yield|import)\b", re.MULTILINE)  # not only text
FIXES = re.compile(r"\b(?:fix|bug|wrong|correct|broken|typo|error)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Example:
    """`ids`: tokens of the writer; from `answer` on they are what it is to say."""

    kind: str
    ids: list[int]
    answer: int


class Asked:
    """Draws examples, endlessly."""

    def __init__(self, corpus: Path, writer: Writer, rng: Random) -> None:
        self.writer, self.rng = writer, rng
        self.vocabulary = Vocabulary.load(corpus / "tokenizer.json")
        self.tokens = np.load(corpus / "train.tokens.npy", mmap_mode="r")
        self.edit_tokens = np.load(corpus / "edits.tokens.npy", mmap_mode="r")
        self.edit_offsets = np.load(corpus / "edits.offsets.npy", mmap_mode="r")
        self.refactorings = self.found(functions, change)
        self.behaviours = self.found(functions, behaviour)
        self.methods = self.found(classes, method)

    def __iter__(self) -> Iterator[Example]:
        while True:
            (kind,) = self.rng.choices(list(SHARES), list(SHARES.values()))
            made = None
            while made is None or len(made.ids) > LONGEST:
                made = getattr(self, kind)()
            yield made

    def edit(self) -> list[str]:
        """Subject, prefix, before, after and suffix of a real edit."""
        bounds = self.edit_offsets[self.rng.randrange(len(self.edit_offsets))].tolist()
        return [self.vocabulary.decode(self.edit_tokens[a:b].tolist()) for a, b in pairwise(bounds)]

    def fix(self) -> Example | None:
        subject, prefix, before, after, suffix = self.edit()
        if not FIXES.search(subject) or not CODE.search(before) or not CODE.search(after):
            return None
        if SequenceMatcher(None, before, after, autojunk=False).quick_ratio() < ALIKE:
            return None
        return self.mended("fix", prefix, before, after, suffix)

    def injected(self) -> Example | None:
        """A few lines of the corpus with a mistake that the forward process made in them."""
        start = self.rng.randrange(len(self.tokens) - LINES)
        lines = self.vocabulary.decode(self.tokens[start : start + LINES].tolist()).split("\n")[1:]
        first = self.rng.randrange(len(lines) // 3, 1 + 2 * len(lines) // 3)
        last = first + self.rng.choice((1, 1, 2, 3))
        prefix, after, suffix = ("\n".join(part) for part in (lines[:first], lines[first:last], lines[last:]))
        before = attempt(MISLEADING, after, after, prefix + after, self.rng) if CODE.search(after) else None
        return self.mended("injected", prefix, before, after, suffix) if before else None

    def mended(self, kind: str, prefix: str, before: str, after: str, suffix: str) -> Example | None:
        if before.strip() == after.strip():
            return None
        chars = (int(most * self.rng.random() ** 0.5) for most in (ABOVE_CHARS, BELOW_CHARS))
        return self.answered(kind, FIX, before, after, told_around("python", prefix.lstrip("\n"), suffix, *chars))

    def told(self) -> Example | None:
        change = self.named()
        return self.answered("told", *change) if change else None

    def named(self) -> tuple[str, str, str] | None:
        """Subject, before and after of a real edit whose subject names something that changed."""
        subject, _, before, after, _ = self.edit()
        subject = NOISE.sub("", NOISE.sub("", subject)).split("\n")[0].strip().rstrip(".")
        if not before.strip() or not 8 <= len(subject) <= 100:
            return None
        old, new = set(WORD.findall(before.lower())), set(WORD.findall(after.lower()))
        changed = old ^ new
        if not any(word.startswith(named[:5]) for named in WORD.findall(subject.lower()) for word in changed):
            return None
        return subject, before, after

    def refactoring(self) -> Example | None:
        return self.answered("refactoring", *next(self.refactorings))

    def behaviour(self) -> Example | None:
        return self.answered("behaviour", *next(self.behaviours))

    def method(self) -> Example | None:
        return self.answered("method", *next(self.methods))

    def unchanged(self) -> Example | None:
        """Code of which something is asked that can only be meant for other code."""
        instruction, before, _ = next(self.behaviours)
        _, other, _ = next(self.behaviours)
        words = set(WORD.findall(instruction)).intersection(WORD.findall(before))
        if not words or words.intersection(WORD.findall(other)):
            return None
        return self.answered("unchanged", instruction, other, other)

    def found(
        self, pieces: Callable[[str], Iterator[str]], undo: Callable[[str, Random], Change | None]
    ) -> Iterator[Change]:
        """What is found undone in the corpus, in pieces of its code."""
        while True:
            start = self.rng.randrange(len(self.tokens) - PIECE)
            text = self.vocabulary.decode(self.tokens[start : start + PIECE].tolist())
            made = [one for source in pieces(text) if (one := undo(source, self.rng))]
            self.rng.shuffle(made)
            yield from made

    def answered(self, kind: str, instruction: str, before: str, after: str, around: str = "") -> Example | None:
        told = Told(self.writer, "python", " ".join(instruction.split()), dedented(before), "", "")
        after = aligned(before, after)
        answer = [*self.writer.vocabulary.encode(after + FENCE), self.writer.turn_ends[1]]
        longest = max(len(self.writer.vocabulary.encode(side)) for side in (told.code, after))
        return example(kind, told.asked(around).prefix, answer) if longest <= LONGEST_SIDE else None


def example(kind: str, asked: Sequence[int], answer: Sequence[int]) -> Example:
    return Example(kind, [i - SHIFT for i in (*asked, *answer)], len(asked))


def dedented(code: str) -> str:
    return indent_removed(code.strip("\n") + "\n")[1]


def aligned(before: str, after: str) -> str:
    """`after` without the indentation that `before` shares."""
    shared = len(indent_removed(before)[0])
    cut = [line[shared:] if not line[:shared].strip() else line.lstrip() for line in after.strip("\n").split("\n")]
    return "\n".join(cut) + "\n" if after.strip() else ""
