"""Training examples drawn from the packed corpus: whole windows, spans in context, real edits."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt

from engine.diffusion.alignment import align
from engine.diffusion.forward import Break, NoiseMix, Noisy, noise_span, noise_window, walk_back
from engine.diffusion.mistakes import break_span
from engine.models.denoiser import Context
from engine.models.vocabulary import BOS, END, Vocabulary


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
class SpanExample:
    """Noised canvases of one clean text each, and the context they share; None: a whole window."""

    context: Context | None
    noisy: list[Noisy]


class Source:
    """Draws examples. Holds the memory-mapped corpus and the vocabulary."""

    def __init__(self, config: StreamConfig, rng: Random | None = None) -> None:
        self.config, self.rng = config, rng or Random(config.seed)
        self.vocabulary = Vocabulary.load(config.corpus / "tokenizer.json")
        self.tokens: npt.NDArray[np.uint16] = np.load(config.corpus / "train.tokens.npy", mmap_mode="r")
        if config.edits:
            self.edit_tokens: npt.NDArray[np.uint16] = np.load(config.corpus / "edits.tokens.npy", mmap_mode="r")
            self.edit_offsets: npt.NDArray[np.int64] = np.load(config.corpus / "edits.offsets.npy", mmap_mode="r")
        self.starts_line = starting_lines(self.vocabulary)

    def draw(self, length: int) -> list[int]:
        at = self.rng.randrange(len(self.tokens) - length)
        return self.tokens[at : at + length].tolist()

    def mistakes_in(self, scope: list[int]) -> Break:
        """A `Break` that makes human-like mistakes, borrowing names from `scope`."""
        scope_text = self.vocabulary.decode(scope)

        def make(tokens: list[int], rng: Random, count: int) -> list[int]:
            return self.vocabulary.encode(break_span(self.vocabulary.decode(tokens), scope_text, rng, count))

        return make

    def window(self) -> SpanExample | None:
        clean = self.draw(self.config.window * 5 // 4)
        segments = self.cut(clean)
        noisy = noise_window(segments, self.config.noise, self.mistakes_in(clean), self.rng)
        return SpanExample(None, [noisy]) if len(noisy.tokens) >= self.config.window else None

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

    def edit(self) -> list[list[int]]:
        """Subject, prefix, before, after and suffix of a real edit."""
        bounds = self.edit_offsets[self.rng.randrange(len(self.edit_offsets))].tolist()
        return [self.edit_tokens[a:b].tolist() for a, b in pairwise(bounds)]

    def real_edit(self) -> SpanExample | None:
        """An edit somebody made: before is the noise, after the clean text, the subject the instruction."""
        c = self.config
        subject, prefix, before, after, suffix = self.edit()
        if max(len(before), len(after)) > c.longest_span:
            return None
        instruction = () if self.rng.random() < c.instruction_dropout else tuple(subject[:40])
        make = self.mistakes_in(prefix[-120:] + after + suffix[:60])
        noisy = [walk_back(Noisy([BOS, *before], align(before, after)), self.rng)]
        noisy += [walk_back(noise_span(after, c.noise, make, self.rng), self.rng) for _ in range(c.canvases - 1)]
        return SpanExample(Context(instruction, tuple(prefix[-c.prefix :]), tuple(suffix[: c.suffix])), noisy)


def starting_lines(vocabulary: Vocabulary) -> npt.NDArray[np.bool_]:
    """Which tokens begin with a newline."""
    return np.array([vocabulary.decode([token])[:1] == "\n" for token in range(vocabulary.size)])


def after_last(tokens: list[int], mark: int) -> list[int]:
    return tokens[len(tokens) - tokens[::-1].index(mark) :] if mark in tokens else tokens


def before_first(tokens: list[int], mark: int) -> list[int]:
    return tokens[: tokens.index(mark)] if mark in tokens else tokens
