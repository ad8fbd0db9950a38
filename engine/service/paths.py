"""Where the daemon of a user and a model lives: a private directory, a socket, a lock, a log."""

from __future__ import annotations

import hashlib
import os
import stat
import warnings
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from engine.messages import PROTOCOL_VERSION


@dataclass(frozen=True, slots=True)
class EnginePaths:
    socket: Path
    lock: Path
    log: Path
    address: Path  # host, port and token of a TCP engine, mode 0600; where there are no Unix sockets


def runtime_dir() -> Path:
    """The private directory, created with mode 0700; REDRAFT_RUNTIME_DIR overrides the place.

    Raises PermissionError when somebody else owns it, or could put another in its place."""
    chosen = os.environ.get("REDRAFT_RUNTIME_DIR")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # XDG_RUNTIME_DIR is not set: what stands in for it is checked below
        folder = Path(chosen) if chosen else Path(platformdirs.user_runtime_dir("redraft"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.name == "posix":
        remedy = "set REDRAFT_RUNTIME_DIR to a folder of your own"
        status, above = folder.lstat(), folder.resolve().parent.stat()
        if status.st_uid != os.getuid() or not stat.S_ISDIR(status.st_mode):
            raise PermissionError(f"{folder} belongs to another user or is a link: {remedy}")
        open_to_others = above.st_mode & 0o002 and not above.st_mode & stat.S_ISVTX
        if above.st_uid not in (0, os.getuid()) or open_to_others:
            raise PermissionError(f"others may rename {folder}: {remedy}")
        if stat.S_IMODE(status.st_mode) & 0o077:
            folder.chmod(0o700)
    return folder


def whole_path(model: str) -> str:
    """The folder of a model, the same from wherever it is named."""
    return str(Path(model).expanduser().resolve())


def engine_paths(model: str | None, device: str | None) -> EnginePaths:
    """One engine per user, model, device and protocol version."""
    key = hashlib.sha256(f"{model or 'embedded'}|{device or 'auto'}".encode()).hexdigest()[:12]
    stem = runtime_dir() / f"engine-{PROTOCOL_VERSION}-{key}"
    return EnginePaths(*(stem.with_suffix(s) for s in (".sock", ".lock", ".log", ".addr")))
