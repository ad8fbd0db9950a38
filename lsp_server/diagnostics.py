"""Syntax errors as diagnostics, by the parser of the document's language. Must not import torch."""

from __future__ import annotations

import re
from functools import lru_cache

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
# In a notebook's cell: magics, shell commands, help, and `await` outside a function, none of which is Python.
NOTEBOOK = re.compile(r"^[ \t]*[%!?]|\?[ \t]*$|^[ \t]*(?:[\w, ]+=)?[ \t]*(?:await\b|[%!])|^async (?:for|with)\b", re.M)
MAX_PARSED = 1_000_000  # characters; the parser runs in this process


def syntax_diagnostics(document: Document, severity: str) -> list[lsp.Diagnostic]:
    """The first syntax error of a document, or nothing."""
    language = checked_as(document)
    if language not in TRUSTED or len(document.text) > MAX_PARSED:
        return []
    fault = fault_of(document.text.removeprefix("\ufeff"), language)
    return [diagnostic_of(document, fault, severity)] if fault else []


@lru_cache(maxsize=8)
def fault_of(text: str, language: str) -> SyntaxFault | None:
    """Kept, since editors ask for code actions at every movement of the cursor."""
    return syntax_fault(text, language)


def checked_as(document: Document) -> str:
    """The language to parse `document` as; "ipython", which nobody parses, for cells that are not plain Python."""
    is_cell = document.uri.startswith("vscode-notebook-cell:")
    return (
        "ipython" if is_cell and document.language == "python" and NOTEBOOK.search(document.text) else document.language
    )


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
