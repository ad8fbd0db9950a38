"""One curriculum stage: the loop, the optimisers, the checkpoints. Same code on CPU and GPU, for one process
or several."""

from __future__ import annotations

import json
import signal
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from engine.models.span_denoiser import ARTwinConfig, ARTwinModel, SpanDenoiser, SpanDenoiserConfig
from engine.training.batches import Batch
from engine.training.checkpoints import load_state, save_state
from engine.training.examples import StreamConfig
from engine.training.losses import span_loss, twin_loss
from engine.training.processes import Processes
from engine.training.progress import Display
from engine.training.stream import Place, TrainingStream
from engine.training.trajectories import TrajectoryConfig, TrajectoryStream


@dataclass(frozen=True, slots=True)
class StageConfig:
    """`steps`, `minutes` or `tokens`, whichever ends first; the learning rate follows that progress."""

    name: str
    stream: StreamConfig
    out: Path
    init: Path | None = None  # model folder the stage starts from; None: random weights
    model: dict[str, Any] = field(default_factory=dict[str, Any])
    trajectories: TrajectoryConfig | None = None  # of the stages order and onpolicy
    twin: bool = False  # train the autoregressive twin on the same examples
    steps: int = 10_000
    minutes: float = 1e9
    tokens: float = 1e15  # read in training; those read forward only, to make trajectories, count a third
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
    """Runs the stage to its end, or until interrupted; resumes from the last checkpoint in `out`.

    Raises CheckpointError when that is damaged."""
    if config.threads:
        torch.set_num_threads(config.threads)
    run = Run(config, Processes())
    before = signal.signal(signal.SIGTERM, run.stop)
    config.out.mkdir(parents=True, exist_ok=True)
    with run.display:
        for batch in loader(run) if not run.finished else ():
            run.advance(batch.to(run.processes.device))
            if run.finished:
                break
    run.save()
    run.processes.end()
    signal.signal(signal.SIGTERM, before)


def loader(run: Run) -> DataLoader[Batch]:
    """The batches from the run's present step on."""
    config = run.config
    place = Place(run.step, run.processes.rank)
    stream: IterableDataset[Batch] = TrainingStream(config.stream, run.model.config, place)
    workers = config.workers
    if config.trajectories:  # made by the model as it is at that step, so in this process
        stream, workers = TrajectoryStream(config.stream, config.trajectories, run.model, place), 0
    return DataLoader(stream, batch_size=None, num_workers=workers, prefetch_factor=8 if workers else None)


class Run:
    """State of a training run: model, average, optimisers, step, elapsed time, log."""

    def __init__(self, config: StageConfig, processes: Processes) -> None:
        torch.manual_seed(config.seed)
        self.config, self.processes = config, processes
        self.model = initial_model(config)
        nn.Module.to(self.model, processes.device)
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.optimizers = make_optimizers(self.model, config)
        self.step, self.elapsed, self.tokens = 0, 0.0, 0
        self.log: list[dict[str, float]] = []
        self.stopped = False
        self.resume()
        loss = twin_loss if isinstance(self.model, ARTwinModel) else span_loss
        self.loss = torch.compile(loss) if config.compile else loss
        self.clock = self.saved = time.monotonic()
        self.window: list[Tensor] = []
        self.display = Display(config.name, quiet=not processes.leads)

    @property
    def progress(self) -> float:
        c = self.config
        return max(self.step / c.steps, self.elapsed / (60 * c.minutes), self.tokens / c.tokens)

    @property
    def finished(self) -> bool:
        return self.stopped or self.progress >= 1

    def stop(self, *_: object) -> None:
        """Ends the run after the present step; a signal handler."""
        self.stopped = True

    def advance(self, batch: Batch) -> None:
        """One micro-batch; an optimiser step every `accumulate` of them."""
        # The draws of a step must not depend on where the run was resumed.
        torch.manual_seed((self.config.seed * 1_000_003 + self.step) * self.processes.count + self.processes.rank)
        device = self.processes.device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.config.precision == "bfloat16"):
            loss, token_loss, insert_loss = self.loss(self.model, batch)
        (loss / self.config.accumulate).backward()
        self.window.append(torch.stack((loss, token_loss, insert_loss)).detach())
        read = int(batch.canvas_ids.numel()) + (0 if batch.context_ids is None else batch.context_ids.numel())
        self.tokens += (read + batch.spent // 3) * self.processes.count
        self.step += 1
        if self.step % self.config.accumulate == 0:
            self.update()
        self.tell_time()
        if self.step % self.config.log_every == 0:
            self.report()
        if self.clock - self.saved > self.config.save_every_s:
            self.save()
            self.saved = self.clock = time.monotonic()

    def tell_time(self) -> None:
        """Time and the wish to stop must be the same in all processes, for they must end together."""
        now = time.monotonic()
        elapsed, stopped = self.processes.mean([self.elapsed + now - self.clock, float(self.stopped)])
        self.elapsed, self.stopped, self.clock = elapsed, stopped > 0, now

    def update(self) -> None:
        self.processes.average(self.model.parameters())
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
        self.display.show(self.progress, row, self.tokens / max(self.elapsed, 1e-9))

    def save(self) -> None:
        """The averaged model as a model folder, and what resuming needs; each written whole or not at all."""
        if not self.processes.leads:
            return
        out = self.config.out
        shipped = type(self.model)(self.model.config)
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
        save_state(state, out, self.step)

    def resume(self) -> None:
        state = load_state(self.config.out, self.processes.device)
        if state is None:
            return
        self.model.load_state_dict(state["model"])
        self.average = state["average"]
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.step, self.elapsed, self.tokens, self.log = state["step"], state["elapsed"], state["tokens"], state["log"]


def initial_model(config: StageConfig) -> SpanDenoiser:
    kind, sizes = (ARTwinModel, ARTwinConfig) if config.twin else (SpanDenoiser, SpanDenoiserConfig)
    if config.init:
        return kind.from_pretrained(config.init, dtype=torch.float32)
    tokenizer = json.loads((config.stream.corpus / "tokenizer.json").read_text())
    return kind(sizes(vocab_size=len(tokenizer["model"]["vocab"]), **config.model))


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
