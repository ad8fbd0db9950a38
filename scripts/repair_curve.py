"""Quality against milliseconds at repair: the denoiser by how many of its moves the parser judges, the autoregressive
twin by how many beams it keeps. Same data, parameters, compute and cases; no mends by hand; one thread.

    python scripts/repair_curve.py build/corpus build/ablation/mask50-edit50 \
        build/ablation/autoregressive-mask50-edit50 --plot docs/images/repair-curve.png

Lines of held-out files with one human-like mistake, and the same with lines around them selected until the span has 64
tokens. Contexts are read ahead, as in an editor. Prints, for every setting of the twin, how much faster the denoiser is
at no less quality.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models_alone import percent, widened

from engine import repairing
from engine.diffusion import search
from engine.editing import warm_context
from engine.evaluation import bench, metrics, twin_edit
from engine.evaluation.held_out import broken_cases
from engine.evaluation.metrics import Rate, Spread
from engine.evaluation.records import RepairCase
from engine.evaluation.repair import judge
from engine.evaluation.speed import seen
from engine.messages import EditRequest
from engine.models.ar_twin import ARTwin
from engine.regions import normalise

if TYPE_CHECKING:
    from engine.evaluation.bench import Editor

MOVES = ((2, 2, 1), (4, 4, 1), (8, 8, 1), (16, 16, 1), (32, 32, 1), (32, 160, 1), (32, 160, 3))  # first, then, depth
BEAMS = (1, 2, 4, 8, 16)
TICKS = (8, 16, 32, 64, 128, 256)  # milliseconds


@dataclass(frozen=True, slots=True)
class Point:
    """One model at one setting."""

    setting: str
    exact: Rate
    compiles: Rate
    milliseconds: Spread


def with_tokens(case: RepairCase, tokens: int, count: Callable[[str], int]) -> RepairCase:
    """The case with so many lines more selected on either side that its span has `tokens` tokens, or all there are."""
    return next((wider for n in range(tokens) if count((wider := widened(case, n)).span) >= tokens), case)


def measured(setting: str, cases: Sequence[RepairCase], model: Editor) -> Point:
    exact, compiles, taken = list[bool](), list[bool](), list[float]()
    for case in cases:
        request = EditRequest("fix", case.prefix, case.span, case.suffix, candidates=1)
        ahead = 0.0
        if isinstance(model, ARTwin):
            ahead = reading(case, model)
        else:
            warm_context(request, model)
        result = bench.edit(request, model)
        row = judge(case, result)
        exact.append(row.rank == 1)
        compiles.append(bool(row.compiles))
        taken += [result.elapsed_ms - ahead] if result else []
    point = Point(setting, metrics.rate(exact), metrics.rate(compiles), metrics.spread(taken))
    print(f"  {setting:26} {percent(point.exact)}, compiles {point.compiles.share:.0%}, ", end="")
    print(f"{point.milliseconds.p50:.1f} ms, {point.milliseconds.of}", flush=True)
    return point


def reading(case: RepairCase, twin: ARTwin) -> float:
    """Milliseconds that the twin takes to read the context, which it could have done ahead."""
    region = normalise(case.prefix, case.span, case.suffix)
    started = time.perf_counter()
    twin.write(seen(twin, region.prefix, region.suffix), (), 1)
    return 1000 * (time.perf_counter() - started)


def denoised(cases: Sequence[RepairCase], model: Editor) -> list[Point]:
    points: list[Point] = []
    for first, then, depth in MOVES:
        search.WIDTH, search.WIDE, search.DEPTH = first, then, depth
        moves = f"{first}" if first == then else f"{first}, then {then}"
        points.append(measured(f"{moves} moves, depth {depth}", cases, model))
    return points


def written(cases: Sequence[RepairCase], model: Editor) -> list[Point]:
    points: list[Point] = []
    for twin_edit.BEAMS in BEAMS:
        points.append(measured(f"beams {twin_edit.BEAMS}", cases, model))
    return points


def tell(ours: Sequence[Point], theirs: Sequence[Point]) -> None:
    """At no less quality: the fastest setting that is exact at least as often, in the median's time."""
    for twin in theirs:
        as_good = [p.milliseconds.p50 for p in ours if (p.exact.share or 0) >= (twin.exact.share or 0)]
        ratio = f"{twin.milliseconds.p50 / min(as_good):.1f} times" if as_good else "not reached"
        print(f"  twin, {twin.setting:10} {twin.exact.share:.1%}: the denoiser is faster at no less quality by {ratio}")


def draw(panels: Sequence[tuple[str, list[Point], list[Point]]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    axes: Any = figure.subplots(1, len(panels), sharex=True, sharey=True)
    for axis, (title, *curves) in zip(axes, panels, strict=True):
        for points, label in zip(curves, ("denoiser", "autoregressive twin"), strict=True):
            share = [100 * (p.exact.share or 0) for p in points]
            low = [s - 100 * (p.exact.low or 0) for s, p in zip(share, points, strict=True)]
            high = [100 * (p.exact.high or 0) - s for s, p in zip(share, points, strict=True)]
            times = [p.milliseconds.p50 for p in points]
            axis.errorbar(times, share, yerr=[low, high], label=label, marker="o", markersize=4, capsize=2)
        axis.set(title=title, xlabel="milliseconds, median", xscale="log")
        axis.set_xticks(TICKS, labels=[str(tick) for tick in TICKS])
        axis.minorticks_off()
    axes[0].set_ylabel("exactly the author's text, %")
    axes[0].legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="folder of `redraft train corpus`")
    parser.add_argument("denoiser", type=Path)
    parser.add_argument("twin", type=Path)
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--tokens", type=int, default=64, help="of the longer spans")
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    repairing.mended_by_hand = lambda *_: {}
    ours, theirs = (bench.BenchOptions(model=m, device="cpu", threads=1) for m in (arguments.denoiser, arguments.twin))
    denoiser, twin = bench.load_model(ours), bench.load_model(theirs)
    lines = broken_cases(arguments.corpus, arguments.cases, seed=1)
    wide = [with_tokens(c, arguments.tokens, lambda text: len(denoiser.vocabulary.encode(text))) for c in lines]
    panels: list[tuple[str, list[Point], list[Point]]] = []
    for title, cases in (("one to three lines", lines), (f"{arguments.tokens} tokens", wide)):
        print(title)
        for model in (denoiser, twin):
            bench.warm_up(model)
        panels.append((title, denoised(cases, denoiser), written(cases, twin)))
        tell(*panels[-1][1:])
    if arguments.plot:
        draw(panels, arguments.plot)


if __name__ == "__main__":
    main()
