"""Parts of a syntax tree put in the place of others."""

from __future__ import annotations

import ast
from collections.abc import Callable
from copy import deepcopy
from typing import NamedTuple

Function = ast.FunctionDef | ast.AsyncFunctionDef
Parts = dict[str, ast.AST | list[ast.stmt]]


class Expressions(ast.NodeTransformer):
    """Puts what is `made` in the place of expressions of one kind, where something is."""

    def __init__(self, kind: type[ast.expr], made: Callable[[ast.AST], ast.expr | None]) -> None:
        self.kind, self.made, self.count = kind, made, 0

    def replaced(self, function: Function) -> bool:
        self.visit(function)
        return self.count > 0

    def generic_visit(self, node: ast.AST) -> ast.AST:
        node = super().generic_visit(node)
        new = self.made(node) if isinstance(node, self.kind) else None
        self.count += new is not None
        return new or node


class Statements(ast.NodeTransformer):
    """Puts what is `made` in the place of the first statement of which something is."""

    def __init__(self, made: Callable[[ast.stmt], list[ast.stmt] | None]) -> None:
        self.made, self.done = made, False

    def replaced(self, function: Function) -> bool:
        function.body = [made for node in function.body for made in self.instead(node)]
        return self.done

    def instead(self, node: ast.stmt) -> list[ast.stmt]:
        new = None if self.done else self.made(node)
        if new is not None:
            self.done = True
            return new
        for field in ("body", "orelse", "finalbody"):
            inner = getattr(node, field, None)
            if isinstance(inner, list):
                setattr(node, field, [made for one in inner for made in self.instead(one)])
        return [node]


class Handled(NamedTuple):
    """A `try` with one handler of one statement, `act`, for one kind of `error`; `without`: what is tried, alone."""

    error: ast.expr
    act: ast.stmt
    without: list[ast.stmt]


def handled(node: ast.stmt) -> Handled | None:
    if not isinstance(node, ast.Try) or len(node.handlers) != 1 or node.finalbody:
        return None
    one = node.handlers[0]
    if one.type is None or len(one.body) > 1:
        return None
    return Handled(one.type, one.body[0], [*node.body, *node.orelse])


def filled(template: str, parts: Parts) -> list[ast.stmt]:
    """The statements of `template`, the names of `parts` in it replaced by these."""

    class Fill(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.AST:
            part = parts.get(node.id)
            return deepcopy(part) if isinstance(part, ast.AST) else node

        def visit_Expr(self, node: ast.Expr) -> ast.AST | list[ast.stmt]:
            part = parts.get(node.value.id) if isinstance(node.value, ast.Name) else None
            return part if isinstance(part, list) else self.generic_visit(node)

    return Fill().visit(ast.parse(template)).body
