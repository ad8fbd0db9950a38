"""The embedded writer's network, in plain torch: a causal language model of Llama's architecture.

What stands before the canvas is encoded once; canvases over it are then read together in one pass, each from where
it was last left. Nothing of the context is copied for them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from engine.models.network import Rope, attention, rotate
from engine.models.quantised import HalfLinear, Packed
from engine.models.vocabulary import DEL, RESERVED

Arrays = dict[str, NDArray[np.generic]]
KINDS = ("qkv", "out", "gate_up", "down")  # of a layer's matrices
NORMS = {"qkv": "attn_norm", "gate_up": "ffn_norm"}  # in front of them
GAP = 256  # positions from the first of a canvas to the first of what stands below it
MAX_INSERT = 8  # tokens that may be missing behind one


@dataclass(frozen=True, slots=True)
class WriterSizes:
    """SmolLM2-135M's."""

    vocab_size: int = 49_152
    hidden: int = 576
    layers: int = 30
    heads: int = 9
    key_heads: int = 3  # each is shared by heads / key_heads heads (arXiv 2305.13245)
    head: int = 64
    intermediate: int = 1536
    rope_theta: float = 100_000.0
    epsilon: float = 1e-5

    @classmethod
    def read(cls, folder: Path) -> WriterSizes:
        stored = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return cls(**{f.name: stored[f.name] for f in fields(cls)})


@dataclass(slots=True)
class Strands:
    """Canvases over one context that were left at the same length. `context` [layers, 2, key_heads, c, head]: keys,
    rotated already, and values; `read` [n, layers, 2, key_heads, r, head]: those of what was read of each canvas
    before; `ids` [n, new]: what is to be read now, padded at the end with anything, at `positions` [new]; `real`
    [n, new]: of canvases that are read both ways, what is no padding, None: they are read causally."""

    context: Tensor
    read: Tensor
    ids: Tensor
    positions: Tensor
    real: Tensor | None = None

    def places(self) -> Tensor:
        """Positions [n * new] of the new tokens."""
        return self.positions.repeat(len(self.ids))

    def mask(self, shared: int) -> Tensor | None:
        """Where a new token may look of what was read of its canvas, itself included, for `shared` heads that are
        laid one after the other; None: everywhere."""
        if self.real is not None:
            return None if self.real.all() else self.real[:, None, None]
        new, read = self.ids.shape[1], self.read.shape[4]
        if new == 1:
            return None
        seen = torch.ones(new, read + new, dtype=torch.bool, device=self.ids.device).tril(read)
        return seen.repeat(shared, 1)[None, None]


@dataclass(slots=True)
class Layer:
    """A layer's `KINDS`."""

    qkv: HalfLinear
    out: HalfLinear
    gate_up: HalfLinear
    down: HalfLinear


@dataclass(slots=True)
class Denoising:
    """The heads of a network that denoises, besides the writer's: `delete` [hidden] tells <del>, `inserts` [MAX_INSERT
    + 1, hidden] and `bias` [MAX_INSERT + 1] how many tokens are missing. The norm in front is multiplied in."""

    delete: Tensor
    inserts: Tensor
    bias: Tensor

    @classmethod
    def read(cls, arrays: Arrays, device: str) -> Denoising:
        """Raises KeyError when a part is missing."""
        norm = vector(arrays, "norm")
        delete = vector(arrays, "reserved")[DEL] * norm
        inserts = vector(arrays, "insert.weight") * norm
        return cls(delete.to(device), inserts.to(device), vector(arrays, "insert.bias").to(device))

    def token_logits(self, states: Tensor, own: Tensor) -> Tensor:
        """`own` [n, tokens of the model] with the reserved tokens in front, which nobody predicts except <del>."""
        reserved = torch.full((len(states), len(RESERVED)), -torch.inf, device=states.device)
        reserved[:, DEL] = states @ self.delete
        return torch.cat((reserved, own), dim=1)

    def insert_logits(self, states: Tensor) -> Tensor:
        return F.linear(states, self.inserts, self.bias)


