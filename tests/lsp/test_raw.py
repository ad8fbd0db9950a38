"""Raw bytes on stdio: every request gets exactly one answer, and nothing ends the server but `exit`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import IO, Any

import pytest


class RawServer:
    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lsp_server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert self.process.stdin
        assert self.process.stdout
        self.stdin: IO[bytes] = self.process.stdin
        self.stdout: IO[bytes] = self.process.stdout

    def send(self, message: Any) -> None:
        self.send_bytes(json.dumps({"jsonrpc": "2.0", **message}).encode())

    def send_bytes(self, body: bytes, header: str = "Content-Length: {}\r\n\r\n") -> None:
        self.stdin.write(header.format(len(body)).encode() + body)
        self.stdin.flush()

    def answer(self, number: int) -> dict[str, Any]:
        """The answer to request `number`; notifications before it are skipped."""
        while True:
            length = 0
            while line := self.stdout.readline().strip():
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            message = json.loads(self.stdout.read(length))
            if message.get("id") == number and "method" not in message:
                return message


@pytest.fixture
def server() -> Iterator[RawServer]:
    raw = RawServer()
    raw.send({"id": 0, "method": "initialize", "params": {"processId": None, "rootUri": None, "capabilities": {}}})
    assert raw.answer(0)["result"]["capabilities"]["codeActionProvider"]
    raw.send({"method": "initialized", "params": {}})
    yield raw
    raw.process.kill()
    raw.process.wait()


def still_alive(server: RawServer, number: int = 99) -> bool:
    server.send({"id": number, "method": "workspace/executeCommand", "params": {"command": "redraft.cancel"}})
    return server.answer(number)["result"]["reason"] == "cancelled"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"method": "textDocument/codeAction", "params": {"range": 3}}, -32602),
        ({"method": "textDocument/codeAction"}, -32602),
        ({"method": "textDocument/inlineCompletion", "params": []}, -32602),
        ({"method": "workspace/executeCommand", "params": {"command": "redraft.fix", "arguments": [1]}}, -32602),
        ({"method": "workspace/executeCommand", "params": {"command": "rm", "arguments": []}}, -32602),
        ({"method": "no/suchThing", "params": {}}, -32601),
    ],
)
def test_a_malformed_request_gets_one_error(server: RawServer, message: dict[str, Any], code: int) -> None:
    server.send({"id": 1, **message})
    assert server.answer(1)["error"]["code"] == code
    assert still_alive(server)


@pytest.mark.parametrize(
    ("body", "header"),
    [
        (b"{not json", "Content-Length: {}\r\n\r\n"),
        (b"[]", "Content-Length: {}\r\n\r\n"),
        (b"\xff\xfe", "Content-Length: {}\r\n\r\n"),
        (b'{"jsonrpc": "2.0", "method": "x"}', "Content-Type: x\r\nContent-Length: {}\r\nX-Other: 1\r\n\r\n"),
    ],
)
def test_bad_bodies_do_not_end_the_server(server: RawServer, body: bytes, header: str) -> None:
    server.send_bytes(body, header)
    assert still_alive(server)


def test_changes_of_unknown_documents_do_not_end_the_server(server: RawServer) -> None:
    change = {"textDocument": {"uri": "file:///x.py", "version": 2}, "contentChanges": [{"text": "a"}]}
    server.send({"method": "textDocument/didChange", "params": change})
    server.send({"method": "textDocument/didClose", "params": {"textDocument": {"uri": "file:///x.py"}}})
    assert still_alive(server)


def test_code_is_not_logged(server: RawServer) -> None:
    item = {"uri": "file:///x.py", "languageId": "python", "version": 1, "text": "SECRET_WORD = ("}
    server.send({"method": "textDocument/didOpen", "params": {"textDocument": item}})
    server.send({"method": "textDocument/didChange", "params": {"textDocument": 1, "contentChanges": "SECRET_WORD"}})
    assert still_alive(server)
    server.stdin.close()
    assert server.process.wait(10) == 0
    assert server.process.stderr
    assert b"SECRET_WORD" not in server.process.stderr.read()


def test_the_server_ends_with_its_client(server: RawServer) -> None:
    server.stdin.close()
    assert server.process.wait(10) == 0
