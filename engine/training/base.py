"""Turns the writer, a causal language model, into the base model: one network that still writes from left to right and
denoises spans in their context, both ways (`engine.training.documents`).

All weights are trained, and rounded to four bits in every forward pass as they are stored (straight-through estimates,
arXiv 1308.3432, section 4), so nothing is lost when they are packed. Same code on CPU and GPU; resumes.
"""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from engine.models.network import Rope, rotate
from engine.models.quantised import DEEPEST, GROUP, Packed
from engine.models.vocabulary import RESERVED
from engine.models.writer_network import KINDS, MAX_INSERT, NORMS, Arrays, WriterSizes, read_weights, vector
from engine.training.batches import IGNORE
from engine.training.checkpoints import load_state, save_state
from engine.training.documents import DocumentsConfig, DocumentStream
from engine.training.progress import Display
from engine.training.rows import Rows

LAYERS_PER_FILE = 8  # keeps each below 16 MiB
INSERT_WEIGHT = 0.5  # of the loss of insert counts
UNCHANGED = ("config.json", "tokenizer.json.gz")  # files of the writer


@dataclass(frozen=True, slots=True)
class BaseConfig:
    """`minutes` in all; the learning rate follows them. `asked`: share of documents that somebody asked for. `frozen`:
    layers, from the first on, that stay as they are; then the embedding does, too, and with half of the layers a token
    costs two thirds."""

    corpus: Path
    writer: Path
    out: Path
    minutes: float
    learning_rate: float = 5e-4
    warmup: float = 0.03
    weight_decay: float = 0.0
    rows: int = 128
    length: int = 512
    precision: str = "float32"
    compile: bool = False
    workers: int = 1
    log_every: int = 20
    save_every_s: float = 300
    asked: float = 0.44
    frozen: int = 0
    seed: int = 0


