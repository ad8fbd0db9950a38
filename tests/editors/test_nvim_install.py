"""The plugin as docs/neovim.md tells a user to install it, in a home that has nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from nvim_driver import PLUGIN, ROOT, Nvim, find_nvim

SERVER = Path(sys.executable).with_name("redraft-lsp")


def blocks(clone: Path) -> list[str]:
    """The page's pieces of init.lua, for a clone and a server that are where they are here."""
    page = (ROOT / "docs" / "neovim.md").read_text()
    page = page.replace("~/.local/share/redraft/bin/redraft-lsp", str(SERVER)).replace("/path/to/the/clone", str(clone))
    return re.findall(r"```lua\n(.*?)```", page, re.DOTALL)


def on_the_runtime_path(home: Path) -> str:
    return blocks(ROOT)[0]


def as_a_package(home: Path) -> str:
    start = home / "data" / "nvim" / "site" / "pack" / "redraft" / "start"
    start.mkdir(parents=True)
    (start / "redraft").symlink_to(PLUGIN)
    return blocks(ROOT)[0].split("\n", 1)[1]


def by_vim_pack(home: Path) -> str:
    clone = home / "redraft"
    shutil.copytree(PLUGIN, clone / "editors" / "nvim")
    for words in ("init -q", "add .", "-c user.name=a -c user.email=a@example.org commit -q -m first"):
        subprocess.run(["git", *words.split()], cwd=clone, check=True)
    return "\n".join(blocks(clone)[1:]) + blocks(clone)[0].split("\n", 1)[1]


@pytest.mark.parametrize(
    ("version", "install"),
    [(version, way) for version in ("0.11", "0.12") for way in (on_the_runtime_path, as_a_package)]
    + [("0.12", by_vim_pack)],
)
def test_installed_as_the_page_says_it_serves_a_file(
    version: str, install: Callable[[Path], str], tmp_path: Path
) -> None:
    configuration = tmp_path / "config" / "nvim"
    configuration.mkdir(parents=True)
    (configuration / "init.lua").write_text(install(tmp_path))
    file = tmp_path / "area.py"
    file.write_text("def area(width, height):\n    return width * height\n")
    editor = Nvim(find_nvim(version), home=tmp_path)
    try:
        editor.wait("it has started", lambda: editor.lua("return vim.v.vim_did_enter") == 1)  # vim.pack takes a while
        editor.open(file)
        assert "rewrite" in editor.call("nvim_call_function", "getcompletion", ["Redraft re", "cmdline"])
        editor.command("helptags ALL | help redraft")
        assert editor.lua("return vim.bo.filetype") == "help"
    finally:
        editor.close()
