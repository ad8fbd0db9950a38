"""The embedded writer: a causal language model as a denoiser that is asked for one mask after the other, from left to
right (the order that an autoregressive model is a diffusion of, arXiv 2110.02037, section 2). It writes what the small
span denoiser cannot know, and tells how likely a text is in its place. What stands below is in view where the context
has a suffix, and the second of `Writer.turn_ends` then ends the text: so the weights were trained
(`engine.training.documents`).

Keys and values of what it has read stay, so the next mask of a canvas costs one token.
"""

from __future__ import annotations

import gzip
from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from engine.models.denoiser import CanvasItem, CanvasLogits, Context, Denoiser
from engine.models.foreign import SHIFT, ForeignVocabulary
from engine.models.vocabulary import BOS, END, INSTRUCTION, MASK, Vocabulary
from engine.models.writer_network import GAP, Strands, WriterNetwork

CACHED = 64 * 2**20  # bytes of keys and values, of contexts and canvases each
Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Around:
    """A context in the ids of the network: `before` from position 0 on, `last` the canvas's first, then `below`."""

    before: Ids
    last: int
    below: Ids

    @classmethod
    def of(cls, context: Context, start: int = END) -> Around:
        """`start`: what a context without a prefix begins with."""
        instruction = (INSTRUCTION, *context.instruction) if context.instruction else ()
        *before, last = (token - SHIFT for token in (*instruction, *(context.prefix or (start,))))
        return cls(tuple(before), last, tuple(token - SHIFT for token in context.suffix))

    @property
    def place(self) -> int:
        """Position of the canvas."""
        return len(self.before)

    def positions(self) -> list[int]:
        """Of what stands around the canvas."""
        below = self.place + GAP
        return [*range(self.place), *range(below, below + len(self.below))]


@dataclass(frozen=True, slots=True)
class Strand:
    """A canvas as the network reads it: behind the last token of what stands before it, whose state tells the first
    token of the canvas. `rows`: the wanted positions of the canvas; state j tells position j + 1."""

    around: Around
    ids: Ids
    rows: Ids
    known: int  # ids of which keys and values are kept

    def beginning(self, count: int) -> tuple[Ids, ...]:
        """The key of the first `count` ids among what is kept."""
        return self.around.before, self.around.below, self.ids[:count]


