"""Requests no sane editor sends: each has exactly one answer, none is an internal error, and the server lives.

`make stress` sends 50,000. They are made from well-formed ones by putting junk at random places.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.lsp.light import Runtime
from tests.lsp.raw_client import RawClient
from tests.scale import cases

REQUESTS = cases(50_000)
UNDER_WAY = 64  # requests at a time
SLOW = {"redraft.stopEngine", "redraft.restartEngine", "redraft.selectModel"}  # new engines: a few will do
TEXTS = {
    "file:///w/a.py": "x = '🙂👩\u200d🚀'\r\ndef f(:\r\n\treturn (1\r\n",
    "file:///w/b.py": "",
    "file:///w/c.txt": "no\x0cend\u2028of\x85file 漢字",
    "file:///w/secrets.py": "password = (1\n",
    "untitled:Untitled-1": "...\npass\n# TODO\n" * 50,
    "vscode-notebook-cell:/w/n.ipynb#X1": "print(\n",
}
STRANGE_URIS = ["", "file:///w/closed.py", "file:///", "x", "http://[", "file:///%ff%00", "git:/a?{}", "é" * 3000, "\0"]
JUNK: list[Any] = [
    *(None, True, -1, 0, 1, 2, 3, 7, 2**31 - 1, 2**31, 2**63, 2**200, -(2**31), 0.5, 1e300, float("inf"), float("nan")),
    *("", "a", "0", "🙂", "\ud800", "x" * 5000, "redraft.fix", [], {}, [[]], [None], {"line": 1}, [{}] * 50),
]
NUMBERS = [0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 12, 100, 2**31 - 1]


class Fuzzer:
    def __init__(self, seed: int, commands: list[str]) -> None:
        self.rng, self.commands = Random(seed), commands

    def position(self) -> dict[str, Any]:
        return {"line": self.rng.choice(NUMBERS), "character": self.rng.choice(NUMBERS)}

    def range(self) -> dict[str, Any]:
        return {"start": self.position(), "end": self.position()}  # half of them reversed

    def uri(self) -> str:
        return self.rng.choice([*TEXTS, *TEXTS, *STRANGE_URIS])

    def identifier(self) -> dict[str, Any]:
        return {"uri": self.uri()}

    def diagnostics(self) -> list[Any]:
        return [{"range": self.range(), "message": "m\nx", "severity": 1} for _ in range(self.rng.randint(0, 2))]

    def argument(self) -> dict[str, Any]:
        rng = self.rng
        argument = {"uri": self.uri(), "range": self.range(), "instruction": '{"steps": 1}'}
        optional = {
            "version": rng.choice(NUMBERS),
            "message": "invalid syntax",
            "apply": rng.random() < 0.5,
            "workDoneToken": rng.choice(("t", 1)),
            "intent": rng.choice(("fix", "fill", "rewrite")),
            "all": True,
            "path": None,
        }
        return {**argument, **dict(rng.sample(sorted(optional.items()), rng.randint(0, len(optional))))}

    def command(self) -> dict[str, Any]:
        name = self.rng.choice(self.commands)
        if name in SLOW and self.rng.random() < 0.995:
            name = "redraft.cancel"
        if self.rng.random() < 0.05:
            name = self.rng.choice(("", "rm", "redraft", "redraft.fix ", "REDRAFT.FIX", "editor.action"))
        return {"command": name, "arguments": [self.argument()]}

    def request(self) -> tuple[str, Any]:
        """A request, usually spoilt."""
        method, params = self.rng.choice(
            [
                lambda: ("workspace/executeCommand", self.command()),
                lambda: (
                    "textDocument/codeAction",
                    {
                        "textDocument": self.identifier(),
                        "range": self.range(),
                        "context": {"diagnostics": self.diagnostics()},
                    },
                ),
                lambda: ("textDocument/diagnostic", {"textDocument": self.identifier()}),
                lambda: (
                    "textDocument/inlineCompletion",
                    {
                        "textDocument": self.identifier(),
                        "position": self.position(),
                        "context": {"triggerKind": self.rng.choice((1, 2))},
                    },
                ),
                lambda: (
                    self.rng.choice(("codeAction/resolve", "textDocument/hover", "redraft/x", "")),
                    self.argument(),
                ),
            ]
        )()
        return method, self.spoil(params) if self.rng.random() < 0.7 else params

    def notification(self) -> tuple[str, Any]:
        version = self.rng.choice(NUMBERS)
        changes = [{"range": self.range(), "text": self.rng.choice(("", "x", "🙂", "\r\n"))}]
        document = {**self.identifier(), "version": version}
        method, params = self.rng.choice(
            [
                ("textDocument/didChange", {"textDocument": document, "contentChanges": changes}),
                ("textDocument/didClose", {"textDocument": {"uri": self.rng.choice(STRANGE_URIS)}}),
                ("textDocument/didOpen", {"textDocument": {**document, "languageId": "python", "text": "x = (\n"}}),
                ("workspace/didChangeConfiguration", {"settings": {"redraft": {"candidates": 2}}}),
                ("$/cancelRequest", {"id": self.rng.choice(NUMBERS)}),
                ("window/workDoneProgress/cancel", {"token": "t"}),
                ("workspace/didChangeWatchedFiles", {"changes": [{"uri": self.uri(), "type": 1}]}),
                ("redraft/unknown", self.argument()),
            ]
        )  # fmt: skip
        return method, self.spoil(params) if self.rng.random() < 0.7 else params

    def spoil(self, value: Any) -> Any:
        """`value` with junk in one place, or one thing left out."""
        rng = self.rng
        if isinstance(value, dict) and value and rng.random() < 0.85:
            key = rng.choice(list(value))
            if rng.random() < 0.1:
                return {k: v for k, v in value.items() if k != key}
            return {**value, key: self.spoil(value[key])}
        if isinstance(value, list) and value and rng.random() < 0.85:
            at = rng.randrange(len(value))
            return [*value[:at], self.spoil(value[at]), *value[at + 1 :]]
        return rng.choice(JUNK)


def refuse_somehow(rng: Random) -> Any:
    """How an editor may answer workspace/applyEdit."""
    return rng.choice(({"applied": False}, {"applied": False, "failureReason": "no"}, None, 3, {"applied": "x"}, []))


@pytest.mark.stress
async def test_every_request_has_one_answer_and_none_an_internal_error(tmp_path: Path) -> None:
    runtime = Runtime()
    log = tmp_path / "server.log"
    client = await RawClient.start(environment={"REDRAFT_RUNTIME_DIR": str(runtime.folder / "run")}, log=log)
    try:
        options = {"engine": {"path": runtime.python}, "inline": {"enable": True, "debounceMs": 0}}
        capabilities = (await client.initialize(options))["capabilities"]
        fuzzer = Fuzzer(1, capabilities["executeCommandProvider"]["commands"])
        client.handlers["workspace/applyEdit"] = lambda _: refuse_somehow(fuzzer.rng)
        client.keep = set()
        for uri, text in TEXTS.items():
            client.open(uri, text)
        outcomes = await flood(client, fuzzer)
        await client.alive()
        client.check_answers()
    finally:
        await client.kill()
        runtime.close()
    print(f"{REQUESTS} requests: {dict(outcomes)}")
    assert set(outcomes) <= {"result", -32600, -32601, -32602, -32800}, outcomes
    assert outcomes["result"] > REQUESTS / 5, "too few requests reach the handlers"
    assert "ERROR" not in log.read_text(), log.read_text()[-3000:]


async def flood(client: RawClient, fuzzer: Fuzzer) -> Counter[Any]:
    """Sends all requests, `UNDER_WAY` at a time, notifications among them. How each was answered."""
    outcomes: Counter[Any] = Counter()
    slots = asyncio.Semaphore(UNDER_WAY)

    def answered(future: asyncio.Future[dict[str, Any]], request: tuple[str, Any]) -> None:
        slots.release()
        if future.exception():
            return
        answer = future.result()
        outcome = answer["error"]["code"] if "error" in answer else "result"
        if outcome == -32603:
            print("internal error:", json.dumps(request)[:600])
        outcomes[outcome] += 1

    for number in range(REQUESTS):
        await asyncio.wait_for(slots.acquire(), 60)
        if fuzzer.rng.random() < 0.2:
            client.notify(*fuzzer.notification())
        if number % 500 == 0:
            for uri, text in TEXTS.items():  # what the junk made of them is put right
                client.open(uri, text)
        request = fuzzer.request()
        client.ask(*request)[1].add_done_callback(lambda f, r=request: answered(f, r))
        await client.stdin.drain()
    for _ in range(UNDER_WAY):
        await asyncio.wait_for(slots.acquire(), 60)
    return outcomes
