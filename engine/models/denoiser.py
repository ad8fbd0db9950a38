"""The interface every model is made to speak, and the embedded model behind it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from pathlib import Path
from typing import Protocol, cast

import torch
from torch import Tensor

from engine.models.network import CanvasGroup, KeyValues, SpanNetwork
from engine.models.vocabulary import DEL, END, INSTRUCTION, PAD, RESERVED, Vocabulary

CACHED_CONTEXTS = 10  # of full length; shorter ones leave room for more


def pass_tokens(device: str) -> int:
    """Canvas tokens worth evaluating in one pass. A CPU is busy with 65: more only takes memory, and makes
    whoever cancels wait."""
    return 512 if device == "cpu" else 16_384


@dataclass(frozen=True, slots=True)
class Context:
    """Token ids around the canvas, already cut to what the model can see."""

    instruction: tuple[int, ...]
    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    ordered: bool = False  # the tokens are those of a denoiser that fills masks in order: the writer


@dataclass(frozen=True, slots=True)
class CanvasItem:
    """One canvas to be evaluated: ids with <bos> first, at most `max_canvas` of them. `rows`: the positions
    whose log-probabilities are wanted, in order; None: all. Few rows cost a third less time and far less
    memory."""

    context: Context
    canvas: tuple[int, ...]
    rows: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class EntropyBound:
    """Steps as transformers' EntropyBoundSampler takes them (arXiv 2505.24857): at a temperature that falls from
    `t_max` to `t_min`, the surest masks are filled whose entropies (nats), the largest left out, add up to at most
    `bound`: so far they are about independent of each other."""

    bound: float
    t_min: float
    t_max: float

    def temperature(self, left: int, steps: int) -> float:
        """With `left` of `steps` steps to go, this one included."""
        return self.t_min + (self.t_max - self.t_min) * left / steps


@dataclass(slots=True)
class CanvasLogits:
    """Log-probabilities for one canvas, at its n positions or at the n rows asked for: `tokens` [n, vocab]
    over what belongs there (<del>: nothing), `inserts` [n, max_insert + 1] over how many are missing right
    after."""

    tokens: Tensor
    inserts: Tensor


class Denoiser(Protocol):
    """What the reverse process asks of a model."""

    name: str
    device: str
    parameters: int  # without a writer's
    vocabulary: Vocabulary
    max_canvas: int
    max_prefix: int
    max_suffix: int
    ordered: bool = False  # masks are filled from left to right: an autoregressive model
    free_length: bool  # inserts and <del> are the model's own; else counts of masks are searched
    remote: str | None = None  # the host that code is sent to
    fallback: str | None = None  # why this model stands in for the one that was chosen
    entropy_bound: EntropyBound | None = None  # how the user wants its steps taken; None: by confidence

    @property
    def writer(self) -> Denoiser | None:
        """Who writes new text and looks over guesses in this one's stead; it answers items of ordered contexts."""
        return None

    def warm(self, context: Context) -> None:
        """Encodes and caches `context`."""
        ...

    def denoise(self, items: Sequence[CanvasItem]) -> list[CanvasLogits]:
        """One forward pass over all canvases, whatever contexts they stand in."""
        ...


