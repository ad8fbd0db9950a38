"""Models of the same size that write a span left to right, one token a pass, with their keys and values cached.

One is the denoiser's autoregressive twin, the other a Llama of the same shape in the transformers library.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from engine.evaluation.bench import EvaluationError
from engine.evaluation.machine import synchronise
from engine.evaluation.speed import Generation, Rival
from engine.models.ar_twin import ARTwin, context_ids, request_ids
from engine.models.denoiser import Context, Denoiser, EmbeddedDenoiser
from engine.models.vocabulary import END


def make_rivals(denoiser: Denoiser, twin: Path | None = None) -> list[Rival]:
    """Both rivals of an embedded model; other models have none. `twin`: folder of a trained twin.

    Raises EvaluationError when that cannot be loaded."""
    if not isinstance(denoiser, EmbeddedDenoiser):
        return []
    try:
        return [TwinRival(denoiser, twin), TransformersRival(denoiser)]
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise EvaluationError(f"the twin in {twin} cannot be loaded: {error}") from error


def seen(model: Denoiser | ARTwin, prefix: str, suffix: str) -> Context:
    """The context, cut to what the model can see."""
    encode = model.vocabulary.encode
    return Context((), tuple(encode(prefix)[-model.max_prefix :]), tuple(encode(suffix)[: model.max_suffix]))


class TwinRival:
    """The autoregressive twin (`engine.models.ar_twin`). Its weights do not matter to its speed: without a
    trained one the denoiser's own are run left to right."""

    name = "autoregressive twin"

    def __init__(self, denoiser: EmbeddedDenoiser, folder: Path | None) -> None:
        self.twin = (
            ARTwin.load(folder, denoiser.device)
            if folder
            else ARTwin(denoiser.model, denoiser.vocabulary, denoiser.name, denoiser.device)
        )
        self.parameters = self.twin.parameters

    def generate(self, prefix: str, suffix: str, max_new_tokens: int) -> Generation:
        started = time.perf_counter()
        made = self.twin.write(seen(self.twin, prefix, suffix), (), max_new_tokens)
        synchronise(self.twin.device)
        return Generation(self.twin.vocabulary.decode(made), len(made), time.perf_counter() - started)


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
        ids = [*context_ids(seen(self.denoiser, prefix, suffix)), *request_ids(())]
        prompt = torch.tensor([ids], device=self.denoiser.device)
        lengths = {"min_new_tokens": max_new_tokens, "max_new_tokens": max_new_tokens}
        whole = self.model.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False, **lengths)
        synchronise(self.denoiser.device)
        made: list[int] = whole[0, prompt.shape[1] :].tolist()
        return Generation(self.denoiser.vocabulary.decode(made), len(made), time.perf_counter() - started)
