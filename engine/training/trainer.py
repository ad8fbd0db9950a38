"""One curriculum stage: the loop, the optimisers, the checkpoints. Same code on CPU and GPU.

The loss is the cross-entropy of every canvas position, masked or visible (Seed Diffusion,
arXiv 2508.02193, section 3.1: the model must never learn that a visible token is right), plus that
of the insert counts.
"""

from __future__ import annotations

import json
import signal
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from engine.models.span_denoiser import SpanDenoiser, SpanDenoiserConfig
from engine.models.vocabulary import PAD
from engine.training.stream import IGNORE, Batch, StreamConfig, TrainingStream


@dataclass(frozen=True, slots=True)
class StageConfig:
    """`steps` or `minutes`, whichever ends first; the learning rate follows that progress."""

    name: str
    stream: StreamConfig
    out: Path
    init: Path | None = None  # model folder the stage starts from; None: random weights
    model: dict[str, Any] = field(default_factory=dict[str, Any])
    steps: int = 10_000
    minutes: float = 1e9
    learning_rate: float = 0.02  # of the matrices (Muon); embeddings and vectors take `adam_rate`
    adam_rate: float = 0.003
    weight_decay: float = 0.01
    warmup: float = 0.02  # shares of the run: warm up, stay, then decay linearly over `decay`
    decay: float = 0.5
    accumulate: int = 1
    ema: float = 0.998
    precision: str = "float32"
    compile: bool = False
    log_every: int = 50
    save_every_s: float = 300
    workers: int = 1
    threads: int | None = None
    seed: int = 0


