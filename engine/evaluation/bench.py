"""What all benchmarks share: their options, the choice of cases, one edit, reports as JSON.

A benchmark `x` has two entrances: `run_x(data, options, ...)` reads the records, loads the model and
measures (what `redraft bench x` calls), and `measure_x(cases, denoiser, ...)` measures a model that is
already in memory (what training calls). Both return a frozen report; `as_json` makes it printable.
Must not import torch at module level, so that the command line starts fast.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from engine.messages import EditRequest, EditResult
    from engine.models.ar_twin import ARTwin
    from engine.models.denoiser import Denoiser

    Editor = Denoiser | ARTwin

Progress = Callable[[int, int], None]  # (cases done, cases in all), after every case
Case = TypeVar("Case")


class EvaluationError(Exception):
    """A benchmark that cannot be run; one line that names the remedy."""


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """How to run a benchmark, whatever it measures."""

    model: Path | None = None  # model folder; None: the embedded model
    device: str | None = None  # torch device; None: the GPU when there is one
    threads: int | None = None  # torch threads; None: the engine's default
    limit: int | None = None  # at most this many cases, drawn by `seed`; None: all
    seed: int = 0
    out: Path | None = None  # one JSON line per case goes there, candidates included
    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which model was measured, on what."""

    name: str
    parameters: int
    device: str
    threads: int


def load_model(options: BenchOptions) -> Editor:
    """The model to measure: a denoiser, or its autoregressive twin. Raises EditError("model_unavailable")."""
    from engine.models.ar_twin import is_twin

    return load_twin(options) if options.model and is_twin(options.model) else load_denoiser(options)


def load_twin(options: BenchOptions) -> ARTwin:
    import torch
    from safetensors import SafetensorError

    from engine.errors import EditError
    from engine.models.ar_twin import ARTwin

    assert options.model
    torch.set_num_threads(options.threads or torch.get_num_threads())
    try:
        return ARTwin.load(options.model, options.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise EditError("model_unavailable", f"the twin in {options.model} cannot be loaded: {error}") from error


def load_denoiser(options: BenchOptions) -> Denoiser:
    """Raises EditError("model_unavailable")."""
    from engine.models.loading import load_denoiser

    return load_denoiser(options.model, options.device, options.threads)


def describe_model(denoiser: Editor) -> ModelInfo:
    import torch

    return ModelInfo(denoiser.name, denoiser.parameters, denoiser.device, torch.get_num_threads())


def choose(cases: Sequence[Case], options: BenchOptions) -> list[Case]:
    """All cases, or `limit` of them drawn by `seed`, in the order of the file."""
    if options.limit is not None and options.limit < 1:
        raise EvaluationError(f"the limit is {options.limit}: it must be at least 1")
    if options.limit is None or options.limit >= len(cases):
        return list(cases)
    kept = sorted(Random(options.seed).sample(range(len(cases)), options.limit))
    return [cases[i] for i in kept]


def edit(request: EditRequest, denoiser: Editor) -> EditResult | None:
    """One edit in this process; None when the engine refuses the request (region too large, not text).

    Raises EditError for anything that is not the request's fault."""
    from engine.editing import edit_session, run_session
    from engine.errors import EditError
    from engine.evaluation.twin_edit import edit_by_twin
    from engine.models.ar_twin import ARTwin

    try:
        if isinstance(denoiser, ARTwin):
            return edit_by_twin(request, denoiser)
        return run_session(edit_session(request, denoiser), denoiser)
    except EditError as error:
        if error.code in ("bad_request", "too_large"):
            return None
        raise


def warm_up(denoiser: Editor) -> None:
    """One edit that is not counted: the first forward pass of a process is slower than all later ones."""
    from engine.messages import EditRequest

    edit(EditRequest("fix", "def f(x):\n", "    return (x\n", "\n\nprint(f(1))\n", candidates=1), denoiser)


def write_rows(rows: Iterable[Any], path: Path | None) -> None:
    """One JSON line per row (frozen dataclasses). Raises EvaluationError when the file cannot be written."""
    if path is None:
        return
    try:
        with path.open("w", encoding="utf-8") as stream:
            stream.writelines(json.dumps(asdict(row)) + "\n" for row in rows)
    except OSError as error:
        raise EvaluationError(f"cannot write {path}: {error.strerror}") from error


def as_json(report: Any) -> dict[str, Any]:
    """A report as plain dicts, lists, strings, numbers and None."""
    return asdict(report)
