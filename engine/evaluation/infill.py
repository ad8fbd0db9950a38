"""Infilling: HumanEval with a span removed; the tests decide.

Must not import torch at module level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.evaluation import bench, metrics
from engine.evaluation.metrics import Mean, Rate, Spread
from engine.evaluation.records import InfillCase, read_infill_cases
from engine.evaluation.sandbox import Limits, run_program
from engine.messages import EditRequest

if TYPE_CHECKING:
    from engine.evaluation.bench import Editor

KS = (1, 10, 100)


@dataclass(frozen=True, slots=True)
class Sample:
    """One fill; `text` is "" when the engine proposed nothing."""

    text: str
    passed: bool
    error: str | None  # type of the exception, or what ended the tests
    compiles: bool
    exact: bool
    milliseconds: float | None
    forward_passes: int


@dataclass(frozen=True, slots=True)
class InfillRow:
    id: str
    samples: list[Sample]


@dataclass(frozen=True, slots=True)
class InfillReport:
    """`pass_at_1` has a Wilson interval and is over first samples only; `pass_at_k` is the unbiased
    estimate from all samples of a case, averaged over cases."""

    benchmark: str
    data: str
    model: bench.ModelInfo
    cases: int
    samples: int
    pass_at_1: Rate
    pass_at_k: dict[str, Mean]
    exact: Rate
    compiles: Rate
    nothing_proposed: int
    milliseconds: Spread
    forward_passes: Spread


def run_infill(data: Path, options: bench.BenchOptions, *, samples: int = 1, timeout_s: float = 5.0) -> InfillReport:
    """Measures pass@k on HumanEval-Infilling records: `samples` edits of intent "fill" per case, with the
    seeds `options.seed` and up; the leading candidate of each is run with the tests.

    Raises EvaluationError for unreadable records, EditError for a model that cannot be loaded."""
    if samples < 1:
        raise bench.EvaluationError(f"{samples} samples: at least 1 is needed")
    cases = bench.choose(read_infill_cases(data), options)
    denoiser = bench.load_model(options)
    bench.warm_up(denoiser)
    rows = infill_rows(cases, denoiser, options, samples, timeout_s)
    bench.write_rows(rows, options.out)
    return summarise(rows, data.name, bench.describe_model(denoiser), samples)


def infill_rows(
    cases: Sequence[InfillCase],
    denoiser: Editor,
    options: bench.BenchOptions,
    samples: int = 1,
    timeout_s: float = 5.0,
) -> list[InfillRow]:
    """One row per case, with a model that is already in memory."""
    limits = Limits(wall_s=timeout_s, cpu_s=max(1, round(timeout_s)))
    rows: list[InfillRow] = []
    for case in cases:
        taken = [take_sample(case, denoiser, options.seed + i, limits) for i in range(samples)]
        rows.append(InfillRow(case.id, taken))
        if options.progress:
            options.progress(len(rows), len(cases))
    return rows


def take_sample(case: InfillCase, denoiser: Editor, seed: int, limits: Limits) -> Sample:
    result = bench.edit(EditRequest("fill", case.prefix, "", case.suffix, candidates=1, seed=seed), denoiser)
    text = result.candidates[0].text if result and result.candidates else ""
    program = case.prefix + text + case.suffix
    outcome = run_program(f"{program}\n{case.tests}", limits)
    return Sample(
        text=text,
        passed=outcome.status == "passed",
        error=outcome.error,
        compiles=metrics.compiles(program),
        exact=metrics.same_text(program, case.prefix + case.expected + case.suffix),
        milliseconds=result.elapsed_ms if result else None,
        forward_passes=result.forward_passes if result else 0,
    )


def summarise(rows: Sequence[InfillRow], data: str, model: bench.ModelInfo, samples: int) -> InfillReport:
    first = [row.samples[0] for row in rows]
    every = [sample for row in rows for sample in row.samples]
    passed = [sum(sample.passed for sample in row.samples) for row in rows]
    return InfillReport(
        benchmark="infill",
        data=data,
        model=model,
        cases=len(rows),
        samples=samples,
        pass_at_1=metrics.rate([sample.passed for sample in first]),
        pass_at_k={
            str(k): metrics.mean_of([metrics.pass_at_k(samples, hits, k) for hits in passed])
            for k in KS
            if k <= samples
        },
        exact=metrics.rate([sample.exact for sample in first]),
        compiles=metrics.rate([sample.compiles for sample in first]),
        nothing_proposed=sum(not sample.text for sample in first),
        milliseconds=metrics.spread([s.milliseconds for s in every if s.milliseconds is not None]),
        forward_passes=metrics.spread([s.forward_passes for s in every]),
    )
