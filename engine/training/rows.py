"""Documents of a context and canvases over it, laid end to end in rows of one length.

In a document, context tokens look at the context before them; a token of a canvas looks at the whole context and at its
own canvas: all of it where the canvas is denoised, what stands before it where it is written from left to right. A
canvas begins with the last token in front of it once more: as in the causal language model that is turned into a
denoiser, the state of each token tells what belongs in the next place (the shift of arXiv 2410.17891, section 3.2), and
how many tokens are missing behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engine.diffusion.forward import Noisy
from engine.models.vocabulary import PAD
from engine.training.batches import IGNORE

ROOM = 64  # rows that are filled at the same time
PADDING = 255  # document of what fills a row up

Ints = npt.NDArray[np.int64]


@dataclass(slots=True)
class Document:
    """Per token: id, position, `canvas` (0: context), whether it looks `both` ways, the token to be told (IGNORE: none)
    and the count of missing ones. Canvases are numbered from 1."""

    ids: list[int]
    positions: list[int]
    canvas: list[int]
    both: list[int]
    labels: list[int]
    inserts: list[int]

    def read(self, ids: Sequence[int], start: int, labels: Sequence[int] | None = None) -> None:
        """Adds context from position `start` on."""
        self._add(ids, start, 0, 0, labels or [IGNORE] * len(ids), [IGNORE] * len(ids))

    def denoise(self, before: int, noisy: Noisy, start: int, most: int, ignored: Sequence[bool]) -> None:
        """Adds a canvas behind the token `before`, which stands at `start`; counts above `most` are told as `most`."""
        targets = [IGNORE if skip else token for token, skip in zip(noisy.targets.tokens, ignored, strict=True)]
        inserts = [min(count, most) for count in noisy.targets.inserts]
        self._add([before, *noisy.tokens[1:]], start, self._canvases() + 1, 1, [*targets[1:], IGNORE], inserts)

    def write(self, before: int, text: Sequence[int], start: int, end: int) -> None:
        """Adds a canvas that is written from left to right up to `end`."""
        ids = [before, *text]
        self._add(ids, start, self._canvases() + 1, 0, [*text, end], [IGNORE] * len(ids))

    def _canvases(self) -> int:
        return max(self.canvas, default=0)

    def _add(
        self, ids: Sequence[int], start: int, canvas: int, both: int, labels: Sequence[int], inserts: Sequence[int]
    ) -> None:
        self.ids += ids
        self.positions += range(start, start + len(ids))
        self.canvas += [canvas] * len(ids)
        self.both += [both] * len(ids)
        self.labels += labels
        self.inserts += inserts


def empty() -> Document:
    return Document([], [], [], [], [], [])


@dataclass(slots=True)
class Rows:
    """Tensors [rows, length] of a step; `document` tells the documents of a row apart."""

    ids: Tensor
    positions: Tensor
    canvas: Tensor
    both: Tensor
    labels: Tensor
    inserts: Tensor
    document: Tensor

    def to(self, device: torch.device) -> Rows:
        return replace(self, **{name: getattr(self, name).to(device, non_blocking=True) for name in self.__slots__})

    def allowed(self) -> Tensor:
        """Where each token may look, [rows, 1, length, length]."""
        order = torch.ones(self.ids.shape[1], self.ids.shape[1], dtype=torch.bool, device=self.ids.device).tril()
        alike = self.document[:, :, None] == self.document[:, None, :]
        at_context = (self.canvas == 0)[:, None, :] & order
        at_own = (self.canvas[:, :, None] == self.canvas[:, None, :]) & (order | (self.both == 1)[:, :, None])
        return (alike & (at_context | at_own))[:, None]


def packed(documents: Iterator[Document], length: int) -> Iterator[list[Document]]:
    """Rows of at most `length` tokens, first fit among ROOM; documents that are longer are left out."""
    open_rows: list[tuple[int, list[Document]]] = []
    for document in documents:
        size = len(document.ids)
        if not 0 < size <= length:
            continue
        place = next((i for i, (used, _) in enumerate(open_rows) if used + size <= length), None)
        if place is None:
            open_rows.append((0, []))
            place = len(open_rows) - 1
        used, row = open_rows[place]
        row.append(document)
        open_rows[place] = used + size, row
        if len(open_rows) > ROOM:
            fullest = max(range(len(open_rows)), key=lambda i: open_rows[i][0])
            yield open_rows.pop(fullest)[1]


def as_rows(rows: Iterable[Sequence[Document]], length: int) -> Rows:
    listed = list(rows)
    fill = {"ids": PAD, "positions": 0, "canvas": 0, "both": 0, "labels": IGNORE, "inserts": IGNORE}
    tables: dict[str, Ints] = {name: np.full((len(listed), length), value) for name, value in fill.items()}
    document = np.full((len(listed), length), PADDING)
    for r, row in enumerate(listed):
        at = 0
        for d, one in enumerate(row):
            size = len(one.ids)
            for name, table in tables.items():
                table[r, at : at + size] = getattr(one, name)
            document[r, at : at + size] = d
            at += size
    tensors = {name: torch.from_numpy(table) for name, table in tables.items()}
    return Rows(**tensors, document=torch.from_numpy(document))
