"""Readers of benchmark records: repair records and HumanEval-Infilling. Must not import torch.

`function_records` reads programs with tests. Files are JSON lines, plain or compressed (.gz, .xz).
Every reader raises RecordError with file and line when a record is not in its form.
"""

from __future__ import annotations

import gzip
import json
import lzma
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from engine.evaluation.bench import EvaluationError
from engine.regions import split_lines

Parsed = TypeVar("Parsed")


class RecordError(EvaluationError):
    """A file of records that cannot be read."""


@dataclass(frozen=True, slots=True)
class RepairCase:
    """`prefix + span + suffix` is the document before, `prefix + expected + suffix` the one after."""

    id: str
    prefix: str
    span: str
    suffix: str
    expected: str
    subject: str | None  # what the author said the edit does

    @property
    def before(self) -> str:
        return self.prefix + self.span + self.suffix

    @property
    def after(self) -> str:
        return self.prefix + self.expected + self.suffix


@dataclass(frozen=True, slots=True)
class InfillCase:
    """A removed span between `prefix` and `suffix`; `tests`, run after the program, decide."""

    id: str
    prefix: str
    suffix: str
    expected: str
    tests: str


class Record:
    """One JSON object with the place it was read from, for messages."""

    def __init__(self, fields: dict[str, Any], where: str) -> None:
        self.fields, self.where = fields, where

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    def text(self, name: str) -> str:
        value = self.fields.get(name)
        if not isinstance(value, str):
            raise RecordError(f"{self.where}: field {name!r} must be a string, found {type(value).__name__}")
        return value

    def optional(self, name: str) -> str | None:
        return self.text(name) if self.fields.get(name) is not None else None

    def integers(self, name: str) -> list[int]:
        value = self.fields.get(name)
        items = cast("list[Any]", value) if isinstance(value, list) else None
        if items is None or not all(type(item) is int for item in items):
            raise RecordError(f"{self.where}: field {name!r} must be a list of integers")
        return items

    def id(self, *names: str) -> str:
        """The first of the identifying fields that is there, else the place."""
        return next((str(self.fields[n]) for n in names if n in self.fields), self.where)


def read_repair_cases(path: Path) -> list[RepairCase]:
    """Records `{before, after, hunk}` of whole files (`hunk` = [i1, i2, j1, j2]: lines i1..i2 of `before`,
    0-based and half open, became j1..j2 of `after`), or fragments `{prefix, before, after, suffix}`.

    Where nothing stands in the hunk before, the span is the line before and the line after it."""
    return read_cases(path, repair_case)


def read_infill_cases(path: Path) -> list[InfillCase]:
    """HumanEval-Infilling (Bavarian et al., arXiv 2207.14255): `{task_id, prompt, suffix,
    canonical_solution, test, entry_point}`."""
    return read_cases(path, infill_case)


def read_cases(path: Path, parse: Callable[[Record], Parsed]) -> list[Parsed]:
    cases = [parse(record) for record in read_records(path)]
    if not cases:
        raise RecordError(f"{path} holds no records")
    return cases


def read_records(path: Path) -> Iterator[Record]:
    """The objects of a .jsonl, .jsonl.gz or .jsonl.xz file."""
    opener = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix, open)
    try:
        with cast(Any, opener)(path, "rt", encoding="utf-8") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield parse_record(line, f"{path.name} line {number}")
    except (OSError, EOFError, lzma.LZMAError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise RecordError(f"cannot read {path}: {reason}") from error
    except UnicodeDecodeError as error:
        raise RecordError(f"{path} is not UTF-8 text: give a .jsonl, .jsonl.gz or .jsonl.xz file") from error


def parse_record(line: str, where: str) -> Record:
    try:
        fields = json.loads(line)
    except ValueError as error:
        raise RecordError(f"{where} is not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise RecordError(f"{where} is not a JSON object")
    return Record(cast("dict[str, Any]", fields), where)


def repair_case(record: Record) -> RepairCase:
    if "hunk" in record:
        parts = split_whole_file(record)
    elif "prefix" in record:
        parts = tuple(record.text(name) for name in ("prefix", "before", "after", "suffix"))
    else:
        raise RecordError(f"{record.where}: needs 'before', 'after' and 'hunk', or 'prefix' and 'suffix' around them")
    prefix, before, after, suffix = parts
    if not before:
        prefix, before, after, suffix = widen(prefix, before, after, suffix)
    return RepairCase(record.id("id", "commit"), prefix, before, suffix, after, record.optional("subject"))


def split_whole_file(record: Record) -> tuple[str, str, str, str]:
    """Prefix, old and new lines of the hunk, suffix."""
    hunk = record.integers("hunk")
    if len(hunk) != 4:
        raise RecordError(f"{record.where}: 'hunk' must be four integers [i1, i2, j1, j2]")
    i1, i2, j1, j2 = hunk
    before, after = split_lines(record.text("before")), split_lines(record.text("after"))
    inside = 0 <= i1 <= i2 <= len(before) and 0 <= j1 <= j2 <= len(after)
    if not inside or before[:i1] != after[:j1] or before[i2:] != after[j2:]:
        raise RecordError(f"{record.where}: 'before' and 'after' differ outside lines {hunk}")
    return "".join(before[:i1]), "".join(before[i1:i2]), "".join(after[j1:j2]), "".join(before[i2:])


def widen(prefix: str, before: str, after: str, suffix: str) -> tuple[str, str, str, str]:
    """The neighbouring lines move into the span."""
    above, below = split_lines(prefix), split_lines(suffix)
    left, right = "".join(above[-1:]), "".join(below[:1])
    return "".join(above[:-1]), left + before + right, left + after + right, "".join(below[1:])


def infill_case(record: Record) -> InfillCase:
    tests = f"{record.text('test')}\ncheck({record.text('entry_point')})\n"
    return InfillCase(
        id=record.id("task_id"),
        prefix=record.text("prompt"),
        suffix=record.text("suffix"),
        expected=record.text("canonical_solution"),
        tests=tests,
    )
