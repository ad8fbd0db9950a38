"""Calls that somebody may ask for, found undone: around a value, with one argument more, with a value for none."""

from __future__ import annotations

import ast
from random import Random

from engine.training.trees import Expressions, Function
from engine.training.wordings import say, spaced, thing, value


def keyword(function: Function, rng: Random) -> str | None:
    """Without one argument of a call."""
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call) and any(k.arg for k in node.keywords)]
    call = rng.choice(calls) if calls else None
    named = [one for one in call.keywords if one.arg] if call else []
    one = rng.choice(named) if named else None
    if call is None or one is None or one.arg is None or len(ast.unparse(one.value)) > 24:
        return None
    called = ast.unparse(call.func).rpartition(".")[2]
    call.keywords.remove(one)
    told = ast.unparse(one.value)
    if (one.arg, told) == ("reverse", "True"):
        return rng.choice(("in descending order", "sort in descending order", "largest first", "in reverse order"))
    if one.arg == "key" and isinstance(one.value, ast.Lambda):
        return by_key(one.value, rng)
    arguments = [argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)]
    elsewhere = any(isinstance(node, ast.Name) and node.id == told for node in ast.walk(function))
    if told in arguments and not elsewhere and told not in ("self", "cls") and not function.args.defaults:
        function.args.args = [argument for argument in function.args.args if argument.arg != told]
        return rng.choice((f"add a parameter {told} and pass it to {called}", f"take {told} and pass it to {called}"))
    plain = told.strip("'\"")
    return say(KEYWORD, rng, one.arg, told, called, spaced(one.arg), plain)


KEYWORD = (
    "pass {0}={1} to {2}",
    "call {2} with {0}={1}",
    "set {0} to {1}",
    "use {3} {4}",
    "use {4} as the {3}",
    "with {3} {4}",
    "add {0}={1}",
)


def by_key(key: ast.Lambda, rng: Random) -> str | None:
    """What is compared by `key`."""
    node = key.body
    sign = rng.choice(("sort by {0}", "order by {0}", "by {0}", "sort them by {0}"))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node, sign = node.operand, sign + rng.choice((", descending", ", largest first", " in descending order"))
    if isinstance(node, ast.Attribute):
        return sign.format(spaced(node.attr))
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        at = node.slice.value
        names = {0: "the first item", 1: "the second item", -1: "the last item", 2: "the third item"}
        return sign.format(names[at] if isinstance(at, int) and at in names else str(at))
    if isinstance(node, ast.Call):
        called = ast.unparse(node.func).rpartition(".")[2]
        return {"len": sign.format("length"), "lower": rng.choice(("ignore case", "case-insensitively"))}.get(called)
    return None


WRAPPED: dict[str, tuple[str, ...]] = {  # by what is called on, or with, what is left
    ".lower": ("ignore case", "make it case-insensitive", "convert {0} to lower case", "lower-case {0}"),
    ".casefold": ("ignore case", "compare without regard to case"),
    ".upper": ("convert {0} to upper case", "use upper case"),
    ".title": ("capitalise the words of {0}", "use title case"),
    ".strip": ("strip {0}", "strip whitespace", "remove whitespace around {0}", "trim {0}", "strip {0} first"),
    ".rstrip": ("strip {0} at the end", "remove trailing whitespace"),
    ".copy": ("copy {0}", "do not change {0} itself", "do not mutate {0}", "work on a copy of {0}"),
    ".resolve": ("resolve {0}", "make {0} absolute"),
    ".splitlines": ("split {0} into lines", "go line by line"),
    "sorted": ("sort {0}", "sorted", "in sorted order", "sort the result", "go through {0} in order"),
    "reversed": ("in reverse order", "reverse {0}", "go backwards through {0}", "last first"),
    "set": ("remove duplicates", "use a set", "drop duplicates from {0}", "without duplicates"),
    "list": ("return a list", "make {0} a list", "convert {0} to a list", "copy {0}"),
    "tuple": ("make it a tuple", "return a tuple", "convert {0} to a tuple"),
    "int": ("convert {0} to int", "make {0} an integer", "as an integer", "parse {0} as a number"),
    "float": ("convert {0} to float", "make {0} a float", "parse {0} as a number"),
    "str": ("convert {0} to a string", "accept any {0}, not only strings", "make {0} a string"),
    "abs": ("use the absolute value", "ignore the sign of {0}", "take the absolute value of {0}"),
    "round": ("round {0}", "round the result", "round to whole numbers"),
    "Path": ("accept strings, too", "make {0} a Path", "use pathlib"),
    "bool": ("return a bool", "convert {0} to bool"),
}

