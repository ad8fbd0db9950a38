"""Changes that people ask for, found undone: a function of the corpus that already does something well known, what it
was before, and how one would have asked for it.

Each kind undoes one thing in a copy of the function's syntax tree and tells the words of the request; both sides are
written by `ast.unparse`.
"""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
from random import Random

from engine.training.trees import Expressions, Function, Parts, Statements, filled, handled

Change = tuple[str, str, str]  # instruction, before, after
Words = tuple[str, ...]
Undo = Callable[[Function, Random], Words | None]
LONGEST_LINES, LONGEST_CLASS = 14, 24
START = re.compile(r"^( *)((?:@.*\n\1)*)(?:async )?def \w+\(", re.MULTILINE)
CLASS = re.compile(r"^( *)((?:@.*\n\1)*)class \w+", re.MULTILINE)
NAMES = ("data", "items", "value", "result", "total", "count", "name", "path", "text", "node", "index", "key", "other")
NUMBERS = (0, 1, 2, 3, 5, 8, 10, 16, 60, 100)


def functions(code: str) -> Iterator[str]:
    """Short functions, without the indentation that their lines share."""
    return definitions(code, START, LONGEST_LINES)


def classes(code: str) -> Iterator[str]:
    return definitions(code, CLASS, LONGEST_CLASS)


def definitions(code: str, start: re.Pattern[str], longest: int) -> Iterator[str]:
    """What begins with `start`, of at most `longest` lines more."""
    for match in start.finditer(code):
        lines = code[match.start() :].split("\n", longest + 2)[: longest + 2]
        indent, header = len(match[1]), match[0].count("\n")
        for number, line in enumerate(lines[header + 1 :], header + 1):
            if line.strip() and len(line) - len(line.lstrip()) <= indent and not line.lstrip().startswith(")"):
                yield textwrap.dedent("\n".join(lines[:number]).rstrip() + "\n")
                break


def change(source: str, rng: Random) -> Change | None:
    whole = statement(source)
    if not isinstance(whole, Function):
        return None
    kinds = sorted(KINDS, key=lambda undo: rng.random() + (undo in FREQUENT))
    for undo in [kind for kind in kinds if kind not in FREQUENT or rng.random() < 0.4]:
        function = deepcopy(whole)
        words = undo(function, rng)
        if words is not None:
            before, after = unparsed(function), unparsed(whole)
            back = BOTH_WAYS.get(undo)
            if back and rng.random() < 0.3:
                return back, after, before
            return rng.choice(KINDS[undo]).format(*words), before, after
    return None


def statement(source: str) -> ast.stmt | None:
    """The only one of `source`."""
    tree = parsed(source)
    return tree.body[0] if tree and len(tree.body) == 1 else None


def parsed(source: str) -> ast.Module | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of escapes in others' strings
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError):
            return None


def unparsed(node: ast.AST) -> str:
    return f"{ast.unparse(ast.fix_missing_locations(node))}\n"


def docstring(function: Function, rng: Random) -> Words | None:
    text = ast.get_docstring(function)
    if not text or len(function.body) < 2 or "\n" in text:
        return None
    del function.body[0]
    return ()


def type_hints(function: Function, rng: Random) -> Words | None:
    hinted = [one for one in (*function.args.args, *function.args.kwonlyargs) if one.annotation]
    if not hinted or not function.returns:
        return None
    for argument in hinted:
        argument.annotation = None
    function.returns = None
    return ()


def name(function: Function, rng: Random) -> Words | None:
    names = [node for node in ast.walk(function) if isinstance(node, ast.Name)]
    own = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    own |= {argument.arg for argument in function.args.args} - {"self", "cls"}
    if rng.random() < 0.25:
        own = {function.name}
    fresh = [one for one in NAMES if one not in {node.id for node in names} | own]
    if not own or not fresh:
        return None
    new, old = rng.choice(sorted(own)), rng.choice(fresh)
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and node.id == new:
            node.id = old
        elif isinstance(node, ast.arg) and node.arg == new:
            node.arg = old
    if function.name == new:
        function.name = old
    return old, new


