"""`redraft edit --test`: the user's own command judges the edits, each in its turn in the file.

The file is as it was afterwards, also when the command line is interrupted or terminated; against worse, a copy
lies beside it meanwhile. A change by anyone else ends the trial and stays.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

import psutil

from engine.cli.files import SourceFile, write_source

TRY_S = 120  # that one run of the command may take


def first_that_passes(
    file: SourceFile, texts: Sequence[str], command: str, tell: Callable[[int], object]
) -> str | None:
    """The first of `texts` with which `command` ends with status 0; None when there is none. `tell` hears the number
    of each. Raises CommandError when the file cannot be written or changed meanwhile."""
    copy = file.path.with_name(f".{file.path.name}.before-redraft")
    copy.write_bytes(file.text.encode("utf-8"))
    signal.signal(signal.SIGTERM, leave)
    current = file
    try:
        for number, text in enumerate(texts, 1):
            tell(number)
            write_source(current, text)
            current = replace(file, text=text)
            if succeeds(command):
                return text
        return None
    finally:
        if current is not file:
            write_source(current, file.text)
        copy.unlink()


def leave(*_: object) -> None:
    """Ends the program by way of every `finally`; a signal handler."""
    sys.exit(143)


def succeeds(command: str) -> bool:
    """Whether the shell command ends with status 0 in time; its output is dropped."""
    # Bytecode is told apart by second and size: that of one edit would be taken for the next one's.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    silent = subprocess.DEVNULL
    process = subprocess.Popen(command, shell=True, stdin=silent, stdout=silent, stderr=silent, env=environment)  # noqa: S602  # the user's own
    try:
        return process.wait(TRY_S) == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        if process.poll() is None:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends the shell and everything it started."""
    for one in (*psutil.Process(process.pid).children(recursive=True), process):
        one.kill()
    process.wait()
