"""`redraft bench repair|harm|calibration|infill|function|speed`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from engine.cli.errors import CommandError

BENCHES = {
    "repair": "does fix turn the code before a commit into the code after it?",
    "harm": "does fix leave correct code alone?",
    "calibration": "is a confident edit right?",
    "infill": "HumanEval-Infilling: pass@1 by running the tests",
    "function": "HumanEvalFix, QuixBugs, CanItEdit: plausible@k by running the tests",
    "speed": "milliseconds per edit and per step, beside left-to-right rivals and the machine's floor",
    "clients": "many editors at once on one engine daemon",
}


def add_parser(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser("bench", help="measure the model and the engine")
    kinds = parser.add_subparsers(dest="bench", required=True, metavar="BENCH")
    for name, text in BENCHES.items():
        one = kinds.add_parser(name, help=text)
        if name not in ("speed", "clients"):
            one.add_argument("--data", type=Path, required=True, help="records, .jsonl or .jsonl.gz")
            one.add_argument("--limit", type=int, metavar="N", help="at most N records, drawn by the seed")
            one.add_argument("--out", type=Path, help="write one JSON line per case there")
        if name in ("repair", "function"):
            one.add_argument("--candidates", type=int, default=10, metavar="N")
        if name == "speed":
            one.add_argument("--spans", type=whole_numbers, default=(16, 64, 256), metavar="N,N", help="tokens")
            one.add_argument("--contexts", type=whole_numbers, default=(256, 500), metavar="N,N", help="tokens")
            one.add_argument("--edits", type=int, default=10, metavar="N", help="documents per cell")
            one.add_argument("--gguf", type=Path, metavar="FILE", help="another rival: this model in llama.cpp")
            one.add_argument("--plot", type=Path, help="draw the times there, .png or .svg; needs matplotlib")
        if name == "clients":
            one.add_argument("--levels", type=whole_numbers, default=(1, 4, 16, 64), metavar="N,N", help="clients")
            one.add_argument("--edits", type=int, default=128, metavar="N", help="per level, in all")
        if name == "infill":
            one.add_argument("--samples", type=int, default=1, metavar="N", help="fills per case, for pass@k")
        if name == "function":
            one.add_argument("--intent", choices=("fix", "rewrite"), help="default: by the kind of record")
            one.add_argument("--timeout", type=float, default=10.0, metavar="S", help="seconds for a candidate's tests")
        if name != "clients":
            one.add_argument("--device", help="torch device; default: the GPU when there is one")
        if name == "repair":
            one.add_argument("--instructions", action="store_true", help="give the commit subject as instruction")
        one.add_argument("--seed", type=int, default=0)
        one.add_argument("--model", type=Path, help="model folder; default: the embedded model")
        one.add_argument("--threads", type=int)
        one.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from engine.errors import EditError
    from engine.evaluation.bench import EvaluationError, as_json

    try:
        report = as_json(measure(options))
    except EditError as error:
        raise CommandError(error.message) from error
    except EvaluationError as error:
        raise CommandError(str(error)) from error
    if options.json:
        print(json.dumps(report))
    else:
        print("\n".join(told(report)))
    return 0


def measure(options: argparse.Namespace) -> Any:
    from engine.evaluation import calibration, clients, function, harm, infill, repair, rivals, speed, speed_plot
    from engine.evaluation.bench import BenchOptions
    from engine.service.client import EngineOptions

    common = BenchOptions(
        model=options.model,
        device=getattr(options, "device", None),
        threads=options.threads,
        limit=getattr(options, "limit", None),
        seed=options.seed,
        out=getattr(options, "out", None),
        progress=progress if sys.stderr.isatty() else None,
    )
    if options.bench == "repair":
        return repair.run_repair(options.data, common, candidates=options.candidates, instructions=options.instructions)
    if options.bench == "function":
        return function.run_function(
            options.data,
            common,
            candidates=options.candidates,
            intent=options.intent,
            timeout_s=options.timeout,
        )
    if options.bench == "infill":
        return infill.run_infill(options.data, common, samples=options.samples)
    if options.bench == "clients":
        model = str(options.model) if options.model else None
        engine = EngineOptions(model=model, threads=options.threads)
        return clients.run_clients(engine, levels=options.levels, edits=options.edits, seed=options.seed)
    if options.bench == "speed":
        report = speed.run_speed(
            common,
            spans=options.spans,
            contexts=options.contexts,
            edits=options.edits,
            make_rivals=lambda denoiser: rivals.make_rivals(denoiser, options.gguf),
        )
        if options.plot:
            speed_plot.draw(report, options.plot)
        return report
    runs = {"harm": harm.run_harm, "calibration": calibration.run_calibration}
    return runs[options.bench](options.data, common)


def whole_numbers(text: str) -> tuple[int, ...]:
    """ "16,64" -> (16, 64), for argparse."""
    return tuple(int(part) for part in text.split(","))


def progress(done: int, total: int) -> None:
    print(f"\r{done}/{total}", end="\n" if done == total else "", file=sys.stderr, flush=True)


def told(report: dict[str, Any], indent: str = "") -> Iterator[str]:
    """A line for each field; parts of which a report has several stand below their name."""
    for name, value in report.items():
        if isinstance(value, list):
            for part in cast("list[dict[str, Any]]", value):
                yield f"{indent}{name}:"
                yield from told(part, f"{indent}  ")
        else:
            yield f"{indent}{name:18} {readable(value)}"


def readable(value: Any) -> str:
    """Groups as their names and values."""
    if isinstance(value, dict):
        group = cast("dict[str, Any]", value)
        return ", ".join(f"{k} {readable(v)}" for k, v in group.items())
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)
