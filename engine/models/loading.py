"""Finds and loads the model to use."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from safetensors import SafetensorError

from engine.errors import EditError
from engine.models.denoiser import EmbeddedDenoiser

EMBEDDED = Path(__file__).resolve().parents[1] / "weights" / "small"


def load_denoiser(path: Path | None = None, device: str | None = None, threads: int | None = None) -> EmbeddedDenoiser:
    """The denoiser in folder `path`, or the embedded one. `device`: a torch device, default the GPU when
    there is one. `threads`: default one less than the cores beyond two, so the editor stays responsive.

    Raises EditError("model_unavailable") with the reason and the remedy."""
    folder = path or EMBEDDED
    torch.set_num_threads(threads or default_threads())
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if not (folder / "config.json").is_file():
        raise EditError(
            "model_unavailable", f"no model in {folder}: reinstall redraft, or set model.path to a model folder"
        )
    try:
        return EmbeddedDenoiser.load(folder, chosen)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise EditError(
            "model_unavailable", f"the model in {folder} cannot be loaded ({reason}): reinstall it"
        ) from error


def default_threads() -> int:
    cores = os.cpu_count() or 1
    return cores if cores <= 2 else min(cores - 1, 8)
