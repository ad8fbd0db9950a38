"""A corpus of this repository's own code, and two edits."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from engine.diffusion.forward import NoiseMix
from engine.models.loading import EMBEDDED, WRITER
from engine.models.vocabulary import END, Vocabulary
from engine.models.writer import Writer
from engine.training.examples import StreamConfig

REPOSITORY = Path(__file__).resolve().parents[2]
EDITS = [
    (
        "Fix off by one in last",
        "\ndef last(values):",
        "\n    return values[len(values)]",
        "\n    return values[-1]",
        "\n",
    ),
    ("rename total to amount", "\nprice = 3", "\ntotal = price * 2", "\namount = price * 2", "\nprint(price)\n"),
]


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    shutil.copy(EMBEDDED / "tokenizer.json", folder)
    vocabulary = Vocabulary.load(folder / "tokenizer.json")
    files = sorted((REPOSITORY / "engine").rglob("*.py"))
    encoded = vocabulary.encode_batch([file.read_text() for file in files])
    tokens = np.array([token for ids in encoded for token in (*ids, END)], dtype=np.uint16)
    np.save(folder / "train.tokens.npy", tokens)
    np.save(folder / "dev.tokens.npy", tokens[:8000])
    return folder


@pytest.fixture(scope="session")
def corpus_of_edits(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("edits")
    shutil.copytree(corpus, folder, dirs_exist_ok=True)
    vocabulary = Vocabulary.load(folder / "tokenizer.json")
    tokens: list[int] = []
    offsets: list[list[int]] = []
    for edit in EDITS:
        bounds = [len(tokens)]
        for part in edit:
            tokens += vocabulary.encode(part)
            bounds.append(len(tokens))
        offsets.append(bounds)
    np.save(folder / "edits.tokens.npy", np.array(tokens, dtype=np.uint16))
    np.save(folder / "edits.offsets.npy", np.array(offsets, dtype=np.int64))
    return folder


@pytest.fixture(scope="session")
def writer() -> Writer:
    return Writer.load(WRITER)


@pytest.fixture(scope="session")
def stream(corpus: Path) -> StreamConfig:
    return stream_of(corpus)


def stream_of(corpus: Path) -> StreamConfig:
    noise = NoiseMix(masks=0.2, mistakes=0.5, random_edits=0.1, sprinkle=0.3)
    return StreamConfig(
        corpus, noise, windows=0.3, edits=0.0, batch=3, window=48, prefix=40, suffix=20, longest_span=30
    )
