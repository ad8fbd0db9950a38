"""The text model: LSP lines and positions, and regions that follow the user's typing.

Only \\n, \\r\\n and \\r end a line (LSP 3.17, "Text Documents"); `str.splitlines` knows more and would
shift every later position. Offsets are code points into `Document.text`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from lsprotocol import types as lsp

LINE_END = re.compile(r"\r\n|\n|\r")
WORTH_DELETING = 3  # characters: one or two are a slip of the keys, not a text that the user does not want
SURROGATES = re.compile("([\ud800-\udfff])")


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


CODECS = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}


def width(text: str, encoding: str) -> int:
    """How many units of a position encoding `text` takes. Lone surrogates, which JSON can carry, count as in
    UTF-16 and as three bytes in UTF-8."""
    codec, size = CODECS[encoding]
    return len(text) if text.isascii() else sum(map(len, encoded(text, codec))) // size


def encoded(text: str, codec: str) -> Iterator[bytes]:
    """`text` in a codec; surrogates by themselves, or two in a row would come out as one character."""
    for piece in SURROGATES.split(text):
        yield piece.encode(codec, "surrogatepass")


def prefix_length(text: str, units: int, encoding: str) -> int:
    """How many code points of `text` fit in so many units."""
    codec, size = CODECS[encoding]
    if not SURROGATES.search(text):
        return len(text[:units].encode(codec)[: units * size].decode(codec, "ignore"))
    taken = 0
    for i, char in enumerate(text):
        taken += width(char, encoding)
        if taken > units:
            return i
    return len(text)


@dataclass(slots=True, eq=False)
class Awaited:
    """A text the document is to pass through; `arrived` is called when it does."""

    text: str
    arrived: Callable[[], None]

    def is_met_by(self, text: str) -> bool:
        """Line endings aside: some editors unify them."""
        return text == self.text or unify(text) == unify(self.text)


def unify(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


@dataclass(slots=True, eq=False)
class Document:
    """The server's mirror of one open document."""

    uri: str
    text: str
    version: int | None
    language: str
    encoding: str
    tracked: list[Tracked] = field(default_factory=list[Tracked])
    awaited: list[Awaited] = field(default_factory=list[Awaited])
    deleted: tuple[int, str] | None = None  # where the last edits deleted what, when that is all they did in effect
    _starts: list[int] = field(default_factory=list[int])

    def __post_init__(self) -> None:
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
        units = max(0, position.character)
        return start + (min(units, len(content)) if content.isascii() else prefix_length(content, units, self.encoding))

    def position(self, offset: int) -> lsp.Position:
        """Position of `offset` in the client's encoding."""
        offset = min(max(0, offset), len(self.text))
        line = bisect_right(self._starts, offset) - 1
        return lsp.Position(line, width(self.text[self._starts[line] : offset], self.encoding))

    def splits_line_end(self, offset: int) -> bool:
        """Whether `offset` is inside \\r\\n, where there is no position."""
        return offset > 0 and self.text[offset - 1 : offset + 1] == "\r\n"

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

    def puts_back(self, offset: int, text: str) -> bool:
        """Whether inserting `text` at `offset` would undo the user's last deletion, or begin to."""
        if self.deleted is None or self.deleted[0] != offset:
            return False
        gone, new = self.deleted[1].strip(), text.strip()
        return gone.startswith(new) or (len(gone) >= WORTH_DELETING and new.startswith(gone))

    def _replace(self, start: int, end: int, new: str) -> None:
        gone = self.text[start:end]
        if self.deleted and self.deleted[0] in (
            start,
            end,
        ):  # key upon key: backwards, forwards, or its beginning again
            gone = gone + self.deleted[1] if self.deleted[0] == end else self.deleted[1] + gone
        rest = gone[len(new) :] if gone.startswith(new) else ""  # a selection may be replaced by its own beginning
        self.deleted = (start + len(new), rest) if rest else None
        self._reindex(start, end, new)
        for region in self.tracked:
            region.adjust(start, end, len(new))
        for awaited in self.awaited:
            if awaited.is_met_by(self.text):
                awaited.arrived()

    def _reindex(self, start: int, end: int, new: str) -> None:
        """Splices `new` in and looks for line ends only in the lines it touches."""
        first = bisect_right(self._starts, start) - 1
        if first and self.text[start - 1] == "\r":
            first -= 1  # that may become half of a line end
        after = bisect_right(self._starts, end)  # the first line that begins beyond `end`
        shift = len(new) - (end - start)
        stop = self._starts[after] + shift if after < len(self._starts) else len(self.text) + shift
        self.text = "".join((self.text[:start], new, self.text[end:]))
        touched = [m.end() for m in LINE_END.finditer(self.text, self._starts[first], stop)]
        self._starts[first + 1 :] = [*touched, *(s + shift for s in self._starts[after + 1 :])]

    def track(self, start: int, end: int) -> Tracked:
        region = Tracked(start, end)
        self.tracked.append(region)
        return region

    def release(self, region: Tracked) -> None:
        if region in self.tracked:
            self.tracked.remove(region)
