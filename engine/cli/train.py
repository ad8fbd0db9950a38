"""`redraft train STAGE --config F`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from engine.cli.errors import CommandError

STAGES = {
    "corpus": "fetch, filter, tokenise and pack the corpus",
    "mask": "first stage: fill in what is masked",
    "edit": "second stage: mend mistakes and replay real edits",
    "order": "third stage: learn from the likeliest orders of denoising",
    "onpolicy": "fourth stage: reinforce own trajectories that end right in fewer steps",
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
