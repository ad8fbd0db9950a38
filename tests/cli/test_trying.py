"""`redraft edit --test`: the user's command decides, and the file is as it was unless it was to be written."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.cli.errors import CommandError
from engine.cli.files import read_source
from engine.cli.trying import first_that_passes
from tests.cli.test_cli import redraft

WRONG = b"""def largest(values):\r
    best = values[0]\r
    for value in values:\r
        if value < best:\r
            best = value\r
    return best\r
"""
TEST = f"{sys.executable} -c 'from shape import largest; assert largest([1, 3, 2]) == 3'"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "shape.py"
    path.write_bytes(WRONG)
    return path


def test_a_bug_that_no_parser_sees_is_mended_by_the_users_test(module: Path) -> None:
    done = redraft("edit", module, "--range", "1:6", "--test", TEST, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["changed"]
    assert module.read_bytes() == WRONG
    assert [path.name for path in module.parent.iterdir()] == ["shape.py"]
    assert redraft("edit", module, "--range", "4", "--test", TEST, "--write").returncode == 0
    mended = module.read_bytes()
    assert mended.count(b"\r\n") == mended.count(b"\n") == 6
    assert subprocess.run(TEST, shell=True).returncode == 0


def test_nothing_is_edited_when_the_command_succeeds_already(module: Path) -> None:
    done = redraft("edit", module, "--range", "4:4", "--test", "true", "--write")
    assert (done.returncode, module.read_bytes()) == (1, WRONG)
    assert "succeeds as it is" in done.stderr


def test_nothing_is_written_when_no_edit_passes(module: Path) -> None:
    done = redraft("edit", module, "--range", "4:4", "--test", "false", "--write")
    assert (done.returncode, module.read_bytes()) == (0, WRONG)


def test_a_change_by_someone_else_ends_the_trial_and_stays(module: Path) -> None:
    command = f"printf changed > {module}; false"
    with pytest.raises(CommandError, match="changed meanwhile"):
        first_that_passes(read_source(module), ["a = 1\n", "a = 2\n"], command, lambda _: None)
    assert module.read_bytes() == b"changed"


def test_a_terminated_trial_leaves_the_file_as_it_was(module: Path) -> None:
    script = (
        "from pathlib import Path; from engine.cli.files import read_source; from engine.cli.trying import *; "
        f"first_that_passes(read_source(Path({str(module)!r})), ['a = 1'], 'sleep 60', lambda _: print(1, flush=True))"
    )
    root = Path(__file__).parents[2]
    trial = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=root)
    assert trial.stdout
    trial.stdout.readline()
    while module.read_bytes() == WRONG:
        time.sleep(0.01)
    trial.send_signal(signal.SIGTERM)
    assert trial.wait(30) == 143
    assert module.read_bytes() == WRONG
