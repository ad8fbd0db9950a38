"""What a hostile workspace can do to the one who opens it: nothing. And secrets stay in the server."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from lsp_server.secrets import excluded_by
from lsp_server.settings import KEYS, MAX_PROJECT_FILE, Settings, project_settings, updated
from tests.lsp.light import Runtime
from tests.lsp.raw_client import RawClient

DANGEROUS = ("engine", "model", "interpreter", "python", "command", "server", "http", "remote", "url", "path", "key")


def hostile(script: Path, port: int) -> dict[str, Any]:
    """Settings that would start a program, send code away or run a model's code."""
    return {
        "engine": {"path": str(script), "url": f"tcp://127.0.0.1:{port}", "device": "evil", "idleSeconds": 1},
        "model": {"path": str(script.parent), "remoteCode": True, "trustRemoteCode": True, "url": "http://evil"},
        "interpreter": [str(script)],
        "candidates": 1,
    }


def toml(tree: dict[str, Any], table: str) -> str:
    lines = []
    for section, value in tree.items():
        if isinstance(value, dict):
            lines += [f"[{table}{section}]", *(f"{key} = {json.dumps(v)}" for key, v in value.items())]
        else:
            lines.insert(0, f"{section} = {json.dumps(value)}")
    return (f"[{table.rstrip('.')}]\n" if table else "") + "\n".join(lines)


@pytest.mark.parametrize("place", [".redraft.toml", "pyproject.toml", "configuration", "notification"])
async def test_a_workspace_starts_no_program_and_sends_no_code_away(tmp_path: Path, place: str) -> None:
    runtime, workspace = Runtime(), tmp_path / "w"
    workspace.mkdir()
    started, script = tmp_path / "started", workspace / "evil"
    script.write_text(f"#!/bin/sh\ntouch {started}\n")
    script.chmod(0o755)
    called: list[int] = []
    listener = await asyncio.start_server(lambda _, writer: (called.append(1), writer.close()), "127.0.0.1", 0)
    tree = hostile(script, listener.sockets[0].getsockname()[1])
    if place == ".redraft.toml":
        (workspace / place).write_text(toml(tree, ""))
    elif place == "pyproject.toml":
        (workspace / place).write_text(toml(tree, "tool.redraft."))
    client = await RawClient.start(environment={"REDRAFT_RUNTIME_DIR": str(runtime.folder / "run")})
    client.handlers["workspace/configuration"] = lambda params: [tree] * len(params["items"])
    client.handlers["workspace/applyEdit"] = lambda _: {"applied": False}
    try:
        await client.initialize(
            {"engine": {"path": runtime.python, "idleSeconds": 60}},
            {"workspace": {"configuration": place == "configuration"}},
            workspaceFolders=[{"uri": workspace.as_uri(), "name": "w"}],
        )
        if place == "notification":
            client.notify("workspace/didChangeConfiguration", {"settings": {"redraft": tree}})
        await client.alive()
        uri = (workspace / "x.py").as_uri()
        client.open(uri, "x = 1\n")
        where = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 1}}
        argument = {"uri": uri, "range": where, "apply": False, "instruction": '{"tag": "t"}'}
        answer = await client.command("redraft.rewrite", argument)
        assert answer["proposal"]["candidates"][0]["text"] == "x = 1 #t;\n", answer
        engine = (await client.command("redraft.status"))["engine"]
        assert (engine["model"], engine["device"], engine["pid"]) == ("light", "cpu", runtime.engine_pid())
        await client.command("redraft.restartEngine")
        assert (await client.command("redraft.rewrite", argument))["proposal"]
    finally:
        await client.kill()
        listener.close()
        runtime.close()
    assert not started.exists()
    assert called == []


