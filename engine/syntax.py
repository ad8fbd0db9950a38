"""The parser as judge: does the document parse with this text in the span, and if not, how far?"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass

ANCHOR = re.compile(r"^(?=[^\s#)\]}'\"])(?!(?:else|elif|except|finally|case)\b)", re.M)
LANDMARK = re.compile(r"^(?:def|class|async def|@|if __name__)", re.M)


@dataclass(frozen=True, slots=True)
class SyntaxFault:
    """Where the parser gave up: 0-based line and column (code points), and its words."""

    line: int
    column: int
    message: str


def python_fault(text: str) -> SyntaxFault | None:
    """The first syntax error of a Python module, or None when it compiles."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text, "<region>", "exec", dont_inherit=True)
    except SyntaxError as error:
        return SyntaxFault(max(0, (error.lineno or 1) - 1), max(0, (error.offset or 1) - 1), error.msg)
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        return SyntaxFault(0, 0, str(error) or type(error).__name__)
    return None


class Judge:
    """Parses candidates of one span. Most are judged on the top-level statements around the span, which
    takes a fraction of the time; `confirm` parses the whole document.

    `prefix` and `suffix` as the model sees them."""

    def __init__(self, prefix: str, suffix: str) -> None:
        self._prefix, self._suffix = prefix, suffix
        self._near_prefix = prefix[self._start() :]
        landmarks = [m.start() for m in LANDMARK.finditer(suffix)]
        self._near_suffix = suffix[: landmarks[2]] if len(landmarks) > 2 else suffix

    def _start(self) -> int:
        """Offset of the last top-level statement before which everything parses."""
        anchors = [m.start() for m in ANCHOR.finditer(self._prefix)]
        for start in anchors[-1:-4:-1]:
            if python_fault(self._prefix[:start]) is None:
                return start
        return 0

    @property
    def near_chars(self) -> int:
        """Characters that every judgement parses besides the span."""
        return len(self._near_prefix) + len(self._near_suffix)

    def fault(self, span: str) -> SyntaxFault | None:
        """The fault near the span; lines count from the start of the span's neighbourhood."""
        return python_fault(self._near_prefix + span + self._near_suffix)

    @property
    def first_line(self) -> int:
        """Line of the span's first character within the neighbourhood."""
        return self._near_prefix.count("\n")

    def confirm(self, span: str) -> bool:
        return python_fault(self._prefix + span + self._suffix) is None