def f_string(function: Function, rng: Random) -> Words | None:
    write = rng.choice((with_format, with_percent, with_plus))
    if any(isinstance(node, ast.FormattedValue) and node.format_spec for node in ast.walk(function)):
        return None  # a format is an f-string, too

    def older(node: ast.AST) -> ast.expr | None:
        assert isinstance(node, ast.JoinedStr)
        plain = [part for part in node.values if isinstance(part, ast.Constant)]
        values = [part for part in node.values if isinstance(part, ast.FormattedValue)]
        if not values or any(part.conversion != -1 for part in values):
            return None
        if any(sign in str(part.value) for part in plain for sign in "{%"):
            return None
        return write(node.values)

    return () if Expressions(ast.JoinedStr, older).replaced(function) else None


def with_format(parts: list[ast.expr]) -> ast.expr:
    text, values = holes(parts, "{}")
    return ast.Call(ast.Attribute(text, "format", ast.Load()), values, [])


def with_percent(parts: list[ast.expr]) -> ast.expr:
    text, values = holes(parts, "%s")
    return ast.BinOp(text, ast.Mod(), values[0] if len(values) == 1 else ast.Tuple(values, ast.Load()))


def holes(parts: list[ast.expr], sign: str) -> tuple[ast.Constant, list[ast.expr]]:
    """An f-string's text with `sign` where its values stand, and these."""
    text = "".join(str(part.value) if isinstance(part, ast.Constant) else sign for part in parts)
    return ast.Constant(text), [part.value for part in parts if isinstance(part, ast.FormattedValue)]


def with_plus(parts: list[ast.expr]) -> ast.expr:
    pieces = [
        ast.Call(ast.Name("str", ast.Load()), [part.value], []) if isinstance(part, ast.FormattedValue) else part
        for part in parts
    ]
    joined: ast.expr = pieces[0]
    for piece in pieces[1:]:
        joined = ast.BinOp(joined, ast.Add(), piece)
    return joined


LOOPS: dict[type[ast.expr], tuple[str, str, str]] = {  # what it is called, what it starts from, what it does
    ast.ListComp: ("list", "[]", "{0}.append(ELT)\n"),
    ast.SetComp: ("set", "set()", "{0}.add(ELT)\n"),
    ast.DictComp: ("dict", "{}", "{0}[KEY] = VALUE\n"),
}


def comprehension(function: Function, rng: Random) -> Words | None:
    found: list[str] = []

    def looped(node: ast.stmt) -> list[ast.stmt] | None:
        if isinstance(node, ast.Return):
            target, end = rng.choice(("result", "results", "out", "items", "found")), "return {0}\n"
        elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            target, end = node.targets[0].id, ""
        else:
            return None
        if node.value is None or type(node.value) not in LOOPS:
            return None
        kind, empty, inner = LOOPS[type(node.value)]
        found.append(kind)
        return loop(node.value, f"{target} = {empty}\n", inner.format(target), end.format(target))

    return (found[-1],) if Statements(looped).replaced(function) else None


FOLDS = {
    "any": ("", "if ELT:\n    return True\n", "return False\n"),
    "all": ("", "if not ELT:\n    return False\n", "return True\n"),
    "sum": ("total = 0\n", "total += ELT\n", "return total\n"),
    "max": ("best = None\n", "if best is None or ELT > best:\n    best = ELT\n", "return best\n"),
    "min": ("best = None\n", "if best is None or ELT < best:\n    best = ELT\n", "return best\n"),
    "list": ("result = []\n", "result.append(ELT)\n", "return result\n"),
    "set": ("result = set()\n", "result.add(ELT)\n", "return result\n"),
    "join": ("text = ''\n", "text += ELT\n", "return text\n"),
}


def fold(function: Function, rng: Random) -> Words | None:
    found: list[str] = []

    def looped(node: ast.stmt) -> list[ast.stmt] | None:
        call = node.value if isinstance(node, ast.Return) else None
        if not isinstance(call, ast.Call) or len(call.args) != 1 or call.keywords:
            return None
        found.append(ast.unparse(call.func).rpartition(".")[2])
        return loop(call.args[0], *FOLDS[found[-1]]) if found[-1] in FOLDS else None

    return (found[-1],) if Statements(looped).replaced(function) else None


