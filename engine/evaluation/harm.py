"""Do no harm: how often does `fix` leave code alone that is already right?

Two kinds of regions, all of whole documents that compile: the lines a commit has just mended
("mended"), and randomly chosen runs of lines elsewhere in the same files ("random"). That the
authors' code is right is an assumption; it holds often enough for a rate.
Must not import torch at module level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Literal

from engine.evaluation import bench, metrics
from engine.evaluation.metrics import Rate, Spread
from engine.evaluation.records import RecordError, RepairCase, read_repair_cases, widen
from engine.messages import EditRequest
from engine.regions import split_lines

if TYPE_CHECKING:
    from engine.evaluation.bench import Editor

Kind = Literal["mended", "random"]
MAX_LINES = 5  # of a random region


@dataclass(frozen=True, slots=True)
class CorrectRegion:
    """A region of a document that compiles, to be left as it is."""

    id: str
    kind: Kind
    prefix: str
    span: str
    suffix: str


@dataclass(frozen=True, slots=True)
class HarmRow:
    id: str
    kind: Kind
    span: str
    edit: str | None  # what `fix` made of the span; None: left alone
    same_tree: bool  # the meaning at least is kept
    score: float | None
    milliseconds: float | None


@dataclass(frozen=True, slots=True)
class HarmReport:
    """`unchanged`: no edit was proposed. `same_meaning`: left alone, or edited to the same syntax tree."""

    benchmark: str
    data: str
    model: bench.ModelInfo
    cases: int
    skipped: int  # records whose document after the commit does not compile
    unchanged: Rate
    unchanged_mended: Rate
    unchanged_random: Rate
    same_meaning: Rate
    milliseconds: Spread


def run_harm(data: Path, options: bench.BenchOptions, *, random_regions: int = 1) -> HarmReport:
    """Measures do-no-harm on the `after` side of repair records, plus `random_regions` per record.
    `options.limit` counts records.

    Raises EvaluationError for unreadable records, EditError for a model that cannot be loaded."""
    records = bench.choose(read_repair_cases(data), options)
    whole = [record for record in records if metrics.compiles(record.after)]
    if not whole:
        raise RecordError(f"{data} holds no document that compiles: give records of whole files, with 'hunk'")
    regions = [region for record in whole for region in correct_regions(record, random_regions, options.seed)]
    denoiser = bench.load_model(options)
    bench.warm_up(denoiser)
    rows = harm_rows(regions, denoiser, options)
    bench.write_rows(rows, options.out)
    return summarise(rows, data.name, bench.describe_model(denoiser), len(records) - len(whole))


def correct_regions(record: RepairCase, random_regions: int, seed: int) -> list[CorrectRegion]:
    """The mended lines (their neighbours where the commit only removed lines), and random regions."""
    prefix, span, _, suffix = (record.prefix, record.expected, record.expected, record.suffix)
    if not span:
        prefix, span, _, suffix = widen(prefix, span, span, suffix)
    mended = [CorrectRegion(record.id, "mended", prefix, span, suffix)] if span else []
    rng = metrics.seeded(seed, record.id)
    found = (random_region(record, rng) for _ in range(random_regions))
    return [*mended, *(region for region in found if region)]


def random_region(record: RepairCase, rng: Random) -> CorrectRegion | None:
    """1 to 5 lines of the document after the commit that are not all blank; None when it has no such lines."""
    lines = split_lines(record.after)
    starts = [i for i, line in enumerate(lines) if line.strip()]
    if not starts:
        return None
    start = rng.choice(starts)
    end = min(len(lines), start + rng.randint(1, MAX_LINES))
    parts = ("".join(lines[:start]), "".join(lines[start:end]), "".join(lines[end:]))
    return CorrectRegion(f"{record.id}:{start}-{end}", "random", *parts)


def harm_rows(regions: Sequence[CorrectRegion], denoiser: Editor, options: bench.BenchOptions) -> list[HarmRow]:
    """One row per region, with a model that is already in memory. Refused regions count as left alone."""
    rows: list[HarmRow] = []
    for region in regions:
        request = EditRequest("fix", region.prefix, region.span, region.suffix, candidates=1, seed=options.seed)
        result = bench.edit(request, denoiser)
        best = result.candidates[0] if result and result.candidates else None
        kept = best is None or metrics.same_tree(
            region.prefix + best.text + region.suffix, region.prefix + region.span + region.suffix
        )
        rows.append(
            HarmRow(
                region.id,
                region.kind,
                region.span,
                best.text if best else None,
                kept,
                best.score if best else None,
                result.elapsed_ms if result else None,
            )
        )
        if options.progress:
            options.progress(len(rows), len(regions))
    return rows


def summarise(rows: Sequence[HarmRow], data: str, model: bench.ModelInfo, skipped: int) -> HarmReport:
    def unchanged(*kinds: Kind) -> Rate:
        return metrics.rate([row.edit is None for row in rows if row.kind in kinds])

    return HarmReport(
        benchmark="harm",
        data=data,
        model=model,
        cases=len(rows),
        skipped=skipped,
        unchanged=unchanged("mended", "random"),
        unchanged_mended=unchanged("mended"),
        unchanged_random=unchanged("random"),
        same_meaning=metrics.rate([row.same_tree for row in rows]),
        milliseconds=metrics.spread([row.milliseconds for row in rows if row.milliseconds is not None]),
    )
