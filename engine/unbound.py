"""Names that a text of Python uses and nowhere binds: by the interpreter's own tables of scopes, and names that a
function adds to but never gives a value."""

from __future__ import annotations

import ast
import builtins
import re
import symtable
from collections.abc import Iterator

from engine.regions import Region

BUILT_IN = frozenset((*dir(builtins), "__file__", "__path__"))
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
WHOLE, LONGEST = 8_000, 30_000  # characters of a document that is looked at as a whole, and of a statement: some 50 ms
WORD = re.compile(r"\w+")
STATEMENT = re.compile(r"^(?=[^\s#)\]}])", re.MULTILINE)  # at the margin


def left_unbound(region: Region, text: str, language: str) -> set[str]:
    """Names of the document that nobody binds with `text` in the region; none of other languages than Python."""
    return unbound_with(region.prefix, text, region.suffix) if language == "python" else set()


def unbound_with(prefix: str, text: str, suffix: str) -> set[str]:
    """Unbound names of a document. Of a long one, those of the statement at the margin that `text` is in, and what
    stands anywhere else counts as bound."""
    if len(prefix) + len(text) + len(suffix) <= WHOLE:
        return unbound(prefix + text + suffix)
    start = max((found.start() for found in STATEMENT.finditer(prefix)), default=0)
    end = STATEMENT.search(suffix)
    stop = end.start() if end else len(suffix)
    names = unbound(prefix[start:] + text + suffix[:stop])
    return names.difference(WORD.findall(prefix[:start]), WORD.findall(suffix[stop:])) if names else names


def unbound(text: str) -> set[str]:
    """None of a text that does not parse, is long, or imports everything of a module."""
    if len(text) > LONGEST:
        return set()
    try:
        module = symtable.symtable(text, "document", "exec")
    except (SyntaxError, ValueError, RecursionError):
        return set()
    tables = list(scopes(module))
    symbols = [(table, symbol) for table in tables for symbol in table.get_symbols()]
    bound = {s.get_name() for t, s in symbols if binds(s) and (t is module or s.is_declared_global())}
    used = {s.get_name() for t, s in symbols if s.is_referenced() and (t is module or s.is_global())}
    missing = used - bound - BUILT_IN if "import *" not in text else set[str]()
    return missing.union(*(only_added_to(node) for node in ast.walk(ast.parse(text)) if isinstance(node, FUNCTIONS)))


def scopes(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from scopes(child)


def only_added_to(function: ast.AST) -> set[str]:
    """Names `x` of `x += 1` that nothing else in the function binds."""
    nodes = list(ast.walk(function))
    added = {id(n.target) for n in nodes if isinstance(n, ast.AugAssign)}
    bound = {n.id for n in nodes if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load) and id(n) not in added}
    bound |= {n.arg for n in nodes if isinstance(n, ast.arg)}
    bound.update(*(n.names for n in nodes if isinstance(n, ast.Global | ast.Nonlocal)))
    bound |= {n.asname or n.name for n in nodes if isinstance(n, ast.alias)}
    return {n.target.id for n in nodes if isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name)} - bound


def binds(symbol: symtable.Symbol) -> bool:
    return symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