def loop(value: ast.expr, start: str, inner: str, end: str) -> list[ast.stmt] | None:
    """In the place of a comprehension of one `for` and at most one `if`, between `start` and `end`."""
    if not isinstance(value, ast.ListComp | ast.GeneratorExp | ast.DictComp | ast.SetComp):
        return None
    one = value.generators[0]
    if len(value.generators) > 1 or len(one.ifs) > 1 or one.is_async:
        return None
    parts: Parts = {"TARGET": one.target, "ITER": one.iter}
    if isinstance(value, ast.DictComp):
        parts |= {"KEY": value.key, "VALUE": value.value}
    else:
        parts["ELT"] = value.elt
    if one.ifs:
        inner = f"if COND:\n{textwrap.indent(inner, '    ')}"
        parts["COND"] = one.ifs[0]
    return filled(f"{start}for TARGET in ITER:\n{textwrap.indent(inner, '    ')}{end}", parts)


def early_raise(function: Function, rng: Random) -> Words | None:
    found = early(function)
    if found is None or not isinstance(found.body[0], ast.Raise) or not found.body[0].exc:
        return None
    error = found.body[0].exc
    function.body.remove(found)
    return ast.unparse(error.func if isinstance(error, ast.Call) else error), ast.unparse(found.test)


def early_return(function: Function, rng: Random) -> Words | None:
    found = early(function)
    if found is None or not isinstance(found.body[0], ast.Return) or not found.body[0].value:
        return None
    function.body.remove(found)
    return ast.unparse(found.body[0].value), ast.unparse(found.test)


def early(function: Function) -> ast.If | None:
    """The test that a function begins with, when more than that follows."""
    body = function.body[1 if ast.get_docstring(function) else 0 :]
    first = body[0] if len(body) > 1 else None
    return first if isinstance(first, ast.If) and len(first.body) == 1 and not first.orelse else None


def conditional(function: Function, rng: Random) -> Words | None:
    def branched(node: ast.stmt) -> list[ast.stmt] | None:
        if not isinstance(node, ast.Return | ast.Assign) or not isinstance(node.value, ast.IfExp):
            return None
        value, sides = node.value, (deepcopy(node), deepcopy(node))
        sides[0].value, sides[1].value = value.body, value.orelse
        parts: Parts = {"TEST": value.test, "YES": [sides[0]], "NO": [sides[1]]}
        return filled("if TEST:\n    YES\nelse:\n    NO\n", parts)

    return () if Statements(branched).replaced(function) else None


def with_statement(function: Function, rng: Random) -> Words | None:
    def opened(node: ast.stmt) -> list[ast.stmt] | None:
        if not isinstance(node, ast.With) or len(node.items) != 1 or "open" not in ast.unparse(node.items[0]):
            return None
        target, last = node.items[0].optional_vars, node.body[-1]
        if not isinstance(target, ast.Name):
            return None
        parts: Parts = {"FILE": target, "CALL": node.items[0].context_expr, "BODY": node.body}
        if not isinstance(last, ast.Return):
            return filled("FILE = CALL\nBODY\nFILE.close()\n", parts)
        if last.value is None:
            return None
        parts |= {"BODY": node.body[:-1], "LAST": last.value}
        return filled("FILE = CALL\nBODY\ncontent = LAST\nFILE.close()\nreturn content\n", parts)

    return () if Statements(opened).replaced(function) else None


def handler(function: Function, rng: Random) -> Words | None:
    found: list[Words] = []

    def risked(node: ast.stmt) -> list[ast.stmt] | None:
        what = handled(node)
        act = ast.unparse(what.act) if what else ""
        if what is None or len(act) > 50:
            return None
        found.append((ast.unparse(what.error), act))
        return what.without

    return found[0] if Statements(risked).replaced(function) else None


def enumeration(function: Function, rng: Random) -> Words | None:
    def indexed(node: ast.stmt) -> list[ast.stmt] | None:
        if not isinstance(node, ast.For) or not isinstance(node.target, ast.Tuple) or node.orelse:
            return None
        call = node.iter
        if not isinstance(call, ast.Call) or ast.unparse(call.func) != "enumerate" or len(call.args) != 1:
            return None
        if len(node.target.elts) != 2:
            return None
        index, value = node.target.elts
        parts: Parts = {"INDEX": index, "VALUE": value, "ITER": call.args[0], "BODY": node.body}
        return filled("for INDEX in range(len(ITER)):\n    VALUE = ITER[INDEX]\n    BODY\n", parts)

    return () if Statements(indexed).replaced(function) else None


