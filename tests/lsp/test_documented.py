"""docs/protocol.md names the fields that a client gets: these are what the server really sends."""

from __future__ import annotations

import re
from pathlib import Path

from tests.editors.scripted_engine import ScriptedEngine
from tests.lsp.raw_client import RawClient

PROTOCOL = (Path(__file__).resolve().parents[2] / "docs" / "protocol.md").read_text()
URI = "file:///a.py"
RANGE = {"start": {"line": 0, "character": 0}, "end": {"line": 1, "character": 0}}


def documented(name: str) -> set[str]:
    """The fields in `name {a, b: type, c?}`."""
    found = re.search(rf"`{name}:? {{(.+?)}}`", PROTOCOL, re.S)
    assert found
    return {field.split(":")[0].strip() for field in re.sub(r'"[^"]*"', "", found[1]).split(",")}


async def test_notifications_and_answers_are_as_documented() -> None:
    engine = ScriptedEngine()
    engine.script(lambda request: ["a = 2\n", "a = 3\n"])
    client = await RawClient.start()
    try:
        client.keep.add("redraft/denoise")
        await client.initialize({"engine": {"url": engine.url}, "diagnostics": {"enable": False}})
        client.open(URI, "a = 1\n")
        where = {"uri": URI, "range": RANGE, "apply": False}
        answer = await client.command("redraft.rewrite", where)
        assert set(answer) == {"applied", "proposal", "candidates", "steps", "forwardPasses", "milliseconds"}
        assert set(answer["proposal"]) == documented("proposal")
        sent = {method: set(params) for method, params in client.notified}
        assert sent["redraft/denoise"] == documented("redraft/denoise")
        assert sent["redraft/status"] == documented("redraft/status")
    finally:
        await client.kill()
        engine.close()
