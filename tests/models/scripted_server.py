"""A server behind HTTP that answers by a script."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Script(BaseHTTPRequestHandler):
    """Answers by `server.replies`, the last one again and again, or what it returns for the body: (status, headers,
    text or chunks, where a number is a pause in seconds)."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, dict(self.headers), json.loads(body)))
        replies = self.server.replies
        if callable(replies):
            status, headers, content = replies(json.loads(body))
        else:
            status, headers, content = replies.pop(0) if len(replies) > 1 else replies[0]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            for part in [content] if isinstance(content, str) else content:
                if isinstance(part, float):
                    self.server.woken.wait(part)
                else:
                    self.wfile.write(part.encode())
                    self.wfile.flush()
        except OSError:
            self.server.hung_up.set()

    def log_message(self, *_) -> None:
        pass


@contextmanager
def scripted() -> Iterator[Any]:
    """`asked` collects path, headers and body of every request; `hung_up` is set when a client did."""
    running: Any = ThreadingHTTPServer(("127.0.0.1", 0), Script)
    running.asked, running.replies = [], []
    running.woken, running.hung_up = threading.Event(), threading.Event()
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running
    running.woken.set()
    running.shutdown()
    running.server_close()


def chat(text: str, finish: str | None = "stop", pause_s: float = 0.0):
    """A streamed chat answer, cut into small parts, `pause_s` before the first."""
    parts = [text[i : i + 7] for i in range(0, len(text), 7)]
    events = [{"choices": [{"delta": {"content": part}, "finish_reason": None}]} for part in parts]
    if finish:
        events.append({"choices": [{"delta": {}, "finish_reason": finish}]})
    chunks = [pause_s, *(f"data: {json.dumps(event)}\n\n" for event in events)]
    return 200, {"Content-Type": "text/event-stream"}, [*chunks, "data: [DONE]\n\n"] if finish else chunks


def piece(text: str):
    answer = {"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}
    return 200, {"Content-Type": "application/json"}, json.dumps(answer)
