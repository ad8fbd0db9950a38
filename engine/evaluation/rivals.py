"""Models of the same size that write a span left to right, one token a pass, with their keys and values cached.

Their weights do not matter to their speed, so they need no training: the twin runs the denoiser's own blocks
under a causal mask; the other is a Llama of the same shape in the transformers library.
"""

from __future__ import annotations

import time
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.evaluation.machine import synchronise
from engine.evaluation.speed import Generation, Rival
from engine.models.denoiser import Denoiser, EmbeddedDenoiser
from engine.models.network import Block
from engine.models.vocabulary import END, FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX, RESERVED


def make_rivals(denoiser: Denoiser) -> list[Rival]:
    """Both rivals of an embedded model; other models have none."""
    if not isinstance(denoiser, EmbeddedDenoiser):
        return []
    return [AutoregressiveTwin(denoiser), TransformersRival(denoiser)]


def infilling_prompt(denoiser: Denoiser, prefix: str, suffix: str) -> list[int]:
    """Fill-in-the-middle order (arXiv 2207.14255, section 3), cut to the context that the denoiser sees."""
    encode = denoiser.vocabulary.encode
    before, after = encode(prefix)[-denoiser.max_prefix :], encode(suffix)[: denoiser.max_suffix]
    return [FIM_PREFIX, *before, FIM_SUFFIX, *after, FIM_MIDDLE]


class AutoregressiveTwin:
    """The denoiser's blocks, weights and vocabulary, decoded left to right."""

    name = "autoregressive twin"

    def __init__(self, denoiser: EmbeddedDenoiser) -> None:
        self.denoiser, self.network = denoiser, denoiser.model
        self.parameters = denoiser.parameters

    @torch.inference_mode()
    def generate(self, prefix: str, suffix: str, max_new_tokens: int) -> Generation:
        started = time.perf_counter()
        prompt = infilling_prompt(self.denoiser, prefix, suffix)
        cache = self._empty_cache(len(prompt) + max_new_tokens)
        made = [self._next(prompt, 0, cache)]
        while len(made) < max_new_tokens:
            made.append(self._next(made[-1:], len(prompt) + len(made) - 1, cache))
        seconds = time.perf_counter() - started
        return Generation(self.denoiser.vocabulary.decode(made), len(made), seconds)

    def _empty_cache(self, length: int) -> list[tuple[Tensor, Tensor]]:
        sizes = self.network.sizes
        heads = sizes.num_attention_heads
        shape = (1, heads, length, sizes.hidden_size // heads)
        new = self.network.embedding.weight.new_empty
        return [(new(shape), new(shape)) for _ in range(sizes.num_hidden_layers)]

    def _next(self, ids: list[int], start: int, cache: list[tuple[Tensor, Tensor]]) -> int:
        """The likeliest token after `ids`, which stand at positions `start` and up; extends the cache."""
        end = start + len(ids)
        x = self.network.embedding(torch.tensor([ids], device=self.denoiser.device)) + self.network.segment.weight[1]
        rope = self.network.rope(torch.arange(start, end, device=self.denoiser.device)[None])
        for block, (keys, values) in zip(cast("list[Block]", self.network.blocks), cache, strict=True):
            q, k, v = block.project(x, rope)
            keys[:, :, start:end], values[:, :, start:end] = k, v
            k, v = keys[:, :, :end], values[:, :, :end]
            attended = F.scaled_dot_product_attention(q, k, v, is_causal=len(ids) > 1)
            x = block.mix(x, attended.transpose(1, 2).flatten(2))
        logits = self.network.token_logits(self.network.norm(x[0, -1]))
        return len(RESERVED) + int(logits[len(RESERVED) :].argmax())  # never <end>: the span has its length


class TransformersRival:
    """A Llama of the denoiser's shape under `generate`, as most local completion runs today."""

    name = "transformers generate"

    def __init__(self, denoiser: EmbeddedDenoiser) -> None:
        from transformers import LlamaConfig, LlamaForCausalLM

        sizes = denoiser.model.sizes
        config = LlamaConfig(
            vocab_size=sizes.vocab_size,
            hidden_size=sizes.hidden_size,
            intermediate_size=sizes.intermediate_size,
            num_hidden_layers=sizes.num_hidden_layers,
            num_attention_heads=sizes.num_attention_heads,
            tie_word_embeddings=True,
            pad_token_id=END,
            eos_token_id=END,
        )
        self.denoiser = denoiser
        self.model: Any = LlamaForCausalLM(config).eval().to(denoiser.device)  # pyright: ignore[reportArgumentType]
        self.parameters = sum(p.numel() for p in self.model.parameters())

    @torch.inference_mode()
    def generate(self, prefix: str, suffix: str, max_new_tokens: int) -> Generation:
        started = time.perf_counter()
        prompt = torch.tensor([infilling_prompt(self.denoiser, prefix, suffix)], device=self.denoiser.device)
        lengths = {"min_new_tokens": max_new_tokens, "max_new_tokens": max_new_tokens}
        whole = self.model.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False, **lengths)
        synchronise(self.denoiser.device)
        made: list[int] = whole[0, prompt.shape[1] :].tolist()
        return Generation(self.denoiser.vocabulary.decode(made), len(made), time.perf_counter() - started)
