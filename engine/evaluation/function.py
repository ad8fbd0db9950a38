"""Function repair: a buggy program, k candidates, and tests that say which are plausible.

"Plausible" as in program repair: it passes the tests at hand, which does not prove it right.
Must not import torch at module level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.evaluation import bench, metrics
from engine.evaluation.function_records import FunctionCase, InstructionKind, read_function_cases
from engine.evaluation.metrics import Rate, Spread
from engine.evaluation.records import RecordError
from engine.evaluation.sandbox import Limits, run_program
from engine.messages import EditRequest, Intent

if TYPE_CHECKING:
    from engine.evaluation.bench import Editor

KS = (1, 10, 100)


@dataclass(frozen=True, slots=True)
class FunctionRow:
    """One case; the candidates are tried in rank order up to the first that passes."""

    id: str
    candidates: int  # how many the engine proposed
    plausible_rank: int | None  # 1-based rank of the first that passes the tests
    exact_rank: int | None  # 1-based rank of the author's own program
    edit: str | None  # the plausible candidate, else the leading one
    refused: bool
    milliseconds: float | None
    forward_passes: int


@dataclass(frozen=True, slots=True)
class FunctionReport:
    """`plausible_at["k"]`: a candidate among the first k passes the tests. A case is `invalid`, and left
    out, when the author's program fails the tests here or the buggy one passes them."""

    benchmark: str
    data: str
    model: bench.ModelInfo
    cases: int
    invalid: int
    candidates: int
    plausible_at: dict[str, Rate]
    exact_at_1: Rate
    edited: Rate
    refused: int
    milliseconds: Spread
    forward_passes: Spread


def run_function(
    data: Path,
    options: bench.BenchOptions,
    *,
    candidates: int = 10,
    intent: Intent | None = None,
    instructions: InstructionKind = "descriptive",
    timeout_s: float = 10.0,
) -> FunctionReport:
    """Measures plausible@k on HumanEvalFix, QuixBugs or CanItEdit (`function_records`). `intent` replaces
    the form's own: "fix" for the first two, "rewrite" for the last.

    Raises EvaluationError for unreadable records, EditError for a model that cannot be loaded."""
    if timeout_s <= 0:
        raise bench.EvaluationError("--timeout must be more than 0 seconds")
    limits = Limits(wall_s=timeout_s, cpu_s=math.ceil(timeout_s))
    chosen = bench.choose(read_function_cases(data, instructions), options)
    cases = [replace(case, intent=intent) if intent else case for case in chosen if is_valid(case, limits)]
    if not cases:
        raise RecordError(f"{data}: in no record does the reference pass and the buggy program fail the tests")
    denoiser = bench.load_model(options)
    bench.warm_up(denoiser)
    rows = function_rows(cases, denoiser, options, candidates, limits)
    bench.write_rows(rows, options.out)
    model = bench.describe_model(denoiser)
    return summarise(rows, data.name, model, candidates, invalid=len(chosen) - len(cases))


def is_valid(case: FunctionCase, limits: Limits) -> bool:
    """The tests tell the author's program from the one to be edited."""
    if not passes(case.reference, case, limits):
        return False
    return not passes(case.prefix + case.span + case.suffix, case, limits)


def passes(program: str, case: FunctionCase, limits: Limits) -> bool:
    return run_program(f"{program}\n{case.tests}", limits).status == "passed"


def function_rows(
    cases: Sequence[FunctionCase],
    denoiser: Editor,
    options: bench.BenchOptions,
    candidates: int,
    limits: Limits,
) -> list[FunctionRow]:
    """One row per case, with a model that is already in memory."""
    rows: list[FunctionRow] = []
    for case in cases:
        rows.append(repair_function(case, denoiser, options.seed, candidates, limits))
        if options.progress:
            options.progress(len(rows), len(cases))
    return rows


def repair_function(case: FunctionCase, denoiser: Editor, seed: int, candidates: int, limits: Limits) -> FunctionRow:
    request = EditRequest(
        case.intent,
        case.prefix,
        case.span,
        case.suffix,
        instruction=case.instruction,
        candidates=candidates,
        seed=seed,
        guesses=candidates,  # the tests are the judge
    )
    result = bench.edit(request, denoiser)
    found = [*result.candidates, *result.guesses][:candidates] if result else []
    texts = [candidate.text for candidate in found]
    programs = [case.prefix + text + case.suffix for text in texts]
    plausible = next((i for i, program in enumerate(programs, 1) if passes(program, case, limits)), None)
    shown = texts[plausible - 1 if plausible else 0] if texts else None
    return FunctionRow(
        id=case.id,
        candidates=len(texts),
        plausible_rank=plausible,
        exact_rank=next((i for i, p in enumerate(programs, 1) if metrics.same_text(p, case.reference)), None),
        edit=shown,
        refused=result is None,
        milliseconds=result.elapsed_ms if result else None,
        forward_passes=result.forward_passes if result else 0,
    )


def summarise(
    rows: Sequence[FunctionRow], data: str, model: bench.ModelInfo, candidates: int, invalid: int
) -> FunctionReport:
    def within(k: int) -> Rate:
        return metrics.rate([row.plausible_rank is not None and row.plausible_rank <= k for row in rows])

    return FunctionReport(
        benchmark="function",
        data=data,
        model=model,
        cases=len(rows),
        invalid=invalid,
        candidates=candidates,
        plausible_at={str(k): within(k) for k in KS if k <= candidates},
        exact_at_1=metrics.rate([row.exact_rank == 1 for row in rows]),
        edited=metrics.rate([row.candidates > 0 for row in rows]),
        refused=sum(row.refused for row in rows),
        milliseconds=metrics.spread([row.milliseconds for row in rows if row.milliseconds is not None]),
        forward_passes=metrics.spread([row.forward_passes for row in rows]),
    )
