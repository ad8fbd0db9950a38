"""Checks that somebody may ask for, found undone: what leaves a function or a loop under a condition, and what is done
only under one.
"""

from __future__ import annotations

import ast
from random import Random

from engine.training.trees import Expressions, Function, Statements
from engine.training.wordings import condition, say, spaced, value

Jump = ast.Raise | ast.Return | ast.Continue | ast.Break
OF_MANY = {"starts": "start", "begins": "begin", "ends": "end", "has": "have", "does": "do", "exists": "exist"}
WHEN = (" if ", " when ", " if ", " when ", " in case ")


def guard(function: Function, rng: Random) -> str | None:
    """Without a check that leaves: `if size <= 0: raise ValueError`."""
    found: list[str] = []

    def unguarded(node: ast.stmt) -> list[ast.stmt] | None:
        if not isinstance(node, ast.If) or node.orelse or len(node.body) != 1 or not isinstance(node.body[0], Jump):
            return None
        told = guarded(node.test, node.body[0], loop_of(function, node), rng)
        if told is None or rng.random() < 0.3:
            return None
        found.append(told)
        return []

    return found[0] if Statements(unguarded).replaced(function) and function.body else None


def guarded(test: ast.expr, leaves: Jump, loop: ast.For | None, rng: Random) -> str | None:
    told = condition(test, rng)
    if told is None:
        return None
    when = rng.choice(WHEN) + told
    if isinstance(leaves, ast.Continue) and loop is not None:
        return skipped(test, told, loop, rng)
    if isinstance(leaves, ast.Break):
        return rng.choice(("stop", "stop the loop", "break", "end the loop")) + when
    if isinstance(leaves, ast.Return):
        return returned(leaves, when, told, rng)
    return raised(leaves, test, when, rng) if isinstance(leaves, ast.Raise) else None


def skipped(test: ast.expr, told: str, loop: ast.For, rng: Random) -> str | None:
    """What a loop leaves out."""
    verb = rng.choice(("skip", "ignore", "leave out", "skip"))
    one = loop.target.id if isinstance(loop.target, ast.Name) else "it"
    many = several(loop, rng)
    for start in (f"{one} is ", f"the {one} is "):
        if told.startswith(start) and many:
            rest = told.removeprefix(start)
            return f"{verb} {rest} {many}" if " " not in rest else f"{verb} {many} that are {rest}"
    for start in (f"{one} ", f"the {one} "):
        if told.startswith(start) and many:
            first, _, rest = told.removeprefix(start).partition(" ")
            return f"{verb} {many} that {OF_MANY.get(first, first)} {rest}".rstrip()
    if rng.random() < 0.3 and (kept := condition(test, rng, holds=False)):
        return f"{rng.choice(('only when', 'skip it unless', 'ignore those unless'))} {kept}"
    return f"{verb} {many or one}{rng.choice(WHEN)}{told}"


def several(loop: ast.For, rng: Random) -> str | None:
    if not isinstance(loop.target, ast.Name):
        return None
    one = spaced(loop.target.id)
    plural = f"{one[:-1]}ies" if one.endswith("y") else f"{one}s"
    return spaced(loop.iter.id) if isinstance(loop.iter, ast.Name) and rng.random() < 0.5 else plural


def returned(leaves: ast.Return, when: str, told: str, rng: Random) -> str:
    if leaves.value is None:
        return rng.choice(("do nothing", "return early", "return", "leave")) + when
    what = value(leaves.value, rng)
    for empty in (" is empty", " is not given", " is missing"):
        if told.endswith(empty) and rng.random() < 0.4:
            subject = told.removesuffix(empty).removeprefix("the ")
            return f"return {what} for {'an empty' if 'empty' in empty else 'a missing'} {subject}"
    return rng.choice((f"return {what}", f"return {what}", f"give back {what}")) + when


