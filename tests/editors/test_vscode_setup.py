"""What a user of VS Code sets up: languages, interpreter, engine, trust, logs. In the real workbench."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from zipfile import ZipFile

from playwright.sync_api import Browser
from vscode_driver import CodeServer, Workbench, wait_for, workbench
from vscode_steps import BROKEN, FUNCTIONS, another_server, fix, opened, text_becomes

BROKEN_GO = "package main\n\nfunc area(w int, h int) int {\n\treturn (w * h\n}\n"
# Answers as a Python with redraft does, and ends as soon as it is to be a server, while "broken" lies beside it.
FRAGILE = """#!/bin/sh
case "$*" in *lsp_server*) test -e "$(dirname "$0")/broken" && sleep 1 && kill -9 $$;; esac
exec {python} "$@"
"""
# What we use of the Python extension, which no package registry has: its choice, and that it is another one now.
PYTHON_EXTENSION = """
const vscode = require('vscode');
const path = () => vscode.workspace.getConfiguration('python').get('defaultInterpreterPath');
const changed = new vscode.EventEmitter();
vscode.workspace.onDidChangeConfiguration((event) => event.affectsConfiguration('python') && changed.fire({}));
exports.activate = () => ({ environments: {
    onDidChangeActiveEnvironmentPath: changed.event,
    getActiveEnvironmentPath: () => ({ id: path(), path: path() }),
    resolveEnvironment: async () => ({ executable: { uri: vscode.Uri.file(path()) } }),
} });
"""
PYTHON_MANIFEST = {
    "name": "python",
    "publisher": "ms-python",
    "version": "1.0.0",
    "engines": {"vscode": "^1.91.0"},
    "main": "./extension.js",
    "activationEvents": ["*"],
    "contributes": {"configuration": {"properties": {"python.defaultInterpreterPath": {"default": "/bin/false"}}}},
}


def test_settings_restart_the_server_only_when_they_must(real: Workbench) -> None:
    bench = opened(real, "settings.py", BROKEN)
    squiggle = bench.page.locator(".squiggly-hint")
    squiggle.first.wait_for()
    before = bench.server.processes("lsp_server")
    bench.change_settings({"redraft.diagnostics.enable": False, "redraft.trace.server": "messages"})
    wait_for(lambda: squiggle.count() == 0, "no more diagnostics")
    wait_for(lambda: "Sending request" in bench.server.log(), "the messages in the log")
    assert bench.server.processes("lsp_server") == before
    assert "notification textDocument/did" not in bench.server.log()
    assert "height" not in bench.server.log()  # no code, unless "verbose" asks for it
    bench.change_settings({"redraft.logLevel": "debug", "redraft.diagnostics.enable": True})
    another_server(bench, before)
    squiggle.first.wait_for()
    wait_for(lambda: "notification textDocument/did" in bench.server.log(), "what the server gets, in the log")
    length = len(bench.server.log().split("Sending request"))
    bench.page.keyboard.type(" ")
    bench.page.wait_for_timeout(1000)
    assert len(bench.server.log().split("Sending request")) == length  # no trace any more
    assert "height" not in bench.server.log()


def test_another_language_is_served_once_it_is_named(real: Workbench) -> None:
    bench = opened(real, "first.py")
    bench.server.write("area.go", BROKEN_GO)
    bench.page.keyboard.press("Control+p")
    bench.page.locator(".quick-input-widget input").fill(str(bench.server.workspace / "area.go"))
    bench.page.locator(".quick-input-list .monaco-list-row", has_text="area.go").first.wait_for()
    bench.page.keyboard.press("Enter")
    bench.page.locator(".tab.active[data-resource-name='area.go']").wait_for()
    item = bench.page.locator(".statusbar-item", has_text="Redraft").first
    wait_for(lambda: not item.is_visible(), "no status for another language")
    bench.change_settings({"redraft.languages": ["python", "go"]})
    bench.status("Redraft", exactly=True)
    bench.focus()
    fix(bench, 4, 4)
    wait_for(lambda: bench.lenses("Accept").count(), "a suggestion")
    assert "return (w * h)" in bench.text() or "return w * h" in bench.text()
    bench.page.keyboard.press("Control+Backspace")
    text_becomes(bench, BROKEN_GO.replace("\t", "    "), "the original")
    bench.change_settings({})


def test_a_server_that_ends_as_it_starts_is_told_once_in_words(real: Workbench) -> None:
    bench = opened(real, "fragile.py", BROKEN)
    python = bench.server.home / "fragile"
    python.write_text(FRAGILE.format(python=sys.executable))
    python.chmod(0o755)
    (bench.server.home / "broken").touch()
    bench.change_settings({"redraft.interpreter": [str(python)]})
    bench.status("ended while it started")
    wait_for(bench.notifications, "a message")
    assert [text for text in bench.notifications() if "code" not in text] == [
        "Redraft: the server ended while it started; the log says why"
    ]
    bench.clear_notifications()
    (bench.server.home / "broken").unlink()
    bench.command("Redraft: Restart Server")
    bench.status("Redraft", exactly=True)
    bench.change_settings({})
    bench.status("Redraft", exactly=True)


def test_an_edit_waits_for_confirmation_where_that_is_wanted(real: Workbench) -> None:
    bench = opened(real, "confirm.py", BROKEN)
    bench.change_settings({"redraft.preview.needsConfirmation": True})
    bench.page.wait_for_timeout(1000)
    fix(bench, 1, 2)
    bench.status("waiting for your confirmation")
    text_becomes(bench, BROKEN, "nothing is changed yet")
    assert not bench.overlay()
    bench.page.locator(".bulk-edit-panel input[type=checkbox]").first.check()
    bench.page.get_by_role("button", name="Apply").click()
    text_becomes(bench, BROKEN.replace("height)", "height):", 1), "confirmed")
    bench.change_settings({})


def test_the_walkthrough_leads_from_the_sample_to_a_review(real: Workbench) -> None:
    bench = opened(real, "walk.py")
    bench.command("Redraft: Get Started")
    steps = bench.page.locator(".getting-started-step")
    steps.filter(has_text="Fix a mistake").click()
    bench.page.get_by_role("button", name="Open the Sample").click()
    bench.page.locator(".editor-instance .view-line", has_text="Try Redraft").wait_for()
    assert steps.first.is_visible()  # beside it
    bench.page.locator(".squiggly-hint").first.wait_for()
    bench.page.keyboard.press("Control+2")  # the walkthrough may have kept the keyboard
    bench.has_keyboard()
    bench.page.keyboard.press("Control+Alt+.")
    wait_for(lambda: bench.lenses("Accept").count(), "a suggestion for the mistake under the cursor")
    bench.page.keyboard.press("Control+Enter")
    steps.filter(has_text="Fix a mistake").locator(".codicon-getting-started-step-checked").wait_for()


def test_an_untrusted_workspace_cannot_choose_what_runs_and_is_told_so(browser: Browser) -> None:
    server = CodeServer({}, {"security.workspace.trust.startupPrompt": "never"}, trust=False)
    trap = server.write("trap.sh", "#!/bin/sh\ntouch sprung\n")
    trap.chmod(0o755)
    (server.workspace / ".vscode").mkdir()
    server.write(".vscode/settings.json", json.dumps({"redraft.interpreter": [str(trap)]}))
    with workbench(server, browser) as bench:
        server.write("a.py", FUNCTIONS)
        bench.open("a.py", ready="the engine is not installed yet")
        wait_for(lambda: any("Install Engine" in text for text in bench.notifications()), "the remedy is offered")
        assert "this workspace's Python and engine settings are not used" in bench.status_report()
        assert not list(server.home.rglob("sprung"))


def dependencies(folder: Path) -> Path:
    """What redraft needs, without redraft itself: pip finds it there and downloads nothing."""
    folder.mkdir()
    for path in (path for place in sys.path if place.endswith("site-packages") for path in Path(place).iterdir()):
        if "redraft" not in path.name and not (folder / path.name).exists():
            (folder / path.name).symlink_to(path)
    return folder


def python_extension(folder: Path) -> Path:
    path = folder / "python.vsix"
    with ZipFile(path, "w") as archive:
        archive.writestr("extension/package.json", json.dumps(PYTHON_MANIFEST))
        archive.writestr("extension/extension.js", PYTHON_EXTENSION)
    return path


def test_the_engine_is_installed_by_a_command_and_the_selected_python_goes_first(
    browser: Browser, tmp_path: Path
) -> None:
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(dependencies(tmp_path / "site")),
    }
    server = CodeServer({}, environment=environment, others=[python_extension(tmp_path)])
    with workbench(server, browser) as bench:
        server.write("a.py", BROKEN)
        bench.open("a.py", ready="the engine is not installed yet")
        bench.clear_notifications()
        bench.command("Redraft: Install Engine")
        wait_for(lambda: any("installing the engine" in text for text in bench.notifications()), "the progress")
        bench.status("Redraft", exactly=True, seconds=400)
        assert "Redraft's own environment" in bench.status_report()
        bench.focus()
        fix(bench, 1, 2)
        wait_for(lambda: bench.lenses("Accept").count(), "a fix by the engine that came with the extension", 120)
        bench.page.keyboard.press("Control+Enter")
        own = server.processes("lsp_server")
        bench.change_settings({"python.defaultInterpreterPath": sys.executable})
        selected = another_server(bench, own)
        bench.status("Redraft", exactly=True)
        assert "the Python extension" in bench.status_report()
        bench.change_settings({"redraft.importStrategy": "useBundled"})
        another_server(bench, selected)
        bench.status("Redraft", exactly=True)
        assert "Redraft's own environment" in bench.status_report()
