"""Training batches from the packed corpus: whole windows, spans in context, real edits.

An endless, seeded stream of tensors; runs in a worker process so that corruption stays off the
critical path.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from engine.diffusion.alignment import align
from engine.diffusion.forward import NoiseMix, Noisy, noise_span, noise_window, walk_back
from engine.diffusion.mistakes import break_span
from engine.models.denoiser import Context, context_row
from engine.models.span_denoiser import SpanDenoiserConfig
from engine.models.vocabulary import BOS, END, PAD, Vocabulary

IGNORE = -100
KEPT_WEIGHT = 0.25  # chance that a visible token that is right already counts; all others do
POOL = 16  # batches sorted by length together, so that padding stays small


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """Shares of the three kinds of batches, and their sizes."""

    corpus: Path
    noise: NoiseMix
    windows: float  # share of whole-window batches
    edits: float  # share of real-edit batches; the rest are spans in context
    batch: int = 12
    window: int = 256
    prefix: int = 192
    suffix: int = 96
    longest_span: int = 80
    canvases: int = 2  # noised canvases per context
    instruction_dropout: float = 0.5
    seed: int = 0


@dataclass(slots=True)
class Batch:
    """Tensors of one step. Context [B, C] (absent for whole windows), canvas and targets
    [B * canvases, L]; `weights` are chances to count, 0 at <bos> and padding."""

    context_ids: Tensor | None
    context_positions: Tensor | None
    canvas_ids: Tensor
    tokens: Tensor
    inserts: Tensor
    weights: Tensor
    canvases: int

    def to(self, device: torch.device) -> Batch:
        moved = {
            name: value.to(device, non_blocking=True)
            for name in self.__slots__
            if isinstance(value := getattr(self, name), Tensor)
        }
        return replace(self, **moved)


@dataclass(slots=True)
class SpanExample:
    context: Context
    noisy: list[Noisy]


class TrainingStream(IterableDataset[Batch]):
    """Yields batches for ever. Each worker draws from a seed of its own."""

    def __init__(self, config: StreamConfig, model: SpanDenoiserConfig, start: int = 0) -> None:
        super().__init__()
        self.config, self.model, self.start = config, model, start

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        rng = Random(f"{self.config.seed}/{self.start}/{worker.id if worker else 0}")
        source = Source(self.config, rng)
        while True:
            choice = rng.random()
            if choice < self.config.windows:
                for _ in range(POOL):  # as many batches as a draw of spans gives
                    yield window_batch(source, self.model)
            elif choice < self.config.windows + self.config.edits:
                yield from span_batches(source.real_edit, source, self.model)
            else:
                yield from span_batches(source.span, source, self.model)


class Source:
    """Draws examples. Holds the memory-mapped corpus and the vocabulary."""

    def __init__(self, config: StreamConfig, rng: Random) -> None:
        self.config, self.rng = config, rng
        self.vocabulary = Vocabulary.load(config.corpus / "tokenizer.json")
        self.tokens: npt.NDArray[np.uint16] = np.load(config.corpus / "train.tokens.npy", mmap_mode="r")
        if config.edits:
            self.edit_tokens: npt.NDArray[np.uint16] = np.load(config.corpus / "edits.tokens.npy", mmap_mode="r")
            self.edit_offsets: npt.NDArray[np.int64] = np.load(config.corpus / "edits.offsets.npy", mmap_mode="r")
        self.starts_line = np.zeros(self.vocabulary.size, dtype=bool)
        self.starts_line[[i for i in range(self.vocabulary.size) if self.vocabulary.decode([i])[:1] == "\n"]] = True

    def draw(self, length: int) -> list[int]:
        at = self.rng.randrange(len(self.tokens) - length)
        return self.tokens[at : at + length].tolist()

    def mistakes_in(self, scope: list[int]) -> Any:
        """A `Break` that makes human-like mistakes, borrowing names from `scope`."""
        scope_text = self.vocabulary.decode(scope)

        def make(tokens: list[int], rng: Random, count: int) -> list[int]:
            return self.vocabulary.encode(break_span(self.vocabulary.decode(tokens), scope_text, rng, count))

        return make

    def window(self) -> Noisy:
        clean = self.draw(self.config.window * 5 // 4)
        segments = self.cut(clean)
        return noise_window(segments, self.config.noise, self.mistakes_in(clean), self.rng)

    def cut(self, tokens: list[int]) -> list[list[int]]:
        """Segments of one to four lines, some cut again inside a line."""
        breaks = np.flatnonzero(self.starts_line[tokens]).tolist()
        marks = {0, len(tokens)}
        i = 0
        while i < len(breaks):
            marks.add(breaks[i])
            i += self.rng.choice((1, 1, 1, 2, 2, 3, 4))
        for _ in range(len(breaks) // 3):
            marks.add(self.rng.randrange(len(tokens)))
        ordered = sorted(marks)
        return [tokens[a:b] for a, b in pairwise(ordered)]

    def span(self) -> SpanExample | None:
        """A few lines, or a fragment, in their context; each canvas is noised on its own."""
        c = self.config
        tokens = self.draw(c.prefix + c.longest_span + c.suffix)
        near = c.prefix * self.rng.random() if self.rng.random() < 0.2 else c.prefix * (0.7 + 0.3 * self.rng.random())
        breaks = np.flatnonzero(self.starts_line[tokens]).tolist()
        starts = [b for b in breaks if b >= near]
        if len(starts) < 2:
            return None
        count = self.rng.choice((1, 1, 1, 2, 2, 3, 3, 4, 5, 6, 8))
        begin, end = starts[0], starts[min(count, len(starts) - 1)]
        if self.rng.random() < 0.25:  # a fragment inside these lines
            begin, end = sorted((self.rng.randint(begin, end), self.rng.randint(begin, end)))
        clean = tokens[begin:end]
        if len(clean) > c.longest_span or END in clean:
            return None
        prefix, suffix = after_last(tokens[:begin], END)[-c.prefix :], before_first(tokens[end:], END)[: c.suffix]
        make = self.mistakes_in(prefix[-120:] + clean + suffix[:60])
        noisy = [walk_back(noise_span(clean, c.noise, make, self.rng), self.rng) for _ in range(c.canvases)]
        return SpanExample(Context((), tuple(prefix), tuple(suffix)), noisy)

    def real_edit(self) -> SpanExample | None:
        """An edit somebody made: before is the noise, after the clean text, the subject the instruction."""
        c = self.config
        bounds = self.edit_offsets[self.rng.randrange(len(self.edit_offsets))].tolist()
        subject, prefix, before, after, suffix = (self.edit_tokens[a:b].tolist() for a, b in pairwise(bounds))
        if max(len(before), len(after)) > c.longest_span:
            return None
        instruction = () if self.rng.random() < c.instruction_dropout else tuple(subject[:40])
        make = self.mistakes_in(prefix[-120:] + after + suffix[:60])
        noisy = [walk_back(Noisy([BOS, *before], align(before, after)), self.rng)]
        noisy += [walk_back(noise_span(after, c.noise, make, self.rng), self.rng) for _ in range(c.canvases - 1)]
        return SpanExample(Context(instruction, tuple(prefix[-c.prefix :]), tuple(suffix[: c.suffix])), noisy)


def after_last(tokens: list[int], mark: int) -> list[int]:
    return tokens[len(tokens) - tokens[::-1].index(mark) :] if mark in tokens else tokens


def before_first(tokens: list[int], mark: int) -> list[int]:
    return tokens[: tokens.index(mark)] if mark in tokens else tokens


def window_batch(source: Source, model: SpanDenoiserConfig) -> Batch:
    length, noisy = source.config.window, list[Noisy]()
    while len(noisy) < source.config.batch:
        example = source.window()
        if len(example.tokens) >= length:
            noisy.append(example)
    return Batch(None, None, *canvas_tensors(noisy, length, model.max_insert), canvases=1)


def span_batches(draw: Any, source: Source, model: SpanDenoiserConfig) -> Iterator[Batch]:
    """POOL batches of similar length each, in random order."""
    c = source.config
    examples: list[SpanExample] = []
    longest = model.max_canvas
    while len(examples) < c.batch * POOL:
        example = draw()
        if example and max(len(n.tokens) for n in example.noisy) <= longest:
            examples.append(example)
    examples.sort(key=lambda e: max(len(n.tokens) for n in e.noisy))
    chunks = [examples[i : i + c.batch] for i in range(0, len(examples), c.batch)]
    source.rng.shuffle(chunks)
    for chunk in chunks:
        noisy = [n for example in chunk for n in example.noisy]
        width = max(len(n.tokens) for n in noisy)
        ids, positions = context_tensors(chunk, model)
        yield Batch(ids, positions, *canvas_tensors(noisy, width, model.max_insert), canvases=c.canvases)


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


def context_tensors(examples: list[SpanExample], model: SpanDenoiserConfig) -> tuple[Tensor, Tensor]:
    """Context ids (PAD where empty) and positions, [B, C]."""
    rows = [context_row(e.context, model.canvas_start, model.suffix_start) for e in examples]
    width = max(1, max(len(ids) for ids, _ in rows))
    ids, positions = torch.full((len(rows), width), PAD), torch.zeros((len(rows), width), dtype=torch.long)
    for row, (row_ids, row_positions) in enumerate(rows):
        ids[row, : len(row_ids)] = torch.tensor(row_ids)
        positions[row, : len(row_ids)] = torch.tensor(row_positions)
    return ids, positions
