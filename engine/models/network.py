"""The embedded model's network, in plain torch: serving loads it without the transformers library, whose
import takes longer than torch's own.

Two segments. Context tokens attend to context only; canvas tokens attend to context and canvas, both
ways. The context's keys and values therefore do not depend on the canvas: they are computed once,
exactly, and reused for every denoising step, candidate and request (shared design, "The model").
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from engine.models.quantised import HalfLinear, packs_halves


@dataclass
class Sizes:
    """Sizes in tokens. The suffix always starts `max_canvas` positions after the canvas does, so that
    inserting or deleting canvas tokens never moves it."""

    vocab_size: int = 4096
    hidden_size: int = 256
    num_hidden_layers: int = 6
    num_attention_heads: int = 4
    intermediate_size: int = 640
    max_instruction: int = 48
    max_prefix: int = 384
    max_suffix: int = 192
    max_canvas: int = 256
    max_insert: int = 8
    rope_theta: float = 10_000.0

    @property
    def canvas_start(self) -> int:
        """Position of the canvas's <bos>; the prefix ends right before it."""
        return self.max_instruction + self.max_prefix

    @property
    def suffix_start(self) -> int:
        return self.canvas_start + self.max_canvas


@dataclass(slots=True)
class KeyValues:
    """Context keys and values per layer, each [batch, heads, context, head_dim], rotated already;
    `mask` [batch, context] is true at real tokens, or None when all are."""

    layers: list[tuple[Tensor, Tensor]]
    mask: Tensor | None

    def repeat(self, times: int) -> KeyValues:
        """One row for each of `times` canvases over the same context, [batch * times, ...]."""
        layers = [(k.repeat_interleave(times, 0), v.repeat_interleave(times, 0)) for k, v in self.layers]
        return KeyValues(layers, None if self.mask is None else self.mask.repeat_interleave(times, 0))


