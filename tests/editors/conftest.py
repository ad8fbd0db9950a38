"""Neovim on an engine that answers what each test needs; one editor of each version for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from nvim_driver import VERSIONS, Nvim, find_nvim, setup
from scripted_engine import CLAMP, ScriptedEngine, two_suggestions


@pytest.fixture(scope="session")
def engine() -> Iterator[ScriptedEngine]:
    engine = ScriptedEngine()
    yield engine
    engine.close()


@pytest.fixture(scope="session", params=VERSIONS)
def scripted_nvim(request: pytest.FixtureRequest, engine: ScriptedEngine) -> Iterator[Nvim]:
    settings = {
        "engine": {"url": engine.url},
        "inline": {"enable": True, "debounceMs": 0},
        "instructions": ["add type hints"],
    }
    editor = Nvim(find_nvim(request.param), *setup(settings))
    yield editor
    editor.close()


@pytest.fixture
def clamp(scripted_nvim: Nvim, engine: ScriptedEngine, tmp_path: Path) -> Iterator[Nvim]:
    """The editor on a file of its own, the cursor on line 1. Whatever the test does, no Lua error is raised."""
    file = tmp_path / "clamp.py"
    file.write_text(CLAMP)
    engine.script(two_suggestions)
    scripted_nvim.keys("<Esc>")
    scripted_nvim.open(file)
    yield scripted_nvim
    assert "stack traceback" not in scripted_nvim.messages()
    scripted_nvim.command("silent! %bwipeout!")
