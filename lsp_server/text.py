"""The text model: LSP lines and positions, and regions that follow the user's typing.

Only \\n, \\r\\n and \\r end a line (LSP 3.17, "Text Documents"); `str.splitlines` knows more and would
shift every later position. Offsets are code points into `Document.text`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field

from lsprotocol import types as lsp

LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(slots=True, eq=False)
class Tracked:
    """A range of a document that moves with edits outside it; `intact` is lost by an edit inside."""

    start: int
    end: int
    intact: bool = True

    def adjust(self, start: int, end: int, length: int) -> None:
        """The text from `start` to `end` has become `length` code points long."""
        shift = length - (end - start)
        if end <= self.start and not (start == end == self.start == self.end):
            self.start += shift
            self.end += shift
        elif start < self.end or (start == end == self.start == self.end):
            self.intact = False
            self.start, self.end = min(self.start, start), max(start + length, self.end + shift)


def units(char: str, encoding: str) -> int:
    """How many units of a position encoding one code point takes."""
    code = ord(char)
    if encoding == lsp.PositionEncodingKind.Utf8:
        return 1 if code < 0x80 else 2 if code < 0x800 else 3 if code < 0x10000 else 4
    return 2 if encoding == lsp.PositionEncodingKind.Utf16 and code > 0xFFFF else 1


@dataclass(slots=True, eq=False)
class Document:
    """The server's mirror of one open document."""

    uri: str
    text: str
    version: int | None
    language: str
    encoding: str
    tracked: list[Tracked] = field(default_factory=list[Tracked])
    _starts: list[int] = field(default_factory=list[int])

    def __post_init__(self) -> None:
        self._index()

    def _index(self) -> None:
        self._starts = [0, *(m.end() for m in LINE_END.finditer(self.text))]

    @property
    def line_count(self) -> int:
        return len(self._starts)

    def line_bounds(self, line: int) -> tuple[int, int]:
        """Start offset of a line and of the next one; clamped to the document."""
        line = max(0, line)
        if line >= len(self._starts):
            return len(self.text), len(self.text)
        end = self._starts[line + 1] if line + 1 < len(self._starts) else len(self.text)
        return self._starts[line], end

    def offset(self, position: lsp.Position) -> int:
        """Offset of `position`. Beyond a line's end it is the end of the line, beyond the document the end
        of the document (LSP 3.17, "Position"); inside a character it is that character's start."""
        start, end = self.line_bounds(position.line)
        content = self.text[start:end].rstrip("\r\n")
        if content.isascii():
            return start + min(max(0, position.character), len(content))
        left = position.character
        for i, char in enumerate(content):
            left -= units(char, self.encoding)
            if left < 0:
                return start + i
        return start + len(content)

    def position(self, offset: int) -> lsp.Position:
        """Position of `offset` in the client's encoding."""
        offset = min(max(0, offset), len(self.text))
        line = bisect_right(self._starts, offset) - 1
        content = self.text[self._starts[line] : offset]
        column = len(content) if content.isascii() else sum(units(char, self.encoding) for char in content)
        return lsp.Position(line, column)

    def range(self, start: int, end: int) -> lsp.Range:
        return lsp.Range(self.position(start), self.position(end))

    def apply(self, change: lsp.TextDocumentContentChangeEvent) -> None:
        """One change of a didChange notification; tracked regions follow."""
        if isinstance(change, lsp.TextDocumentContentChangeWholeDocument):
            if change.text != self.text:
                self._replace(0, len(self.text), change.text)
            return
        start, end = sorted((self.offset(change.range.start), self.offset(change.range.end)))
        self._replace(start, end, change.text)

    def _replace(self, start: int, end: int, new: str) -> None:
        self.text = self.text[:start] + new + self.text[end:]
        self._index()
        for region in self.tracked:
            region.adjust(start, end, len(new))

    def track(self, start: int, end: int) -> Tracked:
        region = Tracked(start, end)
        self.tracked.append(region)
        return region

    def release(self, region: Tracked) -> None:
        if region in self.tracked:
            self.tracked.remove(region)