class Writer(Denoiser):
    """Answers rows up to the first mask of a canvas; what comes after it, nobody has asked yet."""

    free_length = True
    ordered = True

    def __init__(self, network: WriterNetwork, vocabulary: Vocabulary, name: str, turn_ends: tuple[int, int]) -> None:
        """`turn_ends`: the tokens in front of and behind what a side of a conversation says."""
        self.network, self.vocabulary, self.name, self.device = network, vocabulary, name, network.device
        self.parameters, self.turn_ends = network.parameters, turn_ends
        self.max_canvas, self.max_prefix, self.max_suffix = 512, 512, 96
        self._start = vocabulary.encode("\n")[0]
        self._contexts = Contexts(network)
        self._canvases = KeptStates()

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> Writer:
        """Raises OSError, ValueError, KeyError or what tokenizers raises when `folder` does not hold the writer."""
        text = gzip.decompress((folder / "tokenizer.json.gz").read_bytes()).decode()
        vocabulary = ForeignVocabulary(Tokenizer.from_str(text))
        network = WriterNetwork.load(folder, device)
        if network.sizes.vocab_size + SHIFT != vocabulary.size:
            raise ValueError(f"the tokenizer has {vocabulary.size - SHIFT} tokens, not {network.sizes.vocab_size}")
        begin, end = (vocabulary.special_token(f"<|im_{side}|>") for side in ("start", "end"))
        return cls(network, vocabulary, folder.name, (begin, end))

    @torch.inference_mode()
    def warm(self, context: Context) -> None:
        self._contexts.read(self._around(context))

    @torch.inference_mode()
    def denoise(self, items: Sequence[CanvasItem]) -> list[CanvasLogits]:
        strands = [self._strand(item) for item in items]
        together: defaultdict[tuple[Around, int], list[int]] = defaultdict(list)
        for i, strand in enumerate(strands):
            together[strand.around, strand.known].append(i)
        groups = [self._group([strands[i] for i in places]) for places in together.values()]
        states, made = self.network.read(groups)
        order = [i for places in together.values() for i in places]
        picked: list[int] = []
        start = 0
        for places, group, keys in zip(together.values(), groups, made, strict=True):
            width = group.ids.shape[1]
            for at, i in enumerate(places):
                strand = strands[i]
                picked += [start + at * width + row - 1 - strand.known for row in strand.rows]
                if items[i].rows is not None and MASK in items[i].canvas:  # it will be asked for what follows them too
                    grown = torch.cat((group.read[at], keys[at, :, :, :, : len(strand.ids) - strand.known]), dim=3)
                    for row in strand.rows:  # which share their bytes
                        share = grown.nbytes // len(strand.rows)
                        self._canvases.keep(strand.beginning(row), grown[:, :, :, :row], share)
            start += len(places) * width
        tokens = self.network.token_logits(states[picked]).log_softmax(-1).cpu()
        parts = tokens.split([len(strands[i].rows) for i in order])
        answers = {i: self._answer(items[i], part) for i, part in zip(order, parts, strict=True)}
        return [answers[i] for i in range(len(items))]

    def _around(self, context: Context) -> Around:
        return Around.of(replace(context, instruction=()), END if context.suffix else self._start)

    def _strand(self, item: CanvasItem) -> Strand:
        around = self._around(item.context)
        visible = [token for token in item.canvas if token != BOS]
        if MASK in visible:
            visible = [*visible[: visible.index(MASK)], MASK]
        rows = tuple(range(1, len(visible) + 1)) if item.rows is None else item.rows
        ids = (around.last, *(token - SHIFT for token in visible[: max(rows, default=1) - 1]))
        known = min(rows, default=1) - 1
        while known and (around.before, around.below, ids[:known]) not in self._canvases:
            known -= 1
        return Strand(around, ids, rows, known)

    def _group(self, strands: Sequence[Strand]) -> Strands:
        known = strands[0].known
        width = max(len(strand.ids) for strand in strands) - known
        ids = [[*strand.ids[known:], *[0] * (width - len(strand.ids) + known)] for strand in strands]
        nothing = self.network.nothing()
        read = [self._canvases[strand.beginning(known)] if known else nothing for strand in strands]
        around = strands[0].around
        places = around.place + torch.arange(known, known + width)
        context = self._contexts.read(around)
        return Strands(context, torch.stack(read), torch.tensor(ids, device=self.device), places)

    def _answer(self, item: CanvasItem, own: Tensor) -> CanvasLogits:
        """`own` [rows, tokens of the model], log-probabilities."""
        first = [[0]] if item.rows is None else []  # of <bos>
        tokens = torch.full((len(own) + len(first), self.vocabulary.size), -torch.inf)
        tokens[len(first) :, SHIFT:] = own
        tokens[: len(first), BOS] = 0.0
        return CanvasLogits(tokens, torch.zeros(len(tokens), 1))


class KeptStates(OrderedDict[tuple[Ids, ...], Tensor]):
    """Keys and values by what was read, those longest unused dropped beyond `most` bytes, `CACHED` unless told."""

    def __init__(self, most: int | None = None) -> None:
        super().__init__()
        self._most = CACHED if most is None else most
        self._sizes: dict[tuple[Ids, ...], int] = {}
        self._bytes = 0

    def keep(self, key: tuple[Ids, ...], states: Tensor, size: int | None = None) -> None:
        """`size`: bytes to reckon with, when `states` are a part of others."""
        if key not in self:
            self[key] = states
            self._sizes[key] = states.nbytes if size is None else size
            self._bytes += self._sizes[key]
        while self._bytes > self._most and len(self) > 1:
            oldest, _ = self.popitem(last=False)
            self._bytes -= self._sizes.pop(oldest)

    def beginning(self, ids: Ids, nothing: Tensor) -> Tensor:
        """Of as many of the first `ids` as anything kept begins with; `nothing`: of none."""
        shared, states = 0, nothing
        for (other, *_), kept in self.items():
            count = common(ids, other)
            if count > shared:
                shared, states = count, kept
        return states[:, :, :, :shared]

    def __getitem__(self, key: tuple[Ids, ...]) -> Tensor:
        self.move_to_end(key)
        return super().__getitem__(key)


class Contexts:
    """Keys and values of contexts; what stands above the canvas is read once, whatever stands below."""

    def __init__(self, network: WriterNetwork, most: int | None = None) -> None:
        self._network, self._kept = network, KeptStates(most)

    def read(self, around: Around) -> Tensor:
        key = around.before, around.below
        if key in self._kept:
            return self._kept[key]
        known = self._kept.beginning(around.before, self._network.nothing())
        ids = around.before + around.below
        if known.shape[3] == len(ids):
            return known
        states = self._network.read_context(ids, known, around.positions())
        self._kept.keep(key, states)
        return states


def common(one: Ids, other: Ids) -> int:
    """Length of what both begin with."""
    length = min(len(one), len(other))
    if one[:length] == other[:length]:
        return length
    low, high = 0, length  # one[:low] is common, one[:high] is not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle)
    return low
