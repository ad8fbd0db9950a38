"""Finds and loads the model to use: a folder's kind is told from its config.json."""

from __future__ import annotations

import functools
import logging
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch

from engine.errors import EditError
from engine.models.choice import ModelChoice, read_choice
from engine.models.denoiser import Denoiser, EmbeddedDenoiser
from engine.models.http import HttpModel, Model
from engine.models.room import check_room, no_room

EMBEDDED = Path(__file__).resolve().parents[1] / "weights" / "small"
WRITER = EMBEDDED.with_name("base")
Kind = Literal["embedded", "base", "masked-lm", "diffusion-gemma", "remote-code"]
OURS: tuple[Kind, ...] = ("embedded", "base")  # small enough for any machine
QUANTISING = ("bitsandbytes", "accelerate")  # packages
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
    except EditError:
        raise
    except Exception as error:  # transformers and a model's own code raise what they like
        short = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if short or any(words in str(error).lower() for words in NO_MEMORY):
            raise no_room(folder, chosen, choice) from error
        reason = str(error).strip().splitlines()[0].split(". ")[0][:200] if str(error).strip() else type(error).__name__
        remedy = "reinstall redraft" if folder == EMBEDDED else "download it anew, or choose another model"
        if "does not recognize this architecture" in reason:
            remedy = "update transformers, or choose another model"
        raise EditError("model_unavailable", f"the model in {folder} cannot be loaded ({reason}): {remedy}") from error


def load_folder(kind: Kind, folder: Path, device: str, choice: ModelChoice) -> Denoiser:
    """Foreign models import transformers, which takes seconds, so only then."""
    check_options(kind, choice)
    if kind == "embedded":
        denoiser = EmbeddedDenoiser.load(folder, device)
        if folder == EMBEDDED:
            denoiser.write_with(functools.partial(load_writer, device))
        return denoiser
    if kind == "base":
        from engine.models.base import Base

        return Base.load(folder, device)
    check_room(folder, device, choice)
    if kind == "diffusion-gemma":
        from engine.models.diffusion_gemma import DiffusionGemmaDenoiser

        return DiffusionGemmaDenoiser.load(folder, device, choice.sampler, **quantised(choice))
    if kind == "remote-code":
        from engine.models.remote_code import RemoteCodeDenoiser

        return RemoteCodeDenoiser.load_allowed(folder, device, choice.allowed_code, **quantised(choice))
    from engine.models.masked_lm import MaskedLmDenoiser

    return MaskedLmDenoiser.load(folder, device, **quantised(choice))


def load_writer(device: str) -> Denoiser | None:
    """The embedded writer; None, with the reason in the log, when it cannot be had: the small model then writes."""
    from engine.models.writer import Writer

    try:
        return Writer.load(WRITER, device)
    except Exception as error:  # tokenizers, numpy and torch raise what they like
        logger.warning("the writer in %s cannot be loaded (%s): reinstall redraft", WRITER, type(error).__name__)
        return None


def check_folder(choice: ModelChoice) -> None:
    """What can be seen of the folder of `choice` without loading it. Raises EditError."""
    folder = Path(choice.path or EMBEDDED)
    kind = model_kind(folder)
    check_options(kind, choice)
    if kind not in OURS:
        from engine.models.foreign import ForeignVocabulary

        ForeignVocabulary.read(folder)


def model_kind(folder: Path) -> Kind:
    """Raises EditError("model_unavailable") when the folder holds no model that can edit."""
    from engine.models.families import family_of
    from engine.models.foreign import token_id

    config = read_config(folder)
    model_type = config.get("model_type")
    architectures: list[str] = config.get("architectures") or []
    if model_type == "redraft-span-denoiser":
        return "embedded"
    if model_type == "redraft-writer":
        return "base"
    if config.get("auto_map") and family_of(config):
        return "remote-code"
    if model_type == "qwen2" and family_of(config, masks=token_id(folder, "mask_token") is not None):
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


def read_config(folder: Path) -> dict[str, Any]:
    """config.json, of which the fields that say what it is are what they should be. Raises EditError."""
    from engine.models.foreign import read_json

    file = folder / "config.json"
    try:
        if not file.is_file():
            why = "reinstall redraft" if folder == EMBEDDED else "name the folder that holds its config.json"
            raise EditError("model_unavailable", f"no model in {folder}: {why}")
        config = read_json(file)
    except PermissionError as error:
        raise EditError("model_unavailable", f"{folder} cannot be read: allow it (chmod -R u+rX)") from error
    except ValueError as error:
        raise EditError("model_unavailable", f"{file} is damaged ({error}): download the model anew") from error
    names: Any = config.get("architectures") or []
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise EditError("model_unavailable", f"{file} is damaged (architectures): download the model anew")
    if not isinstance(config.get("auto_map") or {}, dict):
        raise EditError("model_unavailable", f"{file} is damaged (auto_map): download the model anew")
    return config


def check_options(kind: Kind, choice: ModelChoice) -> None:
    """Raises EditError when the model cannot be had as it was asked for."""
    if choice.sampler and kind != "diffusion-gemma":
        raise EditError("model_unavailable", f"{choice.path} is not DiffusionGemma: leave --sampler out")
    if choice.quantise and kind in OURS:
        raise EditError("model_unavailable", f"the {kind} model needs no --quantise: leave it out")
    if choice.quantise and not all(map(find_spec, QUANTISING)):
        needs = " ".join(QUANTISING)
        raise EditError("model_unavailable", f"quantised loading needs {needs}: pip install {needs}")


def quantised(choice: ModelChoice) -> dict[str, Any]:
    """Arguments of from_pretrained."""
    if choice.quantise is None:
        return {}
    from transformers import BitsAndBytesConfig

    eight = choice.quantise == "8bit"
    return {"quantization_config": BitsAndBytesConfig(load_in_8bit=eight, load_in_4bit=not eight)}


def default_threads() -> int:
    cores = os.cpu_count() or 1
    return cores if cores <= 2 else min(cores - 1, 8)
