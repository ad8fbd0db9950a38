"""The parser as judge: does the document parse with this text in the span, and if not, how far?"""

from __future__ import annotations

import re
import sys
from functools import lru_cache

from engine.diffusion.mending import indent_of
from engine.languages import SyntaxFault, syntax_fault

ANCHOR = re.compile(r"^(?=[^\s#)\]}'\"])(?!(?:else|elif|except|finally|case)\b)", re.M)
REPORTED_LATE = 2  # lines: parsers notice some faults only on a later line
BELOW = re.compile(r"(?:\n[^\n]*){0,3}")  # lines below the span whose mistakes are in its way
LARGE = 200_000  # characters
FAR_BELOW = re.compile(r"(?:[^\n]*\n){40}")
LANDMARK = {"python": re.compile(r"^(?:def|class|async def|@|if __name__)", re.M)}
DECORATOR = re.compile(r"^[ \t]*@.*\s*\Z", re.M)  # as the last line of a span: what follows belongs to it
DECORATED = re.compile(r"\s*(?:@.*\s+)*(?:async def|def|class)\b")
ANY_LANDMARK = re.compile(r"^(?=\w)", re.M)
FUNCTION = re.compile(r"[ \t]+(?:async )?def\b")
NO_STATEMENT = re.compile(r"[ \t]*(?:[#)\]}]|$)")  # may be indented as it likes
STATEMENT_AT_MOST = r"^[ \t]{0,%d}(?=[^\s#)\]}'\"])(?!(?:else|elif|except|finally|case)\b)"
NUMBER = re.compile(r"\d+")
NEEDS_OUTSIDE = re.compile(r"\bnonlocal\b")


class Judge:
    """Parses candidates of one span. Most are judged on the top-level statements around the span, in Python on the
    function around it, which takes a fraction of the time; `confirm` parses the whole document.

    `prefix` and `suffix` as the model sees them, in a language that is checked. `broken`: the span, when the
    document does not parse. A fault below it that stays whatever the span says is another one, and does not
    count here."""

    def __init__(self, prefix: str, suffix: str, language: str, broken: str | None = None) -> None:
        self._prefix, self._suffix, self._language = prefix, suffix, language
        self._near_prefix = prefix[self._start() :]
        decorated = DECORATED.match(suffix) if DECORATOR.search(broken or "") else None
        landmark = LANDMARK.get(language, ANY_LANDMARK).search(suffix, decorated.end() if decorated else 0)
        ends = [end.start() for end in (landmark, ANCHOR.search(suffix, far_below(suffix))) if end]
        self._near_suffix = suffix[: min(ends, default=len(suffix))]
        self._others = set[tuple[str, int]]()
        neutral = neutral_spans(broken, language) if broken is not None else ()
        near = [self._notice(self._near_prefix, text, self._near_suffix) for text in neutral]
        self._unknown = list(neutral)  # with which the whole document has not been parsed yet
        inner = surroundings(self._near_prefix, broken, self._near_suffix) if broken and language == "python" else None
        # As good a place to judge in, if what is wrong with it is the same.
        if inner and near == [self._notice(inner[0], text, inner[1]) for text in neutral]:
            self._near_prefix, self._near_suffix = inner

    def _notice(self, above: str, neutral: str, below: str) -> str | None:
        """What the parser says, but for the numbers of lines, of a span that is not at fault; a fault below it is
        remembered as another one."""
        fault = syntax_fault(above + neutral + below, self._language)
        if fault and is_below(fault, above + neutral):
            self._others.add(from_the_end(fault, above + neutral + below))
        return NUMBER.sub("", fault.message) if fault else None

    def _start(self) -> int:
        """Offset of the last top-level statement before which everything parses."""
        anchors = [m.start() for m in ANCHOR.finditer(self._prefix)]
        for start in anchors[-1:-4:-1]:
            if syntax_fault(self._prefix[:start], self._language) is None:
                return start
        return 0

    @property
    def near_chars(self) -> int:
        """Characters that every judgement parses besides the span."""
        return len(self._near_prefix) + len(self._near_suffix)

    @property
    def below(self) -> str:
        """The lines right below the span."""
        found = BELOW.match(self._near_suffix)
        return found.group() if found else ""

    def fault(self, span: str, below: str | None = None) -> SyntaxFault | None:
        """The fault near the span; lines count from the start of the span's neighbourhood. `below`: what stands in
        place of `self.below`."""
        rest = self._near_suffix if below is None else below + self._near_suffix[len(self.below) :]
        text = self._near_prefix + span + rest
        return self._own(syntax_fault(text, self._language), text)

    @property
    def first_line(self) -> int:
        """Line of the span's first character within the neighbourhood."""
        return self._near_prefix.count("\n")

    def confirm(self, span: str, below: str | None = None) -> bool:
        """Whether the whole document parses then, but for other faults. Of a large one that takes half a second, and
        is left to who offers the span."""
        if len(self._prefix) + len(self._suffix) > LARGE:
            return True
        rest = self._suffix if below is None else below + self._suffix[len(self.below) :]
        text = self._prefix + span + rest
        fault = document_fault(text, self._language)
        while fault and self._unknown:
            self._notice(self._prefix, self._unknown.pop(), self._suffix)
        return self._own(fault, text) is None

    def _own(self, fault: SyntaxFault | None, text: str) -> SyntaxFault | None:
        return None if fault and from_the_end(fault, text) in self._others else fault


