"""What one may ask of a class as a whole, found undone: a method that was not there, `dataclass` for an `__init__`."""

from __future__ import annotations

import ast
from random import Random

from engine.training.refactorings import Change, statement, unparsed
from engine.training.wordings import say

LONGEST_METHOD = 3  # statements of a method that is told by its name


def method(source: str, rng: Random) -> Change | None:
    """A method that one may ask for, and a class without it and with it."""
    made = statement(source)
    if not isinstance(made, ast.ClassDef):
        return None
    if (asked := dataclass(made, rng)) is not None:
        return asked
    own = [node for node in made.body if isinstance(node, ast.FunctionDef) and node.name != "__init__"]
    short = [node for node in own if len(node.body) <= LONGEST_METHOD]
    if len(own) < 2 or not short or len({node.name for node in own}) < len(own):
        return None
    chosen, after = rng.choice(short), unparsed(made)
    made.body.remove(chosen)
    return asked_method(chosen, rng), unparsed(made), after


def dataclass(made: ast.ClassDef, rng: Random) -> Change | None:
    """A dataclass, and with an `__init__` of its own."""
    marks = [one for one in made.decorator_list if "dataclass" in ast.unparse(one)]
    fields = [node for node in made.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)]
    if len(marks) != 1 or not 2 <= len(fields) <= 6 or made.bases:
        return None
    if any(field.value is not None and not isinstance(field.value, ast.Constant) for field in fields):
        return None
    after = unparsed(made)
    hints = rng.random() < 0.5
    named = [
        ast.unparse(field.target)
        + (f": {ast.unparse(field.annotation)}" if hints else "")
        + (f"={ast.unparse(field.value)}" if field.value else "")
        for field in fields
    ]
    lines = "".join(f"    self.{ast.unparse(field.target)} = {ast.unparse(field.target)}\n" for field in fields)
    try:
        (init,) = ast.parse(f"def __init__(self, {', '.join(named)}):\n{lines}").body
    except SyntaxError:
        return None
    at = made.body.index(fields[0])
    made.body = [node for node in made.body if node not in fields]
    made.body.insert(at, init)
    made.decorator_list.remove(marks[0])
    told = ("make this a dataclass", "use a dataclass", "turn it into a dataclass", "make it a dataclass")
    return say(told, rng), unparsed(made), after


SPECIAL: dict[str, tuple[str, ...]] = {
    "__len__": ("support len()", "add __len__", "len() should work", "give it a length"),
    "__iter__": ("make it iterable", "add __iter__", "support iteration"),
    "__contains__": ("support the in operator", "support in", "add __contains__"),
    "__getitem__": ("support indexing", "add __getitem__"),
    "__eq__": ("make it comparable", "add __eq__", "support =="),
    "__lt__": ("make it sortable", "add __lt__", "support <"),
    "__hash__": ("make it hashable", "add __hash__"),
    "__repr__": ("add a __repr__", "add a repr", "show something useful in repr()"),
    "__str__": ("add a __str__", "make str() work"),
    "__enter__": ("make it a context manager", "add __enter__"),
    "__exit__": ("add __exit__",),
    "__call__": ("make it callable", "add __call__"),
    "__bool__": ("add __bool__",),
    "__add__": ("support +", "add __add__"),
}


def asked_method(method: ast.FunctionDef, rng: Random) -> str:
    if method.name in SPECIAL and rng.random() < 0.8:
        return say(SPECIAL[method.name], rng)
    marks = [ast.unparse(one) for one in method.decorator_list]
    kind = "property" if "property" in marks else "class method" if "classmethod" in marks else "method"
    told = rng.choice((f"add a {kind} {method.name}", f"add a {method.name} {kind}", f"add {method.name}"))
    purpose = (ast.get_docstring(method) or "").split("\n")[0].strip().rstrip(".")
    if 8 < len(purpose) < 70 and rng.random() < 0.6:
        first, _, rest = purpose.partition(" ")
        verb = first.lower() if first.endswith("s") else f"{first.lower()}s"
        return f"{told} that {verb} {rest}"
    return told
