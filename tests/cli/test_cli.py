"""The command line's contract: exit status, one clear line, JSON last, bytes kept."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine.models.loading import EMBEDDED

BROKEN = b"import os\r\n\r\nx = '\xc3\xa9'\r\nprint(len(x)\r\n"


def redraft(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "engine.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.py"
    path.write_bytes(BROKEN)
    return path


def test_edit_shows_a_diff_and_writes_only_when_asked(broken: Path) -> None:
    done = redraft("edit", broken, "--range", "4:4", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["changed"]
    assert not report["written"]
    assert report["candidates"][0]["parses"]
    assert broken.read_bytes() == BROKEN
    assert redraft("edit", broken, "--range", "4:4", "--write").returncode == 0
    mended = broken.read_bytes()
    compile(mended, "broken.py", "exec")
    assert mended.startswith(b"import os\r\n\r\nx = '\xc3\xa9'\r\n")


@pytest.mark.parametrize(
    ("content", "range_", "words"),
    [
        (None, "1:1", "does not exist"),
        (b"a\n", "2:3", "lines 1 to 1"),
        (b"a\n", "x", "FIRST:LAST"),
        (b"a\0b", "1:1", "binary"),
        (b"\xff\xfe", "1:1", "not UTF-8"),
        (b"x = 1\n" * 2_000_000, "1:1", "limit"),
    ],
)
def test_bad_input_is_one_line_and_status_1(tmp_path: Path, content: bytes | None, range_: str, words: str) -> None:
    path = tmp_path / "file.py"
    if content is not None:
        path.write_bytes(content)
    done = redraft("edit", path, "--range", range_)
    assert done.returncode == 1
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert content is None or path.read_bytes() == content


def test_bad_usage_is_status_2() -> None:
    assert redraft("edit").returncode == 2
    assert redraft("nonsense").returncode == 2


def test_corrupt_weights_are_named(tmp_path: Path, broken: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(EMBEDDED, model)
    (model / "model.safetensors").write_bytes(b"x")
    done = redraft("edit", broken, "--range", "4:4", "--model", model)
    assert done.returncode == 1
    assert "cannot be loaded" in done.stderr
    assert "download it anew" in done.stderr
    assert broken.read_bytes() == BROKEN
    assert redraft("doctor", "--model", model).returncode == 1


def test_doctor_finds_nothing_wrong() -> None:
    done = redraft("doctor", "--json")
    assert done.returncode == 0, done.stdout
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["ok"]
    assert report["model"] == "small"


def test_engine_status_and_stop(broken: Path) -> None:
    redraft("edit", broken, "--range", "4:4")
    assert json.loads(redraft("engine", "status", "--json").stdout)["running"]
    assert json.loads(redraft("engine", "stop", "--json").stdout)["stopped"]
    assert not json.loads(redraft("engine", "status", "--json").stdout)["running"]


def test_bench_repair_reads_records_and_refuses_others(tmp_path: Path) -> None:
    record = {"id": "1", "before": "print((1)\n", "after": "print((1))\n", "hunk": [0, 1, 0, 1]}
    data = tmp_path / "records.jsonl"
    data.write_text(json.dumps(record) + "\n")
    done = redraft("bench", "repair", "--data", data, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["cases"] == 1
    data.write_text("{not json\n")
    done = redraft("bench", "repair", "--data", data)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1


def test_patterns_are_not_mined_from_nothing(tmp_path: Path) -> None:
    config = tmp_path / "corpus.toml"
    config.write_text(f'folder = "{tmp_path}/corpus"\nedits = "{tmp_path}/nowhere"\n')
    done = redraft("train", "patterns", "--config", config)
    assert done.returncode == 1
    assert "names no folder of real edits" in done.stderr
    assert not (tmp_path / "corpus").exists()
