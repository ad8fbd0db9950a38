"""A corpus of this repository's own code."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from engine.diffusion.forward import NoiseMix
from engine.models.loading import EMBEDDED
from engine.models.vocabulary import END, Vocabulary
from engine.training.examples import StreamConfig

REPOSITORY = Path(__file__).resolve().parents[2]


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
def stream(corpus: Path) -> StreamConfig:
    return stream_of(corpus)


def stream_of(corpus: Path) -> StreamConfig:
    noise = NoiseMix(masks=0.2, mistakes=0.5, random_edits=0.1, sprinkle=0.3)
    return StreamConfig(
        corpus, noise, windows=0.3, edits=0.0, batch=3, window=48, prefix=40, suffix=20, longest_span=30
    )