def document_fault(text: str, language: str) -> SyntaxFault | None:
    """`syntax_fault` of a whole document, about which several parts of an edit ask."""
    return (syntax_fault if len(text) > LARGE else kept_fault)(text, language)


kept_fault = lru_cache(maxsize=32)(syntax_fault)  # for as many drafts as one edit looks at


def surroundings(above: str, span: str, below: str) -> tuple[str, str] | None:
    """What of `above` and `below` is in the indented function around `span`, or from the one before it on, behind a
    header that gives the indentation a place. None where there is none, or it cannot stand alone."""
    start = None if DECORATOR.search(span) else function_start(above, span)
    if start is None:
        return None
    outside = re.compile(STATEMENT_AT_MOST % len(indent_of(above[start:])), re.M)
    end = outside.search(below, 0 if span.endswith("\n") else below.find("\n") + 1)
    inner = "if True:\n" + above[start:], below[: end.start() if end else len(below)]
    return None if NEEDS_OUTSIDE.search(span.join(inner)) else inner


def function_start(above: str, span: str) -> int | None:
    """Offset of the line of the last indented `def` above `span` than which no statement since is indented less."""
    least, end = sys.maxsize, len(above) + len(span)
    for line in reversed((above + span).split("\n")):
        start, indent = end - len(line), len(indent_of(line))
        if end <= len(above) and FUNCTION.match(line) and indent <= least:
            return start
        if not NO_STATEMENT.match(line):
            least = min(least, indent)
        end = start - 1
    return None


def far_below(suffix: str) -> int:
    """Offset from which on any statement is another one."""
    found = FAR_BELOW.match(suffix)
    return found.end() if found else len(suffix)


def neutral_spans(broken: str, language: str) -> tuple[str, str]:
    """What cannot be at fault itself: a statement, or a header when the lines below are its body."""
    if language != "python":
        return "\n", "\n{"
    head = "\n" if broken.startswith("\n") else ""
    lines = [line for line in broken.split("\n") if line.strip()] or [""]
    first, last = (line[: len(line) - len(line.lstrip())] for line in (lines[0], lines[-1]))
    return f"{head}{first}pass", f"{head}{last}if True:"


def from_the_end(fault: SyntaxFault, text: str) -> tuple[str, int]:
    """What tells a fault below the span, however many lines the span has."""
    return fault.message, text.count("\n") - fault.line


def is_below(fault: SyntaxFault, above: str) -> bool:
    """Too far below `above` to be its consequence."""
    return fault.line > above.count("\n") + REPORTED_LATE and "indent" not in fault.message
