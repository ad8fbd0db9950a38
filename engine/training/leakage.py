"""How much of the benchmarks' code is in the packed corpus, by runs of tokens (n-grams)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.models.vocabulary import Vocabulary
from engine.training.corpus import LEAK_RUN, Tokens, benchmark_files, record_texts, run_hashes

RUNS = (15, LEAK_RUN)  # tokens: shorter ones are idioms that any two programs share
CHUNK = 4_000_000  # tokens hashed at once


@dataclass(frozen=True, slots=True)
class Overlap:
    """Of one benchmark with the corpus, for runs of one length."""

    benchmark: str
    run: int
    records: int
    touched: int  # records that share a run
    runs: int
    shared: int  # runs that are in the corpus


def overlaps(corpus: Path, benchmarks: Path) -> Iterator[Overlap]:
    """Of every benchmark of the folder `benchmarks` with the training tokens of the folder `corpus`, real edits
    included. Raises OSError when they are not there."""
    vocabulary = Vocabulary.load(corpus / "tokenizer.json")
    packed = [np.load(path, mmap_mode="r") for path in sorted(corpus.glob("*.tokens.npy")) if "dev." not in path.name]
    for run in RUNS:
        texts = {
            path.name: [
                np.concatenate([run_hashes(encoded(vocabulary, text), run) for text in record])
                for record in record_texts(path)
            ]
            for path in benchmark_files(benchmarks)
        }
        wanted = np.unique(np.concatenate([hashes for records in texts.values() for hashes in records]))
        found = np.unique(np.concatenate([seen(wanted, tokens, run) for tokens in packed]))
        for name, records in texts.items():
            inside = [np.isin(hashes, found) for hashes in records]
            yield Overlap(
                name,
                run,
                len(records),
                sum(bool(part.any()) for part in inside),
                sum(part.size for part in inside),
                sum(int(part.sum()) for part in inside),
            )


def encoded(vocabulary: Vocabulary, text: str) -> Tokens:
    return np.array(vocabulary.encode(text), dtype=np.uint16)


def seen(wanted: npt.NDArray[np.uint64], tokens: Tokens, run: int) -> npt.NDArray[np.uint64]:
    """Those of `wanted` that occur in `tokens`."""
    starts = range(0, max(1, len(tokens) - run + 1), CHUNK)
    parts = [np.intersect1d(wanted, run_hashes(tokens[start : start + CHUNK + run - 1], run)) for start in starts]
    return np.concatenate(parts)
