"""What a training run shows: a bar on a terminal, a line per report elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Display:
    """Used as a context, so that the terminal is given back whatever happens."""

    def __init__(self, stage: str, quiet: bool) -> None:
        self.stage, self.quiet = stage, quiet
        self.console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        self.bar = Progress(*columns, console=self.console, disable=quiet or not self.console.is_terminal)
        self.task = self.bar.add_task(stage, total=1.0)

    def __enter__(self) -> Display:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def show(self, progress: float, row: Mapping[str, float], rate: float) -> None:
        """`row`: a line of the log, with losses and what they are sums of; `rate`: tokens per second."""
        parts = " ".join(f"{name} {row[name]:.3f}" for name in ("token", "insert") if name in row)
        losses = f"loss {row['loss']:.3f}{parts and f' ({parts})'}"
        text = f"{self.stage} step {row['step']} {losses} {rate:,.0f} tokens/s"
        if self.console.is_terminal:
            self.bar.update(self.task, completed=progress, description=text)
        elif not self.quiet:
            print(f"{progress:6.1%} {text}", flush=True)
