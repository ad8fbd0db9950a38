"""`redraft train STAGE --config F`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from engine.cli.errors import CommandError

STAGES = ("corpus", "mask", "edit")


def add_parser(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser("train", help="one stage of the curriculum; resumes")
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--config", type=Path, required=True, help="see the folder training")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from engine.training.configs import ConfigError, run_stage

    try:
        run_stage(options.stage, options.config)
    except ConfigError as error:
        raise CommandError(str(error)) from error
    return 0
