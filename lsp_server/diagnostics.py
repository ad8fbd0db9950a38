"""Syntax errors as diagnostics, by the parser of the document's language. Must not import torch."""

from __future__ import annotations

from lsprotocol import types as lsp

from engine.languages import SyntaxFault, syntax_fault
from lsp_server.text import Document

SOURCE = "redraft"
SEVERITIES = {
    "error": lsp.DiagnosticSeverity.Error,
    "warning": lsp.DiagnosticSeverity.Warning,
    "information": lsp.DiagnosticSeverity.Information,
    "hint": lsp.DiagnosticSeverity.Hint,
}
# Other grammars find errors where there are none: in C's macros, in shell, in templates.
TRUSTED = ("python", "javascript", "javascriptreact", "typescript", "typescriptreact", "go", "rust", "java", "json")
MAX_PARSED = 1_000_000  # characters; the parser runs in this process


def syntax_diagnostics(document: Document, severity: str) -> list[lsp.Diagnostic]:
    """The first syntax error of a document, or nothing."""
    if document.language not in TRUSTED or len(document.text) > MAX_PARSED:
        return []
    fault = syntax_fault(document.text.removeprefix("\ufeff"), document.language)
    return [diagnostic_of(document, fault, severity)] if fault else []


def diagnostic_of(document: Document, fault: SyntaxFault, severity: str) -> lsp.Diagnostic:
    """From the fault to the end of its line."""
    start, end = document.line_bounds(min(fault.line, document.line_count - 1))
    content = document.text[start:end].rstrip("\r\n")
    begin = start + min(fault.column, len(content))
    return lsp.Diagnostic(
        range=document.range(begin, start + len(content)),
        message=fault.message,
        severity=SEVERITIES[severity],
        source=SOURCE,
        code="syntax",
    )
