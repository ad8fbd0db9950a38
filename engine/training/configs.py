"""Stage configurations: one TOML file each, the same on CPU and GPU."""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from engine.diffusion.forward import NoiseMix
from engine.training.base import BaseConfig, train_base
from engine.training.corpus import CorpusConfig, build_corpus
from engine.training.examples import StreamConfig
from engine.training.trainer import StageConfig, train
from engine.training.trajectories import TrajectoryConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")


class ConfigError(Exception):
    """A configuration that cannot be used; one line that says what to change."""


def run_stage(stage: str, path: Path) -> None:
    """Runs `corpus`, `base` or a stage of the curriculum, from the TOML file at `path`.

    Raises ConfigError, CheckpointError."""
    tree = read(path)
    if stage == "corpus":
        build_corpus(build(CorpusConfig, tree, path))
    elif stage == "base":
        train_base(build(BaseConfig, tree, path))
    else:
        train(stage_config(stage, tree, path))


def read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def stage_config(stage: str, tree: dict[str, Any], path: Path) -> StageConfig:
    """The configuration of a training stage; `order` and `onpolicy` have a table `trajectories` besides."""
    tree = dict(tree)
    noise = build(NoiseMix, tree.pop("noise", {}), path)
    stream = build(StreamConfig, {**tree.pop("stream", {}), "noise": noise}, path)
    if stage in ("order", "onpolicy"):
        tree["trajectories"] = build(TrajectoryConfig, {"kind": stage, **tree.get("trajectories", {})}, path)
    return build(StageConfig, {"name": stage, **tree, "stream": stream}, path)


def build(kind: type[T], values: dict[str, Any], path: Path) -> T:
    """A config dataclass from a TOML table; strings become paths where the field is one."""
    known = {f.name: str(f.type) for f in fields(kind)}  # type: ignore[arg-type]
    unknown = [name for name in values if name not in known]
    if unknown:
        raise ConfigError(f"{path}: {unknown[0]!r} is not known here; there are: {', '.join(known)}")
    typed = {k: Path(v) if "Path" in known[k] else tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    try:
        return kind(**typed)
    except TypeError as error:
        raise ConfigError(f"{path}: {error}") from error
