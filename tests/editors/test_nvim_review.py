"""What Neovim's user does with suggestions: the real server, and an engine that answers what each test needs."""

from __future__ import annotations

from nvim_driver import Nvim
from scripted_engine import BOTH, CLAMP, ScriptedEngine, two_suggestions

FIRST_ONLY = CLAMP.replace("if value < low:", "if low > value:")


def text(nvim: Nvim) -> str:
    return nvim.text() + "\n"


def reviewed(nvim: Nvim) -> Nvim:
    nvim.keys(":1,6Redraft rewrite mend it<CR>")
    nvim.wait("two changes wait", lambda: len(nvim.hints()) == 2)
    return nvim


def test_one_change_is_accepted_one_rejected_and_one_undo_takes_all_back(clamp: Nvim) -> None:
    reviewed(clamp)
    assert text(clamp) == BOTH
    assert clamp.hints() == ["change 1 of 2, suggestion 1 of 2", "change 2 of 2"]
    assert clamp.statusline() == "redraft: suggestion 1/2, 2 changes"
    gone = [m["virt_lines"][0][0][0] for m in clamp.drawn("suggestions") if m.get("virt_lines")]
    assert gone == ["    if value < low:", "        return low"]
    clamp.keys(":Redraft accept<CR>")
    clamp.wait("one change waits, under the cursor", lambda: clamp.call("nvim_win_get_cursor", 0)[0] == 5)
    clamp.keys(":Redraft reject<CR>")
    clamp.wait("the review is over", lambda: not clamp.drawn("suggestions"))
    assert text(clamp) == FIRST_ONLY
    clamp.keys("u")
    clamp.wait("one undo brings the file back", lambda: text(clamp) == CLAMP)
    clamp.keys("<C-r>")
    clamp.wait("and redo what was accepted", lambda: text(clamp) == FIRST_ONLY)


def test_next_and_prev_switch_the_suggestion_and_rejecting_leaves_no_trace(clamp: Nvim) -> None:
    reviewed(clamp)
    clamp.command("Redraft next")
    assert text(clamp) == CLAMP.replace("    return value\n", "")
    assert clamp.hints() == ["change 1 of 1, suggestion 2 of 2"]
    clamp.command("Redraft prev")
    assert text(clamp) == BOTH
    clamp.command("Redraft reject all")
    assert text(clamp) == CLAMP
    assert not clamp.call("nvim_get_option_value", "modified", {})
    assert clamp.drawn("suggestions") == []


def test_typing_in_the_review_ends_it_and_keeps_what_stands_there(clamp: Nvim) -> None:
    reviewed(clamp)
    clamp.at(2)
    clamp.keys("A  # mine<Esc>")
    clamp.wait("the review is over", lambda: not clamp.drawn("suggestions"))
    assert text(clamp) == BOTH.replace("low > value:", "low > value:  # mine")
    clamp.keys(":Redraft accept<CR>")
    clamp.wait("the user is told", lambda: "no suggestion to review" in clamp.messages())


def test_the_prompt_remembers_offers_presets_and_warms_the_context(clamp: Nvim, engine: ScriptedEngine) -> None:
    clamp.keys(":1,6Redraft rewrite<CR>")
    clamp.wait("the prompt is open", lambda: clamp.lua("return vim.bo.filetype") == "redraft-prompt")
    clamp.keys("mend it")
    clamp.wait("the context is warm", lambda: any(r.instruction == "mend it" for r in engine.warmed))
    clamp.keys("<CR>")
    clamp.wait("two changes wait", lambda: len(clamp.hints()) == 2)
    assert [r.instruction for r in engine.requests] == ["mend it"]
    clamp.command("Redraft reject all")
    clamp.keys(":1,6Redraft rewrite<CR>")
    clamp.wait("the prompt is open", lambda: clamp.lua("return vim.bo.filetype") == "redraft-prompt")
    clamp.keys("<Up>")
    clamp.wait("the last instruction is back", lambda: clamp.text() == "mend it")
    clamp.keys("<Tab>")
    clamp.wait("the preset stands there", lambda: clamp.text() == "add type hints")
    clamp.keys("<Esc>")
    clamp.wait("the prompt is gone", lambda: text(clamp) == CLAMP and clamp.mode() == "n")
    assert len(engine.requests) == 1


