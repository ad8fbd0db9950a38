"""Trained models side by side at repair, without the engine's mends by hand: what the training is worth.

    python scripts/models_alone.py build/corpus build/ablation/mask50-edit50 build/ablation/mask100 \
        build/ablation/autoregressive-mask50-edit50

Lines of held-out files with one human-like mistake, the parser as judge, one thread. With --around N so many more lines
are selected on either side, as when somebody selects a function. Every model is compared with the first, case by case.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from engine import repairing
from engine.evaluation import bench, metrics
from engine.evaluation.held_out import broken_cases
from engine.evaluation.metrics import Mean, Rate
from engine.evaluation.records import RepairCase
from engine.evaluation.repair import RepairRow, repair_rows
from engine.regions import split_lines


def widened(case: RepairCase, around: int) -> RepairCase:
    """The same mistake with so many lines more selected on either side."""
    above, below = split_lines(case.prefix), split_lines(case.suffix)
    cut = max(0, len(above) - around)
    left, right = "".join(above[cut:]), "".join(below[:around])
    prefix, suffix = "".join(above[:cut]), "".join(below[around:])
    return RepairCase(case.id, prefix, left + case.span + right, suffix, left + case.expected + right, None)


def repaired(cases: Sequence[RepairCase], folder: Path) -> list[RepairRow]:
    options = bench.BenchOptions(model=folder, device="cpu", threads=1)
    model = bench.load_model(options)
    bench.warm_up(model)
    return repair_rows(cases, model, options)


def percent(rate: Rate) -> str:
    return f"{rate.share or 0:.1%} ({rate.low or 0:.1%} to {rate.high or 0:.1%})"


def points(mean: Mean) -> str:
    return f"{100 * (mean.mean or 0):+.1f} ({100 * (mean.low or 0):+.1f} to {100 * (mean.high or 0):+.1f})"


def tell(folder: Path, rows: Sequence[RepairRow], first: Sequence[RepairRow]) -> None:
    print(folder.name)
    for name, found in (("first", lambda row: row.rank == 1), ("in ten", lambda row: row.rank is not None)):
        hits = [float(found(row)) for row in rows]
        ahead = metrics.mean_of([float(found(row)) - hit for row, hit in zip(first, hits, strict=True)])
        print(f"  exact, {name:7} {percent(metrics.rate([hit > 0 for hit in hits]))}, the first {points(ahead)}")
    print(f"  compiles       {percent(metrics.rate([bool(row.compiles) for row in rows]))}")
    taken = metrics.spread([row.milliseconds for row in rows if row.milliseconds is not None])
    print(f"  milliseconds   mean {taken.mean:.0f}, p50 {taken.p50:.0f}, p95 {taken.p95:.0f}, of {taken.of}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="folder of `redraft train corpus`")
    parser.add_argument("models", type=Path, nargs="+", help="model folders; others are compared with the first")
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--around", type=int, default=0, metavar="N", help="more lines selected on either side")
    options = parser.parse_args()
    repairing.mended_by_hand = lambda *_: {}
    cases = [widened(case, options.around) for case in broken_cases(options.corpus, options.cases, seed=1)]
    outcomes = [repaired(cases, folder) for folder in options.models]
    for folder, rows in zip(options.models, outcomes, strict=True):
        tell(folder, rows, outcomes[0])


if __name__ == "__main__":
    main()
