"""Drives the real VS Code workbench: code-server in a headless Chromium.

Owns the processes and the page; what is tested is elsewhere. Everything is found the way a user finds it:
by the text on the screen and by keys.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
EXTENSION = ROOT / "editors" / "vscode"
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Settings of scope "machine" count only from the machine's own file when the workbench is in a browser.
MACHINE_SETTINGS: dict[str, Any] = {"redraft.interpreter": [sys.executable]}
SETTINGS: dict[str, Any] = {
    "redraft.deadlineMs": 60_000,
    "editor.minimap.enabled": False,
    "editor.autoClosingBrackets": "never",
    "editor.autoIndent": "none",
    "editor.quickSuggestions": {"other": "off", "comments": "off", "strings": "off"},
    "files.autoSave": "off",
    "telemetry.telemetryLevel": "off",
    "workbench.startupEditor": "none",
    "workbench.tips.enabled": False,
    "window.menuBarVisibility": "hidden",
}


def missing() -> str | None:
    """What of the set-up is not there, in words."""
    if not entry_script().exists():
        return "code-server is not installed: run tests/editors/setup_code_server.sh"
    if not chromium():
        return "chromium is not installed: apt-get install chromium"
    if not vsix().exists():
        return "editors/vscode/redraft.vsix is not built: run `npm run package` there"
    return None


def entry_script() -> Path:
    folder = Path(os.environ.get("REDRAFT_CODE_SERVER") or ROOT / ".cache" / "code-server")
    return folder / "node_modules/code-server/out/node/entry.js"


def chromium() -> str | None:
    return os.environ.get("REDRAFT_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


def vsix() -> Path:
    return EXTENSION / "redraft.vsix"


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 90) -> Any:
    """The first truthy value of `condition`."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds:g} s: {what}")


class CodeServer:
    """One code-server with the built extension installed, on a folder of its own."""

    def __init__(
        self,
        machine: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        *,
        trust: bool = True,
        environment: Mapping[str, str] | None = None,
        others: Sequence[Path] = (),
    ) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="rd-"))
        self.workspace = self.home / "project"
        self.workspace.mkdir()
        self.user = self.home / "user"
        self.extensions = self.home / "extensions"
        self.runtime = self.home / "run"  # of the engine; short, for the sake of the socket's name
        self.environment = {**os.environ, "REDRAFT_RUNTIME_DIR": str(self.runtime), **(environment or {})}
        self.trust = trust
        self.others = others  # .vsix files of other extensions
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.machine_settings = MACHINE_SETTINGS if machine is None else machine
        self.settings = {**SETTINGS, **(settings or {})}

    def install(self) -> None:
        for folder, settings in (("User", self.settings), ("Machine", self.machine_settings)):
            path = self.user / folder / "settings.json"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(settings))
        for extension in (*self.others, vsix()):
            self._run("--install-extension", str(extension))

    def start(self) -> None:
        trust = ["--disable-workspace-trust"] if self.trust else []
        with (self.home / "code-server.log").open("wb") as log:
            self._process = subprocess.Popen(
                self._command("--bind-addr", f"127.0.0.1:{self.port}", "--auth", "none", "--disable-telemetry",
                              "--disable-update-check", *trust, str(self.workspace)),
                env=self.environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        wait_for(self._answers, "code-server answers")

    def stop(self) -> None:
        with suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(
                [sys.executable, "-m", "engine.cli", "engine", "stop"], env=self.environment, timeout=30,
                capture_output=True, check=False,
            )  # fmt: skip
        if self._process:
            self._process.terminate()
            self._process.wait(20)
        shutil.rmtree(self.home, ignore_errors=True)

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.workspace / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def log(self) -> str:
        """What the extension has logged so far."""
        return "".join(path.read_text() for path in self.user.glob("logs/*/*/redraft.redraft/Redraft.log"))

    def processes(self, word: str) -> list[int]:
        """Those of this session (by its environment) whose command line holds `word`."""
        found: list[int] = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                ours = str(self.runtime).encode() in (folder / "environ").read_bytes()
                if ours and word.encode() in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
        return found

    def _command(self, *arguments: str) -> list[str]:
        folders = ["--user-data-dir", str(self.user), "--extensions-dir", str(self.extensions)]
        return ["node", str(entry_script()), *folders, *arguments]

    def _run(self, *arguments: str) -> None:
        subprocess.run(self._command(*arguments), env=self.environment, check=True, capture_output=True, timeout=120)

    def _answers(self) -> bool:
        with suppress(OSError):
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5).status == 200
        return False