class EmbeddedDenoiser(Denoiser):
    """A `SpanNetwork` with its tokenizer and an LRU of encoded contexts, bounded in bytes."""

    free_length = True

    def __init__(self, model: SpanNetwork, vocabulary: Vocabulary, name: str, device: str = "cpu") -> None:
        self.model = model.eval()
        torch.nn.Module.to(model, device)
        self.vocabulary, self.name, self.device = vocabulary, name, device
        self.parameters = sum(p.numel() for p in model.parameters())
        self.max_canvas = model.sizes.max_canvas
        self.max_prefix, self.max_suffix = model.sizes.max_prefix, model.sizes.max_suffix
        full = model.sizes.max_instruction + model.sizes.max_prefix + model.sizes.max_suffix
        # keys and values of every layer, four bytes each
        self._cache_bytes = CACHED_CONTEXTS * full * model.sizes.num_hidden_layers * 2 * model.sizes.hidden_size * 4
        self._contexts: OrderedDict[Context, KeyValues] = OrderedDict()
        self._bytes = 0
        self._pass_tokens = pass_tokens(device)
        # Never predicted: reserved tokens other than <del>.
        self._banned = torch.tensor([t for t in range(len(RESERVED)) if t != DEL], device=device)
        self._load_writer: Callable[[], Denoiser | None] | None = None
        self._writer: Denoiser | None = None

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> EmbeddedDenoiser:
        """Loads a model folder. Raises OSError, ValueError or SafetensorError when it is not one."""
        model = SpanNetwork.load(folder)
        vocabulary = Vocabulary.load(folder / "tokenizer.json")
        if vocabulary.size != model.sizes.vocab_size:
            raise ValueError(f"tokenizer.json has {vocabulary.size} tokens, the model {model.sizes.vocab_size}")
        loaded = cls(model, vocabulary, folder.name, device)
        model.pack(device)
        return loaded

    def write_with(self, load: Callable[[], Denoiser | None]) -> None:
        """`load` is called when there is first something to write: most edits mend."""
        self._load_writer = load

    @property
    def writer(self) -> Denoiser | None:
        if self._load_writer is not None:
            self._writer, self._load_writer = self._load_writer(), None
            if self._writer is not None:
                self.name += f" + {self._writer.name} of {self._writer.parameters / 1e6:.0f}M"
        return self._writer

    @torch.inference_mode()
    def warm(self, context: Context) -> None:
        self._encode(context)

    @torch.inference_mode()
    def denoise(self, items: Sequence[CanvasItem]) -> list[CanvasLogits]:
        return in_passes(items, self._writer, self._pass_tokens, self._pass)

    def _pass(self, items: Sequence[CanvasItem]) -> list[CanvasLogits]:
        """One forward pass. Items of one context must stand together."""
        together = [list(group) for _, group in groupby(items, lambda item: (item.context, item.rows is None))]
        groups = [self._group(group) for group in together]
        states = self.model.canvas_states(groups)
        sizes = [len(item.canvas if item.rows is None else item.rows) for item in items]
        if len(states) > sum(sizes):
            states = states[real_rows(sizes, groups)]
        tokens = self.model.token_logits(states).float()
        tokens[:, self._banned] = -torch.inf
        tokens = tokens.log_softmax(-1).cpu()
        inserts = self.model.insert_head(states).float().log_softmax(-1).cpu()
        return [CanvasLogits(t, i) for t, i in zip(tokens.split(sizes), inserts.split(sizes), strict=True)]

    def _group(self, items: Sequence[CanvasItem]) -> CanvasGroup:
        """Canvases of one context, padded to one length."""
        context = self._encode(items[0].context)
        ids = padded([item.canvas for item in items]).to(self.device)
        even = all(len(item.canvas) == ids.shape[1] for item in items)
        mask = None if even else (ids != PAD)[:, None, None, :]
        rows = None if items[0].rows is None else padded([item.rows or () for item in items]).to(self.device)
        return CanvasGroup(context, ids, mask, rows)

    def _encode(self, context: Context) -> KeyValues:
        found = self._contexts.get(context)
        if found is not None:
            self._contexts.move_to_end(context)
            return found
        ids, positions = context_row(context, self.model.sizes.canvas_start, self.model.sizes.suffix_start)
        encoded = self.model.encode_context(
            torch.tensor([ids], device=self.device), torch.tensor([positions], device=self.device), None
        )
        encoded = compact(encoded)
        self._contexts[context] = encoded
        self._bytes += key_value_bytes(encoded)
        while self._bytes > self._cache_bytes and len(self._contexts) > 1:
            self._bytes -= key_value_bytes(self._contexts.popitem(last=False)[1])
        return encoded


def in_passes(
    items: Sequence[CanvasItem],
    writer: Denoiser | None,
    most: int,
    evaluate: Callable[[Sequence[CanvasItem]], list[CanvasLogits]],
) -> list[CanvasLogits]:
    """Answers of the `writer` to items of ordered contexts; to the others those of `evaluate`, pass by pass of at most
    `most` tokens."""
    answers: list[CanvasLogits | None] = [None] * len(items)
    written = [i for i, item in enumerate(items) if item.context.ordered]
    if written and writer is not None:
        for place, logits in zip(written, writer.denoise([items[i] for i in written]), strict=True):
            answers[place] = logits
    for places in passes(items, most):
        for place, logits in zip(places, evaluate([items[i] for i in places]), strict=True):
            answers[place] = logits
    return cast("list[CanvasLogits]", answers)


def passes(items: Sequence[CanvasItem], most: int) -> Iterator[list[int]]:
    """Indices of those `items` that no writer answers, such as go well together side by side, in passes of at most
    `most` tokens or one canvas."""
    contexts = {context: i for i, context in enumerate(dict.fromkeys(item.context for item in items))}
    order = sorted(
        (i for i, item in enumerate(items) if not item.context.ordered),
        key=lambda i: (contexts[items[i].context], items[i].rows is None, len(items[i].canvas)),
    )
    taken: list[int] = []
    tokens = 0
    for i in order:
        tokens += len(items[i].canvas)
        if taken and tokens > most:
            yield taken
            taken, tokens = [], len(items[i].canvas)
        taken.append(i)
    if taken:
        yield taken


def padded(lists: Sequence[Sequence[int]]) -> Tensor:
    """`lists` as the rows of one table, filled up with zeros (<pad>)."""
    width = max(len(one) for one in lists)
    return torch.tensor([[*one, *[PAD] * (width - len(one))] for one in lists])


def real_rows(sizes: Sequence[int], groups: Sequence[CanvasGroup]) -> list[int]:
    """Places of the rows that are not padding: the first `sizes[i]` of canvas i."""
    widths = [(g.ids if g.rows is None else g.rows).shape[1] for g in groups for _ in range(len(g.ids))]
    starts = accumulate(widths, initial=0)
    return [start + row for start, size in zip(starts, sizes, strict=False) for row in range(size)]


def compact(encoded: KeyValues) -> KeyValues:
    """The same in one piece of memory. As the network made them, values are views that would keep the
    queries alive too: twice the bytes."""
    whole = torch.stack([torch.stack(pair) for pair in encoded.layers])
    return KeyValues([(pair[0], pair[1]) for pair in whole], encoded.mask)


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
