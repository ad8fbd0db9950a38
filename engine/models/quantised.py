"""Weights in four bits on disk and sixteen in memory.

On disk: groups of 32 weights of a row, each `scale * code + low` with a 4-bit code, as llama.cpp's Q4_1; the group's
scale (by its logarithm) and low (in scales) are a byte each. In memory half precision, which on a CPU torch's FBGEMM
kernels multiply in float32: 0.5 to 0.8 of float32's time for up to 400 tokens and, rows padded to 512, of its bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

GROUP = 32
DEEPEST = 15.0  # scales that a group's lowest weight lies below zero, at most

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


class Packed(NamedTuple):
    """A matrix [rows, columns] on disk. `codes` [rows, columns / 2]: the first half of a group in the low nibbles, the
    second in the high; `scale`, `low` [rows, columns / 32]; `span` [2]: logarithms of the least and largest scale."""

    codes: Bytes
    scale: Bytes
    low: Bytes
    span: Floats

    @classmethod
    def of(cls, codes: Bytes, scale: Floats, low: Floats) -> Packed:
        """From 4-bit codes, laid out as here, and what they are scaled by and shifted to."""
        log = np.log(np.maximum(scale, 1e-8))
        span = np.array([log.min(), log.max()], np.float32)
        steps = (log - span[0]) / max(float(span[1] - span[0]), 1e-8)
        depth = np.clip(-low / np.maximum(scale, 1e-8), 0, DEEPEST) / DEEPEST
        return cls(codes, np.rint(255 * steps).astype(np.uint8), np.rint(255 * depth).astype(np.uint8), span)

    @classmethod
    def rounded(cls, weights: Floats) -> Packed:
        """`weights` [rows, columns] in four bits."""
        groups = weights.reshape(len(weights), -1, GROUP)
        low = np.minimum(groups.min(-1), 0)
        scale = (groups.max(-1) - low) / 15
        codes = np.rint((groups - low[..., None]) / np.maximum(scale, 1e-8)[..., None]).clip(0, 15).astype(np.uint8)
        halves = codes[..., : GROUP // 2] | codes[..., GROUP // 2 :] << 4
        return cls.of(halves.reshape(len(weights), -1), scale, low)

    @classmethod
    def read(cls, arrays: Mapping[str, NDArray[np.generic]], name: str) -> Packed:
        """Raises KeyError when `arrays` do not hold `name`."""
        return cls(*(arrays[f"{name}.{part}"] for part in cls._fields))  # type: ignore[arg-type]

    def arrays(self, name: str) -> dict[str, NDArray[np.generic]]:
        return {f"{name}.{part}": array for part, array in self._asdict().items()}

    def weights(self) -> Tensor:
        """float32 [rows, columns]."""
        codes, steps, depth, span = (torch.from_numpy(array) for array in self)
        scale = torch.exp(span[0] + steps / 255 * (span[1] - span[0]))[..., None]
        low = -scale * (depth / 255 * DEEPEST)[..., None]
        nibbles = codes.view(*steps.shape, GROUP // 2)
        return torch.addcmul(low, torch.cat((nibbles & 15, nibbles >> 4), dim=-1).float(), scale).flatten(1)


def packs_halves(device: str) -> bool:
    """Whether torch has its FBGEMM kernels there: on x86 alone."""
    return device == "cpu" and not {"fbgemm", "x86"}.isdisjoint(torch.backends.quantized.supported_engines)


class HalfLinear(nn.Module):
    """A linear layer without bias, `weights` [out, in] kept as float16 (bfloat16 where FBGEMM is not). Eight bits were
    tried: with activations rounded too, a text's bits per character rose from 0.91 to 1.31."""

    def __init__(self, weights: Tensor, device: str) -> None:
        super().__init__()
        packs = packs_halves(device)
        self._packed = torch.ops.quantized.linear_prepack_fp16(weights, None) if packs else None
        self._matrix = None if packs else weights.to(device, torch.bfloat16)

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] -> [..., out], float32."""
        if self._matrix is None:
            return torch.ops.quantized.linear_dynamic_fp16(x, self._packed)
        return F.linear(x.to(self._matrix.dtype), self._matrix).float()
