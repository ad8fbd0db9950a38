"""Settings change while the server runs: by the editor, by files, by folders that come and go."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from engine.models.loading import EMBEDDED
from lsp_server.configuration import plain_uri
from tests.lsp.light import light_server
from tests.lsp.raw_client import ANSWER_WITHIN_S, RawClient, until

PULLS = {"workspace": {"configuration": True, "workspaceFolders": True}}
LINE = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 7}}
DISABLED = {"textDocument": {"codeAction": {"disabledSupport": True}}}


@pytest_asyncio.fixture
async def start() -> AsyncIterator[Any]:
    clients: list[RawClient] = []

    async def begin(
        folders: list[Path], capabilities: Any = None, settings: Any = None, handlers: Any = None, root: Any = None
    ) -> RawClient:
        client = await RawClient.start()
        clients.append(client)
        client.handlers.update(handlers or {})
        named = [{"uri": folder.as_uri(), "name": folder.name} for folder in folders]
        where = {"rootUri": root.as_uri()} if root else {"workspaceFolders": named}
        await client.initialize({"settings": settings or {}}, capabilities, **where)
        return client

    yield begin
    for client in clients:
        await client.kill()


def warnings(client: RawClient) -> list[str]:
    return [params["message"] for method, params in client.notified if method == "window/showMessage"]


async def titles(client: RawClient, uri: str) -> list[str]:
    """What a selection of the first line is offered."""
    params = {"textDocument": {"uri": uri}, "range": LINE, "context": {"diagnostics": []}}
    return [action["title"] for action in (await client.request("textDocument/codeAction", params))["result"]]


async def offered(client: RawClient, uri: str, preset: str) -> None:
    """Waits until `preset` is the one preset on offer ("": none is)."""
    expected = [f"Rewrite selection: {preset}"] if preset else []
    async with asyncio.timeout(ANSWER_WITHIN_S):
        while [t for t in await titles(client, uri) if t.startswith("Rewrite selection:")] != expected:
            await asyncio.sleep(0.05)


async def test_a_project_file_is_read_again_however_it_is_written(tmp_path: Path, start: Any) -> None:
    client = await start([tmp_path])
    uri = (tmp_path / "a.py").as_uri()
    client.open(uri, "abc = 1\n")
    await offered(client, uri, "")
    (tmp_path / ".redraft.toml").write_text('instructions = ["make it short"]\n')
    await offered(client, uri, "make it short")
    (tmp_path / "new").write_text('instructions = ["add types"]\n')
    (tmp_path / "new").rename(tmp_path / ".redraft.toml")  # as many editors save
    await offered(client, uri, "add types")
    (tmp_path / ".redraft.toml").unlink()
    await offered(client, uri, "")
    (tmp_path / "pyproject.toml").write_text('[tool.redraft]\ninstructions = ["add docs"]\n')
    await offered(client, uri, "add docs")


async def test_a_project_problem_is_told_once_and_again_when_it_comes_back(tmp_path: Path, start: Any) -> None:
    client = await start([tmp_path])
    uri, file = (tmp_path / "a.py").as_uri(), tmp_path / ".redraft.toml"
    client.open(uri, "abc = 1\n")
    await offered(client, uri, "")
    for preset in ("one", "two"):
        file.write_text(f'colour = 1\ninstructions = ["{preset}"]\n')
        await offered(client, uri, preset)
    (warning,) = warnings(client)
    assert "redraft.colour is not a setting" in warning
    assert "candidates" in warning  # the valid ones are named
    file.write_text('instructions = ["three"]\n')
    await offered(client, uri, "three")
    file.write_text('colour = 1\ninstructions = ["four"]\n')
    await offered(client, uri, "four")
    assert len(warnings(client)) == 2


async def test_the_client_is_asked_to_watch_and_believed(tmp_path: Path, start: Any) -> None:
    registered: list[Any] = []
    dynamic = {"dynamicRegistration": True}
    capabilities = {"workspace": {"didChangeConfiguration": dynamic, "didChangeWatchedFiles": dynamic}}
    await start([], capabilities, handlers={"client/registerCapability": registered.append})
    await until(lambda: registered)
    found = {one["method"]: one["registerOptions"] for one in registered[0]["registrations"]}
    globs = [watcher["globPattern"] for watcher in found["workspace/didChangeWatchedFiles"]["watchers"]]
    assert globs == ["**/.redraft.toml", "**/pyproject.toml"]
    assert found["workspace/didChangeConfiguration"] == {"section": "redraft"}


async def test_a_pulled_setting_that_was_removed_is_the_default_again(tmp_path: Path, start: Any) -> None:
    tree: dict[str, Any] = {"instructions": ["be brief"]}
    answers = {"workspace/configuration": lambda asked: [tree] * len(asked["items"])}
    client = await start([tmp_path], PULLS, {"instructions": ["be brief"]}, answers)
    uri = (tmp_path / "a.py").as_uri()
    client.open(uri, "abc = 1\n")
    await offered(client, uri, "be brief")
    tree = {"candidates": 2}
    client.notify("workspace/didChangeConfiguration", {"settings": None})
    await offered(client, uri, "")


async def test_a_pushed_setting_that_was_removed_is_the_default_again(tmp_path: Path, start: Any) -> None:
    client = await start([tmp_path])
    uri = (tmp_path / "a.py").as_uri()
    client.open(uri, "abc = 1\n")
    for tree, preset in (({"instructions": ["be brief"]}, "be brief"), ({"candidates": 2}, "")):
        client.notify("workspace/didChangeConfiguration", {"settings": {"redraft": tree}})
        await offered(client, uri, preset)


async def test_folders_have_their_own_settings_and_may_come_and_go(tmp_path: Path, start: Any) -> None:
    one, two = tmp_path / "one", tmp_path / "two (copy)"
    for folder in (one, two):
        folder.mkdir()
        (folder / ".redraft.toml").write_text(f'instructions = ["{folder.name[:3]}"]\n')
    client = await start([one])
    first, second = (one / "a.py").as_uri(), (two / "a.py").as_uri()
    for uri in (first, second):
        client.open(uri, "abc = 1\n")
    await offered(client, first, "one")
    await offered(client, second, "")
    folder = {"uri": two.as_uri(), "name": "two"}
    client.notify("workspace/didChangeWorkspaceFolders", {"event": {"added": [folder], "removed": []}})
    await offered(client, second, "two")
    client.open(second.replace("%28", "("), "abc = 1\n")  # the same path, spelt as Neovim does
    await offered(client, second.replace("%28", "("), "two")
    (two / ".redraft.toml").write_text('instructions = ["new"]\n')  # it is watched, too
    await offered(client, second, "new")
    client.notify("workspace/didChangeWorkspaceFolders", {"event": {"added": [], "removed": [folder]}})
    await offered(client, second, "")
    await offered(client, first, "one")


async def test_a_client_with_a_root_and_no_folders_has_the_settings_of_its_project(tmp_path: Path, start: Any) -> None:
    (tmp_path / ".redraft.toml").write_text('instructions = ["be brief"]\n')
    client = await start([], root=tmp_path)
    uri = (tmp_path / "a.py").as_uri()
    client.open(uri, "abc = 1\n")
    await offered(client, uri, "be brief")


@pytest.mark.parametrize("synchronised", [True, False])
async def test_a_cell_has_the_settings_of_its_notebook(tmp_path: Path, start: Any, synchronised: bool) -> None:
    """Opened within its notebook, or as a plain document by a client that knows no notebooks."""
    folder = tmp_path / "a b"
    folder.mkdir()
    (folder / ".redraft.toml").write_text('exclude = ["private.*"]\ninstructions = ["be brief"]\n')
    client = await start([folder], DISABLED)
    for name, expected in (("open", {None}), ("private", {"excluded by private.*"})):
        book = (folder / f"{name}.ipynb").as_uri()
        cell = f"{book.replace('file://', 'vscode-notebook-cell:')}#W0sZmlsZQ%3D%3D"
        if synchronised:
            cells = [{"kind": 2, "document": cell}]
            opened = {"uri": book, "notebookType": "jupyter-notebook", "version": 1, "cells": cells}
            item = {"uri": cell, "languageId": "python", "version": 1, "text": "abc = 1\n"}
            client.notify("notebookDocument/didOpen", {"notebookDocument": opened, "cellTextDocuments": [item]})
        else:
            client.open(cell, "abc = 1\n")
        await offered(client, cell, "be brief")
        assert await reasons(client, cell) == expected
        answer = await client.command("redraft.warm", {"uri": cell, "range": LINE})
        assert ("excluded" in answer.get("reason", "")) == (name == "private")


async def test_a_project_file_that_is_half_written_takes_no_exclusion_away(tmp_path: Path, start: Any) -> None:
    file, uri = tmp_path / ".redraft.toml", (tmp_path / "private.py").as_uri()
    file.write_text('exclude = ["private.*"]\n')
    client = await start([tmp_path], DISABLED)
    client.open(uri, "abc = 1\n")
    await until_excluded(client, uri)
    file.write_text('exclude = ["private.*"\ncandidates')
    await until(lambda: any("cannot be read" in message for message in warnings(client)))
    assert await reasons(client, uri) == {"excluded by private.*"}
    file.write_text('exclude = []\ninstructions = ["be brief"]\n')
    await offered(client, uri, "be brief")
    assert await reasons(client, uri) == {None}


@pytest.mark.parametrize("text", [".".join("a" * 3000) + " = 1", "".join(f"k{i} = 1\n" for i in range(3000))])
async def test_a_hostile_project_neither_voids_the_editors_settings_nor_floods_the_screen(
    tmp_path: Path, start: Any, text: str
) -> None:
    (tmp_path / ".redraft.toml").write_text(text)
    uri = (tmp_path / "private.py").as_uri()
    client = await start([tmp_path], DISABLED, {"exclude": ["private.*"]})
    client.open(uri, "abc = 1\n")
    await until_excluded(client, uri)
    await until(lambda: client.status.get("message") == "ready")
    assert 1 <= len(warnings(client)) <= 6
    assert all(len(message) < 1000 for message in warnings(client))
    assert await reasons(client, uri) == {"excluded by private.*"}


async def until_excluded(client: RawClient, uri: str) -> None:
    async with asyncio.timeout(ANSWER_WITHIN_S):
        while await reasons(client, uri) != {"excluded by private.*"}:
            await asyncio.sleep(0.05)


def test_one_path_has_one_spelling() -> None:
    assert plain_uri("file:///c%3A/My%20Code/") == plain_uri("file:///C:/My Code") == "file:///c:/My Code"


@pytest.mark.parametrize("supported", [True, False])
async def test_while_the_model_loads_actions_say_so_where_they_can(supported: bool) -> None:
    environment = {"REDRAFT_TEST_LOAD_S": "2"}
    async with light_server(environment, DISABLED if supported else None) as client:
        client.open("file:///a.py", "abc = 1\n")
        assert await reasons(client, "file:///a.py") == {None}  # no engine yet: the first edit starts one
        edit = {"command": "redraft.rewrite", "arguments": [{"uri": "file:///a.py", "range": LINE}]}
        _, answer = client.ask("workspace/executeCommand", edit)
        await until(lambda: client.status.get("busy"))
        loading = "the model is loading: try again in a few seconds"
        assert await reasons(client, "file:///a.py") == {loading if supported else None}
        await answer
        assert await reasons(client, "file:///a.py") == {None}


async def test_an_excluded_file_has_no_actions_or_disabled_ones() -> None:
    async with light_server(capabilities=DISABLED) as client:
        client.open("file:///secrets.py", "abc = 1\n")
        assert await reasons(client, "file:///secrets.py") == {"excluded by secrets.*"}
    async with light_server() as client:
        client.open("file:///secrets.py", "abc = 1\n")
        assert await reasons(client, "file:///secrets.py") == set()


async def reasons(client: RawClient, uri: str) -> set[str | None]:
    """Why the actions on offer for the first line are disabled; None: one is not."""
    params = {"textDocument": {"uri": uri}, "range": LINE, "context": {"diagnostics": []}}
    found = (await client.request("textDocument/codeAction", params))["result"]
    return {action.get("disabled", {}).get("reason") for action in found}


async def test_cancel_says_how_many_edits_it_ended() -> None:
    async with light_server() as client:
        client.open("file:///a.py", "abc = 1\n")
        slow = {"uri": "file:///a.py", "range": LINE, "instruction": '{"steps": 1000, "step_s": 0.1}'}
        _, answer = client.ask("workspace/executeCommand", {"command": "redraft.rewrite", "arguments": [slow]})
        await until(lambda: client.status.get("busy"))
        assert await client.command("redraft.cancel", {"uri": "file:///b.py"}) == {"cancelled": 0}
        assert await client.command("redraft.cancel", {"uri": "file:///a.py"}) == {"cancelled": 1}
        assert (await answer)["result"] == {"applied": False, "reason": "cancelled"}
        assert await client.command("redraft.cancel") == {"cancelled": 0}


async def weights_replaced(client: RawClient, folder: Path, weights: bytes, expected: str) -> None:
    """A new checkpoint appears as training writes it, and the engine says what became of it."""
    (folder / "new").write_bytes(weights)
    (folder / "new").rename(folder / "model.safetensors")
    async with asyncio.timeout(ANSWER_WITHIN_S):
        while expected not in (await client.command("redraft.status"))["engine"]["message"]:
            await asyncio.sleep(0.05)


async def test_another_model_takes_over_while_the_server_runs(tmp_path: Path) -> None:
    """The real engine, with a folder of the user's; a broken one is refused and the next choice is served."""
    folder, broken = tmp_path / "mine", tmp_path / "broken"
    shutil.copytree(EMBEDDED, folder)
    broken.mkdir()
    client = await RawClient.start(environment={"REDRAFT_RUNTIME_DIR": str(tmp_path / "r")})
    try:
        await client.initialize({"engine": {"idleSeconds": 60}})
        client.open("file:///a.py", "print(1\n")
        chosen = await client.command("redraft.selectModel", {"path": str(folder)})
        assert (chosen["kind"], chosen["message"]) == ("Normal", "ready: mine"), chosen
        mine = (await client.command("redraft.status"))["engine"]
        answer = await client.command("redraft.fix", {"uri": "file:///a.py", "range": LINE, "apply": False})
        assert answer["candidates"], answer
        await weights_replaced(client, folder, (EMBEDDED / "model.safetensors").read_bytes(), "ready, weights reloaded")
        await weights_replaced(client, folder, b"half a file", "kept the old weights")
        assert (await client.command("redraft.status"))["engine"]["pid"] == mine["pid"]
        answer = await client.command("redraft.rewrite", {"uri": "file:///a.py", "range": LINE, "apply": False})
        assert answer["candidates"], answer
        chosen = await client.command("redraft.selectModel", {"path": str(broken)})
        assert chosen["kind"] == "Error"
        assert f"no model in {broken}" in chosen["message"]
        answer = await client.command("redraft.fix", {"uri": "file:///a.py", "range": LINE, "apply": False})
        assert f"no model in {broken}" in answer["reason"], answer
        assert client.status["kind"] == "Error"
        await client.command("redraft.selectModel", {"path": None})
        embedded = (await client.command("redraft.status"))["engine"]
        assert embedded["pid"] != mine["pid"]
        answer = await client.command("redraft.fix", {"uri": "file:///a.py", "range": LINE, "apply": False})
        assert answer["candidates"], answer
        await client.command("redraft.stopEngine")
    finally:
        await client.kill()


async def test_what_the_project_excludes_no_editor_lets_out(start: Any, tmp_path: Path) -> None:
    (tmp_path / ".redraft.toml").write_text('exclude = ["private"]\n')
    client = await start([tmp_path], settings={"exclude": ["*.sql"]})
    for name, excluded in (("private/a.py", True), ("b.sql", True), ("c.py", False)):
        uri = (tmp_path / name).as_uri()
        client.open(uri, "x = (1\n")
        outcome = await client.command("redraft.fix", {"uri": uri, "range": LINE})
        assert (not outcome["applied"] and "excluded by" in outcome["reason"]) is excluded
