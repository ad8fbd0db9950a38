"""Changes of what a function does that people ask for, found undone as in `engine.training.refactorings`: a check that
was not there, a name that was no parameter, a call that was left out.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from copy import deepcopy
from random import Random

from engine.training.calls import argument, keyword, lookup, wrapping
from engine.training.checks import branch, filtered, guard, only
from engine.training.refactorings import Change, parsed, statement, unparsed
from engine.training.trees import Expressions, Function, Statements, handled
from engine.training.wordings import say, spaced, thing, value

Undo = Callable[[Function, Random], str | None]  # what was undone, as somebody would ask for it
LONGEST_REQUEST = 90  # characters


def parameter(function: Function, rng: Random) -> str | None:
    """With a number or a string in the place of a parameter that has it by default."""
    if function.args.posonlyargs:
        return None
    given = function.args.args[len(function.args.args) - len(function.args.defaults) :]
    pairs = [(one.arg, node) for one, node in zip(given, function.args.defaults, strict=True)]
    name, node = rng.choice(pairs) if pairs else ("", None)
    if not isinstance(node, ast.Constant) or node.value in (None, True, False) or len(ast.unparse(node)) > 20:
        return None
    uses = [one for one in ast.walk(function) if isinstance(one, ast.Name) and one.id == name]
    if not uses or any(not isinstance(one.ctx, ast.Load) for one in uses):
        return None
    fixed = Expressions(ast.Name, lambda one: node if isinstance(one, ast.Name) and one.id == name else None)
    fixed.replaced(function)
    at = next(i for i, one in enumerate(function.args.args) if one.arg == name)
    del function.args.defaults[at - len(function.args.args)]
    del function.args.args[at]
    default = ast.unparse(node)
    return say(PARAMETER, rng, name, default, spaced(name))


PARAMETER = (
    "add a parameter {0} with the default {1}",
    "add a {0} parameter with default {1}",
    "add an optional parameter {0}, default {1}",
    "make the {2} configurable, {1} by default",
    "make the {2} a parameter",
    "make {2} an argument with a default of {1}",
    "let the caller choose the {2}",
    "take {0} as a parameter, {1} by default",
)


def too(function: Function, rng: Random) -> str | None:
    """With the first of two things that are returned."""
    found: list[str] = []

    def first(node: ast.stmt) -> list[ast.stmt] | None:
        if not isinstance(node, ast.Return) or not isinstance(node.value, ast.Tuple) or len(node.value.elts) != 2:
            return None
        found.append(thing(node.value.elts[1], rng))
        return [ast.Return(node.value.elts[0])]

    told = ("return {0}, too", "also return {0}", "return {0} as well", "return a tuple with {0}")
    return say(told, rng, found[0]) if Statements(first).replaced(function) and len(found[0]) < 40 else None


def generator(function: Function, rng: Random) -> str | None:
    """With a list for what is yielded."""
    yields = [node for node in ast.walk(function) if isinstance(node, ast.Yield | ast.YieldFrom)]
    if len(yields) != 1 or not isinstance(yields[0], ast.Yield) or not isinstance(function, ast.FunctionDef):
        return None

    def appended(node: ast.stmt) -> list[ast.stmt] | None:
        if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Yield) or node.value.value is None:
            return None
        return [ast.Expr(ast.Call(ast.Attribute(ast.Name("result"), "append", ast.Load()), [node.value.value], []))]

    if any(isinstance(node, ast.Return) for node in ast.walk(function)):
        return None
    if not Statements(appended).replaced(function):
        return None
    at = 1 if ast.get_docstring(function) else 0
    function.body.insert(at, ast.parse("result = []").body[0])
    function.body.append(ast.parse("return result").body[0])
    function.returns = None
    return rng.choice(
        ("make it a generator", "yield instead of building a list", "use yield", "turn it into a generator")
    )


def caught(function: Function, rng: Random) -> str | None:
    """Without a handler that goes on or gives something back."""
    found: list[str] = []

    def risked(node: ast.stmt) -> list[ast.stmt] | None:
        tried = handled(node)
        if tried is None:
            return None
        act, error, instead = tried.act, ast.unparse(tried.error).strip("()").replace(", ", " or "), ""
        if isinstance(act, ast.Continue | ast.Pass):
            ways = ("ignore {0}", "skip what raises {0}", "go on after {0}", "skip those that raise {0}")
        elif isinstance(act, ast.Return) and act.value is not None:
            ways = ("return {1} on {0}", "return {1} when it raises {0}", "return {1} if it fails with {0}")
            instead = value(act.value, rng)
        elif isinstance(act, ast.Raise) and isinstance(act.exc, ast.Call):
            ways = ("raise {1} instead of {0}", "turn {0} into {1}")
            instead = ast.unparse(act.exc.func)
        else:
            return None
        if isinstance(act, ast.Raise) and instead == error:
            return None
        found.append(say(ways, rng, error, instead))
        return tried.without

    return found[0] if Statements(risked).replaced(function) and len(found[0]) < 70 else None


def chained(function: Function, rng: Random) -> str | None:
    """Without `return self`."""
    last = function.body[-1]
    if len(function.body) < 2 or not isinstance(last, ast.Return) or last.value is None:
        return None
    if ast.unparse(last.value) != "self":
        return None
    function.body.pop()
    return say(("return self", "return self so that calls can be chained", "make it chainable", "allow chaining"), rng)


def unused(function: Function, rng: Random) -> str | None:
    """With a parameter or a line that nobody needs."""
    taken = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    taken |= {one.arg for one in function.args.args}
    free = [name for name in EXTRA if name not in taken]
    if not free or function.args.defaults or function.args.vararg or len(function.body) < 2:
        return None
    name = rng.choice(free)
    if rng.random() < 0.5:
        function.args.args.append(ast.arg(name))
        if rng.random() < 0.5:
            function.args.defaults.append(ast.Constant(rng.choice((None, False, 0, ""))))
        return say(("remove the unused parameter {0}", "remove the unused {0} parameter", "drop {0}"), rng, name)
    arguments = [one.arg for one in function.args.args if one.arg not in ("self", "cls")]
    shown = rng.choice((*arguments, "'here'"))
    line, ways = rng.choice(
        (
            (f"print({shown})", ("remove the print", "remove the debug output", "drop the print statement")),
            (f"{name} = {shown}", ("remove the unused variable", "remove the unused variable {0}", "drop {0}")),
        )
    )
    at = rng.randrange(1 if ast.get_docstring(function) else 0, len(function.body))
    function.body.insert(at, ast.parse(line).body[0])
    return say(ways, rng, name)


EXTRA = ("debug", "verbose", "options", "flag", "mode", "tmp", "extra", "context", "unused", "kind", "cache", "level")


def early(function: Function, rng: Random) -> str | None:
    """With a variable that is returned in the end for two returns."""
    if len(function.body) < 2:
        return None
    test, last = function.body[-2:]
    if not isinstance(test, ast.If) or test.orelse or not isinstance(last, ast.Return) or last.value is None:
        return None
    inner = test.body[-1]
    if not isinstance(inner, ast.Return) or inner.value is None:
        return None
    name = rng.choice(("result", "value", "answer", "out"))

    def kept(value: ast.expr) -> ast.stmt:
        return ast.Assign([ast.Name(name, ast.Store())], value)

    test.body[-1] = kept(inner.value)
    test.orelse = [kept(last.value)]
    function.body[-1] = ast.Return(ast.Name(name, ast.Load()))
    ways = (
        "use early returns",
        "return early",
        "return directly",
        "remove the variable {0}",
        "return early, without {0}",
    )
    return say(ways, rng, name)


def membership(function: Function, rng: Random) -> str | None:
    """With a list for a set that is added to."""
    made = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value and ast.unparse(node.value) == "set()"
    ]
    if not made:
        return None
    node = made[0]
    name = ast.unparse(node.target if isinstance(node, ast.AnnAssign) else node.targets[0])
    calls = [
        call.func
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == name
    ]
    if not calls or any(call.attr != "add" for call in calls):
        return None
    node.value = ast.List([], ast.Load())
    for call in calls:
        call.attr = "append"
    return say(("use a set for {0}", "make {0} a set", "use a set instead of a list", "use a set"), rng, name)


KINDS: dict[Undo, float] = {  # how much likelier than others
    guard: 6,
    only: 2,
    filtered: 2,
    parameter: 3,
    keyword: 1,
    wrapping: 2,
    lookup: 2,
    argument: 2,
    branch: 2,
    too: 1,
    generator: 2,
    caught: 2,
    chained: 3,
    unused: 0.25,
    early: 0.5,
    membership: 3,
}

FREQUENT: dict[Undo, float] = {keyword: 0.2, unused: 0.06}  # chance of what nearly every function has


def behaviour(source: str, rng: Random) -> Change | None:
    """What one may ask of a function that does not do it yet."""
    whole = statement(source)
    if not isinstance(whole, Function) or whole.name.startswith("test"):
        return None
    for undo in sorted(KINDS, key=lambda undo: -(rng.random() ** (1 / KINDS[undo]))):
        function = deepcopy(whole)
        told = undo(function, rng) if rng.random() < FREQUENT.get(undo, 1.0) else None
        if told is not None and len(told) <= LONGEST_REQUEST and parsed(before := unparsed(function)):
            return spoken(told, function.name, rng), before, unparsed(whole)
    return None


def spoken(told: str, name: str, rng: Random) -> str:
    """`told` of the function `name`, as one of several, or as people type."""
    if rng.random() < 0.15 and told.startswith(("return ", "raise ", "skip ", "ignore ", "use ", "sort ")):
        told = say(("{0} should {1}", "in {0}, {1}", "make {0} {1}", "{1} in {0}"), rng, name, told)
    if rng.random() < 0.3:
        for long, short in SHORT.items():
            told = told.replace(long, short)
    return told


SHORT = {
    " is not ": " isn't ",
    " does not ": " doesn't ",
    " do not ": " don't ",
    "there is ": "there's ",
    " are no ": " aren't any ",
}