def constant(function: Function, rng: Random) -> Words | None:
    if ast.get_docstring(function) or any(isinstance(node, ast.JoinedStr) for node in ast.walk(function)):
        return None
    simple = [node for node in ast.walk(function) if isinstance(node, ast.Constant) and type(node.value) in (int, str)]
    chosen = [node for node in simple if node.value and len(str(node.value)) < 16]
    if not chosen:
        return None
    node = rng.choice(chosen)
    new, old = node.value, rng.choice(NAMES if isinstance(node.value, str) else NUMBERS)
    if old == new or any(other.value in (old, new) for other in simple if other is not node):
        return None
    node.value = old
    return repr(old), repr(new)


def default(function: Function, rng: Random) -> Words | None:
    defaults = function.args.defaults
    if len(defaults) != 1 or not isinstance(defaults[0], ast.Constant | ast.Name) or not function.args.args:
        return None
    return function.args.args[-1].arg, ast.unparse(defaults.pop())


DECORATORS = {
    "property": "make it a property",
    "staticmethod": "make it a static method",
    "classmethod": "make it a class method",
    "cached_property": "make it a cached property",
    "lru_cache": "cache the results",
    "cache": "cache the results with functools.cache",
    "abstractmethod": "make it abstract",
}


def decorator(function: Function, rng: Random) -> Words | None:
    for one in function.decorator_list:
        known = DECORATORS.get(ast.unparse(one.func if isinstance(one, ast.Call) else one).rpartition(".")[2])
        if known:
            function.decorator_list.remove(one)
            return (known,)
    return None


def truth(function: Function, rng: Random) -> Words | None:
    def counted(node: ast.AST) -> ast.expr | None:
        assert isinstance(node, ast.UnaryOp)
        if not isinstance(node.op, ast.Not) or not isinstance(node.operand, ast.Name):
            return None
        return ast.parse(f"len({node.operand.id}) == 0", mode="eval").body

    return () if Expressions(ast.UnaryOp, counted).replaced(function) else None


def message(function: Function, rng: Random) -> Words | None:
    """A print or a log line that was not there."""
    for node in function.body[1:]:
        call = node.value if isinstance(node, ast.Expr) else None
        if not isinstance(call, ast.Call):
            continue
        called = ast.unparse(call.func)
        if called == "print" or called.split(".")[0].lower() in ("logger", "log", "logging"):
            names = [part.id for part in ast.walk(call) if isinstance(part, ast.Name)][1:]
            function.body.remove(node)
            return "print" if called == "print" else "log", names[-1] if names else "a message"
    return None


KINDS: dict[Undo, Words] = {
    docstring: ("add a docstring", "Add a docstring", "document this function", "write a docstring"),
    type_hints: ("add type hints", "Add type annotations", "add type hints to the signature", "annotate the types"),
    name: ("rename {0} to {1}", "Rename `{0}` to `{1}`", "call {0} {1}", "rename the variable {0} to {1}"),
    f_string: ("use an f-string", "Use f-strings", "use f-string formatting", "convert to an f-string"),
    comprehension: ("use a {0} comprehension", "Use a {0} comprehension", "turn the loop into a {0} comprehension"),
    fold: ("use {0}", "use {0}()", "Use {0} instead of the loop", "simplify with {0}"),
    early_raise: ("raise {0} if {1}", "raise {0} when {1}", "Raise a {0} if {1}"),
    early_return: ("return {0} if {1}", "return {0} when {1}", "Return {0} early if {1}"),
    conditional: ("use a conditional expression", "use a ternary", "Use a conditional expression"),
    with_statement: ("use a with statement", "use with", "Use a context manager", "open the file using with"),
    handler: ("catch {0} and {1}", "{1} on {0}", "handle {0}: {1}", "Catch {0}"),
    enumeration: ("use enumerate", "Use enumerate", "iterate with enumerate"),
    constant: ("change {0} to {1}", "use {1} instead of {0}", "replace {0} with {1}", "set it to {1}"),
    default: ("make {0} default to {1}", "give {0} a default of {1}", "{0} should default to {1}"),
    decorator: ("{0}",),
    truth: ("simplify the check for emptiness", "use truthiness instead of len", "use not instead of len() == 0"),
    message: ("{0} {1}", "add a {0} statement", "{0} {1} too"),
}
FREQUENT: tuple[Undo, ...] = (name, constant)  # that nearly every function has
BOTH_WAYS: dict[Undo, str] = {
    docstring: "remove the docstring",
    type_hints: "remove the type hints",
    comprehension: "use a for loop",
    conditional: "use if and else",
    handler: "remove the try",
}
