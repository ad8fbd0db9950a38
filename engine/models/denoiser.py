"""The interface every model is made to speak, and the embedded model behind it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from engine.models.network import KeyValues, SpanNetwork
from engine.models.vocabulary import DEL, END, INSTRUCTION, PAD, RESERVED, Vocabulary

CACHE_BYTES = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Context:
    """Token ids around the canvas, already cut to what the model can see."""

    instruction: tuple[int, ...]
    prefix: tuple[int, ...]
    suffix: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CanvasItem:
    """One canvas to be evaluated: ids with <bos> first, at most `max_canvas` of them."""

    context: Context
    canvas: tuple[int, ...]


@dataclass(slots=True)
class CanvasLogits:
    """Log-probabilities for one canvas of n positions: `tokens` [n, vocab] over what belongs at each
    position (<del>: nothing), `inserts` [n, max_insert + 1] over how many are missing right after."""

    tokens: Tensor
    inserts: Tensor


class Denoiser(Protocol):
    """What the reverse process asks of a model."""

    name: str
    device: str
    parameters: int
    vocabulary: Vocabulary
    max_canvas: int
    max_prefix: int
    max_suffix: int

    def warm(self, context: Context) -> None:
        """Encodes and caches `context`."""
        ...

    def denoise(self, items: Sequence[CanvasItem]) -> list[CanvasLogits]:
        """One forward pass over all canvases, whatever contexts they stand in."""
        ...


class EmbeddedDenoiser:
    """A `SpanNetwork` with its tokenizer and an LRU of encoded contexts, bounded in bytes."""

    def __init__(self, model: SpanNetwork, vocabulary: Vocabulary, name: str, device: str = "cpu") -> None:
        self.model = model.eval()
        torch.nn.Module.to(model, device)
        self.vocabulary, self.name, self.device = vocabulary, name, device
        self.parameters = sum(p.numel() for p in model.parameters())
        self.max_canvas = model.sizes.max_canvas
        self.max_prefix, self.max_suffix = model.sizes.max_prefix, model.sizes.max_suffix
        self._contexts: OrderedDict[Context, KeyValues] = OrderedDict()
        self._bytes = 0
        # Never predicted: reserved tokens other than <del>.
        self._banned = torch.tensor([t for t in range(len(RESERVED)) if t != DEL], device=device)

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> EmbeddedDenoiser:
        """Loads a model folder. Raises OSError, ValueError or SafetensorError when it is not one."""
        model = SpanNetwork.load(folder)
        vocabulary = Vocabulary.load(folder / "tokenizer.json")
        if vocabulary.size != model.sizes.vocab_size:
            raise ValueError(f"tokenizer.json has {vocabulary.size} tokens, the model {model.sizes.vocab_size}")
        return cls(model, vocabulary, folder.name, device)

    @torch.inference_mode()
    def warm(self, context: Context) -> None:
        self._encode(context)

    @torch.inference_mode()
    def denoise(self, items: Sequence[CanvasItem]) -> list[CanvasLogits]:
        if not items:
            return []
        width = max(len(item.canvas) for item in items)
        ids = torch.full((len(items), width), PAD)
        for row, item in enumerate(items):
            ids[row, : len(item.canvas)] = torch.tensor(item.canvas)
        ids = ids.to(self.device)
        even = all(len(item.canvas) == width for item in items)
        hidden = self.model.hidden(ids, None if even else ids != PAD, self._gather(items))
        live = [hidden[row, : len(item.canvas)] for row, item in enumerate(items)]
        flat = torch.cat(live)
        tokens = self.model.token_logits(flat).float()
        tokens[:, self._banned] = -torch.inf
        tokens = tokens.log_softmax(-1).cpu()
        inserts = self.model.insert_head(flat).float().log_softmax(-1).cpu()
        sizes = [len(item.canvas) for item in items]
        return [CanvasLogits(t, i) for t, i in zip(tokens.split(sizes), inserts.split(sizes), strict=True)]

    def _gather(self, items: Sequence[CanvasItem]) -> KeyValues:
        """Keys and values with one row per item; contexts of different length are padded and masked."""
        distinct = list(dict.fromkeys(item.context for item in items))
        encoded = {context: self._encode(context) for context in distinct}
        if len(distinct) == 1:
            only = encoded[distinct[0]]
            rows = len(items)
            return KeyValues([(k.expand(rows, -1, -1, -1), v.expand(rows, -1, -1, -1)) for k, v in only.layers], None)
        longest = max(kv.layers[0][0].shape[2] for kv in encoded.values())
        mask = torch.zeros(len(items), longest, dtype=torch.bool, device=self.device)
        depth = len(self.model.blocks)
        layers: list[tuple[Tensor, Tensor]] = []
        for layer in range(depth):
            example = encoded[distinct[0]].layers[layer][0]
            shape = (len(items), example.shape[1], longest, example.shape[3])
            keys, values = example.new_zeros(shape), example.new_zeros(shape)
            for row, item in enumerate(items):
                k, v = encoded[item.context].layers[layer]
                keys[row, :, : k.shape[2]], values[row, :, : v.shape[2]] = k[0], v[0]
                mask[row, : k.shape[2]] = True
            layers.append((keys, values))
        return KeyValues(layers, mask)

    def _encode(self, context: Context) -> KeyValues:
        found = self._contexts.get(context)
        if found is not None:
            self._contexts.move_to_end(context)
            return found
        ids, positions = context_row(context, self.model.sizes.canvas_start, self.model.sizes.suffix_start)
        encoded = self.model.encode_context(
            torch.tensor([ids], device=self.device), torch.tensor([positions], device=self.device), None
        )
        self._contexts[context] = encoded
        self._bytes += key_value_bytes(encoded)
        while self._bytes > CACHE_BYTES and len(self._contexts) > 1:
            self._bytes -= key_value_bytes(self._contexts.popitem(last=False)[1])
        return encoded


def key_value_bytes(encoded: KeyValues) -> int:
    return sum(t.numel() * t.element_size() for pair in encoded.layers for t in pair)


def context_row(context: Context, canvas_start: int, suffix_start: int) -> tuple[list[int], list[int]]:
    """Ids and positions of a context: the instruction from position 0, the prefix up to the canvas, the
    suffix from its fixed place. An empty prefix is one <end>, so that attention has something to see."""
    prefix = context.prefix or (END,)
    instruction = (INSTRUCTION, *context.instruction) if context.instruction else ()
    positions = [
        *range(len(instruction)),
        *range(canvas_start - len(prefix), canvas_start),
        *range(suffix_start, suffix_start + len(context.suffix)),
    ]
    return [*instruction, *prefix, *context.suffix], positions
