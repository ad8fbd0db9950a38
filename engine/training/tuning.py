"""Tunes the writer to edit as asked: low-rank updates of its matrices (LoRA, arXiv 2106.09685, section 4.1), learned on
`engine.training.asked`; what is stored and packed stays as it is.

On two CPU cores some 150 tokens a second. Resumes from its last state.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from engine.models.network import Rope, rotate
from engine.models.quantised import Packed
from engine.models.updates import Updates
from engine.models.writer import Writer
from engine.models.writer_network import KINDS, WriterSizes, matrix, read_weights, vector
from engine.training.asked import Asked, Example
from engine.training.checkpoints import load_state, save_state
from engine.training.progress import Display

POOL = 256  # examples that are sorted by length
UNSEEN = -100  # label of tokens that are not learned


@dataclass(frozen=True, slots=True)
class TuneConfig:
    """`minutes` in all; the learning rate falls with them."""

    corpus: Path
    writer: Path
    out: Path
    minutes: float
    rank: int = 8
    kept: int = 5  # of the directions of an update, the strongest, for the weights are to stay below 70 MB
    first_layer: int = 4  # those below stay, and need no gradients
    learning_rate: float = 1e-3
    warmup: float = 0.04
    batch_tokens: int = 1600
    log_every: int = 10
    save_every_s: float = 300
    seed: int = 0


class Tuned(nn.Module):
    """The writer's network with updates `up @ down` [out, in] of its matrices."""

    def __init__(self, folder: Path, rank: int, first_layer: int) -> None:
        super().__init__()
        self.sizes, self.first = WriterSizes(), first_layer
        arrays = read_weights(folder)
        layers = range(self.sizes.layers)
        self.matrices = {f"{i}.{kind}": matrix(arrays, i, kind) for i in layers for kind in KINDS}
        self.embedding = Packed.read(arrays, "embedding").weights()
        self.head = self.embedding * vector(arrays, "norm")
        self.rope = Rope(self.sizes.head, self.sizes.rope_theta)
        self.downs, self.ups = nn.ParameterDict(), nn.ParameterDict()  # [rank, in], [out, rank]
        for name, weights in self.matrices.items():
            if int(name.split(".")[0]) >= first_layer:
                key = name.replace(".", "_")
                self.downs[key] = nn.Parameter(torch.randn(rank, weights.shape[1]) / weights.shape[1] ** 0.5)
                self.ups[key] = nn.Parameter(torch.zeros(weights.shape[0], rank))

    def forward(self, ids: Tensor, labels: Tensor) -> Tensor:
        """The sum of the losses, nats, of `labels` [n, length] behind `ids` [n, length]."""
        x = self.embedding[ids]
        cos, sin = (t[:, :, 0] for t in self.rope(torch.arange(ids.shape[1])[None]))
        for i in range(self.sizes.layers):
            x = x + self.linear(i, "out", self.attend(self.linear(i, "qkv", self.normed(x)), cos, sin))
            gate, up = self.linear(i, "gate_up", self.normed(x)).chunk(2, dim=-1)
            x = x + self.linear(i, "down", F.silu(gate) * up)
        wanted = labels != UNSEEN
        return F.cross_entropy(F.linear(self.normed(x)[wanted], self.head), labels[wanted], reduction="sum")

    def linear(self, layer: int, name: str, x: Tensor) -> Tensor:
        y, key = F.linear(x, self.matrices[f"{layer}.{name}"]), f"{layer}_{name}"
        return y + F.linear(F.linear(x, self.downs[key]), self.ups[key]) if key in self.downs else y

    def normed(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (self.sizes.hidden,), eps=self.sizes.epsilon)

    def attend(self, qkv: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        heads, keys = self.sizes.heads, self.sizes.key_heads
        each = qkv.unflatten(-1, (heads + 2 * keys, self.sizes.head))
        rotated = rotate(each[:, :, : heads + keys], cos, sin)
        q, k, v = (
            t.transpose(1, 2) for t in (rotated[:, :, :heads], rotated[:, :, heads:], each[:, :, heads + keys :])
        )
        k, v = (t.repeat_interleave(heads // keys, dim=1) for t in (k, v))
        return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)

    def updates(self, kept: int) -> Updates:
        """The `kept` strongest directions of what was learned so far."""
        layers = range(self.first, self.sizes.layers)
        keys = {kind: [f"{i}_{kind}" for i in layers] for kind in KINDS}
        pairs = {
            kind: [strongest(self.downs[key].detach(), self.ups[key].detach(), kept) for key in keys[kind]]
            for kind in KINDS
        }
        return Updates(pairs, self.sizes.layers)


def strongest(down: Tensor, up: Tensor, kept: int) -> tuple[Tensor, Tensor]:
    """`down` [rank, in] and `up` [out, rank] as [kept, in] and [kept, out]: the singular directions of their product
    that matter most."""
    (left, a), (right, b) = torch.linalg.qr(up), torch.linalg.qr(down.T)
    u, values, v = torch.linalg.svd(a @ b.T)
    root = values[:kept].sqrt()
    return (right @ v[:kept].T * root).T, (left @ u[:, :kept] * root).T


def batches(examples: Iterator[Example], tokens: int, rng: Random) -> Iterator[list[Example]]:
    """Examples of like length together, `tokens` with padding at most."""
    while True:
        pool = sorted((next(examples) for _ in range(POOL)), key=lambda example: len(example.ids))
        made: list[list[Example]] = [[]]
        for example in pool:
            if len(example.ids) * (len(made[-1]) + 1) > tokens:
                made.append([])
            made[-1].append(example)
        rng.shuffle(made)
        yield from made


def padded(batch: list[Example]) -> tuple[Tensor, Tensor]:
    """Ids and labels, [n, length] each."""
    ids = [torch.tensor(example.ids) for example in batch]
    labels = [torch.tensor([UNSEEN] * (e.answer - 1) + e.ids[e.answer :] + [UNSEEN]) for e in batch]
    return pad_sequence(ids, batch_first=True), pad_sequence(labels, batch_first=True, padding_value=UNSEEN)


def tune(config: TuneConfig) -> None:
    """Runs until `minutes` are spent or it is interrupted; resumes from the last state in `out`.

    Raises CheckpointError when that is damaged."""
    config.out.mkdir(parents=True, exist_ok=True)
    run = Tuning(config)
    before = signal.signal(signal.SIGTERM, run.stop)
    with run.display:
        for batch in run.batches():
            if run.finished:
                break
            run.advance(batch)
    run.save()
    signal.signal(signal.SIGTERM, before)


class Tuning:
    """State of a run: updates, optimiser, step, elapsed time."""

    def __init__(self, config: TuneConfig) -> None:
        torch.manual_seed(config.seed)
        self.config = config
        self.model = Tuned(config.writer, config.rank, config.first_layer)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), betas=(0.9, 0.98))
        self.step, self.tokens, self.elapsed = 0, 0, 0.0
        self.stopped = False
        self.resume()
        self.clock = self.saved = time.monotonic()
        self.losses: list[float] = []
        self.display = Display("writer", quiet=False)

    @property
    def progress(self) -> float:
        return self.elapsed / (60 * self.config.minutes)

    @property
    def finished(self) -> bool:
        return self.stopped or self.progress >= 1

    def stop(self, *_: object) -> None:
        """Ends the run after the present step; a signal handler."""
        self.stopped = True

    def batches(self) -> Iterator[list[Example]]:
        rng = Random(self.config.seed * 1_000_003 + self.step)
        examples = iter(Asked(self.config.corpus, Writer.load(self.config.writer), rng))
        return batches(examples, self.config.batch_tokens, rng)

    def advance(self, batch: list[Example]) -> None:
        """One step. The rate warms up, then falls linearly to nothing."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * min(self.progress / self.config.warmup, 1 - self.progress)
        ids, labels = padded(batch)
        loss = self.model(ids, labels) / sum(len(example.ids) - example.answer for example in batch)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        now = time.monotonic()
        self.step, self.tokens = self.step + 1, self.tokens + sum(len(example.ids) for example in batch)
        self.elapsed, self.clock = self.elapsed + now - self.clock, now
        self.losses.append(loss.item())
        if self.step % self.config.log_every == 0:
            row = {"step": self.step, "loss": sum(self.losses) / len(self.losses)}
            self.display.show(self.progress, row, self.tokens / self.elapsed)
            self.losses.clear()
        if now - self.saved > self.config.save_every_s:
            self.save()
            self.saved = self.clock = time.monotonic()

    def save(self) -> None:
        """What was learned, as it is shipped, and what resuming needs, that whole or not at all."""
        self.model.updates(self.config.kept).write(self.config.out)
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "tokens": self.tokens,
            "elapsed": self.elapsed,
        }
        save_state(state, self.config.out, self.step)

    def resume(self) -> None:
        state = load_state(self.config.out, torch.device("cpu"))
        if state is None:
            return
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.tokens, self.elapsed = state["step"], state["tokens"], state["elapsed"]
