"""Cases made from the corpus's held-out documents: broken code to mend, and spans to recover from noise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from engine.diffusion.mistakes import break_span
from engine.evaluation.bench import EvaluationError
from engine.evaluation.metrics import compiles
from engine.evaluation.records import RepairCase
from engine.models.vocabulary import END, Vocabulary
from engine.regions import split_lines

LINES = (1, 1, 1, 2, 3)  # of a span
SCOPE = (1500, 500)  # characters before and after the span that a mistake may borrow names from
SHORTEST = 20  # lines of a document


@dataclass(frozen=True, slots=True)
class Spot:
    """A span of whole lines in a document that compiles."""

    document: int
    line: int
    prefix: str
    span: str
    suffix: str


def held_out_documents(corpus: Path) -> list[str]:
    """The documents of `dev.tokens.npy` that compile. Raises EvaluationError when there is none."""
    try:
        vocabulary = Vocabulary.load(corpus / "tokenizer.json")
        tokens = np.load(corpus / "dev.tokens.npy")
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{corpus} is not a corpus folder: {error}") from error
    ends = np.flatnonzero(tokens == END).tolist()
    texts = [vocabulary.decode(tokens[a:b].tolist()) for a, b in zip([0, *(e + 1 for e in ends)], ends, strict=False)]
    documents = [text for text in texts if text.count("\n") > SHORTEST and compiles(text)]
    if not documents:
        raise EvaluationError(f"{corpus} holds no held-out document that compiles")
    return documents


def draw_spot(documents: list[str], rng: Random) -> Spot:
    """Lines that are not all blank, anywhere."""
    while True:
        number = rng.randrange(len(documents))
        lines = split_lines(documents[number])
        at, count = rng.randrange(len(lines)), rng.choice(LINES)
        span = "".join(lines[at : at + count])
        if span.strip() and span.endswith("\n"):
            return Spot(number, at, "".join(lines[:at]), span, "".join(lines[at + count :]))


def broken_cases(corpus: Path, count: int, seed: int) -> list[RepairCase]:
    """`count` spans with one human-like mistake each, after which the document does not compile."""
    documents, rng = held_out_documents(corpus), Random(seed)
    cases: list[RepairCase] = []
    while len(cases) < count:
        spot = draw_spot(documents, rng)
        scope = spot.prefix[-SCOPE[0] :] + spot.span + spot.suffix[: SCOPE[1]]
        broken = break_span(spot.span, scope, rng, 1, syntax_share=1.0)
        if broken.endswith("\n") and not compiles(spot.prefix + broken + spot.suffix):
            name = f"held-out/{spot.document}:{spot.line}"
            cases.append(RepairCase(name, spot.prefix, broken, spot.suffix, spot.span, None))
    return cases


def clean_spots(corpus: Path, count: int, seed: int) -> list[Spot]:
    """`count` spans as they are."""
    documents, rng = held_out_documents(corpus), Random(seed)
    return [draw_spot(documents, rng) for _ in range(count)]
