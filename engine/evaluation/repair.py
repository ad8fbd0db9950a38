"""Repair: does `fix` turn the code before a commit into the code after it?

Must not import torch at module level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.evaluation import bench, metrics
from engine.evaluation.metrics import Rate, Spread
from engine.evaluation.records import RepairCase, read_repair_cases
from engine.messages import EditRequest, EditResult

if TYPE_CHECKING:
    from engine.evaluation.bench import Editor


@dataclass(frozen=True, slots=True)
class RepairRow:
    """One case. `edit` is the leading candidate, None when the engine left the span as it was; then the
    text stays as it is and is judged so. `compiles` and `same_tree` are None where the author's own version does
    not compile (fragments of files, other versions of Python)."""

    id: str
    edit: str | None
    score: float | None  # of the leading candidate
    rank: int | None  # 1-based place of the author's text among the candidates
    guess: int | None  # and among the guesses that are made where there is no candidate
    same_tree: bool | None
    compiles: bool | None
    compiled_before: bool
    refused: bool  # the engine did not take the request
    milliseconds: float | None
    forward_passes: int
    steps: int


@dataclass(frozen=True, slots=True)
class RepairReport:
    """`exact_at_1`, `exact_at_n`: the author's text is the first, or among the first `candidates`
    (`metrics.same_text` says what counts as the same). `guessed_at_1`, `guessed_at_n`: the same when the engine, where
    it is sure of nothing, makes guesses for a judge who knows that something is wrong. Times are of edits without
    guesses and of cold contexts, one request at a time."""

    benchmark: str
    data: str
    model: bench.ModelInfo
    cases: int
    candidates: int
    instructions: bool
    deadline_ms: int | None
    exact_at_1: Rate
    exact_at_n: Rate
    guessed_at_1: Rate
    guessed_at_n: Rate
    same_tree: Rate
    compiles: Rate
    compiled_before: Rate
    edited: Rate
    refused: int
    milliseconds: Spread
    forward_passes: Spread
    steps: Spread


def run_repair(
    data: Path,
    options: bench.BenchOptions,
    *,
    candidates: int = 10,
    instructions: bool = False,
    deadline_ms: int | None = None,
) -> RepairReport:
    """Measures repair on the records of `data` (`records.read_repair_cases`). With `instructions` the
    commit subject is given as the instruction.

    Raises EvaluationError for unreadable records, EditError for a model that cannot be loaded."""
    cases = bench.choose(read_repair_cases(data), options)
    denoiser = bench.load_model(options)
    bench.warm_up(denoiser)
    rows = repair_rows(cases, denoiser, options, candidates, instructions, deadline_ms)
    bench.write_rows(rows, options.out)
    return summarise(rows, data.name, bench.describe_model(denoiser), candidates, instructions, deadline_ms)


def repair_rows(
    cases: Sequence[RepairCase],
    denoiser: Editor,
    options: bench.BenchOptions,
    candidates: int = 10,
    instructions: bool = False,
    deadline_ms: int | None = None,
) -> list[RepairRow]:
    """One row per case, with a model that is already in memory."""
    rows: list[RepairRow] = []
    for case in cases:
        request = EditRequest(
            "fix",
            case.prefix,
            case.span,
            case.suffix,
            instruction=case.subject if instructions else None,
            candidates=candidates,
            deadline_ms=deadline_ms,
            seed=options.seed,
        )
        result = bench.edit(request, denoiser)
        unsure = result is not None and not result.candidates
        guesses = bench.edit(replace(request, guesses=candidates), denoiser) if unsure else None
        rows.append(judge(case, result, [c.text for c in guesses.guesses] if guesses else []))
        if options.progress:
            options.progress(len(rows), len(cases))
    return rows


def judge(case: RepairCase, result: EditResult | None, guesses: Sequence[str] = ()) -> RepairRow:
    texts = [case.prefix + c.text + case.suffix for c in result.candidates] if result else []
    document = texts[0] if texts else case.before
    after = case.after
    judged = metrics.compiles(after)
    return RepairRow(
        id=case.id,
        edit=result.candidates[0].text if result and texts else None,
        score=result.candidates[0].score if result and texts else None,
        rank=place(texts, after),
        guess=place([case.prefix + text + case.suffix for text in guesses], after),
        same_tree=metrics.same_tree(document, after) if judged else None,
        compiles=metrics.compiles(document) if judged else None,
        compiled_before=metrics.compiles(case.before),
        refused=result is None,
        milliseconds=result.elapsed_ms if result else None,
        forward_passes=result.forward_passes if result else 0,
        steps=result.steps if result else 0,
    )


def place(texts: Sequence[str], right: str) -> int | None:
    """1-based place of the first of `texts` that is `right`."""
    return next((i for i, text in enumerate(texts, 1) if metrics.same_text(text, right)), None)


def summarise(
    rows: Sequence[RepairRow],
    data: str,
    model: bench.ModelInfo,
    candidates: int,
    instructions: bool = False,
    deadline_ms: int | None = None,
) -> RepairReport:
    answered = [row for row in rows if row.milliseconds is not None]
    return RepairReport(
        benchmark="repair",
        data=data,
        model=model,
        cases=len(rows),
        candidates=candidates,
        instructions=instructions,
        deadline_ms=deadline_ms,
        exact_at_1=metrics.rate([row.rank == 1 for row in rows]),
        exact_at_n=metrics.rate([row.rank is not None for row in rows]),
        guessed_at_1=metrics.rate([1 in (row.rank, row.guess) for row in rows]),
        guessed_at_n=metrics.rate([row.rank is not None or row.guess is not None for row in rows]),
        same_tree=metrics.rate([row.same_tree for row in rows if row.same_tree is not None]),
        compiles=metrics.rate([row.compiles for row in rows if row.compiles is not None]),
        compiled_before=metrics.rate([row.compiled_before for row in rows if row.compiles is not None]),
        edited=metrics.rate([row.edit is not None for row in rows]),
        refused=len(rows) - len(answered),
        milliseconds=metrics.spread([row.milliseconds for row in answered if row.milliseconds is not None]),
        forward_passes=metrics.spread([row.forward_passes for row in answered]),
        steps=metrics.spread([row.steps for row in answered]),
    )
