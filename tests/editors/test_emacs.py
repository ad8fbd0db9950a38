"""Emacs with eglot and nothing of ours: the standard features of the protocol mend a file."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from nvim_driver import missing

BROKEN = "name = '🙂 é'\n\n\ndef area(width, height):\n    return (width * height\n\n\nprint(area(2, 3))\n"


def test_eglot_takes_the_quick_fix_and_one_undo_brings_the_buffer_back(tmp_path: Path) -> None:
    emacs = shutil.which("emacs")
    if not emacs:
        missing("Emacs is missing: run tests/editors/setup_editors.sh")
    file = tmp_path / "shop.py"
    file.write_text(BROKEN)
    script = Path(__file__).with_name("eglot_fix.el")
    command = [str(emacs), "--batch", "-l", str(script), sys.executable, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    fixed = file.read_text()
    compile(fixed, "shop.py", "exec")
    assert fixed.splitlines()[:3] == BROKEN.splitlines()[:3]
    assert fixed.splitlines()[-1] == BROKEN.splitlines()[-1]
    printed = done.stdout.splitlines()
    assert "undone" in printed
    assert printed[printed.index("undone") + 1 :] == [
        "Rewrite selection",
        "Rewrite selection: add type hints",
        "Fill selection",
    ]
