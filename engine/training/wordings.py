"""Conditions and values of Python in the words in which people speak of them: `size <= 0` as *size is not positive*."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from random import Random

LONGEST = 60  # characters of a condition that is told as the code it is
CODE = 0.2  # chance of that where there are words
TWICE = re.compile(r"\b(a|no|one of) (?:the|its) ")
Ways = Sequence[str]

COMPARED: dict[type[ast.cmpop], Ways] = {
    ast.Lt: ("{0} is less than {1}", "{0} is below {1}", "{0} is smaller than {1}", "{0} is under {1}", "{0} < {1}"),
    ast.LtE: ("{0} is at most {1}", "{0} is {1} or less", "{0} is not more than {1}", "{0} <= {1}"),
    ast.Gt: ("{0} is greater than {1}", "{0} is more than {1}", "{0} is above {1}", "{0} exceeds {1}", "{0} > {1}"),
    ast.GtE: ("{0} is at least {1}", "{0} is {1} or more", "{0} is {1} and more", "{0} reaches {1}", "{0} >= {1}"),
    ast.Eq: ("{0} is {1}", "{0} equals {1}", "{0} is equal to {1}", "{0} is the same as {1}", "{0} == {1}"),
    ast.NotEq: ("{0} is not {1}", "{0} differs from {1}", "{0} does not equal {1}", "{0} != {1}"),
    ast.In: ("{0} is in {1}", "{0} is already in {1}", "{0} is one of {1}", "{1} contains {0}", "{1} has {0}"),
    ast.NotIn: ("{0} is not in {1}", "{0} is missing from {1}", "there is no {0} in {1}", "{1} has no {0}"),
}
WITH_ZERO: dict[type[ast.cmpop], Ways] = {
    ast.Lt: ("{0} is negative", "{0} is negative", "{0} is below zero", "{0} is less than 0"),
    ast.LtE: ("{0} is not positive", "{0} is not positive", "{0} is zero or negative", "{0} is zero or less"),
    ast.Gt: ("{0} is positive", "{0} is greater than zero", "{0} is more than 0"),
    ast.GtE: ("{0} is not negative", "{0} is zero or more", "{0} is at least 0"),
    ast.Eq: ("{0} is zero", "{0} is 0", "{0} equals 0"),
    ast.NotEq: ("{0} is not zero", "{0} is not 0"),
}
WITH_NONE: dict[bool, Ways] = {  # whether it is
    True: ("{0} is None", "{0} is missing", "{0} is not given", "{0} is not set", "there is no {0}", "without {0}"),
    False: ("{0} is not None", "{0} is given", "{0} is set", "there is a {0}"),
}
LENGTH: dict[type[ast.cmpop], Ways] = {
    ast.Lt: ("{0} has fewer than {1} items", "{0} is shorter than {1}", "there are fewer than {1} {0}"),
    ast.LtE: ("{0} has at most {1} items", "{0} has {1} or fewer items", "there are at most {1} {0}"),
    ast.Gt: ("{0} has more than {1} items", "{0} is longer than {1}", "there are more than {1} {0}"),
    ast.GtE: ("{0} has at least {1} items", "{0} has {1} items or more", "there are at least {1} {0}"),
    ast.Eq: ("{0} has {1} items", "there are {1} {0}", "the length of {0} is {1}"),
    ast.NotEq: ("{0} does not have {1} items", "there are not {1} {0}", "the length of {0} is not {1}"),
}
ONE_LONG: dict[type[ast.cmpop], Ways] = {
    ast.Eq: ("there is only one of {0}", "{0} has one item", "{0} has only one item", "there is just one of {0}"),
    ast.NotEq: ("there is not exactly one of {0}", "{0} does not have one item"),
}
EMPTY: dict[bool, Ways] = {
    True: ("{0} is empty", "there are no {0}", "there is no {0}", "{0} is not given", "no {0}", "not {0}"),
    False: ("{0} is not empty", "there are {0}", "there is a {0}", "{0} is set", "{0} is given", "{0}"),
}
TRUE: dict[bool, Ways] = {True: ("{0} is true", "{0}", "{0} is on"), False: ("{0} is false", "not {0}", "{0} is off")}
DIVISIBLE: dict[bool, Ways] = {
    True: ("{0} is divisible by {1}", "{0} is a multiple of {1}"),
    False: ("{0} is not divisible by {1}", "{0} is no multiple of {1}"),
}
OF_A_KIND: dict[bool, Ways] = {
    True: ("{0} is a {1}", "{0} is an instance of {1}", "given a {1}"),
    False: ("{0} is not a {1}", "{0} is no {1}", "{0} is something else than a {1}"),
}
METHODS: dict[str, tuple[Ways, Ways]] = {  # of what is called without or with one argument
    "startswith": (("{0} starts with {1}", "{0} begins with {1}"), ("{0} does not start with {1}",)),
    "endswith": (("{0} ends with {1}", "{0} ends in {1}"), ("{0} does not end with {1}",)),
    "exists": (("{0} exists", "there is already a {0}"), ("{0} does not exist", "{0} is missing", "there is no {0}")),
    "is_file": (("{0} is a file",), ("{0} is not a file", "{0} is no file")),
    "is_dir": (("{0} is a directory", "{0} is a folder"), ("{0} is not a directory", "{0} is no folder")),
    "isdigit": (("{0} is a number", "{0} consists of digits"), ("{0} is not a number", "{0} is not numeric")),
    "strip": (("{0} is not blank", "{0} is not empty"), ("{0} is blank", "{0} is empty", "{0} is only whitespace")),
}
OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
KINDS = {"str": "string", "int": "number", "float": "number", "dict": "dict", "list": "list", "bool": "bool"}
VALUES: dict[str, Ways] = {
    "None": ("None", "None", "None", "nothing"),
    "''": ("an empty string", "''", "the empty string"),
    "[]": ("an empty list", "an empty list", "[]"),
    "{}": ("an empty dict", "{}", "an empty dictionary"),
    "()": ("an empty tuple", "()"),
    "set()": ("an empty set", "set()"),
    "0": ("0", "zero"),
    "-1": ("-1",),
}


def condition(test: ast.expr, rng: Random, holds: bool = True) -> str | None:
    """When `test` is true, or false where it is not to hold; None when that takes too many words."""
    told = None if rng.random() < CODE else in_words(test, rng, holds)
    if told is None:
        told = ast.unparse(test if holds else opposite(test))
    return told if len(told) <= LONGEST else None


def opposite(test: ast.expr) -> ast.expr:
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        return ast.Compare(test.left, [OPPOSITE[type(test.ops[0])]()], test.comparators)
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return test.operand
    return ast.UnaryOp(ast.Not(), test)


def in_words(test: ast.expr, rng: Random, holds: bool) -> str | None:
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return in_words(test.operand, rng, not holds)
    if isinstance(test, ast.BoolOp) and len(test.values) == 2:
        sides = [in_words(value, rng, holds) for value in test.values]
        word = "and" if isinstance(test.op, ast.And) == holds else "or"
        return f" {word} ".join(side for side in sides if side) if all(sides) else None
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        return compared(test.left, type(test.ops[0]), test.comparators[0], rng, holds)
    if isinstance(test, ast.Compare) and len(test.ops) == 2:
        return between(test, rng, holds)
    if isinstance(test, ast.Call):
        return called(test, rng, holds)
    return truth(test, rng, holds)


def compared(left: ast.expr, op: type[ast.cmpop], right: ast.expr, rng: Random, holds: bool) -> str | None:
    op = op if holds else OPPOSITE[op]
    code = ast.unparse(right)
    if code == "None" and op in (ast.Is, ast.IsNot, ast.Eq, ast.NotEq):
        return say(WITH_NONE[op in (ast.Is, ast.Eq)], rng, thing(left, rng))
    if op in (ast.Is, ast.IsNot):
        return None
    if length := argument_of("len", left):
        if (op, code) in ((ast.Eq, "0"), (ast.Lt, "1"), (ast.Gt, "0"), (ast.NotEq, "0"), (ast.GtE, "1")):
            return say(EMPTY[op in (ast.Eq, ast.Lt)], rng, thing(length, rng))
        ways = ONE_LONG.get(op) if code == "1" else None
        return say(ways or LENGTH[op], rng, thing(length, rng), value(right, rng)) if op in LENGTH else None
    if isinstance(left, ast.BinOp) and isinstance(left.op, ast.Mod) and code == "0" and op in (ast.Eq, ast.NotEq):
        by, divided = ast.unparse(left.right), thing(left.left, rng)
        if by == "2" and rng.random() < 0.7:
            return f"{divided} is {'even' if op is ast.Eq else 'odd'}"
        return say(DIVISIBLE[op is ast.Eq], rng, divided, by)
    if code in ("''", "[]", "{}") and op in (ast.Eq, ast.NotEq):
        return say(EMPTY[op is ast.Eq], rng, thing(left, rng))
    if (op, code) in ((ast.Lt, "1"), (ast.GtE, "1")) and rng.random() < 0.5:
        return say(WITH_ZERO[ast.LtE if op is ast.Lt else ast.Gt], rng, thing(left, rng))
    ways = WITH_ZERO.get(op) if code == "0" else None
    return say(ways or COMPARED[op], rng, thing(left, rng), value(right, rng))


def between(test: ast.Compare, rng: Random, holds: bool) -> str | None:
    if not all(isinstance(op, ast.Lt | ast.LtE) for op in test.ops):
        return None
    low, high = value(test.left, rng), value(test.comparators[1], rng)
    inside = ("{0} is between {1} and {2}", "{0} is from {1} to {2}", "{0} is in the range {1} to {2}")
    outside = ("{0} is not between {1} and {2}", "{0} is outside {1} to {2}", "{0} is out of the range {1} to {2}")
    return say(inside if holds else outside, rng, thing(test.comparators[0], rng), low, high)


def called(test: ast.Call, rng: Random, holds: bool) -> str | None:
    code = ast.unparse(test.func)
    if code == "isinstance" and len(test.args) == 2:
        kinds = test.args[1].elts if isinstance(test.args[1], ast.Tuple) else [test.args[1]]
        names = [ast.unparse(kind) for kind in kinds]
        told = " or ".join(KINDS.get(name, name) if rng.random() < 0.6 else name for name in names)
        return say(OF_A_KIND[holds], rng, thing(test.args[0], rng), told).replace("a int", "an int")
    if code == "callable" and len(test.args) == 1:
        return f"{thing(test.args[0], rng)} is {'' if holds else 'not '}callable"
    if code == "os.path.exists" and len(test.args) == 1:
        return say(METHODS["exists"][not holds], rng, thing(test.args[0], rng))
    if isinstance(test.func, ast.Attribute) and test.func.attr in METHODS and len(test.args) <= 1 and not test.keywords:
        arguments = [value(one, rng) for one in test.args] or [""]
        return say(METHODS[test.func.attr][not holds], rng, thing(test.func.value, rng), *arguments)
    return None


def truth(test: ast.expr, rng: Random, holds: bool) -> str | None:
    if not isinstance(test, ast.Name | ast.Attribute | ast.Subscript):
        return None
    name = ast.unparse(test).rpartition(".")[2].lstrip("_")
    for start in ("is_", "has_", "was_", "can_", "should_"):
        if name.startswith(start):
            return f"it {start[:-1]} {'' if holds else 'not '}{name.removeprefix(start).replace('_', ' ')}"
    if name.endswith("ed") or name in ("verbose", "debug", "strict", "force", "quiet", "recursive"):
        return rng.choice(("it is {0}{1}", "{0}{1}")).format("" if holds else "not ", name.replace("_", " "))
    ways = EMPTY[not holds] if rng.random() < 0.8 else TRUE[holds]
    return say(ways, rng, thing(test, rng))


def argument_of(function: str, call: ast.expr) -> ast.expr | None:
    """That of a call of `function`."""
    if isinstance(call, ast.Call) and ast.unparse(call.func) == function and len(call.args) == 1:
        return call.args[0]
    return None


def thing(node: ast.expr, rng: Random) -> str:
    """A name, or what an expression is called."""
    code = ast.unparse(node)
    if isinstance(node, ast.Constant):
        return value(node, rng)
    if isinstance(node, ast.Attribute):
        owner = ast.unparse(node.value)
        if owner not in ("self", "cls"):
            return rng.choice((code, f"the {spaced(node.attr)} of {spaced(owner)}", f"{spaced(owner)}'s {node.attr}"))
        return rng.choice((spaced(node.attr), f"the {spaced(node.attr)}", f"its {spaced(node.attr)}", node.attr))
    if isinstance(node, ast.Name):
        return rng.choice((code, code, spaced(code), f"the {spaced(code)}"))
    if length := argument_of("len", node):
        return rng.choice(("the length of {0}", "the number of {0}", "len({0})")).format(thing(length, rng))
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
        return rng.choice((code, f"the {spaced(node.slice.value)}", f"its {node.slice.value}", node.slice.value))
    return code


def spaced(name: str) -> str:
    return name.strip("_").replace("_", " ")


def value(node: ast.expr, rng: Random) -> str:
    """What is returned, or compared with."""
    code = ast.unparse(node)
    if code in VALUES:
        return rng.choice(VALUES[code])
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.strip():
        return rng.choice((code, code, node.value, f'"{node.value}"'))
    return thing(node, rng) if isinstance(node, ast.Name | ast.Attribute) else code


def say(ways: Ways, rng: Random, *words: str) -> str:
    return TWICE.sub(r"\1 ", rng.choice(ways).format(*words))
