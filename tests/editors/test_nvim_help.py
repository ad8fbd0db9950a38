"""`:help redraft` says all that there is, and nothing that there is not."""

from __future__ import annotations

import re

from nvim_driver import PLUGIN, Nvim

from lsp_server.settings import KEYS, TRUSTED_KEYS

HELP = PLUGIN / "doc" / "redraft.txt"


def documented(nvim: Nvim, pattern: str) -> set[str]:
    """The help tags, as Neovim found them, that `pattern` matches: its first group."""
    nvim.command(f"helptags {HELP.parent}")
    tags = [line.split("\t")[0] for line in (HELP.parent / "tags").read_text().splitlines()]
    return {found.group(1) for tag in tags if (found := re.fullmatch(pattern, tag))}


def test_every_command_map_and_function_is_documented_and_the_reverse(clamp: Nvim) -> None:
    commands = clamp.lua("return require('redraft.commands').names()")
    assert documented(clamp, r":Redraft-(\w+)") == set(commands)
    maps = clamp.lua("""
        local found = {}
        for _, mode in ipairs({ 'n', 'x', 'i' }) do
            for _, map in ipairs(vim.api.nvim_get_keymap(mode)) do
                if vim.startswith(map.lhs, '<Plug>(redraft-') then found[map.lhs] = true end
            end
        end
        return vim.tbl_keys(found)
    """)
    assert documented(clamp, r"(<Plug>\(redraft-.+\))") == set(maps)
    functions = clamp.lua("return vim.tbl_keys(require('redraft'))")
    assert documented(clamp, r"redraft\.(\w+)\(\)") == set(functions)


def test_every_highlight_group_is_documented_with_its_link_and_the_reverse(clamp: Nvim) -> None:
    links = clamp.lua("""
        local found = {}
        for name, group in pairs(vim.api.nvim_get_hl(0, {})) do
            if vim.startswith(name, 'Redraft') then found[name] = group.link end
        end
        return found
    """)
    assert documented(clamp, r"hl-(Redraft\w+)") == set(links)
    for name, link in links.items():
        assert re.search(rf"^{name}\t.*; {link}$", HELP.read_text(), re.MULTILINE), f"{name} links to {link}"


def test_every_setting_and_option_is_documented_and_the_reverse(clamp: Nvim) -> None:
    text = HELP.read_text()
    section = text[text.index("*redraft-settings*") : text.index("*redraft-highlights*")]
    assert set(re.findall(r"^([a-z]\w+(?:\.\w+)?)(?:\t+ *| {2,})\S", section, re.MULTILINE)) == {*KEYS, *TRUSTED_KEYS}
    section = text[text.index("*redraft.setup()*") : text.index("*redraft-commands*")]
    options = re.findall(r"^\t\t([a-z]+)(?:\t *| {2,})\S", section, re.MULTILINE)
    source = (PLUGIN / "lua" / "redraft" / "config.lua").read_text()
    taken = source[source.index("---@class redraft.Options") : source.index("---@class redraft.Config")]
    assert options == re.findall(r"---@field (\w+)\?", taken)


def test_every_place_in_the_help_that_is_pointed_to_exists(clamp: Nvim) -> None:
    clamp.command(f"helptags {HELP.parent}")
    links = set(re.findall(r"\|(\S+?)\|", HELP.read_text()))
    source = "".join(file.read_text() for file in PLUGIN.rglob("*.lua"))
    links |= set(re.findall(r":help (redraft[-\w]*)", source))
    links.discard("vim.lsp.inline_completion")  # since 0.12
    for link in links:
        clamp.command(f"help {link}")
        clamp.command("helpclose")
