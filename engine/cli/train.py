"""`redraft train STAGE --config F`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from engine.cli.errors import CommandError

STAGES = {
    "corpus": "fetch, filter, tokenise and pack the corpus",
    "patterns": "count what the corpus's real edits change into what",
    "mask": "first stage: fill in what is masked",
    "edit": "second stage: mend mistakes and replay real edits",
    "order": "third stage: learn from the likeliest orders of denoising",
    "onpolicy": "fourth stage: reinforce own trajectories that end right in fewer steps",
    "base": "turn the writer into the base model, which denoises too",
    "leakage": "count the code that the packed corpus shares with the benchmarks",
    "ablate": "train twins that differ in one thing each, compare them, write table and plots",
}


def add_parser(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser("train", help="one stage of the curriculum; resumes")
    stages = parser.add_subparsers(dest="stage", required=True, metavar="STAGE")
    for name, text in STAGES.items():
        stage = stages.add_parser(name, help=text)
        stage.add_argument("--config", type=Path, required=True, help="see the folder training")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from engine.evaluation.bench import EvaluationError
    from engine.training.checkpoints import CheckpointError
    from engine.training.configs import ConfigError, run_stage

    try:
        if options.stage == "ablate":
            ablate(options.config)
        elif options.stage == "leakage":
            leakage(options.config)
        elif options.stage == "patterns":
            patterns(options.config)
        else:
            run_stage(options.stage, options.config)
    except (ConfigError, CheckpointError, EvaluationError) as error:
        raise CommandError(str(error)) from error
    return 0


def ablate(path: Path) -> None:
    from engine.evaluation.ablation import compare, write_report
    from engine.training.ablation import read_ablation, train_twins

    config = read_ablation(path)
    folders = train_twins(config, path)
    reports = compare(folders, config.stream.corpus, config.cases, config.threads)
    write_report(reports, config.tokens, path, config.report)


def patterns(path: Path) -> None:
    from engine.training.configs import ConfigError, build, read
    from engine.training.corpus import CorpusConfig, edit_files
    from engine.training.patterns import mine_patterns

    config = build(CorpusConfig, read(path), path)
    if config.edits is None or not edit_files(config.edits):
        raise ConfigError(f"{path}: `edits` names no folder of real edits (edits-NN.jsonl.xz), seen from {Path.cwd()}")
    config.folder.mkdir(parents=True, exist_ok=True)
    out = config.folder / "patterns.json.gz"
    print(f"{mine_patterns(config.edits, out):,} patterns in {out}")


def leakage(path: Path) -> None:
    from engine.training.configs import ConfigError, build, read
    from engine.training.corpus import CorpusConfig
    from engine.training.leakage import overlaps

    config = build(CorpusConfig, read(path), path)
    if config.benchmarks is None:
        raise ConfigError(f"{path}: `benchmarks` names no folder to compare with")
    try:
        print("benchmark | run of tokens | records that share one | runs shared")
        for o in overlaps(config.folder, config.benchmarks):
            print(f"{o.benchmark} | {o.run} | {o.touched:,} of {o.records:,} | {o.shared:,} of {o.runs:,}")
    except OSError as error:
        raise ConfigError(f"the corpus is not there ({error}): run `redraft train corpus --config {path}`") from error
