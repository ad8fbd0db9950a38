"""The editors: Neovim on an engine that answers what each test needs, one of each version for all tests; VS Code with
the embedded model, and on that engine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from nvim_driver import VERSIONS, Nvim, find_nvim, setup
from playwright.sync_api import Browser
from scripted_engine import CLAMP, ScriptedEngine, two_suggestions
from vscode_driver import MACHINE_SETTINGS, CodeServer, Workbench, chromium_browser, missing, workbench


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


@pytest.fixture(scope="module")  # no longer: Playwright keeps an event loop, which tests elsewhere must not meet
def browser() -> Iterator[Browser]:
    if reason := missing():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    with chromium_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def real(browser: Browser) -> Iterator[Workbench]:
    """A workbench with the embedded model."""
    with workbench(CodeServer(), browser) as bench:
        yield bench


@pytest.fixture(scope="module")
def scripted(browser: Browser, engine: ScriptedEngine) -> Iterator[Workbench]:
    """A workbench whose engine is the scripted one."""
    with workbench(CodeServer({**MACHINE_SETTINGS, "redraft.engine.url": engine.url}), browser) as bench:
        yield bench


@pytest.fixture(autouse=True)
def picture(request: pytest.FixtureRequest) -> Iterator[None]:
    """With REDRAFT_PICTURES set to a folder: what the screen showed at the end of each test."""
    yield
    folder = os.environ.get("REDRAFT_PICTURES")
    for name in {"scripted", "real"} & set(request.fixturenames) if folder else ():
        request.getfixturevalue(name).page.screenshot(path=f"{folder}/{request.node.name}.png")
