"""The twin reads left to right, writes with its cache what it would without, and its beam finds the likeliest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from engine.models.ar_twin import ARTwin, causal_hidden, context_ids, is_twin, middle_start, request_ids
from engine.models.denoiser import Context, EmbeddedDenoiser
from engine.models.network import KeyValues
from engine.models.span_denoiser import ARTwinConfig, ARTwinModel
from engine.models.vocabulary import END, RESERVED


@pytest.fixture(scope="module")
def twin(denoiser: EmbeddedDenoiser) -> ARTwin:
    return ARTwin(denoiser.model, denoiser.vocabulary, "twin")


def context(twin: ARTwin) -> Context:
    encode = twin.vocabulary.encode
    return Context((40, 41), tuple(encode("def f(x):\n    return")), tuple(encode("\n\nprint(f(1))\n")))


@torch.inference_mode()
def next_log_probabilities(twin: ARTwin, before: list[int], made: list[int]) -> torch.Tensor:
    """Without a cache: everything is read in one go."""
    ids = context_ids(context(twin))
    start = middle_start(twin.network.sizes)
    rest = [*request_ids(before), *made]
    positions = [*range(start - len(ids), start), *range(start, start + len(rest))]
    states, _ = causal_hidden(twin.network, torch.tensor([ids + rest]), torch.tensor([positions]))
    return twin._log_probabilities(states[:, -1])[0]  # pyright: ignore[reportPrivateUsage]


def test_the_cache_changes_nothing(twin: ARTwin) -> None:
    before = twin.vocabulary.encode(" x +")
    made: list[int] = []
    for _ in range(6):
        made.append(len(RESERVED) + int(next_log_probabilities(twin, before, made)[len(RESERVED) :].argmax()))
    assert twin.write(context(twin), before, 6) == made


def test_beams_carry_their_own_likelihood_best_first(twin: ARTwin) -> None:
    before = twin.vocabulary.encode(" x +")
    written = twin.beam(context(twin), before, beams=4, limit=3)
    assert len(written) == 4
    assert len({tuple(w.tokens) for w in written}) == 4
    assert [w.score for w in written] == sorted((w.score for w in written), reverse=True)
    for one in written:
        path = [*one.tokens, END]
        score = sum(float(next_log_probabilities(twin, before, path[:i])[token]) for i, token in enumerate(path))
        assert one.score == pytest.approx(score, abs=1e-3)


@torch.inference_mode()
def test_what_comes_later_and_padding_are_not_seen(twin: ARTwin) -> None:
    ids = torch.tensor([[20, 21, 22, 23], [20, 21, 99, 99]])
    positions = torch.arange(4)[None]
    states, layers = causal_hidden(twin.network, ids, positions)
    assert torch.allclose(states[0, :2], states[1, :2], atol=1e-5)
    assert not torch.allclose(states[0, 2], states[1, 2], atol=1e-2)
    past = KeyValues(layers, torch.tensor([[True, True, False, False]] * 2))
    after, _ = causal_hidden(twin.network, torch.tensor([[30, 31]] * 2), torch.arange(4, 6)[None], past)
    assert torch.allclose(after[0], after[1], atol=1e-5)


def test_a_saved_twin_is_told_from_a_denoiser(tmp_path: Path, denoiser: EmbeddedDenoiser) -> None:
    sizes: dict[str, Any] = {"vocab_size": denoiser.vocabulary.size, "hidden_size": 32, "num_hidden_layers": 1}
    ARTwinModel(ARTwinConfig(**sizes, num_attention_heads=2, intermediate_size=32)).save_pretrained(tmp_path)
    denoiser.vocabulary.save(tmp_path / "tokenizer.json")
    assert is_twin(tmp_path)
    assert not is_twin(tmp_path / "none")
    assert len(ARTwin.load(tmp_path).write(Context((), (), ()), (), 3)) == 3
