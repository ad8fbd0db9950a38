"""Raw bytes on stdio: every request gets exactly one answer, and nothing ends the server but `exit`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from lsp_server.transport import MAX_MESSAGE
from tests.lsp.raw_client import RawClient

URI = "file:///x.py"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[RawClient]:
    client = await RawClient.start()
    await client.initialize()
    yield client
    await client.kill()


@pytest_asyncio.fixture
async def fresh() -> AsyncIterator[RawClient]:
    client = await RawClient.start()
    yield client
    await client.kill()


def request(method: str, params: Any) -> dict[str, Any]:
    return {"method": method, "params": params}


def command(name: Any, *arguments: Any) -> dict[str, Any]:
    return request("workspace/executeCommand", {"command": name, "arguments": list(arguments)})


DOCUMENT = {"uri": URI}
POINT = {"line": 0, "character": 0}
RANGE = {"start": POINT, "end": POINT}

WRONG_PARAMS = [
    request("textDocument/codeAction", {"range": 3}),
    request("textDocument/codeAction", {"textDocument": DOCUMENT, "range": RANGE}),
    request("textDocument/codeAction", {"textDocument": DOCUMENT, "range": RANGE, "context": {"diagnostics": 1}}),
    request("textDocument/codeAction", {"textDocument": [URI], "range": RANGE, "context": {"diagnostics": []}}),
    request("textDocument/codeAction", None),
    {"method": "textDocument/codeAction"},
    request("textDocument/inlineCompletion", []),
    request("textDocument/inlineCompletion", {"textDocument": DOCUMENT, "position": {"line": -1, "character": 0}}),
    request("textDocument/inlineCompletion", {"textDocument": DOCUMENT, "position": {"line": "a", "character": 0}}),
    request("textDocument/inlineCompletion", {"textDocument": DOCUMENT, "position": {"line": 2**40, "character": 0}}),
    request("textDocument/diagnostic", {"textDocument": 3}),
    request("textDocument/diagnostic", "nonsense"),
    request("workspace/executeCommand", {}),
    request("workspace/executeCommand", {"command": 3, "arguments": {}}),
    command("redraft.fix", 1),
    command("redraft.fix"),
    command("redraft.fix", {"range": RANGE}),
    command("redraft.fix", {"uri": 3}),
    command("redraft.fix", {"uri": URI}, {"uri": URI}),
    command("redraft.rewrite", [[]]),
    command("redraft.fill", None),
    command("redraft.warm", "x"),
    command("redraft.nextSuggestion"),
    command("redraft.selectModel", {"path": 3}),
    command("redraft.selectModel"),
    command("redraft.status", 1, 2, 3),
    command("rm", "-rf"),
]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("message", WRONG_PARAMS, ids=lambda m: str(m.get("params"))[:50])
async def test_wrong_params_get_invalid_params(shared: RawClient, message: dict[str, Any]) -> None:
    answer = await shared.request(message["method"], message.get("params"))
    assert answer["error"]["code"] == -32602, answer
    await shared.alive()
    shared.check_answers()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("method", ["no/suchThing", "textDocument/hover", "$/unknown", "", "é", "x" * 1000])
async def test_unknown_methods_get_method_not_found(shared: RawClient, method: str) -> None:
    for params in (None, {}, [], {"a": 1}):
        answer = await shared.request(method, params)
        assert answer["error"]["code"] == -32601
        assert len(answer["error"]["message"]) < 200


ODD_MESSAGES = [
    ({"jsonrpc": "2.0", "id": 7001}, None),  # neither a request nor an answer to anything
    ({"jsonrpc": "2.0", "id": "7002", "result": 1}, None),
    ({"jsonrpc": "2.0", "id": 7003, "error": {"code": 1, "message": "x"}}, None),
    ({"jsonrpc": "2.0", "id": 7004, "error": "x"}, None),
    ({"jsonrpc": "2.0", "method": "no/such"}, None),
    ({"jsonrpc": "2.0", "method": 3}, None),
    ({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": [1]}}, None),
    ({"jsonrpc": "2.0", "method": "$/cancelRequest"}, None),
    ({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": 99999}}, None),
    ({"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": {"textDocument": {"uri": 1}}}, None),
    ({"jsonrpc": "2.0", "method": "textDocument/didChange", "params": {"textDocument": DOCUMENT}}, None),
    ({"jsonrpc": "2.0", "method": "window/workDoneProgress/cancel", "params": {"token": "x"}}, None),
    ({"jsonrpc": "2.0", "id": 7005, "method": 3}, (7005, -32600)),
    ({"jsonrpc": "2.0", "id": 7006, "method": ["initialize"]}, (7006, -32600)),
    ({"jsonrpc": "2.0", "id": 7007, "method": "initialize", "params": {"capabilities": {}}}, (7007, -32600)),
    ({"jsonrpc": "1.0", "id": 7008, "method": "shutdown"}, (7008, -32600)),
    ({"id": 7009, "method": "shutdown"}, (7009, -32600)),
    ({"jsonrpc": "2.0", "id": None, "method": "shutdown"}, (None, -32600)),
    ({"jsonrpc": "2.0", "id": [1], "method": "shutdown"}, (None, -32600)),
    ({"jsonrpc": "2.0", "id": 1.5, "method": "shutdown"}, (None, -32600)),
    ({"jsonrpc": "2.0", "id": True, "method": "shutdown"}, (None, -32600)),
    ({"jsonrpc": "2.0", "id": {"jsonrpc": "2.0"}, "method": "shutdown"}, (None, -32600)),
    ([], (None, -32600)),
    ([{"jsonrpc": "2.0", "id": 1, "method": "shutdown"}], (None, -32600)),
    ("text", (None, -32600)),
    (3, (None, -32600)),
    (None, (None, -32600)),
]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("message", "answer"), ODD_MESSAGES, ids=lambda m: str(m)[:50])
async def test_odd_messages(shared: RawClient, message: Any, answer: tuple[int | None, int] | None) -> None:
    """What is no request has no answer, a bad request has one error."""
    shared.answered.clear()
    shared.sent.clear()
    shared.write(json.dumps(message).encode())
    await shared.alive()
    if answer and answer[0] is None:
        assert (await shared.unasked_answer())["error"]["code"] == answer[1]
    elif answer:
        assert shared.answered.pop(answer[0]) == 1
    shared.check_answers()
    assert shared.unasked == []


@pytest.mark.asyncio(loop_scope="module")
async def test_a_request_inside_a_request_is_no_request(shared: RawClient) -> None:
    """pygls structures every object that has a "jsonrpc", at any depth."""
    shared.answered.clear()
    shared.sent.clear()
    inner = {"jsonrpc": "2.0", "id": 7100, "method": "workspace/executeCommand", "params": 3}
    answer = await shared.request("workspace/executeCommand", {"command": "redraft.cancel", "arguments": [inner]})
    assert answer["result"] == {"cancelled": 0}
    await shared.alive()
    shared.check_answers()


BAD_BODIES = [
    b"{not json",
    b"",
    b" ",
    b"\xff\xfe",
    b'{"jsonrpc": "2.0", "id": 1, "method": "shutdown"',
    b"[" * 100_000,
    b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    b'{"jsonrpc":"2.0","id":1,"method":"shutdown","params":' + b"9" * 5000 + b"}",
    b"\x00" * 100,
    "é".encode("utf-16"),
]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda b: repr(b[:20]))
async def test_bad_bodies_get_a_parse_error(shared: RawClient, body: bytes) -> None:
    shared.write(body)
    assert (await shared.unasked_answer())["error"]["code"] == -32700
    await shared.alive()


GOOD_HEADERS = [
    b"Content-Length: %d\r\n\r\n",
    b"Content-Length:%d\r\n\r\n",
    b"content-length: %d\r\n\r\n",
    b"CONTENT-LENGTH :  %d \r\n\r\n",
    b"Content-Length: %d\n\n",
    b"Content-Type: application/vscode-jsonrpc; charset=utf-8\r\nContent-Length: %d\r\n\r\n",
    b"Content-Length: %d\r\nContent-Type: application/vscode-jsonrpc; charset=utf8\r\n\r\n",
    b"X-Odd: \xff\xfe\r\nContent-Length: %d\r\nX-Long: " + b"y" * 200_000 + b"\r\n\r\n",
    b"\r\n\r\nContent-Length: %d\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\nContent-Length: %d\r\n\r\n",
    b"Content-Length: x\r\nContent-Length: %d\r\n\r\n",
]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("header", GOOD_HEADERS, ids=lambda h: repr(h[:40]))
async def test_headers_in_any_order_and_case(shared: RawClient, header: bytes) -> None:
    shared.answered.clear()
    body = json.dumps({"jsonrpc": "2.0", "id": 7200, **command("redraft.cancel")}).encode()
    shared.write(body, header % len(body))
    await shared.alive()
    assert shared.answered[7200] == 1


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("wrong_by", [-60, -10, -1, 1, 10, 60])
async def test_the_server_finds_its_way_back_after_a_wrong_length(shared: RawClient, wrong_by: int) -> None:
    """The message with the wrong length is lost, one after it may be; then all is well."""
    body = json.dumps({"jsonrpc": "2.0", "id": 7300, **command("redraft.cancel")}).encode()
    shared.write(body, b"Content-Length: %d\r\n\r\n" % (len(body) + wrong_by))
    for number in (7301, 7302):
        shared.send({"id": number, **command("redraft.cancel")})
    await shared.alive()
    assert (await shared.unasked_answer())["error"]["code"] == -32700
    shared.unasked.clear()


@pytest.mark.asyncio(loop_scope="module")
async def test_huge_messages_are_refused_and_skipped(shared: RawClient) -> None:
    shared.stdin.write(b"Content-Length: %d\r\n\r\n" % (MAX_MESSAGE + 1))
    piece = b" " * (1 << 20)
    for _ in range(MAX_MESSAGE >> 20):
        shared.stdin.write(piece)
        await shared.stdin.drain()
    shared.stdin.write(b" ")
    answer = await shared.unasked_answer()
    assert answer["error"]["code"] == -32600
    assert "limit" in answer["error"]["message"]
    await shared.alive()
    assert resident_mb(shared.process.pid) < 200


def resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


async def test_before_initialize_and_after_shutdown(fresh: RawClient) -> None:
    answer = await fresh.request("textDocument/codeAction", {})
    assert answer["error"]["code"] == -32002
    fresh.notify("initialized", {})
    fresh.open(URI, "x")
    await fresh.initialize()
    assert (await fresh.request("shutdown", None))["result"] is None
    assert (await fresh.request("shutdown", None))["error"]["code"] == -32600
    assert (await fresh.request("textDocument/codeAction", {}))["error"]["code"] == -32600
    fresh.check_answers()
    fresh.notify("exit", None)
    assert await asyncio.wait_for(fresh.process.wait(), 20) == 0


async def test_exit_without_shutdown_is_status_one(fresh: RawClient) -> None:
    fresh.notify("exit", None)
    assert await asyncio.wait_for(fresh.process.wait(), 20) == 1


async def test_internal_errors_tell_neither_paths_nor_code(fresh: RawClient) -> None:
    """Answers to a broken server-side handler would quote a traceback; ours name nothing."""
    await fresh.initialize({"candidates": "many"})
    await fresh.alive()
    deep: Any = []
    for _ in range(300):
        deep = [deep]
    answer = await fresh.request(**command("redraft.fix", {"uri": URI, "range": deep}))
    assert "Traceback" not in json.dumps(answer)
    assert ".py" not in json.dumps(answer)


async def test_code_is_not_logged(fresh: RawClient) -> None:
    await fresh.initialize()
    fresh.open(URI, "SECRET_WORD = (")
    fresh.notify("textDocument/didChange", {"textDocument": 1, "contentChanges": "SECRET_WORD"})
    fresh.write(b'{"SECRET_WORD": ')
    await fresh.request(**command("redraft.fix", {"uri": URI, "range": "SECRET_WORD"}))
    fresh.stdin.close()
    assert await asyncio.wait_for(fresh.process.wait(), 20) == 0
    assert fresh.process.stderr
    assert b"SECRET_WORD" not in await fresh.process.stderr.read()


async def test_the_server_ends_with_its_client_even_when_its_stdin_stays_open(fresh: RawClient) -> None:
    """Some other process may hold the other end: `processId` says whom to watch."""
    editor = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    await fresh.initialize(processId=editor.pid)
    await fresh.alive()
    editor.send_signal(signal.SIGKILL)
    editor.wait()
    assert await asyncio.wait_for(fresh.process.wait(), 20) == 1


async def test_a_server_whose_client_is_in_another_namespace_stays(fresh: RawClient) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    await fresh.initialize(processId=gone.pid)
    await asyncio.sleep(0.5)
    await fresh.alive()
