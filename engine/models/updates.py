"""Low-rank updates of the writer's matrices (LoRA, arXiv 2106.09685, section 4.1) on disk: what tuning has learned, in
one small file beside the weights, which stay as they were published.

tuned.npz   "rank"; for each kind of matrix "KIND.down", "KIND.up": `Packed`, [layers * rank, in] and [layers * rank,
            out], of the last layers
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.models.quantised import Packed

FILE = "tuned.npz"


class Updates:
    """`down` [rank, in] and `up` [rank, out] of the matrices of the last layers, by kind and layer."""

    def __init__(self, pairs: Mapping[str, Sequence[tuple[Tensor, Tensor]]], layers: int) -> None:
        """`pairs`: of each kind of matrix, those of the last layers; `layers`: of the whole network."""
        self.pairs, self.layers = pairs, layers

    @classmethod
    def read(cls, folder: Path, layers: int) -> Updates:
        """None at all when `folder` holds no such file. Raises OSError, ValueError or KeyError when it is damaged."""
        if not (folder / FILE).exists():
            return cls({}, layers)
        with np.load(folder / FILE, allow_pickle=False) as file:
            arrays: dict[str, NDArray[np.generic]] = dict(file)
        rank = int(arrays.pop("rank"))

        def sides(kind: str) -> list[tuple[Tensor, Tensor]]:
            down, up = (Packed.read(arrays, f"{kind}.{side}").weights().split(rank) for side in ("down", "up"))
            return list(zip(down, up, strict=True))

        return cls({kind: sides(kind) for kind in dict.fromkeys(name.split(".")[0] for name in arrays)}, layers)

    def write(self, folder: Path) -> None:
        arrays: dict[str, NDArray[np.generic]] = {}
        for kind, pairs in self.pairs.items():
            for side, parts in zip(("down", "up"), zip(*pairs, strict=True), strict=True):
                arrays |= Packed.rounded(torch.cat(parts).numpy()).arrays(f"{kind}.{side}")
                arrays["rank"] = np.array(len(parts[0]))
        np.savez_compressed(folder / FILE, allow_pickle=False, **arrays)

    def to(self, device: str) -> Updates:
        pairs = {kind: [(down.to(device), up.to(device)) for down, up in own] for kind, own in self.pairs.items()}
        return Updates(pairs, self.layers)

    def apply(
        self, layer: int, kind: str, linear: Callable[[Tensor], Tensor], x: Tensor, tuned: Tensor | None
    ) -> Tensor:
        """`linear(x)` of a layer, updated for the tokens that are `tuned` [tokens, 1]."""
        pairs = self.pairs.get(kind, ())
        first = self.layers - len(pairs)
        if tuned is None or layer < first:
            return linear(x)
        down, up = pairs[layer - first]
        return linear(x) + tuned * (x @ down.T @ up)
