"""Training states on disk, in pieces small enough to be passed on, each state whole or not at all.

state.json       {"step", "bytes", "sha256", "pieces": ["state-120.00", ...]}, written last
state-STEP.NN    at most PIECE bytes each
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import torch

PIECE = 16 * 2**20


class CheckpointError(Exception):
    """A state that cannot be resumed; one line that names the file and the remedy."""


def save_state(state: dict[str, Any], folder: Path, step: int) -> None:
    """Writes `state` (tensors, numbers, strings, lists, dicts) and drops the one before it."""
    stream = io.BytesIO()
    torch.save(state, stream)
    whole = stream.getbuffer()
    pieces: list[str] = []
    for number, start in enumerate(range(0, len(whole), PIECE)):
        pieces.append(f"state-{step}.{number:02}")
        (folder / pieces[-1]).write_bytes(whole[start : start + PIECE])
    index = {"step": step, "bytes": len(whole), "sha256": hashlib.sha256(whole).hexdigest(), "pieces": pieces}
    (folder / "state.json.part").write_text(json.dumps(index))
    (folder / "state.json.part").replace(folder / "state.json")
    for old in folder.glob("state-*.[0-9][0-9]"):
        if old.name not in pieces:
            old.unlink()


def load_state(folder: Path, device: torch.device) -> dict[str, Any] | None:
    """The last state saved in `folder`, None when there is none. Raises CheckpointError when it is damaged."""
    path = folder / "state.json"
    if not path.exists():
        return None
    try:
        index = json.loads(path.read_text())
        whole = b"".join((folder / name).read_bytes() for name in index["pieces"])
        digest = index["sha256"]
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path}: cannot be resumed ({error}); fetch its pieces or remove it") from error
    if hashlib.sha256(whole).hexdigest() != digest:
        raise CheckpointError(f"{path}: the pieces do not fit together; fetch them again or remove it")
    return torch.load(io.BytesIO(whole), map_location=device, weights_only=True)
