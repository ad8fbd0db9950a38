"""Notebooks: their Python cells are documents like all others; this knows the order of a notebook's cells.

LSP 3.17, "Notebook Document Synchronization". A client without it opens cells as plain documents, each on its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lsprotocol import types as lsp

from engine.languages import syntax_fault
from lsp_server.diagnostics import checked_as
from lsp_server.text import Document

if TYPE_CHECKING:
    from lsp_server.server import RedraftServer

SYNC = lsp.NotebookDocumentSyncOptions([lsp.NotebookDocumentFilterWithCells([lsp.NotebookCellLanguage("python")])])
CELL = "vscode-notebook-cell:"
CONTEXT = 20_000  # characters of other cells that the engine is given


class Notebooks:
    def __init__(self, server: RedraftServer) -> None:
        self._server = server
        self._cells: dict[str, list[str]] = {}  # URIs of the cells, in order, by the notebook's

    def open(self, params: lsp.DidOpenNotebookDocumentParams) -> None:
        book = params.notebook_document
        self._cells[book.uri] = [cell.document for cell in book.cells]
        self._open_cells(params.cell_text_documents)

    def change(self, params: lsp.DidChangeNotebookDocumentParams) -> None:
        changes = params.change.cells
        cells = self._cells.get(params.notebook_document.uri)
        if changes is None or cells is None:
            return
        if changes.structure:
            array = changes.structure.array
            start = max(0, array.start)
            cells[start : start + max(0, array.delete_count)] = [cell.document for cell in array.cells or ()]
            self._open_cells(changes.structure.did_open or ())
            for cell in changes.structure.did_close or ():
                self._server.close_document(cell.uri)
        for content in changes.text_content or ():
            self._server.change_document(content.document.uri, content.document.version, content.changes)

    def close(self, params: lsp.DidCloseNotebookDocumentParams) -> None:
        self._cells.pop(params.notebook_document.uri, None)
        for cell in params.cell_text_documents:
            self._server.close_document(cell.uri)

    def book_of(self, uri: str) -> str:
        """The notebook of a cell, whose settings and exclusion are the cell's; what is no cell stands for itself."""
        book = next((book for book, cells in self._cells.items() if uri in cells), uri)
        if not book.startswith(f"{CELL}/"):
            return book
        path = book.removeprefix(CELL).partition("#")[0]  # opened as a plain document
        return f"file://{path.removeprefix('//')}"

    def above(self, document: Document) -> str:
        """The code of the cells above a cell, "" for what is no cell. Cells that do not parse stay out of it: they
        would spoil the judgement of the one that is edited."""
        cells = next((cells for cells in self._cells.values() if document.uri in cells), [document.uri])
        pieces, room = list[str](), CONTEXT
        for uri in reversed(cells[: cells.index(document.uri)]):
            other = self._server.documents.get(uri)
            if other is None or checked_as(other) != "python" or syntax_fault(other.text, "python"):
                continue
            room -= len(other.text) + 2
            if room < 0:
                break
            pieces.append(other.text.rstrip("\r\n") + "\n\n")
        return "".join(reversed(pieces))

    def _open_cells(self, items: Sequence[lsp.TextDocumentItem]) -> None:
        for item in items:
            self._server.open_document(item.uri, item.text, item.version, item.language_id)