BOUNDS: dict[str, tuple[str, ...]] = {
    "min": ("cap {0} at {1}", "limit {0} to {1}", "at most {1}", "{0} must not exceed {1}", "never more than {1}"),
    "max": ("at least {1}", "{0} must not be below {1}", "never less than {1}", "no less than {1}"),
}

ROUNDED = ("round to {1} digits", "round {0} to {1} decimals", "round {0} to {1} digits", "{1} decimal places")


def wrapping(function: Function, rng: Random) -> str | None:
    """Without one call around, or at the end of, a value."""
    found: list[str] = []

    def bare(node: ast.AST) -> ast.expr | None:
        assert isinstance(node, ast.Call)
        if found or node.keywords or rng.random() < 0.3:
            return None
        if isinstance(node.func, ast.Attribute) and not node.args and f".{node.func.attr}" in WRAPPED:
            found.append(say(WRAPPED[f".{node.func.attr}"], rng, thing(node.func.value, rng)))
            return node.func.value
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name == "round" and len(node.args) == 2:
            found.append(say(ROUNDED, rng, thing(node.args[0], rng), ast.unparse(node.args[1])))
            return node.args[0]
        if name in BOUNDS and len(node.args) == 2 and any(isinstance(one, ast.Constant) for one in node.args):
            bound, kept = sorted(node.args, key=lambda one: not isinstance(one, ast.Constant))
            found.append(say(BOUNDS[name], rng, thing(kept, rng), ast.unparse(bound)))
            return kept
        if name in WRAPPED and len(node.args) == 1:
            found.append(say(WRAPPED[name], rng, thing(node.args[0], rng)))
            return node.args[0]
        return None

    done = Expressions(ast.Call, bare).replaced(function)
    return found[0] if done and len(found[0]) < 60 else None


def lookup(function: Function, rng: Random) -> str | None:
    """With `d[k]` for `d.get(k)`, and with the value alone for `value or default`."""
    found: list[str] = []

    def indexed(node: ast.AST) -> ast.expr | None:
        assert isinstance(node, ast.Call)
        if found or not isinstance(node.func, ast.Attribute) or node.func.attr != "get" or node.keywords:
            return None
        if not 1 <= len(node.args) <= 2 or isinstance(node.args[0], ast.Starred):
            return None
        where, key = thing(node.func.value, rng), thing(node.args[0], rng)
        default = value(node.args[1], rng) if len(node.args) > 1 else "None"
        found.append(say(MISSING, rng, default, key, where))
        return ast.Subscript(node.func.value, node.args[0], ast.Load())

    def certain(node: ast.AST) -> ast.expr | None:
        assert isinstance(node, ast.BoolOp)
        if (
            found
            or not isinstance(node.op, ast.Or)
            or len(node.values) != 2
            or not isinstance(node.values[1], ast.Constant | ast.List | ast.Dict)
        ):
            return None
        found.append(say(DEFAULT, rng, value(node.values[1], rng), thing(node.values[0], rng)))
        return node.values[0]

    for kind, made in ((ast.Call, indexed), (ast.BoolOp, certain)):
        if Expressions(kind, made).replaced(function):
            return found[0]
    return None


MISSING = (
    "return {0} when {1} is missing",
    "use {0} when there is no {1}",
    "default to {0}",
    "use get",
    "use dict.get",
    "do not fail when {1} is not in {2}",
    "{0} if {1} is not in {2}",
    "fall back to {0} when {2} has no {1}",
)

DEFAULT = ("default to {0}", "use {0} when {1} is empty", "use {0} when {1} is None", "fall back to {0}")


def argument(function: Function, rng: Random) -> str | None:
    """Without the last argument of a call that can do without."""
    found: list[str] = []

    def shorter(node: ast.AST) -> ast.expr | None:
        assert isinstance(node, ast.Call)
        name = ast.unparse(node.func).rpartition(".")[2]
        if found or node.keywords or len(node.args) != 2 or name not in LAST:
            return None
        found.append(say(LAST[name], rng, *(value(one, rng) for one in node.args)))
        node.args.pop()
        return node

    return found[0] if Expressions(ast.Call, shorter).replaced(function) else None


LAST: dict[str, tuple[str, ...]] = {
    "split": ("split only at the first {0}", "split only once", "split {0} at most {1} times"),
    "rsplit": ("split only at the last {0}", "split only once, from the right"),
    "enumerate": ("start at {1}", "count from {1}", "start counting at {1}", "number from {1}"),
    "sum": ("start with {1}",),
    "getattr": ("default to {1}",),
    "next": ("return {1} when there is none", "default to {1}", "{1} if there is none"),
    "replace": ("replace only the first",),
    "pop": ("default to {1}", "do not fail when {0} is missing"),
    "open": ("open it with mode {1}", "open the file in mode {1}"),
}
