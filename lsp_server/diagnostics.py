"""The server's own diagnostics: Python syntax errors, by the parser. Must not import torch."""

from __future__ import annotations

import warnings

from lsprotocol import types as lsp

from lsp_server.text import Document

SOURCE = "redraft"
SEVERITIES = {
    "error": lsp.DiagnosticSeverity.Error,
    "warning": lsp.DiagnosticSeverity.Warning,
    "information": lsp.DiagnosticSeverity.Information,
    "hint": lsp.DiagnosticSeverity.Hint,
}
MAX_PARSED = 1_000_000  # characters; the parser runs in this process


def syntax_diagnostics(document: Document, severity: str) -> list[lsp.Diagnostic]:
    """The first syntax error of a Python document, or nothing."""
    if document.language != "python" or len(document.text) > MAX_PARSED:
        return []
    text = document.text.removeprefix("\ufeff")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text, "<document>", "exec", dont_inherit=True)
    except SyntaxError as error:
        return [_diagnostic(document, error, severity)]
    except (ValueError, RecursionError, MemoryError, OverflowError):
        return []  # NUL bytes, absurd nesting: not something an edit mends
    return []


def _diagnostic(document: Document, error: SyntaxError, severity: str) -> lsp.Diagnostic:
    line = min(max(0, (error.lineno or 1) - 1), document.line_count - 1)
    start, end = document.line_bounds(line)
    content = document.text[start:end].rstrip("\r\n")
    begin = start + min(max(0, (error.offset or 1) - 1), len(content))
    finish = start + len(content)
    if error.end_lineno == error.lineno and error.end_offset and error.end_offset > (error.offset or 0):
        finish = min(finish, start + error.end_offset - 1)
    return lsp.Diagnostic(
        range=document.range(begin, max(begin, finish)),
        message=error.msg,
        severity=SEVERITIES[severity],
        source=SOURCE,
        code="syntax",
    )