class WriterNetwork:
    """Token ids are the model's own. Where it denoises (`denoising`), those below zero are the reserved tokens, whose
    rows of the embedding come last."""

    def __init__(self, sizes: WriterSizes, arrays: Arrays, device: str) -> None:
        self.sizes, self.device = sizes, device
        self.rope = Rope(sizes.head, sizes.rope_theta)

        def layer(i: int) -> Layer:
            return Layer(*(HalfLinear(matrix(arrays, i, kind), device) for kind in KINDS))

        with ThreadPoolExecutor() as pool:  # packing, most of the time, is one thread's work
            self.layers = list(pool.map(layer, range(sizes.layers)))
        self.parameters = sum(array.size for name, array in arrays.items() if name.endswith("norm"))
        self.parameters += sum(2 * array.size for name, array in arrays.items() if name.endswith(".codes"))
        embedding = Packed.read(arrays, "embedding").weights()
        self.head = HalfLinear(embedding * vector(arrays, "norm"), device)
        self.denoising = Denoising.read(arrays, device) if "reserved" in arrays else None
        if self.denoising is not None:
            embedding = torch.cat((embedding, vector(arrays, "reserved")))
            self.parameters += sum(arrays[name].size for name in ("reserved", "insert.weight", "insert.bias"))
        self.embedding = embedding.half().to(device)

    @classmethod
    def load(cls, folder: Path, device: str) -> WriterNetwork:
        """Raises OSError, ValueError or KeyError when `folder` does not hold the writer."""
        return cls(WriterSizes.read(folder), read_weights(folder), device)

    def read_context(self, ids: Sequence[int], known: Tensor, positions: Sequence[int]) -> Tensor:
        """Keys and values [layers, 2, key_heads, c, head] of a context, its `ids` at `positions`; `known`: those of its
        first tokens."""
        start = known.shape[3]
        fresh = torch.tensor([ids[start:]], dtype=torch.long, device=self.device)
        places = torch.tensor(positions[start:])
        _, (made,) = self.read([Strands(known, self.nothing()[None], fresh, places)], wanted=False)
        return torch.cat((known, made[0]), dim=3)

    def nothing(self) -> Tensor:
        """Keys and values of no tokens, [layers, 2, key_heads, 0, head]."""
        return torch.empty(self.sizes.layers, 2, self.sizes.key_heads, 0, self.sizes.head, device=self.device)

    def read(self, groups: Sequence[Strands], wanted: bool = True) -> tuple[Tensor, list[Tensor]]:
        """Normalised last states [new tokens of all groups, hidden], and for each group the keys and values
        [n, layers, 2, key_heads, new, head] of what it read. `wanted`: whether anybody looks at the states."""
        ids = torch.cat([group.ids.flatten() for group in groups])
        sizes = [group.ids.numel() for group in groups]
        cos, sin = self.rope(torch.cat([group.places() for group in groups])[None].to(self.device))
        cos, sin = cos[0, :, 0], sin[0, :, 0]
        x = self.embedding[ids].float()
        masks = [group.mask(self.sizes.heads // self.sizes.key_heads) for group in groups]
        made: list[list[Tensor]] = [[] for _ in groups]
        for i, layer in enumerate(self.layers):
            q, k, v = self._project(layer, x, cos, sin)
            attended: list[Tensor] = []
            parts = zip(groups, masks, made, q.split(sizes), k.split(sizes), v.split(sizes), strict=True)
            last = i == len(self.layers) - 1 and not wanted
            for group, mask, keys_and_values, *qkv in parts:
                keys_and_values.append(torch.stack([by_canvas(t, group) for t in qkv[1:]], dim=1))
                if not last:
                    attended.append(self._attend(group, i, by_canvas(qkv[0], group), keys_and_values[-1], mask))
            if not last:
                x = x + layer.out(torch.cat(attended))
                gate, up = layer.gate_up(self._normed(x)).chunk(2, dim=-1)
                x = x + layer.down(F.silu(gate) * up)
        return self._normed(x), [torch.stack(one, dim=1) for one in made]

    def token_logits(self, states: Tensor) -> Tensor:
        return self.head(states)

    def _normed(self, x: Tensor) -> Tensor:
        """`x` over its root mean square: half the time of `F.rms_norm`, which torch composes on a CPU."""
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.sizes.epsilon)

    def _project(self, layer: Layer, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`x` [tokens, hidden] -> queries, keys, values, each [tokens, heads or key_heads, head]."""
        heads, keys = self.sizes.heads, self.sizes.key_heads
        qkv = layer.qkv(self._normed(x)).view(len(x), heads + 2 * keys, self.sizes.head)
        rotated = rotate(qkv[:, : heads + keys], cos, sin)
        return rotated[:, :heads], rotated[:, heads:], qkv[:, heads + keys :]

    def _attend(self, group: Strands, layer: int, q: Tensor, new: Tensor, mask: Tensor | None) -> Tensor:
        """`q` [n, heads, new, head] over the context, what was read before and, as `mask` allows, what is `new`
        [n, 2, key_heads, new, head] -> [n * new, hidden]. Heads that share keys are laid one after the other."""
        n, _, length, _ = q.shape
        folded = q.unflatten(1, (self.sizes.key_heads, -1)).flatten(2, 3)  # [n, key_heads, shared * new, head]
        k, v = torch.cat((group.read[:, layer], new), dim=3).unbind(1)
        own, own_log = attention(folded, k, v, mask)
        if group.context.shape[3]:
            together = folded.transpose(0, 1).flatten(1, 2)[None]
            keys, values = group.context[layer][:, None].unbind()
            other, other_log = attention(together, keys, values, None)
            other, other_log = (t[0].unflatten(1, (n, -1)).transpose(0, 1) for t in (other, other_log))
            own = torch.lerp(own, other, torch.sigmoid(other_log - own_log)[..., None])
        heads = own.unflatten(2, (-1, length)).flatten(1, 2)  # [n, heads, new, head]
        return heads.transpose(1, 2).reshape(n * length, -1)


def read_weights(folder: Path) -> Arrays:
    """All arrays of the writer in `folder`."""
    with ThreadPoolExecutor() as pool:
        parts = list(pool.map(read_arrays, sorted(folder.glob("weights-*.npz"))))
    return {name: array for part in parts for name, array in part.items()}


def matrix(arrays: Arrays, layer: int, kind: str) -> Tensor:
    """One of `KINDS` of a layer, float32 [out, in], the norm in front of it multiplied in."""
    weights = Packed.read(arrays, f"{layer}.{kind}").weights()
    return weights * vector(arrays, f"{layer}.{NORMS[kind]}") if kind in NORMS else weights


def vector(arrays: Arrays, name: str) -> Tensor:
    return torch.from_numpy(arrays[name].astype(np.float32))


def read_arrays(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def by_canvas(x: Tensor, group: Strands) -> Tensor:
    """[n * new, heads, head] -> [n, heads, new, head]."""
    return x.unflatten(0, (len(group.ids), -1)).transpose(1, 2)