def test_denoising_is_drawn_over_the_text_without_changing_it(clamp: Nvim, engine: ScriptedEngine) -> None:
    engine.script(two_suggestions, steps=50, step_seconds=0.1)
    clamp.keys(":1,6Redraft rewrite mend it<CR>")
    clamp.wait("masks are drawn", lambda: "░" in clamp.preview())
    assert text(clamp) == CLAMP
    clamp.wait("the steps are counted", lambda: "of 50" in clamp.statusline() or "/50" in clamp.statusline())
    clamp.keys(":Redraft cancel<CR>")
    clamp.wait("the engine heard of it", lambda: engine.cancelled == 1)
    assert text(clamp) == CLAMP
    assert clamp.drawn("preview") == []


def test_a_motion_and_a_visual_selection_choose_the_region(clamp: Nvim, engine: ScriptedEngine) -> None:
    clamp.command("nmap gr <Plug>(redraft-rewrite-motion)")
    clamp.command("xmap gf <Plug>(redraft-fix)")
    clamp.keys("grj")
    clamp.wait("the prompt is open", lambda: clamp.lua("return vim.bo.filetype") == "redraft-prompt")
    clamp.keys("<CR>")
    clamp.wait("the lines of the motion are asked for", lambda: len(engine.requests) == 1)
    assert engine.requests[0].span == "".join(CLAMP.splitlines(keepends=True)[:2])
    clamp.wait("a suggestion", clamp.hints)
    clamp.command("Redraft reject all")
    clamp.at(4)
    clamp.keys("Vjgf")
    clamp.wait("the selected lines are asked for", lambda: len(engine.requests) == 2)
    assert engine.requests[1].span == "".join(CLAMP.splitlines(keepends=True)[3:5])
    assert engine.requests[1].intent == "fix"
    clamp.wait("a suggestion", clamp.hints)
    clamp.command("Redraft reject all")


def test_an_inline_suggestion_is_shown_typed_along_and_accepted(clamp: Nvim, engine: ScriptedEngine) -> None:
    wanted = "    return abs(value)"
    engine.script(lambda request: [wanted.removeprefix(request.prefix.rsplit("\n", 1)[-1])])
    clamp.command("imap <Tab> <Plug>(redraft-inline-accept)")
    clamp.keys("Go    ret")
    clamp.wait("the suggestion is there", lambda: clamp.ghost().endswith("abs(value)"))
    clamp.keys("u")
    clamp.wait("what is typed leaves it", lambda: clamp.ghost() == "rn abs(value)")
    clamp.keys("<Tab>")
    clamp.wait("the suggestion is in the text", lambda: clamp.lines()[-1] == wanted)
    assert clamp.mode() == "i"
    assert clamp.ghost() == ""


def test_commands_are_completed_and_no_key_is_taken(clamp: Nvim) -> None:
    names = clamp.call("nvim_call_function", "getcompletion", ["Redraft re", "cmdline"])
    assert names == ["reject", "restart", "rewrite"]
    assert clamp.call("nvim_call_function", "getcompletion", ["1,2Redraft accept ", "cmdline"]) == ["all"]
    assert clamp.call("nvim_call_function", "getcompletion", ["Redraft rewrite a", "cmdline"]) == ["add type hints"]
    clamp.keys(":Redraft nonsense<CR>")
    clamp.wait("the user is told", lambda: "no such subcommand" in clamp.messages())
    maps = clamp.lua("""
        local found = {}
        for _, mode in ipairs({ 'n', 'x', 'i', 'o' }) do
            for _, map in ipairs(vim.api.nvim_get_keymap(mode)) do
                if (map.desc or ''):find('^Redraft') and not map.lhs:find('^<Plug>') then
                    table.insert(found, map.lhs)
                end
            end
        end
        return found
    """)
    assert maps == []


def test_a_suggestion_is_taken_where_the_cursor_is_also_beside_the_popup_menu(
    clamp: Nvim, engine: ScriptedEngine
) -> None:
    engine.script(lambda request: ["read(path)"] if request.prefix.endswith("x = ") else [])
    clamp.command("imap <Tab> <Plug>(redraft-inline-accept)")
    clamp.keys("Goread_all = read_one<CR>x = ")
    clamp.wait("the suggestion is there", lambda: clamp.ghost() == "read(path)")
    clamp.keys("r<C-x><C-n>")
    clamp.wait("the menu is open", lambda: clamp.call("nvim_call_function", "pumvisible", []))
    clamp.keys("e")
    clamp.keys("<Tab>")
    assert "read(path)e" not in clamp.text()
    clamp.keys("<Esc>")
