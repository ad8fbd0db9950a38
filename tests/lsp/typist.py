"""Somebody who types: a buffer of their own, what they do to it, and every edit the server makes in it."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from random import Random
from typing import Any, Literal

from tests.lsp.raw_client import RawClient
from tests.lsp.reference_buffer import ReferenceBuffer

TAG = re.compile(r" #(t[0-9]+_[0-9]+)(~?);")
EOLS = ("\n", "\r\n", "\r")
SNIPPETS = ("x", "é", "🙂", "\n", "\r\n", "y = 2\n", "", "", "\t", "  ")

# strict: refuses stale edits; lying: skips them but says "applied", as Neovim does.
Manners = Literal["strict", "lying"]


class Typist:
    """One open file. `applied` counts the edits made in it by tag (see `tests.service.light_engine`)."""

    def __init__(
        self, client: RawClient, uri: str, rng: Random, manners: Manners, delay_s: float, encoding: str = "utf-16"
    ) -> None:
        self.client, self.uri, self.rng, self.manners, self.delay_s = client, uri, rng, manners, delay_s
        eol = rng.choice(EOLS)
        lines = [f"{rng.choice('abc漢🙂')}{i} = {rng.randint(0, 99)}" for i in range(rng.randint(1, 9))]
        text = "".join(line + (eol if rng.random() < 0.9 else rng.choice(EOLS)) for line in lines)
        self.buffer = ReferenceBuffer(text if rng.random() < 0.7 else text.rstrip("\r\n"), encoding)
        self.version = 1
        self.applied: Counter[str] = Counter()
        self.stale = self.under_way = 0  # edits refused, edits received but not made yet
        self.tags = 0
        self.meant: dict[str, str] = {}  # by tag, the line that its edit was asked for, if all of it was
        self.open()

    def open(self) -> None:
        self.client.open(self.uri, self.text, version=self.version)

    @property
    def text(self) -> str:
        return self.buffer.text

    def close(self) -> None:
        self.client.notify("textDocument/didClose", {"textDocument": {"uri": self.uri}})

    def reopen(self) -> None:
        self.close()
        self.version += 1
        self.open()

    # Typing

    def change(self, where: Any, text: str) -> None:
        """One incremental change, made here and told to the server."""
        self.buffer.splice(where, text)
        self.tell([{"range": where, "text": text}])

    def tell(self, changes: list[Any]) -> None:
        self.version += 1
        identifier = {"uri": self.uri, "version": self.version}
        self.client.notify("textDocument/didChange", {"textDocument": identifier, "contentChanges": changes})

    def type(self) -> None:
        count = len(self.buffer.units())
        start = self.rng.randint(0, count)
        end = min(count, start + self.rng.choice((0, 0, 0, 1, 4)))
        where = {"start": self.buffer.position(start), "end": self.buffer.position(end)}
        self.change(where, self.rng.choice(SNIPPETS))

    # What the server does

    def apply(self, edit: Any) -> dict[str, Any]:
        """Answer to workspace/applyEdit. Raises AssertionError for an edit that does more than put its tag in,
        take it out or exchange it, or does so in another line than the one that was meant."""
        (change,) = edit["documentChanges"]
        if change["textDocument"]["version"] != self.version:
            self.stale += 1
            return {"applied": self.manners == "lying"}
        before = self.text
        self.buffer.apply(change["edits"])
        assert TAG.sub("", self.text) == TAG.sub("", before), (before, change)
        had, has = (Counter(TAG.findall(text)) for text in (before, self.text))
        assert len(list((has - had).elements())) + len(list((had - has).elements())) <= 2
        for tag, kind in (has - had).elements():
            self.applied[tag] += 1
            before = TAG.sub("", self.line_before(f" #{tag}{kind};"))
            assert before.endswith(self.meant.get(tag, "")), (before, self.meant)
        ordered = sorted(change["edits"], key=lambda e: (e["range"]["start"]["line"], e["range"]["start"]["character"]))
        self.tell([{"range": e["range"], "text": e["newText"]} for e in reversed(ordered)])
        return {"applied": True}

    def line_before(self, mark: str) -> str:
        """What stands in front of a mark in its line."""
        lines = (self.buffer.line(number) for number in range(len(self.buffer.lines())))
        return next(line.partition(mark)[0] for line in lines if mark in line)

    # Requests

    def lines(self) -> dict[str, Any]:
        """A random selection of whole lines; its end, where a fill ends, is never inside a tag."""
        lines, units = self.buffer.lines(), self.buffer.units()
        first = self.rng.randrange(len(lines))
        last = min(len(lines) - 1, first + self.rng.choice((0, 0, 1, 3)))
        start = lines[last][0]
        begins_with_tag = units[start : start + 2] == [ord(" "), ord("#")]
        return {"start": {"line": first, "character": 0}, "end": {"line": last, "character": int(not begins_with_tag)}}

    def ask(self, command: str, **wishes: Any) -> tuple[int, str, asyncio.Future[dict[str, Any]]]:
        """An edit command; its request id, its tag, the future answer."""
        self.tags += 1
        tag = f"t{self.uri.rsplit('/', 1)[1].removesuffix('.py')}_{self.tags}"
        where = self.lines()
        if command != "redraft.fill" or where["start"]["line"] < where["end"]["line"]:
            self.meant[tag] = TAG.sub("", self.buffer.line(where["start"]["line"]))
        argument = {
            "uri": self.uri,
            "version": self.version,
            "range": where,
            "instruction": json.dumps({"tag": tag, **wishes}),
        }
        params = {"command": command, "arguments": [argument]}
        number, answer = self.client.ask("workspace/executeCommand", params)
        return number, tag, answer

    async def mirror(self) -> str:
        """What the server believes the document to be."""
        end = self.buffer.position(len(self.buffer.units()))
        where = {"start": {"line": 0, "character": 0}, "end": end}
        argument = {"uri": self.uri, "range": where, "apply": False, "instruction": "{}"}
        answer = await self.client.command("redraft.rewrite", argument)
        return answer["proposal"]["original"]