def train(config: StageConfig) -> None:
    """Runs the stage to its end, or until interrupted; resumes from `out/state.pt` when it is there."""
    torch.manual_seed(config.seed)
    if config.threads:
        torch.set_num_threads(config.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    run = Run(config, device)
    signal.signal(signal.SIGTERM, run.stop)
    config.out.mkdir(parents=True, exist_ok=True)
    stream = TrainingStream(config.stream, run.model.config, start=run.step)
    loader = DataLoader(
        stream, batch_size=None, num_workers=config.workers, prefetch_factor=8 if config.workers else None
    )
    for batch in loader:
        run.advance(batch.to(device))
        if run.finished:
            break
    run.save()


class Run:
    """State of a training run: model, average, optimisers, step, elapsed time, log."""

    def __init__(self, config: StageConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        self.model = initial_model(config)
        nn.Module.to(self.model, device)
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.optimizers = make_optimizers(self.model, config)
        self.step, self.elapsed, self.tokens = 0, 0.0, 0
        self.log: list[dict[str, float]] = []
        self.stopped = False
        self.resume()
        self.loss = torch.compile(span_loss) if config.compile else span_loss
        self.clock = self.saved = time.monotonic()
        self.window: list[Tensor] = []

    @property
    def progress(self) -> float:
        return max(self.step / self.config.steps, self.elapsed / (60 * self.config.minutes))

    @property
    def finished(self) -> bool:
        return self.stopped or self.progress >= 1

    def stop(self, *_: object) -> None:
        """Ends the run after the present step; a signal handler."""
        self.stopped = True

    def advance(self, batch: Batch) -> None:
        """One micro-batch; an optimiser step every `accumulate` of them."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16"):
            loss, token_loss, insert_loss = self.loss(self.model, batch)
        (loss / self.config.accumulate).backward()
        self.window.append(torch.stack((loss, token_loss, insert_loss)).detach())
        self.tokens += int(batch.canvas_ids.numel()) + (0 if batch.context_ids is None else batch.context_ids.numel())
        self.step += 1
        if self.step % self.config.accumulate == 0:
            self.update()
        now = time.monotonic()
        self.elapsed += now - self.clock
        self.clock = now
        if self.step % self.config.log_every == 0:
            self.report()
        if now - self.saved > self.config.save_every_s:
            self.save()
            self.saved = self.clock = time.monotonic()

    def update(self) -> None:
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * schedule(self.progress, self.config)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        for name, value in self.model.state_dict().items():
            self.average[name].lerp_(value, 1 - decay)

    def report(self) -> None:
        total, token, insert = torch.stack(self.window).mean(0).tolist()
        self.window.clear()
        row = {
            "step": self.step,
            "tokens": self.tokens,
            "minutes": self.elapsed / 60,
            "loss": total,
            "token": token,
            "insert": insert,
        }
        self.log.append(row)
        rate = self.tokens / max(self.elapsed, 1e-9)
        done = f"{self.config.name} {self.progress:6.1%} step {self.step}"
        print(f"{done} loss {total:.3f} (token {token:.3f} insert {insert:.3f}) {rate:,.0f} tokens/s", flush=True)

    def save(self) -> None:
        """The averaged model as a model folder, and what resuming needs; each written whole or not at all."""
        out = self.config.out
        shipped = SpanDenoiser(self.model.config)
        shipped.load_state_dict(self.average)
        shipped.save_pretrained(out)
        (out / "tokenizer.json").write_bytes((self.config.stream.corpus / "tokenizer.json").read_bytes())
        (out / "log.json").write_text(json.dumps({"config": asdict(self.config), "log": self.log}, default=str))
        state = {
            "model": self.model.state_dict(),
            "average": self.average,
            "optimizers": [o.state_dict() for o in self.optimizers],
            "step": self.step,
            "elapsed": self.elapsed,
            "tokens": self.tokens,
            "log": self.log,
        }
        torch.save(state, out / "state.pt.part")
        (out / "state.pt.part").replace(out / "state.pt")

    def resume(self) -> None:
        path = self.config.out / "state.pt"
        if not path.exists():
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average = state["average"]
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.step, self.elapsed, self.tokens, self.log = state["step"], state["elapsed"], state["tokens"], state["log"]


def initial_model(config: StageConfig) -> SpanDenoiser:
    if config.init:
        return SpanDenoiser.from_pretrained(config.init, dtype=torch.float32)
    tokenizer = json.loads((config.stream.corpus / "tokenizer.json").read_text())
    return SpanDenoiser(SpanDenoiserConfig(vocab_size=len(tokenizer["model"]["vocab"]), **config.model))


def make_optimizers(model: nn.Module, config: StageConfig) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the blocks, AdamW for embeddings, norms and biases."""
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and n.startswith("blocks.")]
    others = [p for n, p in model.named_parameters() if not (p.ndim == 2 and n.startswith("blocks."))]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.Muon(matrices, lr=config.learning_rate, weight_decay=config.weight_decay),
        torch.optim.AdamW(others, lr=config.adam_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    return optimizers


def schedule(progress: float, config: StageConfig) -> float:
    """Warm up, stay, decay (arXiv 2404.06395, section 4); multiplies the learning rates."""
    if progress < config.warmup:
        return progress / config.warmup + 1e-3
    return min(1.0, max(0.02, (1 - progress) / config.decay))


def span_loss(model: SpanDenoiser, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Token cross-entropy over a draw by `weights`, plus insert cross-entropy; (sum, token, insert), scalars."""
    context = None
    canvas_mask = None
    if batch.context_ids is not None:
        assert batch.context_positions is not None
        context = model.encode_context(batch.context_ids, batch.context_positions, batch.context_ids != PAD)
        context = context.repeat(batch.canvases)
        canvas_mask = batch.canvas_ids != PAD
    hidden = model.hidden(batch.canvas_ids, canvas_mask, context)
    live = torch.rand_like(batch.weights) < batch.weights  # a draw costs less than a weight: fewer logits
    token = F.cross_entropy(model.token_logits(hidden[live]).float(), batch.tokens[live])
    inserts = model.insert_head(hidden).flatten(0, 1).float()
    insert = F.cross_entropy(inserts, batch.inserts.flatten(), ignore_index=IGNORE)
    return token + 2 * insert, token.detach(), insert.detach()
