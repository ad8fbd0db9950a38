"""Between the user's bytes and the model's text: line endings, tabs, and the newline that holds the
indentation.

The model sees "\\n" line endings, four spaces for an indenting tab, and whole lines as
"\\n    text" rather than "    text\\n": indentation is then always the tail of a newline token.
Indentation is not dedented away (the shared design proposed it): wrong indentation is among the
most frequent syntax errors, and a model that cannot see it cannot mend it.
`restore` undoes all of this and keeps every unchanged line's bytes.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

TAB = "    "
NEAR = 4000  # characters around the span that tell what it does not
INDENT = re.compile(r"^[ \t]+", re.M)


@dataclass(frozen=True, slots=True)
class Region:
    """The three strings as the model sees them, and how to go back."""

    prefix: str
    span: str
    suffix: str
    original: str  # the span as the user has it, without a byte order mark
    mark: str  # the byte order mark, when the span begins with it
    eol: str
    tabs: bool
    head: str  # "\n" moved (or imagined) in front of the span
    tail: str  # "\n" moved from the span's end to the suffix

    def restore(self, text: str) -> str:
        """The user's form of `text`, a new content of the span as the model wrote it.

        Raises ValueError when `text` has lost the newline that whole-line spans begin with."""
        if text and self.head and not text.startswith(self.head):
            raise ValueError("the edit would join the region to the line before it")
        lines = text.removeprefix(self.head)
        if text or not self.head:
            lines += self.tail
        return self.mark + self._keep_unchanged_lines(lines)

    def _keep_unchanged_lines(self, text: str) -> str:
        old_raw = split_lines(self.original)
        old = [self._plain(line) for line in old_raw]
        new = split_lines(text)
        head, tail = shared_ends(old, new)
        matcher = difflib.SequenceMatcher(None, old[head : len(old) - tail], new[head : len(new) - tail])
        out = old_raw[:head]
        for tag, i1, i2, j1, j2 in matcher.get_opcodes():
            kept, fresh = old_raw[head + i1 : head + i2], new[head + j1 : head + j2]
            out += kept if tag == "equal" else [self._raw(line) for line in fresh]
        return "".join(out + old_raw[len(old) - tail :])

    def _plain(self, line: str) -> str:
        return expand_tabs(unify(line)) if self.tabs else unify(line)

    def _raw(self, line: str) -> str:
        if self.tabs:
            line = INDENT.sub(lambda m: m.group().replace(TAB, "\t"), line)
        return line.replace("\n", self.eol)


def shared_ends(old: Sequence[object], new: Sequence[object]) -> tuple[int, int]:
    """How many items both begin and, behind these, end with."""
    most = min(len(old), len(new))
    head = next((i for i in range(most) if old[i] != new[i]), most)
    tail = next((i for i in range(most - head) if old[-1 - i] != new[-1 - i]), most - head)
    return head, tail


def visible_span(region: Region) -> str:
    """The span as whole lines are written, for models that read texts."""
    return region.span.removeprefix(region.head) + region.tail


def hidden_text(text: str, region: Region) -> str:
    """`text`, so written, in the form in which a denoiser would have written it."""
    return region.head + text.removesuffix(region.tail) if text else ""


def line_above(text: str) -> str:
    """The last line of `text` that is not blank; "" when all are."""
    return next((line for line in reversed(text.split("\n")) if line.strip()), "")


def normalise(prefix: str, span: str, suffix: str) -> Region:
    """The region as the model sees it. Any text goes in; nothing is lost."""
    mark = "\ufeff" if not prefix and span.startswith("\ufeff") else ""
    original = span.removeprefix(mark)
    eol = dominant_eol(original) or dominant_eol(prefix[-NEAR:]) or dominant_eol(suffix[:NEAR]) or "\n"
    around = prefix[-NEAR:] + original + suffix[:NEAR]
    tabs = indents_with_tabs(original if INDENT.search(original) else around)
    plain = [expand_tabs(unify(t)) if tabs else unify(t) for t in (prefix, original, suffix)]
    before, text, after = plain
    head = tail = ""
    before = before.removeprefix("\ufeff")  # to a parser of texts it would be a mistake
    starts_line = not before or before.endswith("\n")
    ends_line = not text or text.endswith("\n") or not after or after.startswith("\n")
    if starts_line and ends_line:
        head, before = "\n", before.removesuffix("\n")
        if text.endswith("\n") or not (text or after.startswith("\n")):
            text, tail, after = text.removesuffix("\n"), "\n", "\n" + after
        text = head + text if original or not tail else ""
    return Region(before, text, after, original, mark, eol, tabs, head, tail)


def unify(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def dominant_eol(text: str) -> str:
    """The most frequent line ending of `text`, "" when it has none."""
    crlf = text.count("\r\n")
    counts = {"\n": text.count("\n") - crlf, "\r\n": crlf, "\r": text.count("\r") - crlf}
    best = max(counts, key=lambda eol: counts[eol])
    return best if counts[best] else ""


def indents_with_tabs(text: str) -> bool:
    indents = INDENT.findall(text)
    return sum("\t" in indent for indent in indents) * 2 > len(indents)


def expand_tabs(text: str) -> str:
    """Tabs of the indentation become four spaces; tabs inside lines stay."""
    return INDENT.sub(lambda m: m.group().replace("\t", TAB), text)


def split_lines(text: str) -> list[str]:
    """Lines with their endings; only \\n, \\r\\n and \\r end a line."""
    return re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text)
