"""Finds and loads the model to use: a folder's kind is told from its config.json."""

from __future__ import annotations

import functools
import logging
import os
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError

from engine.errors import EditError
from engine.models.choice import ModelChoice, read_choice
from engine.models.denoiser import Denoiser, EmbeddedDenoiser
from engine.models.http import HttpModel, Model
from engine.models.room import check_room, no_room

EMBEDDED = Path(__file__).resolve().parents[1] / "weights" / "small"
Kind = Literal["embedded", "masked-lm", "diffusion-gemma", "remote-code"]
NO_MEMORY = ("can't allocate", "cannot allocate", "out of memory")  # as torch, the kernel and CUDA say it
logger = logging.getLogger("redraft.engine")


def load_model(path: Path | None = None, device: str | None = None, threads: int | None = None) -> Model:
    """The model in folder `path`, or the user's choice. When the choice cannot be loaded and allows it, the
    embedded model, with the reason in the log.

    Raises EditError("model_unavailable" or "out_of_memory") with the reason and the remedy."""
    choice = read_choice()
    if path and str(path) != choice.path:
        choice = ModelChoice(path=str(path), fallback=False)
    try:
        model = load_choice(choice, device, threads)
    except EditError as error:
        if not choice.fallback or not (choice.path or choice.url):
            raise
        logger.warning("%s; using the embedded model", error.message)
        fallback = load_embedded(device, threads)
        fallback.name = f"{fallback.name} (instead of {choice.model or choice.path or choice.url})"
        fallback.fallback = f"the embedded model stands in: {error.message}"
        return fallback
    if isinstance(model, HttpModel) and choice.fallback:
        model.stand_in = functools.cache(lambda: load_embedded(device, threads))
    return model


def load_embedded(device: str | None = None, threads: int | None = None) -> Denoiser:
    model = load_choice(ModelChoice(), device, threads)
    assert not isinstance(model, HttpModel)
    return model


def load_denoiser(path: Path | None = None, device: str | None = None, threads: int | None = None) -> Denoiser:
    """`load_model` for callers that need log-probabilities, which no server gives."""
    model = load_model(path, device, threads)
    if isinstance(model, HttpModel):
        raise EditError("model_unavailable", f"{model.name} is a server and gives no logits: name a model folder")
    return model


def load_choice(choice: ModelChoice, device: str | None = None, threads: int | None = None) -> Model:
    """Exactly this model. `device`: a torch device, default the GPU when there is one. `threads`: default
    one less than the cores beyond two, so the editor stays responsive. Raises as `load_model`."""
    if choice.url:
        return HttpModel.connect(choice)
    folder = Path(choice.path).expanduser() if choice.path else EMBEDDED
    torch.set_num_threads(threads or default_threads())
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    kind = model_kind(folder)
    try:
        return load_folder(kind, folder, chosen, choice)
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise no_room(folder, chosen, choice) from error
    except (OSError, ValueError, RuntimeError, KeyError, ImportError, SafetensorError) as error:
        if any(words in str(error).lower() for words in NO_MEMORY):
            raise no_room(folder, chosen, choice) from error
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise EditError(
            "model_unavailable", f"the model in {folder} cannot be loaded ({reason}): reinstall it"
        ) from error


def load_folder(kind: Kind, folder: Path, device: str, choice: ModelChoice) -> Denoiser:
    """Foreign models import transformers, which takes seconds, so only then."""
    if kind == "embedded":
        return EmbeddedDenoiser.load(folder, device)
    check_room(folder, device, choice)
    if kind == "diffusion-gemma":
        from engine.models.diffusion_gemma import DiffusionGemmaDenoiser

        return DiffusionGemmaDenoiser.load(folder, device, **quantised(choice))
    if kind == "remote-code":
        from engine.models.remote_code import RemoteCodeDenoiser

        return RemoteCodeDenoiser.load_allowed(folder, device, choice.allowed_code, **quantised(choice))
    from engine.models.masked_lm import MaskedLmDenoiser

    return MaskedLmDenoiser.load(folder, device, **quantised(choice))


def model_kind(folder: Path) -> Kind:
    """Raises EditError("model_unavailable") when the folder holds no model that can edit."""
    from engine.models.families import family_of
    from engine.models.foreign import read_json

    if not (folder / "config.json").is_file():
        raise EditError(
            "model_unavailable", f"no model in {folder}: reinstall redraft, or set model.path to a model folder"
        )
    try:
        config = read_json(folder / "config.json")
    except ValueError as error:
        raise EditError(
            "model_unavailable", f"{folder / 'config.json'} is damaged ({error}): download the model anew"
        ) from error
    model_type = config.get("model_type")
    architectures = [str(name) for name in config.get("architectures") or []]
    if model_type == "redraft-span-denoiser":
        return "embedded"
    if config.get("auto_map") and family_of(config):
        return "remote-code"
    if any(name.endswith("ForMaskedLM") for name in architectures):
        return "masked-lm"
    if "DiffusionGemmaForBlockDiffusion" in architectures:
        return "diffusion-gemma"
    raise EditError(
        "model_unavailable",
        f"{folder} holds a {model_type} model ({', '.join(architectures) or 'no architecture'}), which does not "
        "denoise: use a span denoiser or a masked LM, or a server (`redraft model use --url`)",
    )


def quantised(choice: ModelChoice) -> dict[str, Any]:
    """Arguments of from_pretrained. Raises EditError when the library is missing."""
    if choice.quantise is None:
        return {}
    from importlib.util import find_spec

    from transformers import BitsAndBytesConfig

    if find_spec("bitsandbytes") is None:
        raise EditError("model_unavailable", "quantised loading needs bitsandbytes: pip install bitsandbytes")
    eight = choice.quantise == "8bit"
    return {"quantization_config": BitsAndBytesConfig(load_in_8bit=eight, load_in_4bit=not eight)}


def default_threads() -> int:
    cores = os.cpu_count() or 1
    return cores if cores <= 2 else min(cores - 1, 8)