class BaseNetwork(nn.Module):
    """The writer's network, trainable, with the reserved tokens in front of its own and a head for insert counts."""

    def __init__(self, folder: Path, frozen: int = 0) -> None:
        super().__init__()
        self.sizes, arrays = WriterSizes.read(folder), read_weights(folder)
        self.rope = Rope(self.sizes.head, self.sizes.rope_theta)
        layers = range(self.sizes.layers)
        self.matrices = nn.ParameterDict(
            {f"{i}_{kind}": Packed.read(arrays, f"{i}.{kind}").weights() for i in layers for kind in KINDS}
        )
        self.norms = nn.ParameterDict(
            {f"{i}_{name}": vector(arrays, f"{i}.{name}") for i in layers for name in NORMS.values()}
        )
        own = Packed.read(arrays, "embedding").weights()
        reserved = own.mean(0) + 0.1 * own.std() * torch.randn(len(RESERVED), self.sizes.hidden)
        counts = torch.zeros(MAX_INSERT + 1, self.sizes.hidden)
        self.embedding = nn.Parameter(torch.cat((vector_or(arrays, "reserved", reserved), own)))
        self.norm = nn.Parameter(vector(arrays, "norm"))
        self.insert_weight = nn.Parameter(vector_or(arrays, "insert.weight", counts))
        self.insert_bias = nn.Parameter(vector_or(arrays, "insert.bias", counts[:, 0]))
        self.frozen = frozen
        self.embedding.requires_grad_(not frozen)
        for i in range(frozen):
            for kind in KINDS:
                self.matrices[f"{i}_{kind}"].requires_grad_(False)
            for name in NORMS.values():
                self.norms[f"{i}_{name}"].requires_grad_(False)
        self.layer: Callable[..., Tensor] = layer
        self.rounded: Callable[[Tensor], Tensor] = rounded

    def forward(self, rows: Rows, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Mean losses, nats: of the tokens to be told, of the insert counts."""
        reserved, own = self.embedding.split((len(RESERVED), self.sizes.vocab_size))
        embedding = torch.cat((reserved, own if self.frozen else self.rounded(own))).to(dtype)
        x = self.states(rows, embedding)
        told, counted = rows.labels != IGNORE, rows.inserts != IGNORE
        tokens = F.linear(x[told], embedding).float()
        inserts = F.linear(x[counted].float(), self.insert_weight, self.insert_bias)
        return mean_loss(tokens, rows.labels[told]), mean_loss(inserts, rows.inserts[counted])

    def states(self, rows: Rows, embedding: Tensor) -> Tensor:
        """Normalised last states [rows, length, hidden], in the precision of `embedding` [reserved and own, hidden]."""
        dtype = embedding.dtype
        x = F.embedding(rows.ids, embedding)
        cos, sin = (t[:, :, 0].to(dtype) for t in self.rope(rows.positions))
        mask = rows.allowed()
        for i in range(self.sizes.layers):
            matrices = [self.matrices[f"{i}_{kind}"] for kind in KINDS]
            weights = [(one if i < self.frozen else self.rounded(one)).to(dtype) for one in matrices]
            norms = [self.norms[f"{i}_{name}"] for name in NORMS.values()]
            x = self.layer(x, weights, norms, cos, sin, mask, self.sizes)
        return normed(x, self.norm, self.sizes.epsilon)

    def arrays(self) -> Arrays:
        """As the writer's weights are stored."""
        made: Arrays = {}
        for i in range(self.sizes.layers):
            for kind in KINDS:
                made.update(Packed.rounded(array(self.matrices[f"{i}_{kind}"])).arrays(f"{i}.{kind}"))
            for name in NORMS.values():
                made[f"{i}.{name}"] = array(self.norms[f"{i}_{name}"]).astype(np.float16)
        reserved, own = self.embedding.split((len(RESERVED), self.sizes.vocab_size))
        made.update(Packed.rounded(array(own)).arrays("embedding"))
        made["reserved"] = array(reserved).astype(np.float16)
        made["norm"] = array(self.norm).astype(np.float16)
        made["insert.weight"] = array(self.insert_weight).astype(np.float16)
        made["insert.bias"] = array(self.insert_bias).astype(np.float16)
        return made


def layer(
    x: Tensor, weights: list[Tensor], norms: list[Tensor], cos: Tensor, sin: Tensor, mask: Tensor, sizes: WriterSizes
) -> Tensor:
    """One layer, x [rows, length, hidden]; `mask` [rows, 1, length, length] is true where a token may look."""
    qkv, out, gate_up, down = weights
    each = F.linear(normed(x, norms[0], sizes.epsilon), qkv).unflatten(-1, (-1, sizes.head))
    turned, v = each.split((sizes.heads + sizes.key_heads, sizes.key_heads), dim=2)
    q, k = rotate(turned, cos, sin).split((sizes.heads, sizes.key_heads), dim=2)
    shared = sizes.heads // sizes.key_heads
    k, v = (t.repeat_interleave(shared, dim=2) for t in (k, v))
    attended = F.scaled_dot_product_attention(*(t.transpose(1, 2) for t in (q, k, v)), attn_mask=mask)
    x = x + F.linear(attended.transpose(1, 2).flatten(2), out)
    gate, up = F.linear(normed(x, norms[1], sizes.epsilon), gate_up).chunk(2, dim=-1)
    return x + F.linear(F.silu(gate) * up, down)


def normed(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    wide = x.float()
    return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon) * weight).to(x.dtype)


