"""Four editors on one real engine for a long time: memory stays, answers stay quick.

`make stress` sends 10,000 requests and holds the numbers to the goals; the short form only to generous ones.
"""

from __future__ import annotations

import asyncio
import sys
import time
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from tests.lsp.light import Runtime
from tests.lsp.raw_client import RawClient
from tests.lsp.test_raw import resident_mb
from tests.scale import STRESS, cases

CLIENTS = 4
REQUESTS = cases(10_000, 0.03)  # of all clients together
WARM_UP = 0.3  # share of the requests after which memory is first taken: caches are full by then
GROWTH = 1.05 if STRESS else 1.3
SLOWER = 2.0 if STRESS else 10.0  # p95 of the last third against that of the middle one
FUNCTION = "def area{0}(width, height):\n    return (width * height\n\n\nprint(area{0}(2, 3))\n\n\n"


class Editor:
    """One client, its file, and how long each answer took."""

    def __init__(self, client: RawClient, number: int) -> None:
        self.client, self.rng = client, Random(number)
        self.uri, self.version = f"file:///w/soak{number}.py", 1
        self.took: list[tuple[str, float]] = []
        client.keep = set()
        client.handlers["workspace/applyEdit"] = lambda _: {"applied": False}
        self.lines = "".join(FUNCTION.format(i) for i in range(8)).split("\n")
        client.open(self.uri, "\n".join(self.lines))

    def type(self) -> None:
        """A character in, or the last one out again: the file changes and does not grow."""
        self.version += 1
        where = {"start": {"line": 3, "character": 0}, "end": {"line": 3, "character": (self.version + 1) % 2}}
        identifier = {"uri": self.uri, "version": self.version}
        changes = [{"range": where, "text": "#" * (1 - self.version % 2)}]
        self.client.notify("textDocument/didChange", {"textDocument": identifier, "contentChanges": changes})

    def request(self) -> tuple[str, str, Any]:
        """(kind, method, params) of the next request."""
        rng = self.rng
        line = rng.randrange(8) * 7 + 1
        where = {"start": {"line": line, "character": 0}, "end": {"line": line, "character": 10}}
        document = {"uri": self.uri}
        argument = {"uri": self.uri, "range": where, "message": "'(' was never closed"}
        kind = rng.choices(("actions", "diagnostics", "fix", "warm", "inline", "status"), (52, 36, 2, 2, 2, 6))[0]
        if kind == "actions":
            context = {"diagnostics": [{"range": where, "message": "x"}]}
            return kind, "textDocument/codeAction", {"textDocument": document, "range": where, "context": context}
        if kind == "diagnostics":
            return kind, "textDocument/diagnostic", {"textDocument": document}
        if kind == "inline":
            position = {"line": line, "character": 1000}
            context = {"triggerKind": 2}
            params = {"textDocument": document, "position": position, "context": context}
            return kind, "textDocument/inlineCompletion", params
        arguments = [] if kind == "status" else [argument]
        return kind, "workspace/executeCommand", {"command": f"redraft.{kind}", "arguments": arguments}

    async def work(self, count: int) -> None:
        for _ in range(count):
            if self.rng.random() < 0.3:
                self.type()
            kind, method, params = self.request()
            began = time.monotonic()
            answer = await self.client.request(method, params)
            self.took.append((kind, time.monotonic() - began))
            assert "result" in answer, answer


def p95(editors: list[Editor], kinds: set[str], part: int) -> float:
    """Of the requests of these kinds, in the middle (1) or last (2) third. Milliseconds."""
    took: list[float] = []
    for editor in editors:
        third = len(editor.took) // 3
        took += [s for kind, s in editor.took[part * third : (part + 1) * third] if kind in kinds]
    return 1000 * sorted(took)[int(0.95 * len(took))]


@pytest.mark.stress
async def test_memory_and_latency_hold_over_many_requests() -> None:
    runtime = Runtime()
    settings = {"inline": {"enable": True, "debounceMs": 0}, "deadlineMs": 1000}
    clients = [await runtime.client(settings=settings, path=sys.executable) for _ in range(CLIENTS)]
    try:
        editors = [Editor(client, number) for number, client in enumerate(clients)]
        await editors[0].client.command("redraft.restartEngine")
        each = REQUESTS // CLIENTS
        memory = [await run(editors, int(each * WARM_UP), runtime)]
        for _ in range(2):
            memory.append(await run(editors, int(each * (1 - WARM_UP) / 2), runtime))
        for client in clients:
            client.check_answers()
    finally:
        for client in clients:
            await client.kill()
        runtime.close()
    kinds = {"actions and diagnostics": {"actions", "diagnostics"}, "edits": {"fix", "inline"}}
    figures = {name: (p95(editors, some, 1), p95(editors, some, 2)) for name, some in kinds.items()}
    print(f"{sum(len(e.took) for e in editors)} requests; MB of servers and engine: {memory}; p95 ms: {figures}")
    for before, after in pairwise(memory):
        for name in before:
            assert after[name] <= GROWTH * before[name], (name, memory)
    for before_ms, after_ms in figures.values():
        assert after_ms <= SLOWER * before_ms + 50, figures


async def run(editors: list[Editor], count: int, runtime: Runtime) -> dict[str, float]:
    """All editors at once; resident megabytes of every process then."""
    await asyncio.gather(*(editor.work(count) for editor in editors))
    engine = runtime.engine_pid()
    assert engine
    servers = {f"server {i}": resident_mb(editor.client.process.pid) for i, editor in enumerate(editors)}
    return {name: round(mb, 1) for name, mb in {**servers, "engine": resident_mb(engine)}.items()}