def raised(leaves: ast.Raise, test: ast.expr, when: str, rng: Random) -> str | None:
    if leaves.exc is None:
        return None
    called = leaves.exc if isinstance(leaves.exc, ast.Call) else None
    error = ast.unparse(called.func if called else leaves.exc)
    if rng.random() < 0.15 and (right := condition(test, rng, holds=False)):
        return rng.choice(("make sure that ", "check that ", "require that ")) + right
    article = "an" if error[0] in "AEIOU" else "a"
    told = rng.choice((f"raise {error}", f"raise {error}", f"raise {article} {error}", f"throw {article} {error}"))
    message = called.args[0] if called and called.args else None
    if isinstance(message, ast.Constant) and len(str(message.value)) < 40 and rng.random() < 0.15:
        told += f" with the message {message.value!r}"
    return told + when


def loop_of(function: Function, node: ast.stmt) -> ast.For | None:
    """The loop whose body `node` is in."""
    return next((one for one in ast.walk(function) if isinstance(one, ast.For) and node in one.body), None)


def only(function: Function, rng: Random) -> str | None:
    """Without the condition of what is done under one, in a loop mostly."""
    found: list[str] = []

    def always(node: ast.stmt) -> list[ast.stmt] | None:
        if not isinstance(node, ast.If) or node.orelse or isinstance(node.body[-1], Jump):
            return None
        told = condition(node.test, rng)
        loop = loop_of(function, node)
        if told is None or (loop is None and rng.random() < 0.5):
            return None
        found.append(unless(node.test, told, several(loop, rng) if loop else None, rng))
        return node.body

    return found[0] if Statements(always).replaced(function) else None


def unless(test: ast.expr, told: str, many: str | None, rng: Random) -> str:
    other = condition(test, rng, holds=False)
    if other and rng.random() < 0.4:
        return f"{rng.choice(('skip', 'ignore', 'leave out'))} {many or 'it'}{rng.choice(WHEN)}{other}"
    ways = ("only if {0}", "only when {0}", "do it only when {0}", *(("only {1} where {0}",) if many else ()))
    return say(ways, rng, told, many or "")


def filtered(function: Function, rng: Random) -> str | None:
    """Without the condition of a comprehension."""
    found: list[str] = []

    def whole(node: ast.AST) -> ast.expr | None:
        assert isinstance(node, ast.ListComp)
        one = node.generators[0]
        if len(node.generators) > 1 or len(one.ifs) != 1 or found:
            return None
        told, many = condition(one.ifs[0], rng), ast.unparse(one.iter)
        if told is None or len(many) > 30:
            return None
        found.append(unless(one.ifs[0], told, many.rpartition(".")[2], rng))
        one.ifs = []
        return node

    return found[0] if Expressions(ast.ListComp, whole).replaced(function) else None


def branch(function: Function, rng: Random) -> str | None:
    """Without one of several branches."""
    chains = [node for node in ast.walk(function) if isinstance(node, ast.If) and node.orelse]
    inner = [node for node in chains if isinstance(node.orelse[0], ast.If) and len(node.orelse) == 1]
    node = rng.choice(inner) if inner else None
    dropped = node.orelse[0] if node else None
    if node is None or not isinstance(dropped, ast.If) or len(dropped.body) != 1:
        return None
    told, act = condition(dropped.test, rng), dropped.body[0]
    if told is None or not isinstance(act, ast.Return | ast.Assign | ast.Expr) or act.value is None:
        return None
    what = value(act.value, rng)
    if len(what) > 40:
        return None
    node.orelse = dropped.orelse
    if isinstance(act, ast.Return):
        return rng.choice((f"return {what}", f"add {what}", f"return {what}")) + rng.choice((" if ", " when ")) + told
    if isinstance(act, ast.Assign):
        return f"set {ast.unparse(act.targets[0])} to {what}{rng.choice(WHEN)}{told}"
    return f"{what}{rng.choice(WHEN)}{told}"
