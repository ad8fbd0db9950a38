"""The benchmarks end to end, with the embedded model and records small enough to reckon by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from engine.evaluation import bench, calibration, clients, function, harm, infill, metrics, repair, speed
from engine.evaluation.bench import BenchOptions, EvaluationError
from engine.evaluation.function_records import FunctionCase
from engine.evaluation.records import InfillCase, RecordError, RepairCase
from engine.evaluation.sandbox import Limits
from engine.messages import Candidate, EditResult
from engine.models.denoiser import EmbeddedDenoiser
from engine.service.client import EngineClient, EngineOptions

CASE = RepairCase("c", "def f(x):\n", "    return (x\n", "\n\nprint(f(1))\n", "    return x\n", "Drop a bracket")
MODEL = bench.ModelInfo("m", 1, "cpu", 1)
LIMITS = Limits(wall_s=10, cpu_s=10)


def result(*texts: str) -> EditResult:
    found = tuple(Candidate(text, -0.1 * i, None) for i, text in enumerate(texts))
    return EditResult(found, 3, 4, 50.0, "done" if found else "unchanged")


def write_records(path: Path, count: int) -> Path:
    record = {"before": CASE.before, "after": CASE.after, "hunk": [1, 2, 1, 2]}
    path.write_text("".join(json.dumps({**record, "id": f"c{i}"}) + "\n" for i in range(count)))
    return path


def test_repair_judges_the_first_candidate_and_ranks_the_rest():
    row = repair.judge(CASE, result("    return (x)\n", "    return x \n", "    return x\n"))
    assert (row.edit, row.score, row.rank) == ("    return (x)\n", 0.0, 2)  # invisible white space is forgiven
    assert (row.compiles, row.same_tree, row.compiled_before) == (True, True, False)
    assert (row.milliseconds, row.forward_passes, row.steps) == (50.0, 4, 3)


def test_repair_judges_the_untouched_text_where_nothing_was_proposed():
    row = repair.judge(CASE, result())
    assert (row.edit, row.score, row.rank, row.compiles, row.same_tree) == (None, None, None, False, False)
    assert repair.judge(CASE, None).refused


def test_repair_does_not_judge_syntax_where_the_author_cannot_be_judged():
    fragment = replace(CASE, suffix="\nelse:\n")
    row = repair.judge(fragment, result("    return x\n"))
    assert (row.rank, row.compiles, row.same_tree) == (1, None, None)


def test_repair_report_counts():
    rows = [
        repair.judge(CASE, result("    return x\n")),
        repair.judge(CASE, result("    return (x)\n", "    return x\n")),
        repair.judge(CASE, result("    return y\n")),
        repair.judge(CASE, result()),
        repair.judge(CASE, None),
    ]
    report = repair.summarise(rows, "data", MODEL, candidates=10)
    counts = {
        name: getattr(report, name).hits for name in ("exact_at_1", "exact_at_n", "same_tree", "compiles", "edited")
    }
    assert counts == {"exact_at_1": 1, "exact_at_n": 2, "same_tree": 2, "compiles": 3, "edited": 3}
    assert (report.cases, report.refused, report.compiled_before.hits) == (5, 1, 0)
    assert report.milliseconds == metrics.Spread(4, 50.0, 50.0, 50.0)


def test_repair_end_to_end(tmp_path: Path):
    seen: list[tuple[int, int]] = []
    out = tmp_path / "rows.jsonl"
    options = BenchOptions(limit=2, seed=1, out=out, progress=lambda done, of: seen.append((done, of)))
    report = repair.run_repair(write_records(tmp_path / "r.jsonl", 5), options, candidates=3)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert report.cases == len(rows) == 2
    assert seen == [(1, 2), (2, 2)]
    assert report.compiles.hits == 2  # the parser is the judge, so one missing bracket is always mended
    assert rows[0]["edit"] == rows[1]["edit"] != CASE.span
    assert report.milliseconds.p50 > 0
    assert json.loads(json.dumps(bench.as_json(report)))["exact_at_1"]["of"] == 2


def test_options_are_checked(tmp_path: Path):
    data = write_records(tmp_path / "r.jsonl", 1)
    with pytest.raises(EvaluationError, match="at least 1"):
        repair.run_repair(data, BenchOptions(limit=0))
    with pytest.raises(EvaluationError, match="cannot write"):
        repair.run_repair(data, BenchOptions(out=tmp_path / "missing" / "rows.jsonl"))


def test_choice_is_seeded_and_in_order():
    cases = list(range(100))
    chosen = bench.choose(cases, BenchOptions(limit=10, seed=3))
    assert chosen == sorted(chosen) == bench.choose(cases, BenchOptions(limit=10, seed=3))
    assert chosen != bench.choose(cases, BenchOptions(limit=10, seed=4))
    assert bench.choose(cases, BenchOptions(limit=1000)) == cases


def test_harm_takes_the_mended_lines_and_random_ones():
    mended, *others = harm.correct_regions(CASE, 20, seed=0)
    assert (mended.kind, mended.prefix, mended.span, mended.suffix) == (
        "mended",
        CASE.prefix,
        CASE.expected,
        CASE.suffix,
    )
    assert len(others) == 20
    assert all(region.prefix + region.span + region.suffix == CASE.after for region in [mended, *others])
    assert all(region.span.strip() and region.span.count("\n") <= harm.MAX_LINES for region in others)
    assert len({region.span for region in others}) > 3


def test_harm_selects_the_neighbours_of_removed_lines():
    removed = replace(CASE, span="    x = (\n", expected="", suffix="    return x\n")
    (region,) = harm.correct_regions(removed, 0, seed=0)
    assert region.span == "def f(x):\n    return x\n"


def test_harm_report_counts():
    kinds: list[harm.Kind] = ["mended", "mended", "random", "random"]
    edits = [None, "x", None, None]
    rows = [harm.HarmRow("r", k, "s", e, e is None, None, 1.0) for k, e in zip(kinds, edits, strict=True)]
    report = harm.summarise(rows, "data", MODEL, skipped=2)
    assert [r.share for r in (report.unchanged, report.unchanged_mended, report.unchanged_random)] == [0.75, 0.5, 1.0]
    assert (report.skipped, report.same_meaning.hits) == (2, 3)


def test_harm_end_to_end(tmp_path: Path):
    report = harm.run_harm(write_records(tmp_path / "r.jsonl", 2), BenchOptions(), random_regions=2)
    assert (report.cases, report.unchanged_mended.of, report.unchanged_random.of) == (6, 2, 4)


def test_harm_needs_whole_documents(tmp_path: Path):
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps({"prefix": "if x:\n", "before": "(", "after": "[", "suffix": ""}) + "\n")
    with pytest.raises(RecordError, match="no document that compiles"):
        harm.run_harm(path, BenchOptions())


def test_calibration_sees_whether_confident_edits_are_right():
    right, wrong = repair.judge(CASE, result("    return x\n")), repair.judge(CASE, result("    return y\n"))
    rows = [replace(right, score=-0.1 * i) for i in range(4)] + [replace(wrong, score=-1 - 0.1 * i) for i in range(4)]
    rows.append(repair.judge(CASE, result()))
    report = calibration.calibrate(rows, "data", MODEL, bins=2)
    assert (report.cases, report.edits, report.right.hits, report.auroc) == (9, 8, 4, 1.0)
    assert [b.right.share for b in report.bins] == [0.0, 1.0]
    assert {c.share: c.right.share for c in report.coverage} == {0.1: 1.0, 0.25: 1.0, 0.5: 1.0, 0.75: 4 / 6, 1.0: 0.5}
    assert calibration.calibrate(rows[-1:], "data", MODEL).bins == []


def test_infill_end_to_end(denoiser: EmbeddedDenoiser):
    tests = "def check(f):\n    assert f(2) == 4\n\ncheck(double)\n"
    case = InfillCase("c", "def double(x):\n    y = ", "\n    return x + x\n", "x", tests)
    hopeless = replace(case, id="h", suffix="\n    return 5\n")
    rows = infill.infill_rows([case, hopeless], denoiser, BenchOptions())
    report = infill.summarise(rows, "data", MODEL, samples=1)
    (first,), (second,) = (row.samples for row in rows)
    assert first.passed or first.error  # a fill that does not pass says why
    assert not second.passed
    assert (report.pass_at_1.hits, report.pass_at_1.of) == (first.passed, 2)
    assert first.milliseconds > 0


def test_infill_counts_samples():
    def sample(passed: bool) -> infill.Sample:
        return infill.Sample("x", passed, None, True, passed, 5.0, 2)

    rows = [infill.InfillRow(str(hits), [sample(i < hits) for i in range(10)]) for hits in (0, 5, 10)]
    report = infill.summarise(rows, "data", MODEL, samples=10)
    assert report.pass_at_1.hits == 2
    assert report.pass_at_k["1"].mean == pytest.approx(0.5)
    assert report.pass_at_k["10"].mean == pytest.approx(2 / 3)


def test_function_end_to_end(denoiser: EmbeddedDenoiser):
    reference = "def double(x):\n    return x + x\n"
    case = FunctionCase("d", "def double(x):\n", "    return (x + x\n", "", reference, "double.__code__\n", "fix")
    row = function.repair_function(case, denoiser, 0, 10, LIMITS)
    assert row.candidates >= 1
    assert row.plausible_rank == 1  # whatever parses passes these tests, and the parser is the judge
    assert function.passes(case.prefix + (row.edit or "") + case.suffix, case, LIMITS)
    hopeless = function.repair_function(replace(case, tests="assert False\n"), denoiser, 0, 10, LIMITS)
    assert (hopeless.candidates, hopeless.plausible_rank) == (row.candidates, None)


def test_function_report_counts():
    def row(plausible: int | None, exact: int | None = None) -> function.FunctionRow:
        return function.FunctionRow("f", 10, plausible, exact, "x", False, 1.0, 1)

    report = function.summarise([row(1, 1), row(7), row(None)], "data", MODEL, candidates=10, invalid=4)
    assert {k: r.hits for k, r in report.plausible_at.items()} == {"1": 1, "10": 2}
    assert (report.exact_at_1.hits, report.invalid) == (1, 4)


def test_speed_end_to_end():
    class Counter:
        """A rival that takes its time from the number of tokens asked for."""

        name, parameters = "counter", 1

        def generate(self, prefix: str, suffix: str, max_new_tokens: int) -> speed.Generation:
            return speed.Generation("x", max_new_tokens, 100.0 * max_new_tokens)

    report = speed.run_speed(BenchOptions(), spans=(16,), contexts=(128,), edits=2, make_rivals=lambda _: [Counter()])
    (cell,) = report.cells
    assert report.machine.gflops > 0.1
    assert report.machine.gigabytes_per_s > 0.1
    assert {series.name for series in cell.ours} == {"fix", "rewrite", "complete"}
    assert cell.rivals[0].milliseconds.p50 == 1000 * 1600
    assert cell.rivals[0].tokens_per_s.p50 == pytest.approx(0.01)
    ours = {series.name: series.milliseconds.p50 for series in cell.ours}
    assert cell.ratios == {
        f"counter / {name}": pytest.approx(1_600_000 / ms) for name, ms in ours.items() if name != "complete"
    }
    assert 0 < cell.step_floor_ms < cell.step_ms
    assert cell.mean_span_tokens == pytest.approx(16, abs=10)


def test_clients_end_to_end():
    options = EngineOptions(idle_s=60)
    report = clients.run_clients(options, levels=(1, 2), edits=3, span_tokens=16, context_tokens=64)
    assert [(level.clients, level.edits, level.failed) for level in report.levels] == [(1, 3, 0), (2, 4, 0)]
    assert report.levels[0].speedup == 1.0
    assert all(
        level.overhead_ms.p50 > -1 and level.edits_per_s > 0 and level.resident_mb > 50 for level in report.levels
    )


async def test_clients_count_failures():
    """An engine that has gone is counted, not raised: the others' edits still matter."""
    client = await EngineClient.connect(EngineOptions(idle_s=60))
    await client.close()
    samples = clients.code_samples(2, 16, 64, clients.rough_tokens, 0)
    assert await clients.edit_all(0, client, samples) == [None, None]
