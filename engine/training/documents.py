"""What the base model is trained on, endless and seeded: spans and real edits to be denoised in their context, and the
same written from left to right; whole windows; edits that somebody asked for; plain code. Made in worker processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from random import Random

from torch.utils.data import IterableDataset, get_worker_info

from engine.diffusion.alignment import apply
from engine.diffusion.forward import NoiseMix, Noisy
from engine.models.foreign import SHIFT
from engine.models.vocabulary import END, INSTRUCTION, Vocabulary
from engine.models.writer import Writer
from engine.models.writer_network import GAP, MAX_INSERT
from engine.training.asked import Asked, Example
from engine.training.batches import IGNORE, KEPT_WEIGHT
from engine.training.examples import Source, SpanExample, StreamConfig, starting_lines
from engine.training.rows import Document, Rows, as_rows, empty, packed

SHARES = {"edit": 0.48, "span": 0.36, "window": 0.09, "plain": 0.07}  # of the documents that nobody asked for
READ_ALONG = 0.15  # chance that a token of the context is to be told, too
UNSEEN_SUFFIX = 0.15  # share of contexts without what stands below, as for a completion
PLAIN = 480  # tokens of plain code
NOISE = NoiseMix(masks=0.35, mistakes=0.35, random_edits=0.06, sprinkle=0.4)


@dataclass(frozen=True, slots=True)
class DocumentsConfig:
    corpus: Path
    writer: Path  # whose tokens they are in
    asked: float  # share of documents that somebody asked for
    rows: int = 128  # of a batch
    length: int = 512  # tokens of a row
    seed: int = 0


class WriterSource(Source):
    """The same examples in the tokens of the writer."""

    def __init__(self, config: StreamConfig, writer: Vocabulary) -> None:
        super().__init__(config)
        self.packed, self.vocabulary = self.vocabulary, writer
        self.starts_line = starting_lines(writer)

    def draw(self, length: int) -> list[int]:
        """`length` tokens, or a few fewer."""
        return recoded(super().draw(length * 5 // 4), self.packed, self.vocabulary)[:length]

    def edit(self) -> list[list[int]]:
        return [recoded(part, self.packed, self.vocabulary) for part in super().edit()]


def recoded(ids: Sequence[int], old: Vocabulary, new: Vocabulary) -> list[int]:
    made: list[int] = []
    for at_end, part in groupby(ids, lambda token: token == END):
        alike = list(part)
        made += alike if at_end else new.encode(old.decode(alike))
    return made


class Documents:
    """Draws documents."""

    def __init__(self, config: DocumentsConfig) -> None:
        self.writer = Writer.load(config.writer)
        self.shares = {"asked": config.asked} | {kind: (1 - config.asked) * one for kind, one in SHARES.items()}
        stream = StreamConfig(config.corpus, NOISE, windows=0.0, edits=1.0, window=320, longest_span=100)
        self.source = WriterSource(stream, self.writer.vocabulary)
        self.asked = Asked(config.corpus, self.writer, self.source.rng)
        self.make: dict[str, Callable[[], Document | None]] = {
            "edit": lambda: self.in_context(self.source.real_edit()),
            "span": lambda: self.in_context(self.source.span()),
            "window": lambda: self.alone(self.source.window()),
            "asked": lambda: conversation(next(self.answers)),
            "plain": self.plain,
        }
        self.answers = iter(self.asked)

    @property
    def rng(self) -> Random:
        return self.source.rng

    def begin(self, rng: Random) -> None:
        """Goes on with the draws of `rng`."""
        self.source.rng = self.asked.rng = rng

    def __iter__(self) -> Iterator[Document]:
        kinds, odds = list(self.shares), list(self.shares.values())
        while True:
            (kind,) = self.rng.choices(kinds, odds)
            made = None
            while made is None:
                made = self.make[kind]()
            yield made

    def in_context(self, example: SpanExample | None) -> Document | None:
        """Canvases to be denoised, and one with the clean text to be written."""
        if example is None or example.context is None:
            return None
        context, document = example.context, empty()
        instruction = (INSTRUCTION, *context.instruction) if context.instruction else ()
        prefix = (*instruction, *(context.prefix or (END,)))
        suffix = () if self.rng.random() < UNSEEN_SUFFIX else context.suffix
        place = len(prefix) - 1
        document.read(prefix[:-1], 0, self.told(prefix))
        document.read(suffix, place + GAP, self.told((*suffix, IGNORE)))
        for noisy in example.noisy:
            document.denoise(prefix[-1], noisy, place, MAX_INSERT, self.settled(noisy))
        document.write(prefix[-1], apply(example.noisy[0].targets), place, self.writer.turn_ends[1])
        return document

    def alone(self, example: SpanExample | None) -> Document | None:
        if example is None:
            return None
        document = empty()
        (noisy,) = example.noisy
        document.denoise(END, noisy, 0, MAX_INSERT, self.settled(noisy))
        return document

    def plain(self) -> Document | None:
        document, ids = empty(), self.source.draw(PLAIN)
        document.read(ids, 0, [*ids[1:], IGNORE])
        return document if END not in ids else None

    def told(self, ids: Sequence[int]) -> list[int]:
        """Labels of all but the last of `ids`."""
        return [token if self.rng.random() < READ_ALONG else IGNORE for token in ids[1:]]

    def settled(self, noisy: Noisy) -> list[bool]:
        """Visible tokens that are right already and do not count this time."""
        pairs = zip(noisy.tokens, noisy.targets.tokens, strict=True)
        return [token == target and self.rng.random() >= KEPT_WEIGHT for token, target in pairs]


def conversation(example: Example) -> Document:
    document, ids = empty(), [token + SHIFT for token in example.ids]
    labels = [token if i >= example.answer else IGNORE for i, token in enumerate(ids)]
    document.read(ids, 0, [*labels[1:], IGNORE])
    return document


class DocumentStream(IterableDataset[Rows]):
    """Yields batches for ever; those of a worker depend on seed, number of workers and the step it begins at."""

    def __init__(self, config: DocumentsConfig, step: int) -> None:
        super().__init__()
        self.config, self.step = config, step

    def __iter__(self) -> Iterator[Rows]:
        worker, c = get_worker_info(), self.config
        documents = Documents(c)
        documents.begin(Random(f"{c.seed}/{self.step}/{worker.id if worker else 0}"))
        rows = packed(iter(documents), c.length)
        while True:
            yield as_rows(islice(rows, c.rows), c.length)