def test_no_setting_of_a_workspace_is_dangerous() -> None:
    """A new setting that names a program, a server or a model belongs to the trusted ones."""
    words = {word for key in KEYS for word in key.replace(".", " ").lower().split()}
    assert not words & set(DANGEROUS)
    for key in ("engine.path", "engine.url", "model.path", "model.remoteCode"):
        assert updated(Settings(), {key: "x"})[0] == Settings()


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000,
        "a = " + "9" * 10_000,
        f"{'a' * 10_000} = 1",
        "[[[",
        "\ud800",
        "\0",
        "tool = 3",
        "[tool]\nredraft = 3",
        "[tool.redraft]\ncandidates = 1979-05-27\n",
        "a = 1\n" * MAX_PROJECT_FILE,
        "candidates = nan",
        ".".join("a" * 3000) + " = 1",
        "[" + ".".join("a" * 3000) + "]\nb = 1",
    ],
    ids=lambda text: repr(text[:20]),
)
@pytest.mark.parametrize("name", [".redraft.toml", "pyproject.toml"])
def test_hostile_project_files_are_a_tree_or_a_problem(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    tree, problems = project_settings(tmp_path)
    settings, more = updated(Settings(), tree)
    assert settings == Settings()
    assert all(len(problem) < 1000 for problem in [*problems, *more])


def test_a_project_file_that_is_no_file_is_not_read(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / ".redraft.toml")  # reading it would block for ever
    (tmp_path / "pyproject.toml").mkdir()
    assert project_settings(tmp_path) == ({}, [])


SECRETS = [
    "file:///w/.env",
    "file:///w/%2Eenv.local",
    "file:///w/.ENV",
    "file:///c%3A/w/id_rsa",
    "file:///w/.env/x.py",
    "file:///w/a.pem?x#y",
    "untitled:.env",
    "vscode-notebook-cell:/w/.env#X12",
    "vscode-remote://ssh-remote%2Bhost/w/.netrc",
    "git:/w/server.key?%7B%22ref%22%3A%22%22%7D",
    "http://[/.env",
    ".env",
]


@pytest.mark.parametrize("uri", SECRETS)
def test_secrets_are_known_by_any_uri(uri: str) -> None:
    assert excluded_by(uri)


def test_a_link_to_a_secret_is_one(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PASSWORD=x")
    (tmp_path / "notes.py").symlink_to(".env")
    (tmp_path / "round.py").symlink_to("round.py")
    (tmp_path / "private").mkdir()
    (tmp_path / "open").symlink_to("private")
    assert excluded_by((tmp_path / "notes.py").as_uri()) == ".env*"
    assert excluded_by((tmp_path / "open" / "x.py").as_uri(), ["private"])
    assert not excluded_by((tmp_path / "round.py").as_uri())
    assert not excluded_by("file:///nul%00.py")


async def test_the_content_of_a_secret_never_reaches_the_engine() -> None:
    runtime = Runtime()
    client = await runtime.client(settings={"inline": {"enable": True, "debounceMs": 0}, "exclude": ["private"]})
    try:
        await client.command("redraft.restartEngine")
        where = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 1}}
        for uri in [*SECRETS, "file:///w/private/x.py"]:
            client.open(uri, "PASSWORD = (\n")
            for name in ("rewrite", "fix", "fill", "nextSuggestion"):
                answer = await client.command(f"redraft.{name}", {"uri": uri, "range": where})
                assert not answer["applied"]
            assert not (await client.command("redraft.warm", {"uri": uri, "range": where}))["warmed"]
            document = {"uri": uri}
            context = {"triggerKind": 1, "diagnostics": [{"range": where, "message": "m"}]}
            params = {"textDocument": document, "position": where["end"], "range": where, "context": context}
            answer = await client.request("textDocument/inlineCompletion", params)
            assert answer["result"]["items"] == []
            answer = await client.request("textDocument/codeAction", params)
            assert all("excluded" in action["disabled"]["reason"] for action in answer["result"])
            answer = await client.request("textDocument/diagnostic", {"textDocument": document})
            assert answer["result"]["items"] == []
        assert (await client.command("redraft.status"))["engine"]["edits"] == 0
        client.check_answers()
    finally:
        await client.kill()
        runtime.close()


@pytest.mark.parametrize(
    ("glob", "kept", "given"),
    [
        ("private/", "/w/private/a.py", "/w/public/a.py"),
        ("*.{sql,db}", "/w/a.sql", "/w/a.py"),
        ("./gen/*.py", "/w/gen/x.py", "/w/gen/x.js"),
        ("gen/private", "/w/gen/private/deep/x.py", "/w/private/x.py"),
        ("{a,b}/{c,d}.py", "/w/b/c.py", "/w/c/d.py"),
    ],
)
def test_globs_are_read_as_people_write_them(glob: str, kept: str, given: str) -> None:
    assert excluded_by(f"file://{kept}", [glob]) == glob
    assert excluded_by(f"file://{given}", [glob]) is None