class Workbench:
    """The page, with the hands and the eyes of a user."""

    def __init__(self, page: Page, server: CodeServer) -> None:
        self.page, self.server = page, server

    def load(self) -> None:
        self.page.goto(f"http://127.0.0.1:{self.server.port}/?folder={self.server.workspace}")
        self.page.locator(".monaco-workbench .part.editor").wait_for()

    def open(self, name: str, ready: str = "") -> None:
        """Opens a file of the folder, and waits until Redraft is ready for it, or says `ready`."""
        self.page.keyboard.press("Control+p")
        # The whole path: the list of the folder's files may be older than the file.
        self.page.locator(".quick-input-widget input").fill(str(self.server.workspace / name))
        self.page.locator(".quick-input-list .monaco-list-row", has_text=name).first.wait_for()
        self.page.keyboard.press("Enter")
        self.page.locator(f".tab.active[data-resource-name='{name}']").wait_for()
        self.page.locator(".editor-instance .view-line").first.wait_for()
        self.status(ready or "Redraft", exactly=not ready)
        self.focus()

    def focus(self) -> None:
        self.page.keyboard.press("Control+1")

    def command(self, title: str) -> None:
        self.page.keyboard.press("F1")
        self.page.locator(".quick-input-widget input").fill(f">{title}")
        self.page.locator(".quick-input-list .monaco-list-row", has_text=title).first.wait_for()
        self.page.keyboard.press("Enter")

    def go_to(self, line: int, column: int = 1) -> None:
        self.page.keyboard.press("Control+g")
        self.page.locator(".quick-input-widget input").fill(f":{line},{column}")
        self.page.keyboard.press("Enter")
        self.page.locator(".quick-input-widget").wait_for(state="hidden")
        self.has_keyboard()

    def has_keyboard(self) -> None:
        """Waits until an editor does: what is typed before is lost."""
        self.page.wait_for_function("document.activeElement?.closest('.monaco-editor') != null")

    def select_lines(self, first: int, last: int) -> None:
        self.go_to(first)
        for _ in range(last - first):
            self.page.keyboard.press("Shift+ArrowDown")
        self.page.keyboard.press("Shift+End")

    def lines(self) -> list[str]:
        """The text on the screen, without what decorations add to it (that is in pseudo-elements)."""
        found: list[str] = self.page.evaluate(
            """() => [...document.querySelectorAll('.editor-instance .view-line')]
                .map(line => [parseFloat(line.style.top), line.textContent])
                .sort((a, b) => a[0] - b[0])
                .map(([, text]) => text.replaceAll('\\u00a0', ' ').replaceAll('\\u200c', ''))"""
        )
        return found

    def overlay(self) -> str:
        """What is drawn over the text while an edit is under way."""
        found: str = self.page.evaluate(
            """() => [...document.querySelectorAll('.editor-instance .view-line span')]
                .map(part => getComputedStyle(part, '::before').content)
                .filter(content => content.startsWith('"')).join('\\n')"""
        )
        return found

    def settled(self) -> list[str]:
        """What of that is marked as settled by the last step."""
        found: list[str] = self.page.evaluate(
            """() => [...document.querySelectorAll('.editor-instance .view-line span')]
                .map(part => getComputedStyle(part, '::before'))
                .filter(look => look.content.startsWith('"') && look.backgroundColor !== 'rgba(0, 0, 0, 0)')
                .map(look => look.content)"""
        )
        return found

    def text(self) -> str:
        return "\n".join(self.lines())

    def lenses(self, title: str) -> Locator:
        return self.page.locator(".codelens-decoration a", has_text=title)

    def status(self, text: str, *, exactly: bool = False, seconds: float = 90) -> None:
        """Waits until the status bar item holds `text`, or nothing else. ("Redraft" alone: ready.)"""
        item = self.page.locator(".statusbar-item", has_text="Redraft").first
        try:
            wait_for(
                lambda: (
                    item.count() and (text == (shown := item.inner_text().strip()) or (not exactly and text in shown))
                ),
                f"status {text!r}",
                seconds,
            )
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {item.all_inner_texts()}\n{self.server.log()[-3000:]}") from None

    def status_report(self) -> str:
        """What the command "Status" shows, once it does."""
        self.command("Redraft: Status")
        rows = self.page.locator(".quick-input-list .monaco-list-row")
        rows.filter(has_text="Restart Server").wait_for(timeout=60_000)
        shown = "\n".join(rows.all_inner_texts())
        self.page.keyboard.press("Escape")
        return shown

    def notifications(self) -> list[str]:
        return self.page.locator(".notification-list-item-message").all_inner_texts()

    def change_settings(self, changes: Mapping[str, Any]) -> None:
        """In the folder's own settings file, which the workbench watches."""
        folder = self.server.workspace / ".vscode"
        folder.mkdir(exist_ok=True)
        (folder / "settings.json").write_text(json.dumps(changes))

    def clear_notifications(self) -> None:
        self.command("Notifications: Clear All Notifications")

    def save(self) -> None:
        self.page.keyboard.press("Control+s")
        self.page.locator(".tab.active.dirty").wait_for(state="detached")


@contextmanager
def chromium_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(CHROMIUM_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def workbench(server: CodeServer, browser: Browser, size: tuple[int, int] = (1280, 800)) -> Iterator[Workbench]:
    """The workbench of `server`, which is started for it and stopped after it."""
    try:
        server.install()
        server.start()
        page = browser.new_page(viewport={"width": size[0], "height": size[1]})
        page.set_default_timeout(60_000)
        bench = Workbench(page, server)
        bench.load()
        yield bench
        page.close()
    finally:
        server.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
