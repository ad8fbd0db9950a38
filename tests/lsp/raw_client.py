"""A client of bytes: it sends whatever it is told and counts every answer.

What the server sends of itself (applyEdit, configuration, progress) goes to `handlers`; a request without a
handler is answered with null; a handler may be a coroutine.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

ANSWER_WITHIN_S = 180.0  # machines are busy


async def until(true: Callable[[], Any]) -> None:
    async with asyncio.timeout(ANSWER_WITHIN_S):
        while not true():
            await asyncio.sleep(0.02)


class RawClient:
    """One server process on stdio. `answered` counts the answers by request id: each must be one."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        assert process.stdin
        assert process.stdout
        self.stdin, self.stdout = process.stdin, process.stdout
        self.answered: Counter[Any] = Counter()
        self.sent: set[int] = set()
        self.unasked: list[dict[str, Any]] = []  # answers whose id is null
        self.notified: list[tuple[str, Any]] = []
        self.keep = {"redraft/status", "window/showMessage"}
        self.handlers: dict[str, Callable[[Any], Any]] = {}
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._later: set[asyncio.Task[None]] = set()
        self._last = 0
        self.listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(
        cls,
        *,
        environment: dict[str, str] | None = None,
        log: Path | None = None,
        program: tuple[str, str] = ("-m", "lsp_server"),
    ) -> RawClient:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *program,
            *(["--log-file", str(log)] if log else []),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE if log is None else log.with_suffix(".err").open("wb"),
            env={**os.environ, **(environment or {})},
            limit=1 << 26,
        )
        return cls(process)

    async def initialize(self, options: Any = None, capabilities: Any = None, **more: Any) -> dict[str, Any]:
        params = {"processId": None, "rootUri": None, "capabilities": capabilities or {}, **more}
        answer = await self.request("initialize", {**params, "initializationOptions": options})
        self.notify("initialized", {})
        return answer["result"]

    # Out

    def write(self, body: bytes, header: bytes | None = None) -> None:
        self.stdin.write((b"Content-Length: %d\r\n\r\n" % len(body) if header is None else header) + body)

    def send(self, message: dict[str, Any]) -> None:
        self.write(json.dumps({"jsonrpc": "2.0", **message}).encode())

    def notify(self, method: str, params: Any) -> None:
        self.send({"method": method, "params": params})

    def ask(self, method: str, params: Any) -> tuple[int, asyncio.Future[dict[str, Any]]]:
        """Sends a request; its id, and the future of the whole answer message."""
        self._last += 1
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[self._last] = future
        self.sent.add(self._last)
        self.send({"id": self._last, "method": method, "params": params})
        return self._last, future

    async def request(self, method: str, params: Any) -> dict[str, Any]:
        return await asyncio.wait_for(self.ask(method, params)[1], ANSWER_WITHIN_S)

    async def command(self, name: str, argument: Any = None) -> Any:
        arguments = [] if argument is None else [argument]
        answer = await self.request("workspace/executeCommand", {"command": name, "arguments": arguments})
        assert "result" in answer, answer
        return answer["result"]

    def open(self, uri: str, text: str, language: str = "python", version: int = 1) -> None:
        item = {"uri": uri, "languageId": language, "version": version, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})

    async def alive(self) -> None:
        """Raises unless the server answers."""
        answer = await self.request("workspace/executeCommand", {"command": "redraft.cancel", "arguments": []})
        assert answer["result"] == {"cancelled": 0}

    async def unasked_answer(self) -> dict[str, Any]:
        """The next answer without an id."""
        async with asyncio.timeout(ANSWER_WITHIN_S):
            while not self.unasked:
                await asyncio.sleep(0.005)
        return self.unasked.pop(0)

    # In

    async def _listen(self) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await self.stdout.readuntil(b"\r\n\r\n")
                length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
                self._take(json.loads(await self.stdout.readexactly(length)))
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ConnectionError("the server has gone"))

    def _take(self, message: dict[str, Any]) -> None:
        method, number = message.get("method"), message.get("id")
        if method and "id" in message:
            handler = self.handlers.get(method)
            result = handler(message["params"]) if handler else None
            if asyncio.iscoroutine(result):
                self._later.add(task := asyncio.create_task(self._answer_later(number, result)))
                task.add_done_callback(self._later.discard)
            else:
                self.send({"id": number, "result": result})
        elif method:
            handler = self.handlers.get(method)
            if handler:
                handler(message["params"])
            if method in self.keep:
                self.notified.append((method, message["params"]))
        elif number is None:
            self.unasked.append(message)
        else:
            self.answered[number] += 1
            future = self._waiting.pop(number, None)
            if future and not future.done():
                future.set_result(message)

    async def _answer_later(self, number: Any, result: Coroutine[Any, Any, Any]) -> None:
        self.send({"id": number, "result": await result})

    @property
    def status(self) -> dict[str, Any]:
        """The last `redraft/status`."""
        return next((p for m, p in reversed(self.notified) if m == "redraft/status"), {})

    def check_answers(self) -> None:
        """Every request has exactly one answer, and nothing else has any."""
        assert self.answered == Counter(self.sent)

    async def stop(self) -> int:
        """Shuts the server down in order; its exit status."""
        await self.request("shutdown", None)
        self.notify("exit", None)
        return await asyncio.wait_for(self.process.wait(), 20)

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        self.listening.cancel()
        with suppress(asyncio.CancelledError):
            await self.listening
