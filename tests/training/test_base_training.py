"""The base model's training: what a token sees, what is told of packed rows, rounding, and runs that go on."""

from __future__ import annotations

import gzip
import json
import shutil
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from engine.diffusion.alignment import Targets
from engine.diffusion.forward import Noisy
from engine.models.base import Base
from engine.models.foreign import ForeignVocabulary
from engine.models.loading import WRITER
from engine.models.quantised import GROUP, Packed
from engine.models.vocabulary import DEL, MASK
from engine.models.writer import Writer
from engine.models.writer_network import GAP, KINDS, MAX_INSERT, NORMS, Arrays, WriterSizes
from engine.training.base import BaseConfig, BaseNetwork, BaseRun, rounded, train_base, write_weights
from engine.training.batches import IGNORE
from engine.training.documents import DocumentsConfig, DocumentStream
from engine.training.rows import Document, Rows, as_rows, empty

LENGTH = 512


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a small writer with random weights."""
    folder = tmp_path_factory.mktemp("tiny")
    sizes = WriterSizes.read(WRITER)
    sizes = replace(sizes, hidden=64, layers=2, heads=2, key_heads=1, head=32, intermediate=96)
    (folder / "config.json").write_text(json.dumps({"model_type": "redraft-writer", **asdict(sizes)}))
    shutil.copy(WRITER / "tokenizer.json.gz", folder)
    shapes = {"qkv": (128, 64), "out": (64, 64), "gate_up": (192, 64), "down": (64, 96)}
    rng = np.random.default_rng(0)
    arrays: Arrays = {"norm": np.ones(64, np.float16)}
    arrays |= Packed.rounded(normal(rng, sizes.vocab_size, 64)).arrays("embedding")
    for i in range(sizes.layers):
        arrays |= {f"{i}.{norm}": np.ones(64, np.float16) for norm in NORMS.values()}
        for kind in KINDS:
            arrays |= Packed.rounded(normal(rng, *shapes[kind])).arrays(f"{i}.{kind}")
    write_weights(arrays, folder)
    return folder


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.normal(0, 0.1, shape).astype(np.float32)


def document_of(prefix: list[int], suffix: list[int], noisy: Noisy, text: list[int]) -> Document:
    """Context, a canvas that is denoised and one that is written."""
    document, place = empty(), len(prefix) - 1
    document.read(prefix[:-1], 0)
    document.read(suffix, place + GAP)
    document.denoise(prefix[-1], noisy, place, MAX_INSERT, [False] * len(noisy.tokens))
    document.write(prefix[-1], text, place, 99)
    return document


def test_what_each_token_sees() -> None:
    """Two tokens above, one below; a canvas that is denoised and one that is written; another document; padding."""
    noisy = Noisy([0, MASK], Targets([0, 44], [0, 20]))
    first, other = document_of([40, 41, 42], [43], noisy, [44, 45]), empty()
    other.read([50, 51], 0)
    rows = as_rows([[first, other]], 11)
    seen = ["".join(".x"[look] for look in row) for row in rows.allowed()[0, 0].int().tolist()]
    assert seen == [
        "x..........",
        "xx.........",
        "xxx........",
        "xxxxx......",
        "xxxxx......",
        "xxx..x.....",
        "xxx..xx....",
        "xxx..xxx...",
        "........x..",
        "........xx.",
        "..........x",
    ]
    assert rows.ids[0, :8].tolist() == [40, 41, 43, 42, MASK, 42, 44, 45]
    assert rows.positions[0, :8].tolist() == [0, 1, 2 + GAP, 2, 3, 2, 3, 4]
    assert rows.labels[0].tolist() == [IGNORE] * 3 + [44, IGNORE, 44, 45, 99] + [IGNORE] * 3
    assert rows.inserts[0].tolist() == [IGNORE] * 3 + [0, MAX_INSERT] + [IGNORE] * 6


@torch.no_grad()
def test_packed_documents_are_told_as_alone() -> None:
    network = BaseNetwork(WRITER)
    network.rounded = lambda weights: weights  # which are on the grid
    tokenizer = gzip.decompress((WRITER / "tokenizer.json.gz").read_bytes()).decode()
    encode = ForeignVocabulary(Tokenizer.from_str(tokenizer)).encode
    above, below, line = (
        encode("import os\n\n\ndef size(path):\n"),
        encode("\nprint(1)\n"),
        encode("    return os.stat"),
    )
    clean = [0, *line]
    noisy = Noisy([0, *[MASK if i % 2 else token for i, token in enumerate(line)]], Targets(clean, [1] * len(clean)))
    dropped = Noisy([0, 300, *line], Targets([0, DEL, *line], [0, 2, *[0] * len(line)]))
    documents = [document_of(above, below, noisy, line), document_of(below, above, dropped, line[:2])]

    def told(rows: Rows) -> torch.Tensor:
        """Sums of the losses."""
        counts = torch.tensor([(labels != IGNORE).sum() for labels in (rows.labels, rows.inserts)])
        return torch.stack(network(rows, torch.float32)) * counts

    together = told(as_rows([documents], sum(len(one.ids) for one in documents) + 5))
    alone = sum(told(as_rows([[one]], len(one.ids))) for one in documents)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("kind", ["normal", "of one sign", "with empty groups", "on the grid"])
def test_rounding_is_that_of_packing(kind: str) -> None:
    weights = (
        torch.randn(48, 4 * GROUP, generator=torch.Generator().manual_seed(0)) * torch.logspace(-3, 0, 48)[:, None]
    )
    if kind == "of one sign":
        weights[:24], weights[24:] = weights[:24].abs(), -weights[24:].abs()
    elif kind == "with empty groups":
        weights[5, :GROUP] = 0
    elif kind == "on the grid":
        weights = Packed.rounded(weights.numpy()).weights()
    made = rounded(weights)
    torch.testing.assert_close(made, Packed.rounded(weights.numpy()).weights(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(rounded(made), made, rtol=1e-4, atol=1e-6)
    if kind == "on the grid":
        torch.testing.assert_close(made, weights, rtol=1e-4, atol=1e-6)


def test_gradients_pass_through_rounding() -> None:
    weights = torch.randn(4, GROUP, requires_grad=True)
    (3 * rounded(weights)).sum().backward()
    assert weights.grad is not None
    assert weights.grad.unique().tolist() == [3]


def test_a_run_writes_a_model_folder_and_goes_on(
    tiny: Path, corpus_of_edits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.training.rows.ROOM", 1)
    out = tmp_path / "out"
    config = BaseConfig(
        corpus_of_edits, tiny, out, minutes=1e-6, learning_rate=0.01, rows=1, length=LENGTH, workers=0, log_every=1
    )
    train_base(config)
    assert json.loads((out / "state.json").read_text())["step"] == 1  # a step ends the run
    train_base(config)
    assert json.loads((out / "state.json").read_text())["step"] == 1  # its minutes are spent
    longer = replace(config, minutes=60.0, warmup=1e-6)
    run = BaseRun(longer)
    assert (run.step, run.tokens, len(run.log)) == (1, LENGTH, 1)
    before = {name: tensor.clone() for name, tensor in run.network.state_dict().items()}
    # The corpus is this repository's own code: only of several rows can one be sure that a canvas is among them.
    (rows,) = islice(DocumentStream(DocumentsConfig(corpus_of_edits, tiny, 0.0, 4, LENGTH), run.step), 1)
    run.advance(rows)
    run.save()
    again = BaseRun(longer)
    assert again.step == 2
    for name, tensor in again.network.state_dict().items():
        assert torch.equal(tensor, run.network.state_dict()[name])
        assert not torch.equal(tensor, before[name]), name
    with torch.no_grad():  # nothing is lost in the files but the half of float32's precision, of norms
        torch.testing.assert_close(
            BaseNetwork(out)(rows, torch.float32), run.network(rows, torch.float32), rtol=1e-3, atol=1e-3
        )
    assert Writer.load(out).network.sizes == BaseNetwork(tiny).sizes
    assert Base.load(out).writer.network.denoising is not None


def test_frozen_layers_stay_as_they_are(
    tiny: Path, corpus_of_edits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.training.rows.ROOM", 1)
    config = BaseConfig(
        corpus_of_edits, tiny, tmp_path, minutes=60.0, learning_rate=0.01, warmup=1e-6, rows=1, length=LENGTH, frozen=1
    )
    run = BaseRun(config)
    before = {name: tensor.clone() for name, tensor in run.network.state_dict().items()}
    documents = DocumentsConfig(corpus_of_edits, tiny, config.asked, 1, LENGTH)
    for rows in islice(DocumentStream(documents, 0), 2):  # the first is at a rate of next to nothing
        run.advance(rows)
    kept = {name for name, tensor in run.network.state_dict().items() if torch.equal(tensor, before[name])}
    assert {name for name in before if name.startswith(("matrices.0_", "norms.0_")) or name == "embedding"} <= kept
    assert not any(name.startswith(("matrices.1_", "norms.1_")) for name in kept)
