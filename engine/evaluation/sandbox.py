"""Runs a candidate program with its tests in a process of its own, under limits.

The limits: processor time, wall time, memory, file size, open files; no writing outside a temporary
folder, no child processes, no network. They contain the accidents of generated code. They are no
wall against an attacker: run hostile code in a virtual machine. Must not import torch.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from engine.evaluation.bench import EvaluationError

CHILD = Path(__file__).with_name("sandbox_child.py")
Status = Literal["passed", "failed", "timeout"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a candidate may use. Off Linux and macOS only the wall time and the audit hook hold."""

    wall_s: float = 5.0
    cpu_s: int = 5
    memory_mb: int = 2048  # address space
    file_mb: int = 16  # per file
    files: int = 64  # open at once
    processes: int = 16  # threads; child processes are refused anyway


@dataclass(frozen=True, slots=True)
class Outcome:
    """`error` is the type of the exception that ended a failed program, or what killed it, never its text.
    `network` says how the network was shut: "namespace" (by the kernel) or "hook" (by Python's audit hook)."""

    status: Status
    error: str | None
    seconds: float
    network: Literal["namespace", "hook"] | None


def run_program(source: str, limits: Limits) -> Outcome:
    """Runs `source` as a module named `__main__`; it passes when it runs to its last line.

    Leaving early by sys.exit or os._exit is a failure, whatever the status: tests that were not reached
    did not pass. Raises EvaluationError when no process can be started."""
    nonce = secrets.token_hex(16)
    job = json.dumps({"nonce": nonce, "source": source, "limits": asdict(limits)}).encode()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="redraft-bench-", ignore_cleanup_errors=True) as folder:
        process = start_child(folder)
        try:
            answer, _ = process.communicate(job, timeout=limits.wall_s)
        except subprocess.TimeoutExpired:
            return Outcome("timeout", "wall time", time.monotonic() - started, None)
        finally:
            kill_group(process)
    return judge(answer, nonce, process.returncode, time.monotonic() - started)


def start_child(folder: str) -> subprocess.Popen[bytes]:
    """A fresh interpreter, isolated from the user's packages and environment, leading its own group."""
    environment = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TMPDIR": folder}
    environment |= {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    try:
        return subprocess.Popen(  # noqa: S603  # our own child, our own interpreter
            [sys.executable, "-I", "-B", "-X", "utf8", str(CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=environment | {"HOME": folder},
            start_new_session=True,
        )
    except OSError as error:
        raise EvaluationError(f"cannot start a process for the tests: {error.strerror or error}") from error


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Ends the child and whatever it left running."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()
    if process.stdout:
        process.stdout.close()


def judge(answer: bytes, nonce: str, returncode: int, seconds: float) -> Outcome:
    """Only a verdict with the nonce counts: the candidate does not know it, so printing is no way to pass."""
    verdict = parse_verdict(answer)
    if verdict.get("nonce") != nonce:
        if os.name == "posix" and returncode == -signal.SIGXCPU:
            return Outcome("timeout", "processor time", seconds, None)
        return Outcome("failed", f"signal {-returncode}" if returncode < 0 else "exit", seconds, None)
    error = verdict["error"]
    return Outcome("failed" if error else "passed", error, seconds, verdict["network"])


def parse_verdict(answer: bytes) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        value = json.loads(answer)
        if isinstance(value, dict):
            return value
    return {}
