"""What the models are trained on."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.models.ar_twin import causal_hidden, middle_start
from engine.models.network import KeyValues, SpanNetwork
from engine.models.vocabulary import PAD
from engine.training.batches import IGNORE, KEPT_WEIGHT, Batch

Losses = tuple[Tensor, Tensor, Tensor]  # what is minimised, its share of tokens, of insert counts; scalars


def span_loss(model: SpanNetwork, batch: Batch) -> Losses:
    """Cross-entropy of every canvas position, masked or visible, over a draw by `weights` (Seed Diffusion,
    arXiv 2508.02193, section 3.1: the model must never learn that a visible token is right), and of the
    insert counts."""
    context = None
    canvas_mask = None
    if batch.context_ids is not None:
        assert batch.context_positions is not None
        context = model.encode_context(batch.context_ids, batch.context_positions, batch.context_ids != PAD)
        context = context.repeat(batch.canvases)
        canvas_mask = batch.canvas_ids != PAD
    hidden = model.hidden(batch.canvas_ids, canvas_mask, context)
    live = torch.rand_like(batch.weights) < batch.weights  # a draw costs less than a weight: fewer logits
    # A tiny batch may have drawn none, whose mean is no number.
    token = F.cross_entropy(model.token_logits(hidden[live]).float(), batch.tokens[live], reduction="sum")
    token = token / live.sum().clamp(min=1)
    inserts = model.insert_head(hidden).flatten(0, 1).float()
    insert = F.cross_entropy(inserts, batch.inserts.flatten(), ignore_index=IGNORE)
    return token + 2 * insert, token.detach(), insert.detach()


def twin_loss(model: SpanNetwork, batch: Batch) -> Losses:
    """Cross-entropy of the next token: of the whole span to write, and of a draw from prefix and suffix
    (Bavarian et al., arXiv 2207.14255, section 3, trains on all of them)."""
    past, start = None, 0
    states: list[Tensor] = []
    wanted: list[Tensor] = []
    if batch.context_ids is not None:
        assert batch.context_positions is not None
        hidden, layers = causal_hidden(model, batch.context_ids, batch.context_positions)
        real = batch.context_ids != PAD
        live = real[:, 1:] & (torch.rand(real[:, 1:].shape, device=real.device) < KEPT_WEIGHT)
        states.append(hidden[:, :-1][live])
        wanted.append(batch.context_ids[:, 1:][live])
        past, start = KeyValues(layers, real).repeat(batch.canvases), middle_start(model.sizes)
    positions = torch.arange(batch.canvas_ids.shape[1], device=batch.canvas_ids.device)[None] + start
    hidden, _ = causal_hidden(model, batch.canvas_ids, positions, past)
    live = batch.weights > 0
    logits = model.token_logits(torch.cat([*states, hidden[live]])).float()
    token = F.cross_entropy(logits, torch.cat([*wanted, batch.tokens[live]]))
    return token, token.detach(), torch.zeros((), device=token.device)
