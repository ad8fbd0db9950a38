"""The command line's contract: exit status, one clear line, JSON last, bytes kept."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from engine.cli.errors import CommandError
from engine.cli.files import read_source, write_source
from engine.models.loading import EMBEDDED
from engine.service.client import EngineOptions
from engine.service.paths import engine_paths

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


def test_a_model_is_the_same_from_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert EngineOptions(model="./m").model == EngineOptions(model="~/m").model == str(tmp_path / "m")


def test_an_engine_that_does_not_answer_is_not_said_to_be_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDRAFT_RUNTIME_DIR", str(tmp_path))
    tmp_path.chmod(0o700)
    with socket.socket(socket.AF_UNIX) as listener:  # it takes the connection and hangs up
        listener.bind(str(engine_paths(None, "cpu").socket))
        listener.listen()
        threading.Thread(target=refuse, args=(listener,), daemon=True).start()
        for verb in ("status", "stop"):
            found = redraft("engine", verb, "--device", "cpu")
            assert (found.returncode, found.stdout) == (1, "")
            assert "no engine of ours" in found.stderr
    assert redraft("engine", "status").stdout.startswith("no engine is running")


def test_a_runtime_folder_that_is_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("REDRAFT_RUNTIME_DIR", str(tmp_path / "file"))
    for arguments in (("status",), ("stop",), ("stop", "--force")):
        found = redraft("engine", *arguments)
        assert (found.returncode, found.stderr.count("\n")) == (1, 1)
        assert "no private runtime folder" in found.stderr


def refuse(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        connection.sendall(b"\0\0\0\1x")


def test_a_file_that_cannot_be_replaced_is_named(broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = read_source(broken)
    monkeypatch.setattr("tempfile.mkstemp", lambda **_: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    with pytest.raises(CommandError, match="cannot be written to: Permission denied"):
        write_source(file, "x = 1\n")
    broken.unlink()
    with pytest.raises(CommandError, match="is gone"):
        write_source(file, "x = 1\n")
