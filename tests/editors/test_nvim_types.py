"""The LuaCATS annotations of the plugin, by the EmmyLua language server and with Neovim 0.12's own annotations.

It has no command line of its own, so it is asked for the diagnostics of every file, as an editor would ask.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import IO, Any

from nvim_driver import NEXT_BUILD, PLUGIN, ROOT, missing

CHECKER = ROOT / ".cache" / "emmylua" / "emmylua_ls"
RUNTIME = NEXT_BUILD.parents[1] / "share" / "nvim" / "runtime" / "lua"
SETTINGS = {
    "runtime": {"version": "LuaJIT", "requirePattern": ["lua/?.lua", "lua/?/init.lua"]},
    "workspace": {"library": [str(RUNTIME)]},
    "strict": {"arrayIndex": False},
    # What vim.iter hands its callbacks Neovim's annotations do not say; vim.diff is for 0.11.
    "diagnostics": {"disable": ["redundant-parameter", "deprecated", "redefined-local"]},
}


class Server:
    """One language server on stdio."""

    def __init__(self, program: str) -> None:
        command = [program, "--log-level", "error", "--resources-path", "none"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._process.stdin
        assert self._process.stdout
        self._sink: IO[bytes] = self._process.stdin
        self._source: IO[bytes] = self._process.stdout
        self._number = 0

    def notify(self, method: str, params: Any) -> None:
        self._send({"method": method, "params": params})

    def request(self, method: str, params: Any) -> Any:
        self._number += 1
        self._send({"id": self._number, "method": method, "params": params})
        while True:
            message = self._read()
            if "method" in message and "id" in message:
                self._send({"id": message["id"], "result": None})
            elif message.get("id") == self._number:
                return message["result"]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._sink.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self._sink.flush()

    def _read(self) -> dict[str, Any]:
        length = 0
        while header := self._source.readline().strip():
            name, _, value = header.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        assert length, "the checker has ended"
        return json.loads(self._source.read(length))


def problems(server: Server, folder: Path) -> list[str]:
    """One line for each in the Lua files of `folder`."""
    workspace = {"uri": folder.as_uri(), "name": "plugin"}
    capabilities = {"workspace": {"workspaceFolders": True}, "textDocument": {"diagnostic": {}}}
    server.request("initialize", {"workspaceFolders": [workspace], "processId": None, "capabilities": capabilities})
    server.notify("initialized", {})
    files = {file.as_uri(): file for file in sorted(folder.rglob("*.lua"))}
    for uri, file in files.items():
        document = {"uri": uri, "languageId": "lua", "version": 1, "text": file.read_text()}
        server.notify("textDocument/didOpen", {"textDocument": document})
    found: list[str] = []
    for uri, file in files.items():
        report = server.request("textDocument/diagnostic", {"textDocument": {"uri": uri}})
        for item in report["items"]:
            line = item["range"]["start"]["line"] + 1
            found.append(f"{file.relative_to(folder)}:{line}: {item['message']} [{item.get('code')}]")
    return found


def test_the_types_are_right(tmp_path: Path) -> None:
    if not CHECKER.exists() or not RUNTIME.exists():
        missing("the checker of Lua types is missing: run tests/editors/setup_editors.sh")
    folder = tmp_path / "plugin"
    shutil.copytree(PLUGIN, folder)
    (folder / ".emmyrc.json").write_text(json.dumps(SETTINGS))
    server = Server(str(CHECKER))
    try:
        assert problems(server, folder) == []
    finally:
        server.close()
