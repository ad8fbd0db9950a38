"""The network alone and its transformers packaging are one model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.models.loading import EMBEDDED
from engine.models.network import CanvasGroup, SpanNetwork, attention, plain_attention
from engine.models.quantised import HalfLinear
from engine.models.span_denoiser import SpanDenoiser


def test_both_ways_to_load_give_the_same_network(tmp_path: Path) -> None:
    packaged = SpanDenoiser.from_pretrained(EMBEDDED, dtype=torch.float32).eval()
    packaged.save_pretrained(tmp_path)
    ids = torch.randint(10, packaged.config.vocab_size, (2, 30))
    with torch.inference_mode():
        expected = packaged(ids)
        for folder in (EMBEDDED, tmp_path):
            for ours, theirs in zip(SpanNetwork.load(folder)(ids), expected, strict=True):
                assert torch.equal(ours, theirs)


def test_serving_and_training_compute_the_same() -> None:
    network = SpanNetwork.load(EMBEDDED)
    ids = torch.randint(10, network.sizes.vocab_size, (3, 30))
    real = torch.arange(30) < torch.tensor([30, 21, 9])[:, None]
    around = torch.randint(10, network.sizes.vocab_size, (1, 50))
    with torch.inference_mode():
        context = network.encode_context(around, torch.arange(50)[None], None)
        expected = network.hidden(ids, real, context.repeat(3))
        served = network.canvas_states([CanvasGroup(context, ids, real[:, None, None], None)]).view(3, 30, -1)
    torch.testing.assert_close(served[real], expected[real], atol=1e-4, rtol=1e-4)


def test_packed_matrices_compute_the_same() -> None:
    network, packed = SpanNetwork.load(EMBEDDED), SpanNetwork.load(EMBEDDED)
    packed.pack("cpu")
    ids = torch.randint(10, network.sizes.vocab_size, (2, 30))
    with torch.inference_mode():
        for whole, half in zip(network(ids), packed(ids), strict=True):
            torch.testing.assert_close(half, whole, atol=2e-3, rtol=2e-3)


def test_halves_are_kept_where_fbgemm_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Apple's and Arm's processors."""
    weights, x = torch.randn(40, 64), torch.randn(3, 64)
    packed = HalfLinear(weights, "cpu")(x)
    monkeypatch.setattr("engine.models.quantised.packs_halves", lambda device: False)
    plain = HalfLinear(weights, "cpu")(x)
    assert plain.dtype == torch.float32
    torch.testing.assert_close(packed, x @ weights.T, atol=0.02, rtol=0.02)
    torch.testing.assert_close(plain, x @ weights.T, atol=0.2, rtol=0.05)


def test_attention_is_the_same_on_every_device() -> None:
    q, k, v = torch.randn(2, 4, 7, 16), torch.randn(2, 4, 12, 16), torch.randn(2, 4, 12, 16)
    for mask in (None, (torch.arange(12) < torch.tensor([12, 5])[:, None])[:, None, None]):
        for ours, plain in zip(attention(q, k, v, mask), plain_attention(q, k, v, mask), strict=True):
            torch.testing.assert_close(ours, plain, atol=1e-5, rtol=1e-5)
