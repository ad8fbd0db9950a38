"""The network alone and its transformers packaging are one model."""

from __future__ import annotations

from pathlib import Path

import torch

from engine.models.loading import EMBEDDED
from engine.models.network import SpanNetwork
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
