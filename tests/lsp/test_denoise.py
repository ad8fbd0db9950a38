"""The stream of denoising states, for clients that draw it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types as lsp

from lsp_server.diffs import changed_parts
from lsp_server.text import Document
from tests.lsp.raw_client import RawClient

URI = "file:///a.py"
LINES = st.lists(st.sampled_from(["a\n", "b = 1\n", "b = 12\r\n", "░░\n", "é😀\n", ""]), max_size=8).map("".join)


@given(LINES, LINES)
def test_what_is_not_marked_as_changed_was_there_before(old: str, new: str) -> None:
    at, kept = 0, ""
    for start, end in changed_parts(old, new):
        assert at <= start < end <= len(new)
        kept += new[at:start]
        at = end
    kept += new[at:]
    remaining = iter(old)
    assert all(char in remaining for char in kept)  # in order
    assert changed_parts(new, new) == []


async def test_each_state_says_what_changed_since_the_one_before() -> None:
    """The real engine and model; an emoji makes UTF-16 and code points differ."""
    text = 'def area(w, h):\n    print("😀", w, h)\n    return (w * h\n'
    client = await RawClient.start()
    states: list[dict[str, Any]] = []
    client.handlers["redraft/denoise"] = states.append
    try:
        await client.initialize({})
        client.open(URI, text)
        where = {"start": {"line": 0, "character": 0}, "end": {"line": 3, "character": 0}}
        answer = await client.command("redraft.rewrite", {"uri": URI, "range": where, "apply": False})
        assert "proposal" in answer, answer
    finally:
        await client.kill()
    assert states
    before = text
    for state in states:
        assert state["range"] == where
        assert 0 <= state["step"] <= state["of"]
        canvas = Document(URI, state["text"], None, "python", "utf-16")
        parts = [[canvas.offset(lsp.Position(**part[end])) for end in ("start", "end")] for part in state["changed"]]
        assert [tuple(part) for part in parts] == changed_parts(before, state["text"])
        before = state["text"]
    assert any(state["changed"] for state in states)
