"""DiffusionGemma as a denoiser: what stands around the region goes into its causal prompt cache, the canvas
starts from the user's own text, re-noised, instead of from random tokens.

The model knows no mask: its noise is uniform over the vocabulary (transformers' EntropyBoundSampler,
`renoise_canvas`), so a mask is shown to it as a random token, and every visible token is judged as it
stands. Each answer takes two passes, the second conditioned on the logits of the first, as in training
(self-conditioning, arXiv 2208.04202, section 3.2); so nothing of a step need be kept for the next one.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor

from engine.models.choice import Sampler
from engine.models.denoiser import CanvasItem, CanvasLogits, Context, Denoiser, EntropyBound
from engine.models.foreign import (
    SHIFT,
    ForeignVocabulary,
    canvas_logits,
    check_size,
    foreign_ids,
    load_weights,
    one_line,
    read_json,
    token_id,
)
from engine.models.vocabulary import MASK, Vocabulary

ROWS = 8  # canvases per forward pass: each takes a copy of its context's keys and values
CACHED_CONTEXTS = 4
MAX_PREFIX, MAX_SUFFIX = 2048, 1024
TURN, TURN_END = "<|turn>", "<turn|>"  # Gemma 4's chat marks
TASK = "Write what belongs in place of <region/>. Answer with the missing code alone."


class DiffusionGemmaDenoiser(Denoiser):
    """`model` is a DiffusionGemmaForBlockDiffusion."""

    free_length = False

    def __init__(self, model: Any, vocabulary: ForeignVocabulary, marks: Marks, name: str) -> None:
        self.model = model.eval()
        self.vocabulary: Vocabulary = vocabulary
        self.name, self.device = name, str(model.device)
        self.parameters = sum(p.numel() for p in model.parameters())
        self.max_canvas = int(model.config.canvas_length or 256)
        positions = int(model.config.text_config.max_position_embeddings) - self.max_canvas - 128
        self.max_prefix = min(MAX_PREFIX, positions * 2 // 3)
        self.max_suffix = min(MAX_SUFFIX, positions // 3)
        self._marks = marks
        self._banned = sorted(t for t in vocabulary.special if t < int(model.config.text_config.vocab_size))
        self._noise = [t for t in range(vocabulary.size - SHIFT) if t not in vocabulary.special]
        self._contexts: OrderedDict[Context, Any] = OrderedDict()

    @classmethod
    def load(cls, folder: Path, device: str, sampler: Sampler | None, **options: Any) -> DiffusionGemmaDenoiser:
        """Raises EditError without a usable tokenizer, and what from_pretrained raises."""
        from transformers import DiffusionGemmaForBlockDiffusion

        vocabulary = ForeignVocabulary.read(folder)
        model = load_weights(DiffusionGemmaForBlockDiffusion, folder, device, dtype="auto", **options)
        check_size(folder, vocabulary, int(model.config.text_config.vocab_size))
        loaded = cls(model, vocabulary, Marks.read(folder), folder.name)
        loaded.entropy_bound = own_bound(model) if sampler == "entropy-bound" else None
        return loaded

    @torch.inference_mode()
    def warm(self, context: Context) -> None:
        self._encode(context)

    @torch.inference_mode()
    def denoise(self, items: Sequence[CanvasItem]) -> list[CanvasLogits]:
        answers: dict[int, CanvasLogits] = {}
        alike: dict[tuple[Context, int], list[int]] = {}
        for i, item in enumerate(items):
            alike.setdefault((item.context, len(item.canvas)), []).append(i)
        for (context, _), places in alike.items():
            for start in range(0, len(places), ROWS):
                part = places[start : start + ROWS]
                logits = self._forward(context, [self.canvas(items[i].canvas) for i in part])
                for i, own in zip(part, logits, strict=True):
                    n = len(items[i].canvas) - 1
                    answers[i] = canvas_logits(items[i], own[:n], self.vocabulary.size, self._banned)
        return [answers[i] for i in range(len(items))]

    def canvas(self, canvas: Sequence[int]) -> list[int]:
        """The model's ids for `canvas`: random tokens for masks, the end of the turn behind, which says how
        long the answer is. The same canvas gets the same noise, so edits are repeatable."""
        rng = Random(str(canvas))
        ids = [rng.choice(self._noise) if t == MASK else foreign_ids([t], 0)[0] for t in canvas[1:]]
        return [*ids, *self._marks.end]

    def prompt(self, context: Context) -> list[int]:
        """The user's turn shows the code with a gap and says what is wanted; the model's turn is the canvas."""
        said = one_line(self.vocabulary.decode(context.instruction))
        marks = self._marks
        head = self._ids(f"user\n{TASK}{f' {said}' if said else ''}\n\n" if marks.turn else f"{TASK} {said}\n\n")
        before, after = ([t - SHIFT for t in part] for part in (context.prefix, context.suffix))
        asked = [*marks.first, *marks.turn, *head, *before, *self._ids("<region/>"), *after, *marks.end]
        return [*asked, *self._ids("\n"), *marks.turn, *self._ids("model\n" if marks.turn else "")]

    def _ids(self, text: str) -> list[int]:
        return [token - SHIFT for token in self.vocabulary.encode(text)]

    def _encode(self, context: Context) -> Any:
        """The prompt's keys and values, a transformers Cache of one row."""
        found = self._contexts.get(context)
        if found is None:
            ids = torch.tensor([self.prompt(context)], device=self.model.device)
            found = self.model.model.encoder(input_ids=ids).past_key_values
            self._contexts[context] = found
            while len(self._contexts) > CACHED_CONTEXTS:
                self._contexts.popitem(last=False)
        self._contexts.move_to_end(context)
        return found

    def _forward(self, context: Context, rows: list[list[int]]) -> Tensor:
        """Logits [rows, tokens, vocabulary] for canvases of one length in one context."""
        cache = repeated(self._encode(context), len(rows))
        ids = torch.tensor(rows, device=self.model.device)
        if not ids.shape[1]:
            return torch.zeros((len(rows), 0, self.vocabulary.size - SHIFT))
        first = self.model(decoder_input_ids=ids, past_key_values=cache).logits
        return self.model(decoder_input_ids=ids, past_key_values=cache, self_conditioning_logits=first).logits


def own_bound(model: Any) -> EntropyBound:
    """As the folder's generation_config.json has it, else the library's defaults."""
    own = model.generation_config
    bound = own.sampler_config.entropy_bound if own.sampler_config else 0.1
    return EntropyBound(bound, own.t_min or 0.4, own.t_max or 0.8)


class Marks:
    """Ids around the turns of a chat; empty where the tokenizer has no such token."""

    def __init__(self, first: list[int], turn: list[int], end: list[int]) -> None:
        self.first, self.turn, self.end = first, turn, end

    @classmethod
    def read(cls, folder: Path) -> Marks:
        added = read_json(folder / "tokenizer.json").get("added_tokens") or []
        ids = {token["content"]: int(token["id"]) for token in added}
        turn, end = ids.get(TURN), ids.get(TURN_END, token_id(folder, "eos_token"))
        first = token_id(folder, "bos_token")
        return cls(*([] if one is None else [one] for one in (first, turn, end)))


def repeated(cache: Any, rows: int) -> Any:
    """`cache` for `rows` canvases; the original keeps its one row. The decoder only reads it."""
    if rows == 1:
        return cache
    other = copy.copy(cache)
    other.layers = [copy.copy(layer) for layer in cache.layers]
    other.batch_repeat_interleave(rows)
    return other
