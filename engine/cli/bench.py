"""`redraft bench repair|infill|speed`."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.cli.errors import CommandError


def add_parser(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser("bench", help="measure the model and the engine")
    kinds = parser.add_subparsers(dest="bench", required=True, metavar="BENCH")
    repair = kinds.add_parser("repair", help="broken regions, and whether the edit mends them")
    harm = kinds.add_parser("harm", help="regions that are right already, and whether fix leaves them alone")
    infill = kinds.add_parser("infill", help="HumanEval-Infilling: pass@1 by running the tests")
    speed = kinds.add_parser("speed", help="milliseconds per edit and per step, beside the machine's floor")
    for one in (repair, harm, infill):
        one.add_argument("--data", type=Path, required=True)
        one.add_argument("--limit", type=int, metavar="N", help="only the first N records")
    repair.add_argument("--candidates", type=int, default=10)
    for one in (repair, harm, infill, speed):
        one.add_argument("--model", type=Path, help="model folder; default: the embedded model")
        one.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from engine.errors import EditError
    from engine.evaluation.records import BadRecord
    from engine.models.loading import load_denoiser

    try:
        denoiser = load_denoiser(options.model)
        report = measure(options, denoiser)
    except EditError as error:
        raise CommandError(error.message) from error
    except (OSError, BadRecord) as error:
        raise CommandError(f"{error}") from error
    fields = asdict(report)
    if options.json:
        print(json.dumps(fields))
    else:
        for name, value in fields.items():
            print(f"{name:24} {value}")
    return 0


def measure(options: argparse.Namespace, denoiser: Any) -> Any:
    if options.bench == "repair":
        from engine.evaluation.repair import bench_repair

        return bench_repair(denoiser, options.data, options.candidates, options.limit)
    if options.bench == "harm":
        from engine.evaluation.repair import bench_harm

        return bench_harm(denoiser, options.data, options.limit)
    if options.bench == "infill":
        from engine.evaluation.infill import bench_infill

        return bench_infill(denoiser, options.data, options.limit)
    from engine.evaluation.speed import bench_speed

    return bench_speed(denoiser)
