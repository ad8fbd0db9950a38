"""The base model: the writer's network, trained to denoise spans in their context too (`engine.training.documents`).

A context is the instruction and the prefix, its last token left out, and the suffix, GAP positions behind where the
canvas begins, all read causally. A canvas begins with that last token, in the place of <bos>, and is read both ways:
the state of each position tells what belongs in the next, and how many tokens are missing behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, groupby
from pathlib import Path

import torch

from engine.models.denoiser import CanvasItem, CanvasLogits, Context, Denoiser, in_passes, padded, pass_tokens
from engine.models.foreign import SHIFT
from engine.models.vocabulary import BOS
from engine.models.writer import Around, Contexts, Writer
from engine.models.writer_network import GAP, Strands

CACHED = 160 * 2**20  # bytes of keys and values: ten contexts of full length


class Base(Denoiser):
    """Denoises with the weights of a `Writer`, which answers the items of ordered contexts."""

    free_length = True

    def __init__(self, writer: Writer) -> None:
        """Raises ValueError when its network was not trained to denoise."""
        if writer.network.denoising is None:
            raise ValueError(f"{writer.name} only writes")
        self._writer, self.network, self._heads = writer, writer.network, writer.network.denoising
        self.vocabulary, self.name, self.device = writer.vocabulary, writer.name, writer.device
        self.parameters = writer.parameters
        self.max_canvas, self.max_prefix, self.max_suffix = GAP, 256, 96
        self._contexts = Contexts(writer.network, CACHED)
        self._pass_tokens = pass_tokens(writer.device)

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> Base:
        """Raises what `Writer.load` raises when `folder` does not hold a writer that denoises."""
        return cls(Writer.load(folder, device))

    @property
    def writer(self) -> Writer:
        return self._writer

    @torch.inference_mode()
    def warm(self, context: Context) -> None:
        if context.ordered:
            self._writer.warm(context)
        else:
            self._contexts.read(Around.of(context))

    @torch.inference_mode()
    def denoise(self, items: Sequence[CanvasItem]) -> list[CanvasLogits]:
        return in_passes(items, self._writer, self._pass_tokens, self._pass)

    def _pass(self, items: Sequence[CanvasItem]) -> list[CanvasLogits]:
        """One forward pass. Items of one context must stand together."""
        groups = [self._group(list(together)) for _, together in groupby(items, lambda item: item.context)]
        states, _ = self.network.read(groups)
        starts = accumulate((group.ids.shape[1] for group in groups for _ in range(len(group.ids))), initial=0)
        wanted = [range(len(item.canvas)) if item.rows is None else item.rows for item in items]
        at = [(start, row) for start, rows in zip(starts, wanted, strict=False) for row in rows]
        telling = states[[start + max(row - 1, 0) for start, row in at]]
        tokens = self._heads.token_logits(telling, self.network.token_logits(telling)).log_softmax(-1).cpu()
        first = [i for i, (_, row) in enumerate(at) if row == 0]  # <bos>, which stays
        tokens[first] = -torch.inf
        tokens[first, BOS] = 0.0
        inserts = self._heads.insert_logits(states[[start + row for start, row in at]]).log_softmax(-1).cpu()
        sizes = [len(rows) for rows in wanted]
        return [CanvasLogits(t, i) for t, i in zip(tokens.split(sizes), inserts.split(sizes), strict=True)]

    def _group(self, items: Sequence[CanvasItem]) -> Strands:
        """Canvases over one context, padded to one length."""
        around = Around.of(items[0].context)
        lengths = torch.tensor([len(item.canvas) for item in items])
        ids = padded([(around.last, *(token - SHIFT for token in item.canvas[1:])) for item in items])
        places = torch.arange(ids.shape[1])
        real = (places < lengths[:, None]).to(self.device)
        read = self.network.nothing().expand(len(items), -1, -1, -1, -1, -1)
        context = self._contexts.read(around)
        return Strands(context, read, ids.to(self.device), positions=around.place + places, real=real)