@dataclass(slots=True)
class CanvasGroup:
    """Canvases over one context: `ids` [n, length], padded; `mask` [n, 1, 1, length]: true at real tokens,
    None: all are; `rows` [n, r]: the positions whose states are wanted, None: all."""

    context: KeyValues
    ids: Tensor
    mask: Tensor | None
    rows: Tensor | None

    def attend(self, q: Tensor, k: Tensor, v: Tensor, layer: int) -> Tensor:
        """`q` [heads, n * r, head_dim], `k`, `v` [heads, n * length, head_dim] -> [n * r, hidden].

        Attention to the context and to the canvas itself, put together by their normalisers: so all canvases
        read the one context, and nothing of it is copied."""
        context, context_log = attention(q[None], *self.context.layers[layer], None)
        own, own_log = attention(self.by_canvas(q), self.by_canvas(k), self.by_canvas(v), self.mask)
        share = torch.sigmoid(self.by_canvas(context_log[0]) - own_log)[..., None]
        attended = torch.lerp(own, self.by_canvas(context[0]), share)
        return attended.transpose(1, 2).flatten(2).flatten(0, 1)

    def by_canvas(self, x: Tensor) -> Tensor:
        """[heads, n * length, ...] -> [n, heads, length, ...]."""
        return x.unflatten(1, (len(self.ids), -1)).transpose(0, 1)


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Softmax attention, [batch, heads, queries, head_dim], and the logarithms of its normalisers, [batch,
    heads, queries]. `mask` is true where a query may look."""
    if q.device.type != "cpu":
        return plain_attention(q, k, v, mask)
    allowed = None if mask is None else torch.zeros(mask.shape).masked_fill(~mask, -torch.inf)
    return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, attn_mask=allowed)


def plain_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """`attention` where torch has no kernel that returns the normalisers."""
    scores = q @ k.mT / q.shape[-1] ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(-1) @ v, scores.logsumexp(-1)


class Rope(nn.Module):
    """Rotary position embedding (arXiv 2104.09864) for explicit positions."""

    def __init__(self, head_dim: int, theta: float) -> None:
        super().__init__()
        self.head_dim, self.theta = head_dim, theta

    def forward(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """`positions` [batch, length] -> cos, sin, each [batch, length, 1, 1, head_dim / 2]."""
        half = torch.arange(self.head_dim // 2, device=positions.device, dtype=torch.float32)
        angle = positions[:, :, None, None, None].float() * self.theta ** (-half / half.numel())
        return angle.cos(), angle.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotates the halves of the last axis of `x` [batch, length, 2, heads, head_dim]."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1).to(x.dtype)


class Block(nn.Module):
    """Pre-norm attention with query-key norm, then SwiGLU."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        size = sizes.hidden_size
        self.heads = sizes.num_attention_heads
        self.attention_norm = nn.RMSNorm(size)
        self.qkv = nn.Linear(size, 3 * size, bias=False)
        self.out = nn.Linear(size, size, bias=False)
        self.mlp_norm = nn.RMSNorm(size)
        self.gate_up = nn.Linear(size, 2 * sizes.intermediate_size, bias=False)
        self.down = nn.Linear(sizes.intermediate_size, size, bias=False)

    def project(self, x: Tensor, rope: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """`x` [batch, length, hidden] -> queries, keys, values [batch, heads, length, head_dim]."""
        batch, length, size = x.shape
        qkv = self.qkv(self.attention_norm(x)).view(batch, length, 3, self.heads, size // self.heads)
        queries_and_keys = qkv[:, :, :2]
        q, k = rotate(F.rms_norm(queries_and_keys, qkv.shape[-1:]), *rope).permute(2, 0, 3, 1, 4)
        return q, k, qkv[:, :, 2].transpose(1, 2)

    def finish(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        """Attention of `q` over `k`, `v`, then the MLP, both residual."""
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.mix(x, attended.transpose(1, 2).flatten(2))

    def mix(self, x: Tensor, attended: Tensor) -> Tensor:
        """What attention brought, then the MLP, both residual; [..., hidden]."""
        x = x + self.out(attended)
        gate, up = self.gate_up(self.mlp_norm(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * up)


class SpanNetwork(nn.Module):
    """Token, delete and insert predictions for every canvas position, given a context."""

    sizes: Sizes

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.build(sizes)

    def build(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self.embedding = nn.Embedding(sizes.vocab_size, sizes.hidden_size)
        self.segment = nn.Embedding(2, sizes.hidden_size)  # context, canvas
        self.rope = Rope(sizes.hidden_size // sizes.num_attention_heads, sizes.rope_theta)
        self.blocks = nn.ModuleList(Block(sizes) for _ in range(sizes.num_hidden_layers))
        self.norm = nn.RMSNorm(sizes.hidden_size)
        self.insert_head = nn.Linear(sizes.hidden_size, sizes.max_insert + 1)
        self.head: nn.Module | None = None  # None: the embedding's weights

    @classmethod
    def load(cls, folder: Path) -> SpanNetwork:
        """The float32 network of a model folder. Raises OSError, ValueError, RuntimeError or SafetensorError."""
        stored = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        sizes = Sizes(**{f.name: stored[f.name] for f in fields(Sizes) if f.name in stored})
        weights = {name: tensor.float() for name, tensor in load_file(folder / "model.safetensors").items()}
        network = cls(sizes)
        network.load_state_dict(weights, assign=True)
        return network.requires_grad_(False)

    def pack(self, device: str) -> None:
        """Keeps the matrices in half precision, as they are stored, laid out for a CPU's fastest kernels, where there
        are any. They can no longer be trained or moved."""
        if packs_halves(device):
            for block in self.blocks:
                for name in ("qkv", "out", "gate_up", "down"):
                    setattr(block, name, HalfLinear(cast(nn.Linear, getattr(block, name)).weight, device))
            self.head = HalfLinear(self.embedding.weight, device)

    def encode_context(self, ids: Tensor, positions: Tensor, mask: Tensor | None) -> KeyValues:
        """`ids`, `positions` [batch, context]; `mask` true at real tokens -> their keys and values."""
        x = self.embedding(ids) + self.segment.weight[0]
        rope = self.rope(positions)
        allowed = None if mask is None else mask[:, None, None, :]
        layers: list[tuple[Tensor, Tensor]] = []
        last = len(self.blocks) - 1
        for i, block in enumerate(cast("list[Block]", self.blocks)):
            q, k, v = block.project(x, rope)
            layers.append((k, v))
            if i < last:  # what the last block would output nobody reads
                x = block.finish(x, q, k, v, allowed)
        return KeyValues(layers, mask)

    def forward(
        self, canvas_ids: Tensor, canvas_mask: Tensor | None = None, context: KeyValues | None = None
    ) -> tuple[Tensor, Tensor]:
        """`canvas_ids` [batch, length], <bos> first; `canvas_mask` true at real tokens, or None.

        Returns token logits [batch, length, vocab] and insert logits [batch, length, max_insert + 1]."""
        hidden = self.hidden(canvas_ids, canvas_mask, context)
        return self.token_logits(hidden), self.insert_head(hidden)

    def hidden(self, canvas_ids: Tensor, canvas_mask: Tensor | None, context: KeyValues | None) -> Tensor:
        """Normalised last hidden states [batch, length, hidden] of the canvas."""
        batch, length = canvas_ids.shape
        positions = torch.arange(length, device=canvas_ids.device)[None] + self.sizes.canvas_start
        rope = self.rope(positions)
        x = self.embedding(canvas_ids) + self.segment.weight[1]
        allowed = joint_mask(batch, length, canvas_mask, context)
        for i, block in enumerate(cast("list[Block]", self.blocks)):
            q, k, v = block.project(x, rope)
            if context is not None:
                context_k, context_v = context.layers[i]
                k, v = torch.cat((context_k, k), dim=2), torch.cat((context_v, v), dim=2)
            x = block.finish(x, q, k, v, allowed)
        return self.norm(x)

    def canvas_states(self, groups: Sequence[CanvasGroup]) -> Tensor:
        """`hidden` for serving: the canvases of all groups in one pass, whatever their contexts, and only
        the wanted rows; [rows of all groups, hidden]."""
        ids = torch.cat([group.ids.flatten() for group in groups])
        sizes = [group.ids.numel() for group in groups]
        positions = torch.cat([torch.arange(g.ids.shape[1], device=ids.device).repeat(len(g.ids)) for g in groups])
        rope = self.rope(positions[None] + self.sizes.canvas_start)
        x = self.embedding(ids) + self.segment.weight[1]
        last = len(self.blocks) - 1
        for i, block in enumerate(cast("list[Block]", self.blocks)):
            q, k, v = (t[0] for t in block.project(x[None], rope))
            wanted = sizes
            if i == last and any(group.rows is not None for group in groups):
                rows = wanted_rows(groups)
                x, q, wanted = (
                    x[rows],
                    q[:, rows],
                    [g.ids.numel() if g.rows is None else g.rows.numel() for g in groups],
                )
            parts = zip(groups, q.split(wanted, 1), k.split(sizes, 1), v.split(sizes, 1), strict=True)
            x = block.mix(x, torch.cat([group.attend(*qkv, layer=i) for group, *qkv in parts]))
        return self.norm(x)

    def token_logits(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.embedding.weight) if self.head is None else self.head(hidden)


def wanted_rows(groups: Sequence[CanvasGroup]) -> Tensor:
    """Indices of the wanted rows among the positions of all groups, laid end to end."""
    found: list[Tensor] = []
    start = 0
    for group in groups:
        count, length = group.ids.shape
        rows = torch.arange(length, device=group.ids.device)[None] if group.rows is None else group.rows
        starts = start + length * torch.arange(count, device=group.ids.device)
        found.append((starts[:, None] + rows).flatten())
        start += count * length
    return torch.cat(found)


def joint_mask(batch: int, length: int, canvas_mask: Tensor | None, context: KeyValues | None) -> Tensor | None:
    """Which of [context; canvas] a canvas token may see, [batch, 1, 1, context + length]; None: all."""
    context_mask = None if context is None else context.mask
    if canvas_mask is None and context_mask is None:
        return None
    device = (canvas_mask if canvas_mask is not None else cast(Tensor, context_mask)).device
    if canvas_mask is None:
        canvas_mask = torch.ones(batch, length, dtype=torch.bool, device=device)
    if context is not None:
        if context_mask is None:
            shape = (batch, context.layers[0][0].shape[2])
            context_mask = torch.ones(shape, dtype=torch.bool, device=device)
        canvas_mask = torch.cat((context_mask, canvas_mask), dim=1)
    return canvas_mask[:, None, None, :]