def mean_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Zero where there is nothing to be told."""
    return F.cross_entropy(logits, labels, reduction="sum") / max(1, len(labels))


def rounded(weights: Tensor) -> Tensor:
    """`weights` as `Packed.rounded` stores them; gradients pass through."""
    w = weights.detach()
    groups = w.view(len(w), -1, GROUP)
    low = groups.amin(-1).clamp(max=0)
    scale = (groups.amax(-1) - low) / 15
    codes = torch.round((groups - low[..., None]) / scale.clamp(min=1e-8)[..., None]).clamp(0, 15)
    log = scale.clamp(min=1e-8).log()
    least, most = log.min(), log.max()
    steps = torch.round(255 * (log - least) / (most - least).clamp(min=1e-8))
    depth = torch.round(255 * ((-low / scale.clamp(min=1e-8)).clamp(0, DEEPEST) / DEEPEST))
    stored = torch.exp(least + steps / 255 * (most - least))
    made = (codes - (depth / 255 * DEEPEST)[..., None]) * stored[..., None]
    return weights + (made.flatten(1) - w)


def vector_or(arrays: Arrays, name: str, default: Tensor) -> Tensor:
    return vector(arrays, name) if name in arrays else default


def array(parameter: Tensor) -> np.ndarray:
    return parameter.detach().float().cpu().numpy()


def train_base(config: BaseConfig) -> None:
    """Runs until `minutes` are spent or it is interrupted; resumes from the last state in `out`.

    Raises CheckpointError when that is damaged."""
    config.out.mkdir(parents=True, exist_ok=True)
    run = BaseRun(config)
    before = signal.signal(signal.SIGTERM, run.stop)
    documents = DocumentsConfig(config.corpus, config.writer, config.asked, config.rows, config.length, config.seed)
    loader = DataLoader(
        DocumentStream(documents, run.step),
        batch_size=None,
        num_workers=config.workers,
        prefetch_factor=4 if config.workers else None,
    )
    with run.display:
        for rows in loader if not run.finished else ():
            run.advance(rows.to(run.device))
            if run.finished:
                break
    run.save()
    signal.signal(signal.SIGTERM, before)


class BaseRun:
    """State of a run: network, optimiser, step, elapsed time, log."""

    def __init__(self, config: BaseConfig) -> None:
        torch.manual_seed(config.seed)
        self.config = config
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.dtype = torch.bfloat16 if config.precision == "bfloat16" else torch.float32
        self.network = BaseNetwork(config.writer, config.frozen).to(self.device)
        if config.compile:
            self.network.layer, self.network.rounded = torch.compile(layer), torch.compile(rounded)
        fused = self.device.type == "cuda"
        trained = [one for one in self.network.parameters() if one.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, betas=(0.9, 0.98), weight_decay=config.weight_decay, fused=fused)
        self.step, self.tokens, self.elapsed = 0, 0, 0.0
        self.log: list[dict[str, float]] = []
        self.stopped = False
        self.resume()
        self.clock = self.saved = time.monotonic()
        self.window: list[Tensor] = []
        self.display = Display("base", quiet=False)

    @property
    def progress(self) -> float:
        return self.elapsed / (60 * self.config.minutes)

    @property
    def finished(self) -> bool:
        return self.stopped or self.progress >= 1

    @property
    def rate(self) -> float:
        """Of learning: it warms up, then falls linearly to nothing."""
        return self.config.learning_rate * max(0.0, min(self.progress / self.config.warmup, 1 - self.progress))

    def stop(self, *_: object) -> None:
        """Ends the run after the present step; a signal handler."""
        self.stopped = True

    def advance(self, rows: Rows) -> None:
        """One step."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate
        token, insert = self.network(rows, self.dtype)
        (token + INSERT_WEIGHT * insert).backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.window.append(torch.stack((token, insert)).detach())
        self.step, self.tokens = self.step + 1, self.tokens + rows.ids.numel()
        if self.step % 4 == 0 and self.device.type == "cuda":
            torch.cuda.synchronize()  # else the clock runs ahead of the work
        now = time.monotonic()
        self.elapsed, self.clock = self.elapsed + now - self.clock, now
        if self.step % self.config.log_every == 0:
            self.report()
        if now - self.saved > self.config.save_every_s:
            self.save()
            self.saved = self.clock = time.monotonic()

    def report(self) -> None:
        token, insert = torch.stack(self.window).mean(0).tolist()
        self.window.clear()
        row = {"step": self.step, "loss": token + INSERT_WEIGHT * insert, "token": token, "insert": insert}
        self.log.append({**row, "tokens": self.tokens, "minutes": self.elapsed / 60})
        self.display.show(self.progress, row, self.tokens / self.elapsed)

    def save(self) -> None:
        """The model folder as it is shipped, and what resuming needs, that whole or not at all."""
        out = self.config.out
        for name in UNCHANGED:
            shutil.copyfile(self.config.writer / name, out / name)
        write_weights(self.network.arrays(), out)
        (out / "log.json").write_text(json.dumps({"config": asdict(self.config), "log": self.log}, default=str))
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "tokens": self.tokens,
            "elapsed": self.elapsed,
            "log": self.log,
        }
        save_state(state, out, self.step)

    def resume(self) -> None:
        state = load_state(self.config.out, self.device)
        if state is None:
            return
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.tokens, self.elapsed, self.log = state["step"], state["tokens"], state["elapsed"], state["log"]


def write_weights(arrays: Arrays, folder: Path) -> None:
    """In files of less than 16 MiB."""
    layer_of = {name: int(name.split(".")[0]) for name in arrays if name[0].isdigit()}
    files: dict[int, dict[str, Any]] = {}
    for name, one in arrays.items():
        number = layer_of.get(name, max(layer_of.values())) // LAYERS_PER_FILE
        files.setdefault(number, {})[name] = one
    for number, part in files.items():
        np.savez_compressed(folder / f"weights-{number + 1}.npz", **part)
