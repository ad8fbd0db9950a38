"""Mending every syntax error of a document, one after the other, as one edit.

Each mend must move the first fault further down or remove it, else the walk ends there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from lsprotocol import types as lsp

from engine.messages import Candidate, EditResult
from lsp_server.diagnostics import syntax_diagnostics
from lsp_server.text import Document

MAX_FAULTS = 50
MendFault = Callable[[Document, lsp.Diagnostic], Awaitable[tuple[int, int, EditResult]]]


async def mend_all(document: Document, mend: MendFault) -> EditResult:
    """The document with all faults mended that can be: its only candidate is the whole new text.

    `mend` edits one fault of the document it is given: offsets of the region and the engine's result."""
    text, results = document.text, list[EditResult]()
    for _ in range(MAX_FAULTS):
        draft = alike(document, text)
        fault = first_fault(draft)
        if fault is None:
            break
        start, end, result = await mend(draft, fault)
        results.append(result)
        better = next((new for c in result.candidates if gets_further(draft, new := splice(text, start, end, c))), None)
        if better is None:
            break
        text = better
    changed = text != document.text
    whole = Candidate(text, 0.0, first_fault(alike(document, text)) is None)
    return EditResult(
        (whole,) if changed else (),
        sum(result.steps for result in results),
        sum(result.forward_passes for result in results),
        sum(result.elapsed_ms for result in results),
        "done" if changed else "unchanged",
    )


def first_fault(document: Document) -> lsp.Diagnostic | None:
    return next(iter(syntax_diagnostics(document, "error")), None)


def splice(text: str, start: int, end: int, candidate: Candidate) -> str:
    return text[:start] + candidate.text + text[end:]


def gets_further(before: Document, text: str) -> bool:
    """The first fault of `text` is closer to the end than that of `before`, or gone."""
    old, after = first_fault(before), alike(before, text)
    new = first_fault(after)
    return old is not None and (new is None or lines_left(after, new) < lines_left(before, old))


def lines_left(document: Document, fault: lsp.Diagnostic) -> int:
    return document.line_count - fault.range.start.line


def alike(document: Document, text: str) -> Document:
    """A document of its own with another text."""
    return Document(document.uri, text, document.version, document.language, document.encoding)
