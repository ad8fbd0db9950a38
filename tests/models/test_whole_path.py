"""Every kind of model through the real engine and the real language server, to a workspace edit: what holds for the
embedded model holds for all of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import torch

from engine.languages import python_fault
from engine.models.choice import code_digest
from tests.lsp.raw_client import RawClient, until
from tests.models import test_diffusion_gemma, test_masked_lm, test_remote_code
from tests.models.scripted_server import chat, scripted
from tests.models.tiny import save_tokenizer

pytestmark = pytest.mark.asyncio(loop_scope="module")
KINDS = ("masked-lm", "diffusion-gemma", "remote-code", "http")
BEFORE, REGION, AFTER = "# 🙂 first\r\ndef area(w, h):\r\n", "\treturn (w * h\r\n", "\r\n\r\nlast = area(2, 3)"


def folder_of(kind: str, folder: Path) -> dict[str, Any]:
    """A tiny model of `kind` saved in `folder`; the user's choice of it."""
    folder.mkdir()
    if kind == "masked-lm":
        torch.manual_seed(0)
        test_masked_lm.build("roberta", save_tokenizer(folder)).save_pretrained(folder)
    elif kind == "diffusion-gemma":
        test_diffusion_gemma.build(folder)
        return {"path": str(folder), "sampler": "entropy-bound"}
    else:
        test_remote_code.build(folder, model_type="llada")
        return {"path": str(folder), "allowed_code": code_digest(folder)}
    return {"path": str(folder)}


class Editor:
    """A client with one document, which changes as edits come in."""

    def __init__(self, client: RawClient) -> None:
        self.client, self.opened, self.uri, self.text, self.version = client, 0, "", "", 0
        client.handlers["workspace/applyEdit"] = self.apply

    def open(self, text: str) -> None:
        self.opened += 1
        self.uri, self.text, self.version = f"file:///a{self.opened}.py", text, 1
        self.client.open(self.uri, text)

    def apply(self, params: dict[str, Any]) -> dict[str, Any]:
        (change,) = params["edit"]["documentChanges"]
        assert change["textDocument"] == {"uri": self.uri, "version": self.version}
        for edit in sorted(change["edits"], key=lambda edit: -edit["range"]["start"]["line"]):
            self.type(edit["range"], edit["newText"])
        return {"applied": True}

    def type(self, where: dict[str, Any], text: str) -> None:
        """Characters of the lines that edits touch are all of the basic plane, so columns are code points."""
        start, end = (self._offset(where[side]) for side in ("start", "end"))
        self.text = self.text[:start] + text + self.text[end:]
        self.version += 1
        document = {"uri": self.uri, "version": self.version}
        changes = [{"range": where, "text": text}]
        self.client.notify("textDocument/didChange", {"textDocument": document, "contentChanges": changes})

    def _offset(self, position: dict[str, int]) -> int:
        lines = self.text.splitlines(keepends=True)
        return sum(map(len, lines[: position["line"]])) + position["character"]

    def ask(self, command: str, line: int, **more: Any) -> tuple[int, asyncio.Future[dict[str, Any]]]:
        where = {"start": {"line": line, "character": 0}, "end": {"line": line, "character": 99}}
        argument = {"uri": self.uri, "range": where, **more}
        return self.client.ask("workspace/executeCommand", {"command": f"redraft.{command}", "arguments": [argument]})

    async def edit(self, command: str, line: int, **more: Any) -> dict[str, Any]:
        return (await asyncio.wait_for(self.ask(command, line, **more)[1], 180))["result"]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=KINDS)
async def editor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Editor]:
    """Of a user who chose a model of each kind by turns; a server that answers in time to the requests of the tests."""
    base = tmp_path_factory.mktemp("whole")
    with scripted() as server:
        server.replies = answers
        url = {"url": f"http://127.0.0.1:{server.server_port}", "model": "m"}
        choice = url if request.param == "http" else folder_of(request.param, base / "model")
        (base / "config").mkdir()
        (base / "config" / "model.json").write_text(json.dumps({**choice, "fallback": False}))
        where = {"REDRAFT_CONFIG_DIR": str(base / "config"), "REDRAFT_RUNTIME_DIR": str(base / "r")}
        client = await RawClient.start(environment=where)
        settings = {
            "engine": {"idleSeconds": 60},
            "candidates": 3,
            "deadlineMs": 60_000,
            "diagnostics": {"enable": False},
        }
        await client.initialize(settings)
        yield Editor(client)
        await client.command("redraft.stopEngine")
        await client.kill()


def answers(body: dict[str, Any]) -> Any:
    """What a good server answers to the texts of the tests; every second one is no Python."""
    asked = body["messages"][1]["content"]
    if "(w * h" in asked:
        return chat("\treturn (w * h)\n", pause_s=0.3)
    if "one_by_one" in asked:
        return chat("    return (\n" if body.get("seed", 0) % 2 else "    return sorted(items)\n")
    return chat("x = 2\n", pause_s=30.0)


async def test_a_mend_keeps_every_byte_around_it(editor: Editor) -> None:
    editor.open(BEFORE + REGION + AFTER)
    answer = await editor.edit("fix", 2)
    assert answer["applied"], answer
    assert editor.text.startswith(BEFORE)
    assert editor.text.endswith(AFTER)
    region = editor.text[len(BEFORE) : -len(AFTER)]
    assert region.startswith("\t")
    assert region.count("\r\n") == region.count("\n") == 1
    assert python_fault(editor.text) is None
    assert editor.client.status["kind"] == "Normal"


async def test_what_parses_still_does_and_candidates_differ(editor: Editor) -> None:
    before, span = "def one_by_one(items):\n", "    return list(items)\n"
    editor.open(before + span)
    answer = await editor.edit("rewrite", 1, apply=False)
    texts = [candidate["text"] for candidate in (answer.get("proposal") or {"candidates": []})["candidates"]]
    assert len(set(texts)) == len(texts) <= 3
    assert span not in texts
    for text in texts:
        assert python_fault(before + text) is None, text
    assert editor.text == before + span


async def test_typing_in_the_region_meanwhile_refuses_the_edit_and_above_moves_it(editor: Editor) -> None:
    for line, column, typed in ((2, 1, "x = 1; "), (0, 0, "# new\r\n")):
        editor.open(BEFORE + REGION + AFTER)
        _, work = editor.ask("fix", 2)
        place = {"line": line, "character": column}
        editor.type({"start": place, "end": place}, typed)
        typed_in = editor.text
        answer = (await asyncio.wait_for(work, 180))["result"]
        if line == 2:
            assert "changed while" in answer["reason"], answer
            assert editor.text == typed_in
        else:
            assert answer["applied"], answer
            assert editor.text.startswith("# new\r\n" + BEFORE)
            assert python_fault(editor.text) is None


async def test_cancel_and_deadline_change_nothing(editor: Editor) -> None:
    text = "x = 1\n" * 40
    editor.open(text)
    _, work = editor.ask("rewrite", 20)
    await until(lambda: editor.client.status.get("busy"))
    assert await editor.client.command("redraft.cancel") == {"cancelled": 1}
    assert (await asyncio.wait_for(work, 180))["result"] == {"applied": False, "reason": "cancelled"}
    editor.client.notify("workspace/didChangeConfiguration", {"settings": {"redraft": {"deadlineMs": 10}}})
    answer = await editor.edit("rewrite", 20, apply=False)
    assert answer["applied"] is False, answer
    assert editor.text == text
    assert editor.client.status["kind"] == "Normal"
