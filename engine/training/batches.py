"""Examples as tensors, for the span denoiser and for its autoregressive twin."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.diffusion.alignment import apply
from engine.diffusion.forward import Noisy
from engine.models.ar_twin import context_ids, middle_start, request_ids
from engine.models.denoiser import Context, context_row
from engine.models.network import Sizes
from engine.models.vocabulary import END, FIM_PREFIX, MASK, PAD
from engine.training.examples import SpanExample

IGNORE = -100
KEPT_WEIGHT = 0.25  # chance that a visible token that is right already counts; all others do


@dataclass(slots=True)
class Batch:
    """Tensors of one step. Context [B, C] (absent for whole windows), canvas and targets
    [B * canvases, L]; `weights` are chances to count, 0 at <bos> and padding. For the twin the canvas is
    request and span, `tokens` the next ones, `inserts` void."""

    context_ids: Tensor | None
    context_positions: Tensor | None
    canvas_ids: Tensor
    tokens: Tensor
    inserts: Tensor
    weights: Tensor
    canvases: int
    spent: int = 0  # tokens read to make it, in forward passes alone

    def to(self, device: torch.device) -> Batch:
        moved = {
            name: value.to(device, non_blocking=True)
            for name in self.__slots__
            if isinstance(value := getattr(self, name), Tensor)
        }
        return replace(self, **moved)


def denoiser_batch(examples: Sequence[SpanExample], sizes: Sizes, window: int) -> Batch:
    """`examples`: all whole windows, cut to `window` tokens, or all spans in context."""
    noisy = [n for example in examples for n in example.noisy]
    contexts = [example.context for example in examples if example.context]
    if not contexts:
        return Batch(None, None, *canvas_tensors(noisy, window, sizes.max_insert), canvases=1)
    ids, positions = padded(context_row(c, sizes.canvas_start, sizes.suffix_start) for c in contexts)
    width = max(len(n.tokens) for n in noisy)
    return Batch(ids, positions, *canvas_tensors(noisy, width, sizes.max_insert), canvases=len(examples[0].noisy))


def canvas_tensors(noisy: list[Noisy], width: int, max_insert: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Ids, token targets, insert targets, weights, each [len(noisy), width]; longer ones are cut."""
    ids = torch.full((len(noisy), width), PAD)
    tokens = torch.full((len(noisy), width), IGNORE)
    inserts = torch.full((len(noisy), width), IGNORE)
    for row, n in enumerate(noisy):
        size = min(width, len(n.tokens))
        ids[row, :size] = torch.tensor(n.tokens[:size])
        tokens[row, 1:size] = torch.tensor(n.targets.tokens[1:size])
        inserts[row, :size] = torch.tensor(n.targets.inserts[:size]).clamp(max=max_insert)
    weights = torch.where(tokens == ids, KEPT_WEIGHT, 1.0)
    weights[tokens == IGNORE] = 0.0
    return ids, tokens, inserts, weights


def twin_batch(examples: Sequence[SpanExample], sizes: Sizes, window: int) -> Batch:
    """The same examples left to right: the noised canvas is the broken span (left out when it is nothing but
    masks), the clean text the span to write. Of whole windows the clean text is simply read."""
    noisy = [n for example in examples for n in example.noisy]
    contexts = [example.context for example in examples if example.context]
    if not contexts:
        rows = [([FIM_PREFIX, *apply(n.targets)[:window]], 1) for n in noisy]
        return Batch(None, None, *next_tokens(rows), canvases=1)
    ids, positions = padded(twin_context(context, sizes) for context in contexts)
    rows = [request_and_span(n) for n in noisy]
    return Batch(ids, positions, *next_tokens(rows), canvases=len(examples[0].noisy))


def twin_context(context: Context, sizes: Sizes) -> tuple[list[int], list[int]]:
    ids, end = context_ids(context), middle_start(sizes)
    return ids, list(range(end - len(ids), end))


def request_and_span(noisy: Noisy) -> tuple[list[int], int]:
    """Ids, and how many of them are given."""
    before = noisy.tokens[1:]
    request = request_ids([] if all(token == MASK for token in before) else before)
    return [*request, *apply(noisy.targets), END], len(request)


def next_tokens(rows: Sequence[tuple[list[int], int]]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Ids, the tokens after them, void insert targets, weights; what is given is not to be predicted."""
    ids, _ = padded((row, [0] * len(row)) for row, _ in rows)
    tokens = torch.full_like(ids, IGNORE)
    tokens[:, :-1] = torch.where(ids[:, 1:] == PAD, IGNORE, ids[:, 1:])
    for row, (_, given) in enumerate(rows):
        tokens[row, : given - 1] = IGNORE
    return ids, tokens, torch.full_like(ids, IGNORE), (tokens != IGNORE).float()


def padded(rows: Iterable[tuple[Sequence[int], Sequence[int]]]) -> tuple[Tensor, Tensor]:
    """Ids (PAD where empty) and positions, [B, C]."""
    listed = list(rows)
    width = max(1, max(len(ids) for ids, _ in listed))
    ids, positions = torch.full((len(listed), width), PAD), torch.zeros((len(listed), width), dtype=torch.long)
    for row, (row_ids, row_positions) in enumerate(listed):
        ids[row, : len(row_ids)] = torch.tensor(row_ids)
        positions[row, : len(row_ids)] = torch.tensor(row_positions)
    return ids, positions
