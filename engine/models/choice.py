"""The user's choice of model: one file of the user's own, written by `redraft model use`, never by a workspace.

All that sends code to another machine stands here and nowhere else.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import SplitResult, urlsplit

import platformdirs

from engine.errors import EditError

Protocol = Literal["openai", "mercury"]
Quantisation = Literal["8bit", "4bit"]
Sampler = Literal["entropy-bound"]


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Exactly one of `path` (a model folder) and `url` (a server) is set; both None: the embedded model."""

    path: str | None = None
    url: str | None = None
    protocol: Protocol = "openai"
    model: str | None = None  # the name the server knows it by
    key_env: str | None = None  # environment variable that holds the key; else the OS keyring is asked
    timeout_s: float = 30.0
    quantise: Quantisation | None = None
    sampler: Sampler | None = None  # how DiffusionGemma takes its steps; None: like every other model
    allowed_code: str | None = None  # digest of the Python code in the folder that may run
    fallback: bool = True  # use the embedded model when this one cannot be loaded


def split_url(url: str) -> SplitResult:
    """Raises EditError("model_unavailable") unless `url` is an http(s) address."""
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return parts
    except ValueError:
        pass  # brackets, or a port that is no port
    raise EditError("model_unavailable", f"{url} is not an http(s) address: run `redraft model use`")


def remote_host(url: str | None) -> str | None:
    """The machine that `url` names; None when it is this one, or there is no url."""
    try:
        host = urlsplit(url if "://" in url else f"//{url}").hostname if url else None
    except ValueError:
        return url  # whoever connects says what is wrong
    if not host or host == "localhost":
        return None
    try:
        return None if ip_address(host).is_loopback else host
    except ValueError:
        return host


def choice_file() -> Path:
    """REDRAFT_CONFIG_DIR overrides the folder."""
    folder = os.environ.get("REDRAFT_CONFIG_DIR") or platformdirs.user_config_dir("redraft")
    return Path(folder) / "model.json"


def read_choice() -> ModelChoice:
    """The user's choice; the embedded model when there is none.

    Raises EditError("model_unavailable") when the file is not what `redraft model use` writes."""
    path = choice_file()
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ModelChoice()
    except (OSError, ValueError) as error:
        raise EditError(
            "model_unavailable", f"{path} cannot be read ({error}): run `redraft model use embedded`"
        ) from error
    return parse_choice(tree, path)


def chosen_host(folder: str | None) -> str | None:
    """The host that the model in `folder`, or else the user's choice, will send code to."""
    try:
        return None if folder else remote_host(read_choice().url)
    except EditError:
        return None  # whoever loads the model says what is wrong


def parse_choice(tree: Any, path: Path) -> ModelChoice:
    known = {field.name for field in fields(ModelChoice)}
    wrong = f"run `redraft model use` again, or delete {path}"
    if not isinstance(tree, dict) or set(tree) - known:
        extra = sorted(set(tree) - known) if isinstance(tree, dict) else "no JSON object"
        raise EditError("model_unavailable", f"{path} is not understood ({extra}): {wrong}")
    types: dict[str, tuple[type, ...]] = {"fallback": (bool,), "timeout_s": (int, float)}
    for name, value in tree.items():
        if not isinstance(value, types.get(name, (str, type(None)))):
            raise EditError("model_unavailable", f"{name} in {path} is of the wrong type: {wrong}")
    choice = ModelChoice(**tree)
    for name, kind in (("protocol", Protocol), ("quantise", Quantisation), ("sampler", Sampler)):
        if tree.get(name) not in (None, *get_args(kind)):
            raise EditError("model_unavailable", f"{name} in {path} has an unknown value: {wrong}")
    if not 0 < choice.timeout_s < float("inf"):
        raise EditError("model_unavailable", f"timeout_s in {path} is no number of seconds: {wrong}")
    if choice.url:
        split_url(choice.url)
    if choice.path and choice.url:
        raise EditError("model_unavailable", f"{path} names both a folder and a server: {wrong}")
    return choice


def write_choice(choice: ModelChoice) -> Path:
    """Writes the choice, readable by the user alone; returns the file."""
    path = choice_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({name: value for name, value in asdict(choice).items() if value is not None}, file, indent=2)
    fresh.replace(path)
    return path


def code_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of all Python files in `folder`: the pinned revision of its code.

    Raises OSError when one cannot be read."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*.py") if path.is_file()):
        digest.update(f"{file.relative_to(folder).as_posix()}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
