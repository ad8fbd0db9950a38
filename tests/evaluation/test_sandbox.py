from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

import pytest

from engine.evaluation.sandbox import Limits, run_program

QUICK = Limits(wall_s=10, cpu_s=10)
posix = pytest.mark.skipif(os.name != "posix", reason="POSIX limits")


def test_a_program_passes_when_it_reaches_its_end():
    assert run_program("assert 1 + 1 == 2\n", QUICK).status == "passed"


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("assert 1 + 1 == 3\n", "AssertionError"),
        ("def f(:\n", "SyntaxError"),
        ("undefined\n", "NameError"),
        ("def f(): f()\nf()\n", "RecursionError"),
        ("raise KeyboardInterrupt\n", "KeyboardInterrupt"),
        ("import sys\nsys.exit(0)\nassert False\n", "SystemExit"),
        ("import os\nos._exit(0)\n", "exit"),
    ],
)
def test_failures_are_named_by_type(source: str, error: str):
    outcome = run_program(source, QUICK)
    assert (outcome.status, outcome.error) == ("failed", error)


FORGED = """
import os
for descriptor in range(1, 20):
    try:
        os.write(descriptor, b'{"nonce": "", "error": null, "network": null}')
    except OSError:
        pass
os._exit(0)
"""


def test_printing_a_verdict_is_no_way_to_pass():
    assert run_program(FORGED, QUICK).status == "failed"


def test_output_and_input_are_cut_off():
    assert run_program("print('x' * 10_000_000)\nassert open(0).read() == ''\n", QUICK).status == "passed"


def test_the_program_is_main_and_sees_nothing_of_this_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("REDRAFT_SECRET", "s3cret")
    source = """
import os, sys
assert __name__ == "__main__"
assert "REDRAFT_SECRET" not in os.environ
assert "engine" not in sys.modules
"""
    assert run_program(source, QUICK).status == "passed"


def test_wall_time_is_limited():
    started = time.monotonic()
    outcome = run_program("import time\ntime.sleep(60)\n", Limits(wall_s=1.0))
    assert (outcome.status, outcome.error) == ("timeout", "wall time")
    assert time.monotonic() - started < 5


@posix
def test_processor_time_is_limited():
    outcome = run_program("while True: pass\n", Limits(wall_s=30, cpu_s=1))
    assert (outcome.status, outcome.error) == ("timeout", "processor time")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="address space is limited on Linux only")
def test_memory_is_limited():
    outcome = run_program("b = bytearray(600 * 1024 * 1024)\n", Limits(wall_s=10, memory_mb=512))
    assert (outcome.status, outcome.error) == ("failed", "MemoryError")
    assert run_program("b = bytearray(100 * 1024 * 1024)\n", Limits(wall_s=10, memory_mb=512)).status == "passed"


@posix
def test_file_size_is_limited():
    source = "with open('big', 'wb') as f:\n    f.write(bytes({} * 1024 * 1024))\n"
    assert run_program(source.format(1), Limits(file_mb=2)).status == "passed"
    assert run_program(source.format(3), Limits(file_mb=2)).error == "OSError"


def test_files_outside_are_safe(tmp_path: Path):
    victim = tmp_path / "victim.txt"
    victim.write_text("safe")
    for attack in (
        f"open({str(victim)!r}, 'w')",
        f"open({str(victim)!r}, 'a')",
        f"import os; os.remove({str(victim)!r})",
        f"import os; os.rename({str(victim)!r}, 'mine')",
        f"import os; os.open({str(victim)!r}, os.O_WRONLY | os.O_TRUNC)",
        f"import pathlib; pathlib.Path({str(tmp_path)!r}, 'new').mkdir()",
        f"import shutil; shutil.rmtree({str(tmp_path)!r})",
        f"import os; os.symlink({str(victim)!r}, 'link'); open('link', 'w')",
        f"import sqlite3; sqlite3.connect({str(tmp_path / 'x.db')!r})",
        f"import os; os.mkdir('new', dir_fd=os.open({str(tmp_path)!r}, os.O_RDONLY))",
        f"import os; os.mkfifo({str(tmp_path / 'pipe')!r})",
    ):
        assert run_program(attack, QUICK).error == "PermissionError", attack
    assert victim.read_text() == "safe"
    assert list(tmp_path.iterdir()) == [victim]


def test_the_temporary_folder_is_writable_and_goes_away():
    source = """
import os, sqlite3, tempfile
open("a", "w").write("x")
os.rename("a", "b")
os.mkdir("d", 0o700)
os.chmod("d", 0o755)
os.truncate("b", 0)
sqlite3.connect("x.db").execute("create table t (a)")
tempfile.TemporaryFile().write(b"x")
open(os.devnull, "w").write("x")
"""
    assert run_program(source, QUICK).status == "passed"


@pytest.mark.parametrize(
    "attack",
    [
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'pass'])",
        "import os; os.system('true')",
        "from multiprocessing import get_context; get_context('spawn').Process(target=print).start()",
        "import os; os.kill(os.getpid(), 0)",
        pytest.param("import os; os.fork()", marks=posix),
    ],
)
def test_no_other_processes(attack: str):
    assert run_program(attack, QUICK).error == "PermissionError"


def test_no_network():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        outcome = run_program(f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 1)\n", QUICK)
        assert outcome.error == "PermissionError"
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="network namespaces are Linux's")
def test_the_kernel_shuts_the_network_where_it_may():
    """Beneath the audit hook: the hook knows nothing of interfaces, so only a namespace hides them."""
    names = "import socket\nassert [name for _, name in socket.if_nameindex()] == ['lo']\n"
    outcome = run_program(names, QUICK)
    if outcome.network == "hook":
        pytest.skip("this kernel does not permit user namespaces")
    assert outcome.status == "passed"
