"""Neovim 0.11 and 0.12 with the real server and the embedded model. What the review does is in test_nvim_review."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from nvim_driver import VERSIONS, Nvim, find_nvim, setup

BROKEN = [
    "name = '🙂 é'",
    "",
    "",
    "def area(width, height):",
    "    return (width * height",
    "",
    "",
    "print(area(2, 3))",
]
LONG = [
    "def table(values):",
    *(f"    values.append(round(values[{i}] * 1.5, 2))" for i in range(40)),
    "    return values",
]
SHORT = [
    "def mean(values):",
    "    if not values:",
    "        return 0",
    "    total = 0",
    "    for value in values: total += value",
    "    average = total / len(values)",
    "    return average",
]
COUNT_STATES = """
    local preview = require('redraft.preview')
    local draw = preview.draw
    vim.g.states = 0
    preview.draw = function(...)
        draw(...)
        vim.g.states = vim.g.states + 1
    end
"""


@pytest.fixture(scope="module", params=VERSIONS)
def nvim(request: pytest.FixtureRequest) -> Iterator[Nvim]:
    editor = Nvim(find_nvim(request.param), *setup({"deadlineMs": 30000}))
    yield editor
    editor.close()


def opened(nvim: Nvim, file: Path, lines: list[str], eol: str = "\n") -> str:
    """The text, once the server has seen the file."""
    file.write_bytes("".join(line + eol for line in lines).encode())
    nvim.open(file)
    return nvim.text()


def fixed(nvim: Nvim, file: Path) -> str:
    """The text under review, which parses."""
    nvim.wait("a suggestion is there to review", nvim.hints)
    compile(nvim.text(), file.name, "exec")
    return nvim.text()


def start_long_rewrite(nvim: Nvim, file: Path) -> str:
    before = opened(nvim, file, LONG)
    nvim.command(f"2,{len(LONG) - 1}Redraft rewrite add type hints")
    nvim.wait("the denoising is drawn over the text", lambda: nvim.preview().strip())
    assert nvim.text() == before
    return before


def test_a_fix_is_reviewed_and_one_undo_brings_the_file_back(nvim: Nvim, tmp_path: Path) -> None:
    file = tmp_path / "shop.py"
    before = opened(nvim, file, BROKEN)
    nvim.wait("the mistake is reported", nvim.diagnostics)
    nvim.at(1)
    nvim.keys(":Redraft fix<CR>")
    after = fixed(nvim, file)
    assert after.splitlines()[:3] == BROKEN[:3]
    assert after.splitlines()[-1] == BROKEN[-1]
    nvim.keys(":Redraft accept all<CR>")
    nvim.wait("the review is over", lambda: not nvim.hints())
    nvim.wait("nothing is reported any more", lambda: not nvim.diagnostics())
    assert nvim.text() == after
    nvim.keys("u")
    nvim.wait("one undo brings the file back", lambda: nvim.text() == before)


def test_a_code_action_keeps_the_line_endings_of_a_crlf_file(nvim: Nvim, tmp_path: Path) -> None:
    file = tmp_path / "windows.py"
    before = opened(nvim, file, BROKEN, eol="\r\n")
    original = file.read_bytes()
    nvim.wait("the mistake is reported", nvim.diagnostics)
    nvim.at(5)
    nvim.lua("""
        vim.lsp.buf.code_action({ apply = true, filter = function(action)
            return vim.startswith(action.title, 'Fix with Redraft')
        end })
    """)
    after = fixed(nvim, file)
    nvim.command("Redraft accept all")
    nvim.command("silent write")
    assert file.read_bytes() == "".join(line + "\r\n" for line in after.split("\n")).encode()
    nvim.keys("u")
    nvim.wait("one undo brings the file back", lambda: nvim.text() == before)
    nvim.command("silent write")
    assert file.read_bytes() == original


def test_a_guess_is_reviewed_like_a_fix(nvim: Nvim, tmp_path: Path) -> None:
    before = opened(
        nvim, tmp_path / "sizes.py", ["def size(items):", "    # the nubmer of items", "    return len(items)"]
    )
    nvim.wait("the server is ready", lambda: nvim.statusline() == "redraft")
    nvim.at(2)
    nvim.keys("V")
    nvim.lua("""
        vim.lsp.buf.code_action({ apply = true, filter = function(action)
            return action.title == 'Guess a fix of selection'
        end })
    """)
    nvim.wait("a suggestion is there to review", nvim.hints)
    assert nvim.text() == before.replace("nubmer", "number")
    nvim.command("Redraft reject all")
    assert nvim.text() == before


def test_all_mistakes_of_a_file_are_mended_at_once(nvim: Nvim, tmp_path: Path) -> None:
    lines = [*BROKEN, "if area(1, 1) > 0", "    print('positive')"]
    before = opened(nvim, tmp_path / "shop.py", lines)
    nvim.lua("vim.lsp.buf.code_action({ apply = true, context = { only = { 'source.fixAll.redraft' } } })")
    nvim.wait("both are mended", lambda: nvim.text() != before)
    compile(nvim.text(), "shop.py", "exec")
    nvim.keys("u")
    nvim.wait("one undo brings the file back", lambda: nvim.text() == before)


def test_a_file_that_has_no_name_yet_is_mended(nvim: Nvim) -> None:
    nvim.command("enew")
    buffers = len(nvim.call("nvim_list_bufs"))
    nvim.call("nvim_buf_set_lines", 0, 0, -1, False, BROKEN)
    nvim.command("setfiletype python")
    nvim.wait("the server is ready", lambda: nvim.statusline() == "redraft")
    nvim.at(5)
    nvim.keys(":Redraft fix<CR>")
    fixed(nvim, Path("unnamed.py"))
    assert len(nvim.call("nvim_list_bufs")) == buffers
    nvim.command("Redraft reject all")
    nvim.command("bwipeout!")


def test_a_selection_is_rewritten_with_an_instruction_from_the_prompt(nvim: Nvim, tmp_path: Path) -> None:
    before = opened(nvim, tmp_path / "mean.py", SHORT)
    nvim.at(4)
    nvim.keys("Vj:Redraft rewrite<CR>")
    nvim.wait("the prompt is open", lambda: nvim.lua("return vim.bo.filetype") == "redraft-prompt")
    nvim.lua(COUNT_STATES)
    nvim.keys("use fewer calls<CR>")
    nvim.wait("an answer", lambda: nvim.hints() or "no better text" in nvim.messages())
    assert nvim.lua("return vim.g.states") > 0
    if nvim.hints():
        compile(nvim.text(), "mean.py", "exec")
        assert nvim.lines()[:3] == SHORT[:3]
        assert nvim.lines()[-2:] == SHORT[-2:]
        nvim.command("Redraft reject all")
    assert nvim.text() == before
    assert not nvim.call("nvim_get_option_value", "modified", {})
    assert nvim.preview() == ""


def test_cancelling_changes_nothing(nvim: Nvim, tmp_path: Path) -> None:
    before = start_long_rewrite(nvim, tmp_path / "cancel.py")
    assert nvim.statusline().startswith("redraft: ")
    nvim.keys(":Redraft cancel<CR>")
    nvim.wait("the server is idle", lambda: nvim.statusline() == "redraft")
    assert nvim.text() == before
    assert nvim.preview() == ""


def test_typing_inside_the_region_wins_over_the_edit(nvim: Nvim, tmp_path: Path) -> None:
    before = start_long_rewrite(nvim, tmp_path / "inside.py")
    nvim.at(10)
    nvim.keys("A  # mine<Esc>")
    nvim.wait("the edit is refused", lambda: "changed while" in nvim.messages())
    assert nvim.text() == before.replace(LONG[9], LONG[9] + "  # mine")


def test_typing_above_the_region_moves_the_edit(nvim: Nvim, tmp_path: Path) -> None:
    file = tmp_path / "above.py"
    opened(nvim, file, BROKEN)
    nvim.command("5Redraft fix")
    nvim.at(1)
    nvim.keys("Ofirst = 1<CR>second = 2<Esc>")
    after = fixed(nvim, file).splitlines()
    assert after[:4] == ["first = 1", "second = 2", *BROKEN[:2]]
    assert after[-1] == BROKEN[-1]


def test_a_killed_engine_is_started_again(nvim: Nvim, tmp_path: Path) -> None:
    before = start_long_rewrite(nvim, tmp_path / "killed.py")
    nvim.lua("""
        vim.lsp.get_clients({ name = 'redraft' })[1]:request(
            'workspace/executeCommand', { command = 'redraft.status' },
            function(_, report) vim.g.engine_pid = report.engine.pid end)
    """)
    os.kill(
        nvim.wait("the engine says its process number", lambda: nvim.lua("return vim.g.engine_pid")), signal.SIGKILL
    )
    nvim.wait("the user is told", lambda: "engine" in nvim.messages())
    assert nvim.text() == before
    nvim.wait("the preview goes", lambda: nvim.preview() == "")
    file = tmp_path / "shop.py"
    file.write_text("\n".join(BROKEN))
    nvim.command(f"edit! {file}")
    nvim.wait("the mistake is reported", nvim.diagnostics)
    nvim.command("Redraft fix")
    fixed(nvim, file)
    nvim.keys(":Redraft restart engine<CR>")
    nvim.wait("the engine is another one", lambda: "engine ready" in nvim.messages())


def test_a_setting_counts_at_once_and_after_a_restart(nvim: Nvim, tmp_path: Path) -> None:
    client = "return (vim.lsp.get_clients({ bufnr = 0, name = 'redraft' })[1] or {}).id"
    configure = "require('redraft').setup({ settings = { diagnostics = { enable = ... } } })"
    opened(nvim, tmp_path / "shop.py", BROKEN)
    nvim.wait("the mistake is reported", nvim.diagnostics)
    nvim.lua(configure, False)
    nvim.wait("the setting counts", lambda: not nvim.diagnostics())
    first = nvim.lua(client)
    nvim.command("Redraft restart")
    nvim.wait("another server serves the file", lambda: (nvim.lua(client) or first) != first)
    nvim.wait("it is ready", lambda: nvim.statusline() == "redraft")
    assert nvim.diagnostics() == []
    nvim.lua(configure, True)
    nvim.wait("the mistake is reported again", nvim.diagnostics)


def test_checkhealth_names_the_server_and_the_model(nvim: Nvim, tmp_path: Path) -> None:
    opened(nvim, tmp_path / "shop.py", BROKEN)
    nvim.command("checkhealth redraft")
    report = nvim.text()
    nvim.command("bwipeout")
    assert "redraft-lsp 0." in report
    assert "model small" in report
    assert "ERROR" not in report
    assert "WARNING" not in report
