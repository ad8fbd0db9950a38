from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from engine.evaluation.records import RecordError, read_infill_cases, read_repair_cases

WHOLE = {"id": "r/1", "subject": "Fix it", "before": "a\nb\nc\n", "after": "a\nB\nc\n", "hunk": [1, 2, 1, 2]}
INFILL = {
    "task_id": "SingleLineInfilling/HumanEval/0/L0",
    "entry_point": "double",
    "prompt": "def double(x):\n",
    "suffix": "    return y\n",
    "canonical_solution": "    y = 2 * x\n",
    "test": "def check(candidate):\n    assert candidate(2) == 4\n",
}


def write(path: Path, *records: dict[str, Any] | str) -> Path:
    lines = [r if isinstance(r, str) else json.dumps(r) for r in records]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_whole_files_are_split_at_the_hunk(tmp_path: Path):
    (case,) = read_repair_cases(write(tmp_path / "r.jsonl", WHOLE))
    assert (case.prefix, case.span, case.suffix, case.expected) == ("a\n", "b\n", "c\n", "B\n")
    assert (case.before, case.after) == (WHOLE["before"], WHOLE["after"])
    assert (case.id, case.subject) == ("r/1", "Fix it")


@pytest.mark.parametrize(
    ("before", "after", "hunk", "span", "expected"),
    [
        ("a\nb\nc\nd", "a\nb\nX\nc\nd", [2, 2, 2, 3], "b\nc\n", "b\nX\nc\n"),
        ("a\nb\n", "X\na\nb\n", [0, 0, 0, 1], "a\n", "X\na\n"),
        ("a\nb\n", "a\nb\nX\n", [2, 2, 2, 3], "b\n", "b\nX\n"),
        ("", "X\n", [0, 0, 0, 1], "", "X\n"),
    ],
)
def test_an_insertion_selects_the_lines_around_it(
    tmp_path: Path, before: str, after: str, hunk: list[int], span: str, expected: str
):
    (case,) = read_repair_cases(write(tmp_path / "r.jsonl", {"before": before, "after": after, "hunk": hunk}))
    assert (case.span, case.expected) == (span, expected)
    assert (case.before, case.after) == (before, after)


def test_line_endings_are_kept(tmp_path: Path):
    record = {"before": "a\r\nb\r\nc\x0cd\n", "after": "a\r\nB\r\nc\x0cd\n", "hunk": [1, 2, 1, 2]}
    (case,) = read_repair_cases(write(tmp_path / "r.jsonl", record))
    assert (case.prefix, case.span, case.suffix) == ("a\r\n", "b\r\n", "c\x0cd\n")


def test_fragments(tmp_path: Path):
    record = {"commit": "abc", "prefix": "p\n", "before": "", "after": "new\n", "suffix": "s\nt\n", "fix": True}
    (case,) = read_repair_cases(write(tmp_path / "r.jsonl", record))
    assert (case.prefix, case.span, case.suffix, case.expected) == ("", "p\ns\n", "t\n", "p\nnew\ns\n")
    assert (case.id, case.subject) == ("abc", None)


@pytest.mark.parametrize(("suffix", "opener"), [(".gz", gzip.open), (".xz", lzma.open)])
def test_compressed_files(tmp_path: Path, suffix: str, opener: Any):
    path = tmp_path / f"r.jsonl{suffix}"
    with opener(path, "wt", encoding="utf-8") as stream:
        stream.write(json.dumps(WHOLE) + "\n\n")
    assert [case.id for case in read_repair_cases(path)] == ["r/1"]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("{nope", "line 2 is not JSON"),
        ("[1]", "line 2 is not a JSON object"),
        ({**WHOLE, "hunk": [1, 2, 1]}, "line 2: 'hunk' must be four integers"),
        ({**WHOLE, "hunk": [1, 2, 1, True]}, "line 2: field 'hunk' must be a list of integers"),
        ({**WHOLE, "hunk": "1,2"}, "line 2: field 'hunk' must be a list of integers"),
        ({**WHOLE, "hunk": [0, 1, 0, 1]}, "line 2: 'before' and 'after' differ outside lines"),
        ({**WHOLE, "hunk": [2, 9, 2, 9]}, "line 2: 'before' and 'after' differ outside lines"),
        ({**WHOLE, "before": None}, "line 2: field 'before' must be a string, found NoneType"),
        ({"before": "a", "after": "b"}, "line 2: needs 'before', 'after' and 'hunk'"),
    ],
)
def test_bad_records_are_named(tmp_path: Path, record: Any, message: str):
    with pytest.raises(RecordError, match=message):
        read_repair_cases(write(tmp_path / "r.jsonl", WHOLE, record))


def test_bad_files_are_named(tmp_path: Path):
    with pytest.raises(RecordError, match=r"cannot read .*missing\.jsonl: No such file"):
        read_repair_cases(tmp_path / "missing.jsonl")
    with pytest.raises(RecordError, match="holds no records"):
        read_repair_cases(write(tmp_path / "empty.jsonl"))
    for name in ("text.gz", "text.xz"):
        with pytest.raises(RecordError, match=f"cannot read .*{name}"):
            read_repair_cases(write(tmp_path / name, WHOLE))
    binary = tmp_path / "binary.jsonl"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecordError, match="is not UTF-8 text"):
        read_repair_cases(binary)


def test_infilling_ends_its_tests_with_the_call(tmp_path: Path):
    (case,) = read_infill_cases(write(tmp_path / "i.jsonl", INFILL))
    assert (case.prefix, case.expected, case.suffix) == ("def double(x):\n", "    y = 2 * x\n", "    return y\n")
    names: dict[str, Any] = {}
    exec(f"{case.prefix}{case.expected}{case.suffix}\n{case.tests}", names)
    with pytest.raises(AssertionError):
        exec(f"{case.prefix}    y = x\n{case.suffix}\n{case.tests}", names)
