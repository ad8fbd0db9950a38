"""Masked language models (BERT, RoBERTa, CodeBERT, ModernBERT) as denoisers.

With masks in the canvas, one pass fills them and visible tokens stay. Without masks every token is judged
as if it were masked, STRIDE tokens apart in one pass each: a masked language model that sees a token
mostly copies it (pseudo-log-likelihood, arXiv 1910.14659, section 2, in STRIDE passes instead of n).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.errors import EditError
from engine.models.denoiser import CanvasItem, CanvasLogits, Context, Denoiser
from engine.models.foreign import (
    SHIFT,
    ForeignVocabulary,
    canvas_logits,
    check_size,
    foreign_ids,
    load_weights,
    one_line,
    token_id,
)
from engine.models.vocabulary import BOS, MASK, Vocabulary

STRIDE = 4
ROWS = 32  # sequences per forward pass


class MaskedLmDenoiser(Denoiser):
    """`model` is an AutoModelForMaskedLM; `positions` the longest sequence it reads."""

    free_length = False

    def __init__(
        self, model: Any, vocabulary: ForeignVocabulary, mask: int, ends: tuple[int | None, int | None], name: str
    ) -> None:
        self.model = model.eval()
        self.vocabulary: Vocabulary = vocabulary
        self.name, self.device = name, str(model.device)
        self.parameters = sum(p.numel() for p in model.parameters())
        self.mask, self.ends = mask, ends
        positions = min(int(model.config.max_position_embeddings) - 4, 2048)
        self.max_canvas = min(256, positions // 3)
        self.max_suffix = (positions - self.max_canvas) // 4
        self.max_prefix = positions - self.max_canvas - self.max_suffix - 48
        self._banned = sorted({*vocabulary.special, mask})

    @classmethod
    def load(cls, folder: Path, device: str, **options: Any) -> MaskedLmDenoiser:
        """Raises EditError without a mask token or a usable tokenizer, and what from_pretrained raises."""
        from transformers import AutoModelForMaskedLM

        vocabulary = ForeignVocabulary.read(folder)
        mask = token_id(folder, "mask_token")
        if mask is None:
            raise EditError(
                "model_unavailable", f"the tokenizer in {folder} names no mask_token: choose a masked language model"
            )
        model = load_weights(AutoModelForMaskedLM, folder, device, **options)
        check_size(folder, vocabulary, int(model.config.vocab_size))
        ends = (
            token_id(folder, "cls_token") or token_id(folder, "bos_token"),
            token_id(folder, "sep_token") or token_id(folder, "eos_token"),
        )
        return cls(model, vocabulary, mask, ends, folder.name)

    def warm(self, context: Context) -> None:
        """Nothing: attention goes both ways, so nothing of a context can be kept."""

    @torch.inference_mode()
    def denoise(self, items: Sequence[CanvasItem]) -> list[CanvasLogits]:
        rows: list[tuple[int, list[int], list[int]]] = []  # item, canvas ids, the positions this row answers
        for i, item in enumerate(items):
            ids = foreign_ids(item.canvas, self.mask)
            if MASK in item.canvas or not ids:
                rows.append((i, ids, [p for p, token in enumerate(ids) if token == self.mask]))
                continue
            for start in range(min(STRIDE, len(ids))):
                places = list(range(start, len(ids), STRIDE))
                rows.append((i, [self.mask if p in set(places) else t for p, t in enumerate(ids)], places))
        logits = [kept_logits(item, self.vocabulary.size) for item in items]
        for start in range(0, len(rows), ROWS):
            part = rows[start : start + ROWS]
            answers = self._forward([self.prompt(items[i].context, ids) for i, ids, _ in part])
            for (i, _, places), offset, answer in zip(part, self._offsets(items, part), answers, strict=True):
                logits[i][places] = answer[[offset + p for p in places], : self.vocabulary.size - SHIFT].float().cpu()
        return [
            canvas_logits(item, own, self.vocabulary.size, self._banned)
            for item, own in zip(items, logits, strict=True)
        ]

    def prompt(self, context: Context, canvas: Sequence[int]) -> list[int]:
        """[CLS] # instruction, prefix, canvas, suffix [SEP]: a comment is how code says what it is to do."""
        first, last = self.ends
        before = [*([] if first is None else [first]), *self._before(context)]
        after = [token - SHIFT for token in context.suffix]
        return [*before, *canvas, *after, *([] if last is None else [last])]

    def _before(self, context: Context) -> list[int]:
        said = one_line(self.vocabulary.decode(context.instruction))
        comment = self.vocabulary.encode(f"# {said}\n") if said else []
        return [token - SHIFT for token in (*comment[:48], *context.prefix)]

    def _offsets(self, items: Sequence[CanvasItem], rows: Sequence[tuple[int, list[int], list[int]]]) -> list[int]:
        return [(self.ends[0] is not None) + len(self._before(items[i].context)) for i, _, _ in rows]

    def _forward(self, sequences: list[list[int]]) -> Sequence[Tensor]:
        """Logits [width, vocabulary] of every sequence, here padded at the end."""
        width = max(len(row) for row in sequences)
        ids = torch.tensor([[*row, *[self.mask] * (width - len(row))] for row in sequences], device=self.model.device)
        real = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in sequences], device=ids.device)
        return self.model(input_ids=ids, attention_mask=real).logits


def kept_logits(item: CanvasItem, size: int) -> Tensor:
    """Logits that keep every visible token of the canvas (without <bos>) where it stands."""
    ids = [token for token in item.canvas if token != BOS]
    logits = torch.full((len(ids), size - SHIFT), -30.0)
    for place, token in enumerate(ids):
        if token >= SHIFT:
            logits[place, token - SHIFT] = 0.0
    return logits
