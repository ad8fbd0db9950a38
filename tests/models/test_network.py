"""The network alone and its transformers packaging are one model."""

from __future__ import annotations

from pathlib import Path

import torch

from engine.models.loading import EMBEDDED
from engine.models.network import CanvasGroup, SpanNetwork, attention, plain_attention
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


def test_attention_is_the_same_on_every_device() -> None:
    q, k, v = torch.randn(2, 4, 7, 16), torch.randn(2, 4, 12, 16), torch.randn(2, 4, 12, 16)
    for mask in (None, (torch.arange(12) < torch.tensor([12, 5])[:, None])[:, None, None]):
        for ours, plain in zip(attention(q, k, v, mask), plain_attention(q, k, v, mask), strict=True):
            torch.testing.assert_close(ours, plain, atol=1e-5, rtol=1e-5)
