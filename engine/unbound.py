"""Names that a text of Python uses and nowhere binds, by the interpreter's own tables of scopes."""

from __future__ import annotations

import builtins
import symtable
from collections.abc import Iterator

BUILT_IN = frozenset((*dir(builtins), "__file__", "__path__"))
LONGEST = 200_000  # characters: some 0.1 s


def unbound(text: str) -> frozenset[str]:
    """None of a text that does not parse, is long, or imports everything of a module."""
    if len(text) > LONGEST:
        return frozenset()
    try:
        module = symtable.symtable(text, "document", "exec")
    except (SyntaxError, ValueError, RecursionError):
        return frozenset()
    tables = list(scopes(module))
    symbols = [(table, symbol) for table in tables for symbol in table.get_symbols()]
    bound = {s.get_name() for t, s in symbols if binds(s) and (t is module or s.is_declared_global())}
    used = {s.get_name() for t, s in symbols if s.is_referenced() and (t is module or s.is_global())}
    return frozenset(used - bound - BUILT_IN) if "import *" not in text else frozenset()


def scopes(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from scopes(child)


def binds(symbol: symtable.Symbol) -> bool:
    return symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
