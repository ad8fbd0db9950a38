"""Models of the same size that write a span left to right, one token a pass, with their keys and values cached.

The denoiser's autoregressive twin; a Llama of the same shape in the transformers library; and, when a file is
named, whatever model llama.cpp runs, of its own size.
"""

from __future__ import annotations

import time
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from engine.evaluation.bench import EvaluationError
from engine.evaluation.machine import synchronise
from engine.evaluation.speed import Generation, Rival, seen
from engine.models.ar_twin import ARTwin, context_ids, request_ids
from engine.models.denoiser import Denoiser, EmbeddedDenoiser
from engine.models.vocabulary import END


def make_rivals(denoiser: Denoiser, gguf: Path | None = None) -> list[Rival]:
    """The rivals of an embedded model; other models have none. `gguf`: weights for llama.cpp.

    Raises EvaluationError when those cannot be run."""
    if not isinstance(denoiser, EmbeddedDenoiser):
        return []
    rivals: list[Rival] = [TwinRival(denoiser), TransformersRival(denoiser)]
    return [*rivals, LlamaCppRival(denoiser, gguf)] if gguf else rivals


class TwinRival:
    """The autoregressive twin (`engine.models.ar_twin`). Weights do not matter to its speed: it runs the denoiser's
    own left to right."""

    name = "autoregressive twin"

    def __init__(self, denoiser: EmbeddedDenoiser) -> None:
        self.twin = ARTwin(denoiser.model, denoiser.vocabulary, denoiser.name, denoiser.device)
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


class LlamaCppRival:
    """A quantised model under llama.cpp, with as many threads as the denoiser. It reads the same context, in tokens
    of its own, the code below first: it cannot fill in."""

    def __init__(self, denoiser: EmbeddedDenoiser, gguf: Path) -> None:
        """Raises EvaluationError without llama-cpp-python, or for a file that it cannot load."""
        try:
            llama_cpp: Any = import_module("llama_cpp")  # an extra: the type checker must pass without it
        except ImportError as error:
            raise EvaluationError("this rival needs llama.cpp: pip install 'redraft[servers]'") from error
        threads = torch.get_num_threads()
        sizes = {"n_ctx": 4096, "n_threads": threads, "n_threads_batch": threads}
        try:
            self.llama: Any = llama_cpp.Llama(str(gguf), **sizes, verbose=False)
        except (ValueError, RuntimeError) as error:
            raise EvaluationError(f"llama.cpp cannot load {gguf}: {error}") from error
        self.denoiser = denoiser
        self.name = f"llama.cpp, {gguf.stem}"
        self.parameters = int(self.llama.metadata.get("general.parameter_count", 0))

    def generate(self, prefix: str, suffix: str, max_new_tokens: int) -> Generation:
        context, decode = seen(self.denoiser, prefix, suffix), self.denoiser.vocabulary.decode
        prompt = f"{decode(context.suffix)}\n{decode(context.prefix)}".encode()
        self.llama.reset()  # else it would not read again what two prompts share
        started = time.perf_counter()
        tokens = self.llama.generate(self.llama.tokenize(prompt), temp=0.0)
        made = list(islice(tokens, max_new_tokens))
        return Generation(
            self.llama.detokenize(made).decode(errors="replace"), len(made), time.perf_counter() - started
        )
