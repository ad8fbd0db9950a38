"""Twins that differ in one thing: the whole recipe, each stage left out, masks alone, and left to right.

All have the same parameters, see the same corpus and read the same number of tokens. A stage that is left
out gives its share to the one before it, the first to the second; what twins have in common is trained once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.diffusion.forward import NoiseMix
from engine.training.configs import ConfigError, build, read
from engine.training.examples import StreamConfig
from engine.training.trainer import StageConfig, train
from engine.training.trajectories import TrajectoryConfig

Chain = tuple[tuple[str, int], ...]  # stages with their percentage of the tokens
CHAINS: dict[str, Chain] = {
    "mask, edit": (("mask", 50), ("edit", 50)),
    "masks alone": (("mask", 100),),
    "autoregressive": (("mask", 50), ("edit", 50)),
    "whole recipe": (("mask", 50), ("edit", 30), ("order", 10), ("onpolicy", 10)),
    "without order": (("mask", 50), ("edit", 40), ("onpolicy", 10)),
    "without onpolicy": (("mask", 50), ("edit", 40), ("order", 10)),
    "without edit": (("mask", 80), ("order", 10), ("onpolicy", 10)),
    "without mask": (("edit", 80), ("order", 10), ("onpolicy", 10)),
}
TWIN = "autoregressive"
MASKS = NoiseMix(masks=0.5, mistakes=0.0, random_edits=0.0, sprinkle=0.5)
EDITS = NoiseMix(masks=0.15, mistakes=0.5, random_edits=0.15, sprinkle=0.15)
RATES = {"mask": 0.02, "edit": 0.015, "order": 0.004, "onpolicy": 0.004}  # of the matrices
ADAM_RATES = {"mask": 0.003, "edit": 0.002, "order": 0.0005, "onpolicy": 0.0005}


@dataclass(frozen=True, slots=True)
class AblationConfig:
    out: Path
    stream: StreamConfig
    trajectories: dict[str, Any]
    model: dict[str, Any]
    tokens: float
    report: Path  # folder of the page and its pictures
    cases: int = 100  # of repair, and of recovery
    threads: int | None = None
    workers: int = 1
    seed: int = 0


def read_ablation(path: Path) -> AblationConfig:
    """Raises ConfigError."""
    tree = read(path)
    stream = build(StreamConfig, {"windows": 0.4, "edits": 0.25, **tree.pop("stream", {}), "noise": EDITS}, path)
    return build(AblationConfig, {"model": {}, "trajectories": {}, **tree, "stream": stream}, path)


def train_twins(config: AblationConfig, path: Path) -> dict[str, Path]:
    """Trains what is not there yet; the model folder of every twin, in the order of CHAINS.

    Raises ConfigError, CheckpointError."""
    folders: dict[str, Path] = {}
    for name, chain in CHAINS.items():
        if sum(share for _, share in chain) != 100:
            raise ConfigError(f"the stages of {name!r} do not add up")
        init = None
        for number in range(1, len(chain) + 1):
            stage = chain_stage(config, name, chain[:number], init, path)
            if not (stage.out / "done").exists():
                train(stage)
                (stage.out / "done").touch()
            init = stage.out
        assert init is not None
        folders[name] = init
    return folders


def chain_stage(config: AblationConfig, name: str, chain: Chain, init: Path | None, path: Path) -> StageConfig:
    """The last stage of `chain`. A twin that is to know nothing of edits meets none in its trajectories."""
    stage, share = chain[-1]
    folder = "-".join(f"{part}{percent}" for part, percent in chain)
    knows_edits = any(part == "edit" for part, _ in chain)
    stream = replace(
        config.stream,
        noise=EDITS if knows_edits else MASKS,
        edits=config.stream.edits if knows_edits else 0.0,
        seed=1000 * config.seed + 10 * len(chain),
    )
    trajectories = None
    if stage in ("order", "onpolicy"):
        trajectories = build(TrajectoryConfig, {"kind": stage, **config.trajectories}, path)
    return StageConfig(
        stage,
        stream,
        config.out / (f"{TWIN}-{folder}" if name == TWIN else folder),
        init=init,
        model=config.model,
        trajectories=trajectories,
        twin=name == TWIN,
        tokens=config.tokens * share / 100,
        learning_rate=RATES[stage],
        adam_rate=ADAM_RATES[stage],
        log_every=20,
        save_every_s=60,
        threads=config.threads,
        workers=config.workers,
        seed=config.seed,
        steps=10**9,
    )
