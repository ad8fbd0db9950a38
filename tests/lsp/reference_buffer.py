"""A text buffer as an editor of one position encoding has it: nothing but encoded bytes.

Written apart from `lsp_server.text`, so that the two can be held against each other. Lines end with \\n,
\\r\\n or \\r alone (LSP 3.17, "Text Documents"); a character past the line's end is its end, a line past the
document's end is the document's end, and a position inside a character is the character's start.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

CODECS = {"utf-8": ("utf-8", 1, "B"), "utf-16": ("utf-16-le", 2, "H"), "utf-32": ("utf-32-le", 4, "I")}


class ReferenceBuffer:
    def __init__(self, text: str, encoding: str) -> None:
        self.codec, self.size, self.format = CODECS[encoding]
        self.data = text.encode(self.codec)

    @property
    def text(self) -> str:
        return self.data.decode(self.codec)

    def units(self) -> list[int]:
        return memoryview(self.data).cast(self.format).tolist()

    def lines(self) -> list[tuple[int, int]]:
        """First unit of every line, and the unit where its content ends."""
        found: list[tuple[int, int]] = []
        start = 0
        units = self.units()
        for at, code in enumerate(units):
            if code == 13 or (code == 10 and (at == 0 or units[at - 1] != 13)):
                found.append((start, at))
            if code == 10 or (code == 13 and units[at + 1 : at + 2] != [10]):
                start = at + 1
        return [*found, (start, len(units))]

    def line(self, number: int) -> str:
        start, end = self.lines()[number]
        return self.data[start * self.size : end * self.size].decode(self.codec)

    def index(self, line: int, character: int) -> int:
        """The unit a position stands at."""
        lines = self.lines()
        if line >= len(lines):
            return len(self.data) // self.size
        start, end = lines[line]
        at = min(start + character, end)
        units = self.units()
        while start < at < end and self.inside(units[at]):
            at -= 1
        return at

    def inside(self, unit: int) -> bool:
        """Whether the unit continues a character."""
        if self.size == 1:
            return unit & 0xC0 == 0x80
        return self.size == 2 and 0xDC00 <= unit <= 0xDFFF

    def position(self, index: int) -> dict[str, int]:
        lines = self.lines()
        line = max(i for i, (start, _) in enumerate(lines) if start <= index)
        return {"line": line, "character": index - lines[line][0]}

    def splice(self, where: Any, text: str) -> tuple[int, int]:
        """Replaces a range {start, end}; the units it held."""
        start, end = sorted(self.index(p["line"], p["character"]) for p in (where["start"], where["end"]))
        self.data = self.data[: start * self.size] + text.encode(self.codec) + self.data[end * self.size :]
        return start, end

    def apply(self, edits: list[Any]) -> None:
        """The edits of one TextDocumentEdit: all ranges are of the text before. Raises ValueError when they overlap."""
        spans = [
            (*(self.index(p["line"], p["character"]) for p in (e["range"]["start"], e["range"]["end"])), e["newText"])
            for e in edits
        ]
        spans.sort(key=lambda s: s[:2])
        if any(start > end for start, end, _ in spans) or any(a[1] > b[0] for a, b in pairwise(spans)):
            raise ValueError("overlapping or reversed edits")
        for start, end, text in reversed(spans):
            self.data = self.data[: start * self.size] + text.encode(self.codec) + self.data[end * self.size :]
