"""The mark that code leaves the machine, and the embedded model in the place of one that cannot be had."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.lsp.raw_client import RawClient, until

LINE = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 99}}
FIX = {"uri": "file:///a.py", "range": LINE, "apply": False}


async def started(tmp_path: Path, choice: dict[str, Any] | None = None, **engine: Any) -> RawClient:
    """A language server of a user whose `model.json` holds `choice`."""
    folder = tmp_path / "config"
    folder.mkdir()
    if choice:
        (folder / "model.json").write_text(json.dumps(choice))
    where = {"REDRAFT_CONFIG_DIR": str(folder), "REDRAFT_RUNTIME_DIR": str(tmp_path / "r")}
    client = await RawClient.start(environment=where)
    await client.initialize({"engine": {"idleSeconds": 60, **engine}})
    client.open("file:///a.py", "print(1\n")
    await until(lambda: client.status)
    return client


@pytest.mark.parametrize(
    ("choice", "engine", "remote"),
    [
        (None, {}, None),
        ({"url": "https://api.host.example/v1", "model": "m"}, {}, "api.host.example"),
        ({"url": "http://127.0.0.1:8000"}, {}, None),
        (None, {"url": "wss://engine.host.example:8433"}, "engine.host.example"),
        (None, {"url": "ws://localhost:8433"}, None),
    ],
)
async def test_the_status_names_the_host_that_gets_code(
    tmp_path: Path, choice: dict[str, Any] | None, engine: dict[str, Any], remote: str | None
) -> None:
    """Before anything is sent there."""
    client = await started(tmp_path, choice, **engine)
    try:
        assert client.status["remote"] == remote
    finally:
        await client.kill()


async def test_the_engine_in_use_is_what_counts(tmp_path: Path) -> None:
    """A key that is missing: the server cannot be used, so the embedded model stands in and nothing leaves."""
    client = await started(tmp_path, {"url": "https://api.host.example", "key_env": "REDRAFT_TEST_NO_KEY"})
    try:
        answer = await client.command("redraft.fix", FIX)
        assert answer["candidates"], answer
        assert client.status["remote"] is None
        assert client.status["kind"] == "Warning"
        assert "REDRAFT_TEST_NO_KEY" in client.status["message"]
        engine = (await client.command("redraft.status"))["engine"]
        assert engine["remote"] is None
        assert engine["fallback"] == client.status["message"]
        await client.command("redraft.stopEngine")
    finally:
        await client.kill()


async def test_the_embedded_model_edits_while_the_server_does_not_answer(tmp_path: Path) -> None:
    """By default; it is said, and the server is asked again with every edit."""
    client = await started(tmp_path, {"url": "http://127.0.0.1:9", "model": "m"})
    try:
        for _ in range(2):
            answer = await client.command("redraft.fix", FIX)
            assert answer["candidates"], answer
            assert client.status["kind"] == "Warning"
            assert "the embedded model stands in: 127.0.0.1 cannot be reached" in client.status["message"]
        await client.command("redraft.stopEngine")
    finally:
        await client.kill()


async def test_without_fallback_a_server_that_does_not_answer_is_an_error(tmp_path: Path) -> None:
    client = await started(tmp_path, {"url": "http://127.0.0.1:9", "model": "m", "fallback": False})
    try:
        answer = await client.command("redraft.fix", FIX)
        assert answer["applied"] is False
        assert "cannot be reached" in answer["reason"]
        assert client.status["kind"] == "Error"
        await client.command("redraft.stopEngine")
    finally:
        await client.kill()


async def test_an_engine_of_this_machine_stands_in_for_one_elsewhere(tmp_path: Path) -> None:
    """Only where the user set `engine.fallback`; the mark that code leaves goes with the engine."""
    client = await started(tmp_path, url="wss://127.0.0.2:9", fallback=True)
    try:
        answer = await client.command("redraft.fix", FIX)
        assert answer["candidates"], answer
        assert client.status["kind"] == "Warning"
        assert "an engine of this machine stands in: no engine at wss://127.0.0.2:9" in client.status["message"]
        assert client.status["remote"] is None
        restarted = await client.command("redraft.restartEngine")
        assert "stands in" in restarted["message"]
        await client.command("redraft.stopEngine")
    finally:
        await client.kill()
