"""Neovim's other commands and the odd moments: several files, no review, files of Windows, a server that is gone."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest
from nvim_driver import Nvim
from scripted_engine import BOTH, CLAMP, ScriptedEngine, two_suggestions

from engine.messages import EditRequest

EMOJI = ["def greet(name):", "\tsign = '🙂 é' + name", "\tif name == 'é🙂':", "\t\tsign = name", "\t..."]
CLIENT = "return (vim.lsp.get_clients({ bufnr = 0, name = 'redraft' })[1] or {}).id"


def written(nvim: Nvim, file: Path, lines: list[str], eol: str) -> bytes:
    """Opens a file with these lines; its bytes."""
    original = "".join(line + eol for line in lines).encode()
    file.write_bytes(original)
    nvim.open(file)
    return original


def test_fill_takes_a_placeholder_a_selection_or_the_cursor(
    clamp: Nvim, engine: ScriptedEngine, tmp_path: Path
) -> None:
    written(clamp, tmp_path / "greet.py", EMOJI, "\n")
    engine.script(lambda request: [request.span.replace("...", "None") if "..." in request.span else "None"])
    clamp.at(5)
    clamp.command("Redraft fill")
    clamp.wait("the placeholder is filled", lambda: clamp.lines()[4] == "\tNone" and clamp.hints())
    clamp.command("Redraft reject all")
    clamp.at(2, 8)
    clamp.keys("v4l:Redraft fill<CR>")
    clamp.wait("the selection is replaced", lambda: clamp.lines()[1] == "\tsign = None + name")
    clamp.command("Redraft! reject")
    clamp.at(4, 9)
    clamp.keys("i<C-o>:Redraft fill<CR>")
    clamp.wait("it stands before the cursor", lambda: clamp.lines()[3] == "\t\tsign = Nonename")
    assert [(r.intent, r.span) for r in engine.requests] == [("fill", "\t..."), ("fill", "'🙂 é'"), ("fill", "")]


def test_a_crlf_file_with_emoji_and_tabs_is_reviewed_change_by_change(
    clamp: Nvim, engine: ScriptedEngine, tmp_path: Path
) -> None:
    file = tmp_path / "grüße 100%.py"
    original = written(clamp, file, EMOJI, "\r\n")
    engine.script(
        lambda request: [request.span.replace("'🙂 é'", "'😀 ü'").replace("..", "return '🙂'")], step_seconds=0.3
    )
    clamp.command("1,5Redraft rewrite be polite")
    clamp.wait("what the step changed is drawn brighter", lambda: "RedraftChanged" in str(clamp.drawn("preview")))
    assert "\r" not in clamp.preview()
    clamp.wait("two changes wait", lambda: len(clamp.hints()) == 2)
    clamp.command("Redraft accept")
    clamp.command("Redraft reject")
    clamp.command("silent write")
    assert file.read_bytes() == original.replace("'🙂 é'".encode(), "'😀 ü'".encode())
    clamp.keys("u")
    clamp.wait("one undo brings the file back", lambda: clamp.lines() == EMOJI)
    clamp.command("silent write")
    assert file.read_bytes() == original


def test_a_suggestion_is_chosen_from_a_list_and_all_of_it_accepted(clamp: Nvim) -> None:
    clamp.command("1,6Redraft! rewrite")
    clamp.wait("two changes wait", lambda: len(clamp.hints()) == 2)
    clamp.keys(":Redraft choose<CR>")
    clamp.keys("2<CR>")
    clamp.wait("the second stands there", lambda: clamp.hints() == ["change 1 of 1, suggestion 2 of 2"])
    clamp.keys(":Redraft prev<CR>")
    clamp.wait("the first is back", lambda: clamp.text() + "\n" == BOTH)
    clamp.keys(":Redraft accept all<CR>")
    clamp.wait("the review is over", lambda: not clamp.drawn("suggestions"))
    assert clamp.text() + "\n" == BOTH
    clamp.keys("u")
    clamp.wait("one undo brings the file back", lambda: clamp.text() + "\n" == CLAMP)


def test_without_a_review_the_suggestion_is_applied_and_the_next_takes_its_place(clamp: Nvim) -> None:
    clamp.lua("require('redraft').setup({ review = false })")
    try:
        clamp.command("1,6Redraft! rewrite")
        clamp.wait("it is applied", lambda: clamp.text() + "\n" == BOTH)
        assert clamp.drawn("suggestions") == []
        clamp.command("Redraft next")
        clamp.wait("the next takes its place", lambda: clamp.text() == CLAMP.replace("    return value\n", "").rstrip())
    finally:
        clamp.lua("require('redraft').setup({})")


def test_suggestions_come_to_the_file_they_are_for_while_the_user_is_in_another(
    clamp: Nvim, engine: ScriptedEngine, tmp_path: Path
) -> None:
    engine.script(two_suggestions, steps=4, step_seconds=0.2)
    clamp.command("1,6Redraft! rewrite")
    first = clamp.lua("return vim.api.nvim_get_current_buf()")
    other = tmp_path / "other.py"
    other.write_text("value = 1\n")
    clamp.command(f"edit {other}")
    clamp.at(1, 3)
    code = f"return table.concat(vim.api.nvim_buf_get_lines({first}, 0, -1, false), '\\n') .. '\\n'"
    clamp.wait("the suggestion is in the first file", lambda: clamp.lua(code) == BOTH)
    assert clamp.text() == "value = 1"
    assert clamp.call("nvim_win_get_cursor", 0) == [1, 3]
    clamp.keys(":Redraft accept<CR>")
    clamp.wait("there is nothing to review here", lambda: "no suggestion to review" in clamp.messages())
    clamp.command("buffer #")
    clamp.command("Redraft reject all")
    assert clamp.text() + "\n" == CLAMP


def test_a_file_that_is_closed_or_locked_meanwhile_is_no_error(clamp: Nvim, engine: ScriptedEngine) -> None:
    engine.script(two_suggestions, steps=4, step_seconds=0.1)
    clamp.command("1,6Redraft! rewrite")
    clamp.command("setlocal nomodifiable")
    clamp.wait("the user is told", lambda: "modifiable" in clamp.messages())
    clamp.command("setlocal modifiable")
    assert clamp.text() + "\n" == CLAMP
    clamp.command("1,6Redraft! rewrite")
    clamp.wait("it is under way", lambda: len(engine.requests) == 2)
    clamp.command("bwipeout!")
    clamp.command("enew")
    clamp.keys(":Redraft fix<CR>")
    clamp.wait("a file without a server says so", lambda: "no server for this file" in clamp.messages())


def test_guesses_are_asked_for_in_lines_that_parse(clamp: Nvim, engine: ScriptedEngine) -> None:
    clamp.command("1,6Redraft guess")
    clamp.wait("a suggestion to review", lambda: clamp.text() + "\n" != CLAMP)
    assert (engine.requests[0].intent, engine.requests[0].guesses > 0) == ("fix", True)
    assert engine.requests[0].span == CLAMP


def test_status_and_log_say_how_it_is(clamp: Nvim) -> None:
    clamp.keys(":Redraft status<CR>")
    clamp.wait("the engine is described", lambda: "model scripted, 1.0 million parameters, on cpu" in clamp.messages())
    assert "code stays on this machine" in clamp.messages()
    clamp.keys("<CR>")
    clamp.command("Redraft log")
    assert clamp.lua("return vim.fn.expand('%:p') == require('vim.lsp.log').get_filename()")
    assert clamp.call("nvim_get_option_value", "readonly", {})
    clamp.command("bwipeout!")


def test_it_is_said_where_code_is_sent(clamp: Nvim, engine: ScriptedEngine) -> None:
    engine.remote = "models.example.org"
    clamp.keys(":Redraft status<CR>")
    clamp.wait("the host is named", lambda: "edits send code to models.example.org" in clamp.messages())
    clamp.keys("<CR>")
    clamp.wait("the mark is shown", lambda: clamp.statusline() == "redraft@models.example.org")
    clamp.command("checkhealth redraft")
    assert "edits send code to models.example.org" in clamp.text()
    clamp.command("bwipeout!")
    engine.remote = None
    clamp.keys(":Redraft status<CR>")
    clamp.wait("the mark is gone", lambda: clamp.statusline() == "redraft")
    clamp.keys("<CR>")


def test_a_killed_server_is_told_and_started_again(clamp: Nvim, engine: ScriptedEngine) -> None:
    engine.script(two_suggestions, steps=50, step_seconds=0.1)
    clamp.command("1,6Redraft! rewrite")
    clamp.wait("the denoising is drawn", clamp.preview)
    for child in psutil.Process(clamp.lua("return vim.fn.getpid()")).children():
        child.kill()
    clamp.wait("the user is told", lambda: "the server stopped during the edit" in clamp.messages())
    assert clamp.preview() == ""
    assert clamp.text() + "\n" == CLAMP
    assert clamp.statusline() == ""
    clamp.keys("<CR>")
    clamp.command("Redraft restart")
    clamp.wait("another server is ready", lambda: clamp.statusline() == "redraft")
    engine.script(two_suggestions)
    clamp.command("1,6Redraft! rewrite")
    clamp.wait("it works", clamp.hints)
    clamp.command("Redraft reject all")


@pytest.mark.parametrize("eol", ["\n", "\r\n"])
def test_inline_suggestions_of_several_lines_are_leafed_through_and_turned_off(
    clamp: Nvim, engine: ScriptedEngine, tmp_path: Path, eol: str
) -> None:
    written(clamp, tmp_path / "greet.py", EMOJI[:4], eol)
    clamp.command("imap <Tab> <Plug>(redraft-inline-accept)")
    clamp.command("imap <C-n> <Plug>(redraft-inline-next)")
    engine.script(lambda request: [f"'🙂'{eol}\treturn sign", "None"] if request.prefix.endswith("= ") else [])
    clamp.keys("Gosign = ")
    shown = "return vim.lsp.inline_completion and vim.bo.fileformat == 'unix' or require('redraft.inline').visible()"
    clamp.wait("a suggestion", lambda: engine.requests and engine.requests[-1].prefix.endswith("= ") and clamp.ghost())
    assert clamp.lua(shown)
    clamp.wait("its first line", lambda: "'🙂'" in clamp.ghost())
    clamp.keys("<C-n>")
    clamp.wait("the other", lambda: "None" in clamp.ghost())
    clamp.keys("<C-n>")
    clamp.wait("the first again", lambda: "'🙂'" in clamp.ghost())
    clamp.keys("<Tab>")
    clamp.wait("it is in the text", lambda: clamp.lines()[4:] == ["        sign = '🙂'", "\treturn sign"])
    clamp.lua("require('redraft').setup({ settings = { inline = { enable = false } } })")
    clamp.keys("<CR>x = ")
    clamp.wait("it is typed", lambda: clamp.lines()[-1].endswith("x = "))
    assert clamp.ghost() == ""
    assert not any(request.prefix.endswith("x = ") for request in engine.requests)
    clamp.lua("require('redraft').setup({ settings = { inline = { enable = true } } })")

    def shown_on_return() -> str:
        clamp.keys("<Esc>a")
        time.sleep(0.3)
        return clamp.ghost()

    clamp.wait("on again, as soon as the server has heard of it", shown_on_return)
    clamp.keys("<Esc>")
    clamp.wait("gone with insert mode", lambda: clamp.ghost() == "")


def test_a_request_without_an_answer_leaves_a_word(clamp: Nvim, engine: ScriptedEngine) -> None:
    def nothing(request: EditRequest) -> list[str]:
        return []

    engine.script(nothing)
    clamp.command("1,6Redraft! rewrite")
    clamp.wait("the user is told", lambda: "no better text was found" in clamp.messages())
    assert clamp.drawn("preview") == []
    assert clamp.statusline() == "redraft"


CONFLICT = ["x = 1", "<<<<<<< ours", "y = 1", "=======", "y = 2", ">>>>>>> theirs", "z = 3"]


def ours(request: EditRequest) -> list[str]:
    return [request.span[: request.span.index("<<<")] + "y = 1\n"] if "<<<" in request.span else []


def report(nvim: Nvim, line: int) -> None:
    """Puts the cursor on a line (from 1) that a linter has something to say about."""
    found = f"{{ {{ lnum = {line - 1}, col = 0, severity = 1, message = 'invalid syntax' }} }}"
    nvim.lua(f"vim.diagnostic.set(vim.api.nvim_create_namespace('linter'), 0, {found})")
    nvim.at(line)


def test_a_merge_conflict_is_mended_wherever_the_cursor_is_in_it(
    clamp: Nvim, engine: ScriptedEngine, tmp_path: Path
) -> None:
    engine.script(ours)
    for line in (2, 4, 6):
        written(clamp, tmp_path / f"conflict{line}.py", CONFLICT, "\n")
        report(clamp, line)
        clamp.command("Redraft fix")
        clamp.wait("our side stands there", lambda: clamp.lines() == ["x = 1", "y = 1", "z = 3"])
        clamp.command("Redraft reject all")
        assert clamp.lines() == CONFLICT


def test_a_conflict_that_moves_while_it_is_mended_is_found_again(
    clamp: Nvim, engine: ScriptedEngine, tmp_path: Path
) -> None:
    written(clamp, tmp_path / "moving.py", CONFLICT, "\n")
    engine.script(ours, steps=4, step_seconds=0.2)
    report(clamp, 4)
    clamp.command("Redraft fix")
    clamp.wait("it is under way", lambda: engine.requests)
    clamp.call("nvim_buf_set_lines", 0, 0, 0, True, ["import os", ""])
    clamp.wait("our side stands there", lambda: clamp.lines() == ["import os", "", "x = 1", "y = 1", "z = 3"])
    clamp.command("Redraft reject all")


def test_what_changes_while_the_instruction_is_typed_is_not_rewritten_elsewhere(
    clamp: Nvim, engine: ScriptedEngine
) -> None:
    clamp.keys(":3,4Redraft rewrite<CR>")
    clamp.wait("the prompt", lambda: clamp.mode().startswith("i"))
    buffer = "vim.fn.bufnr('clamp.py')"
    clamp.lua(f"vim.api.nvim_buf_set_lines({buffer}, 0, 0, true, {{ 'import os', '' }})")
    clamp.keys("be kind<CR>")
    clamp.wait("the user is told", lambda: "has changed since" in clamp.messages())
    assert not engine.requests
    assert clamp.text() + "\n" == "import os\n\n" + CLAMP


def test_a_diagnostic_of_lines_that_are_gone_is_left_alone(clamp: Nvim, engine: ScriptedEngine) -> None:
    stale = "{ { lnum = 90, col = 0, severity = 1, message = 'old' } }"
    clamp.lua(f"vim.diagnostic.set(vim.api.nvim_create_namespace('linter'), 0, {stale})")
    clamp.at(2)
    clamp.command("Redraft fix")
    clamp.wait("the cursor's line is asked for", lambda: engine.requests)
    assert CLAMP.splitlines()[1] in engine.requests[0].span
    clamp.wait("the edit has ended", lambda: not clamp.lua("return require('redraft.edits').under_way(0)"))
    clamp.command("silent! Redraft reject all")
