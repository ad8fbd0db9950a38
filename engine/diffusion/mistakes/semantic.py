"""Mistakes of meaning: operators, constants, conditions, arguments, calls, whole statements.

Owns the table SEMANTIC of (weight, mistake); what is left almost always parses. In the manner of
BugLab (Allamanis et al., 2021, arXiv 2105.12787) with the omissions that fixes in real histories add.
"""

from __future__ import annotations

import re
from itertools import pairwise
from random import Random

from engine.diffusion.mistakes.names import NAMING, pick_use
from engine.diffusion.mistakes.surface import (
    Mistake,
    Statement,
    code_of,
    cut,
    names_in,
    pick,
    rewrite,
    rewrite_by,
    statements,
)

COMPARISONS = {
    "<": ("<=", "<=", ">", ">="),
    "<=": ("<", "<", ">=", "=="),
    ">": (">=", ">=", "<", "<="),
    ">=": (">", ">", "<=", "=="),
    "==": ("!=", "!=", "is", "in", ">="),
    "!=": ("==", "==", "is not", "not in", "<"),
}
ARITHMETIC = {
    "+": ("-", "-", "*"),
    "-": ("+", "+", "*", "/"),
    "*": ("/", "+", "**"),
    "/": ("*", "//", "//"),
    "//": ("/", "/", "%"),
    "%": ("//", "/", "*"),
    "**": ("*",),
    "|": ("&",),
    "&": ("|",),
}
OPPOSITES = {"and": "or", "or": "and", "True": "False", "False": "True", "is": "is not", "is not": "is"}
CASES = {"True": ("true", "TRUE", "1"), "False": ("false", "FALSE", "0"), "None": ("none", "null", "NULL")}
CONVERSIONS = ("str", "int", "list", "len", "set", "float")
CALL = re.compile(r"(?<=[\w\])])\(([^()\n]*)\)")
CONDITION = re.compile(r"\b(?:if|while|elif|and|or) (?!not )(?=[A-Za-z_])")
OPERAND = re.compile(
    r" (?:and|or) (?:not )?[\w.]+(?:\([^()\n]*\))?(?: (?:==|!=|<|>|<=|>=|is|is not|in) [\w.]+)?"
    r"(?=:| and | or |\)|\n|\Z)"
)
WRAPPED = re.compile(r"(?<![\w.])(?!(?:print|if|in|and|or|not)\b)[a-z_]\w*\(([\w.]+)\)(?!:)")
ITERATED = re.compile(r"(?<= in )range\(len\(([\w.]+)\)\)|(?<= in )enumerate\(([\w.]+)\)")


def arguments(text: str, rng: Random) -> tuple[int, int, list[str]] | None:
    """The span between the brackets of one call, and its arguments, when there are any."""
    match = pick(CALL, code_of(text), rng)
    if match is None or not match.group(1).strip():
        return None
    parts, at = list[str](), match.start(1)
    for part in match.group(1).split(","):
        parts.append(text[at : at + len(part)].strip(" "))
        at += len(part) + 1
    if any(part.count("[") != part.count("]") or part.count("{") != part.count("}") for part in parts):
        return None
    return match.start(1), match.end(1), parts


def swap_arguments(text: str, scope: str, rng: Random) -> str | None:
    found = arguments(text, rng)
    if found is None:
        return None
    start, end, parts = found
    plain = sum("=" not in part.replace("==", "") and not part.startswith("*") for part in parts)
    if plain < 2:
        return None
    at = rng.randrange(plain - 1)
    parts[at], parts[at + 1] = parts[at + 1], parts[at]
    return cut(text, start, end, ", ".join(parts))


def drop_argument(text: str, scope: str, rng: Random) -> str | None:
    found = arguments(text, rng)
    if found is None:
        return None
    start, end, parts = found
    del parts[rng.randrange(len(parts))]
    return cut(text, start, end, ", ".join(parts))


def add_argument(text: str, scope: str, rng: Random) -> str | None:
    found, values = arguments(text, rng), names_in(scope)[0]
    if found is None or not values:
        return None
    start, end, parts = found
    if any("=" in part or part.startswith("*") or not part for part in parts):
        return None
    parts.insert(rng.randint(0, len(parts)), rng.choice(values))
    return cut(text, start, end, ", ".join(parts))


def compare(found: str, rng: Random) -> str:
    return f" {rng.choice(COMPARISONS[found.strip()])} "


def calculate(found: str, rng: Random) -> str:
    sign = found.strip()
    return found.replace(sign, rng.choice(ARITHMETIC[sign]))


def off_by_one(found: str, rng: Random) -> str:
    if len(found) > 9:
        return found[:-1]
    value, kind = int(found), rng.random()
    if kind < 0.7 or value < 10:
        return str(abs(value + rng.choice((-1, 1))))
    return rng.choice((str(value * 10), str(value // 10), str(value + 10), found[::-1].lstrip("0") or "0"))


def add_one(found: str, rng: Random) -> str:
    return found + rng.choice((" - 1", " + 1"))


def mistake_in(found: str, rng: Random) -> str:
    return found[:-3] + rng.choice(("not in ", "== ", "is "))


def oppose(found: str, rng: Random) -> str:
    return OPPOSITES.get(found, found)


def negate(text: str, scope: str, rng: Random) -> str | None:
    match = pick(CONDITION, code_of(text), rng)
    return cut(text, match.end(), match.end(), "not ") if match else None


def drop_operand(text: str, scope: str, rng: Random) -> str | None:
    """One condition of several left out."""
    match = pick(OPERAND, code_of(text), rng)
    return cut(text, *match.span()) if match else None


def unwrap(text: str, scope: str, rng: Random) -> str | None:
    """A conversion or check left out: f(x) becomes x."""
    code = code_of(text)
    match = pick(WRAPPED, code, rng)
    if match is None or code[: match.start()].endswith(("def ", "class ")):
        return None
    return cut(text, *match.span(), text[match.start(1) : match.end(1)])


def wrap(text: str, scope: str, rng: Random) -> str | None:
    span = pick_use(text, rng)
    if span is None or text[: span[0]].rstrip(" ")[-1:] not in ("(", "=", ",", "[", "+"):
        return None
    if text[span[1] : span[1] + 1] not in (")", "]", ",", "\n"):
        return None
    return cut(text, *span, f"{rng.choice(CONVERSIONS)}({text[span[0] : span[1]]})")


def iterate(text: str, scope: str, rng: Random) -> str | None:
    """range(len(x)), enumerate(x): one of the calls forgotten."""
    match = pick(ITERATED, code_of(text), rng)
    if match is None:
        return None
    name = match.group(1) or match.group(2)
    return cut(text, *match.span(), rng.choice((name, f"range({name})", f"len({name})")))


def spare(lines: tuple[Statement, ...], at: int) -> bool:
    """Whether the block keeps a statement when lines[at], which opens none, goes."""
    line = lines[at]
    if line.newline < 0 or line.header:
        return False
    after = at + 1 < len(lines) and lines[at + 1].indent == line.indent
    return after or (at > 0 and lines[at - 1].indent >= line.indent and not lines[at - 1].header)


def pick_spare(text: str, rng: Random) -> Statement | None:
    lines = statements(text)
    found = [line for at, line in enumerate(lines) if spare(lines, at)]
    return rng.choice(found) if found else None


def drop_statement(text: str, scope: str, rng: Random) -> str | None:
    line = pick_spare(text, rng)
    return cut(text, line.newline, line.end) if line else None


def repeat_statement(text: str, scope: str, rng: Random) -> str | None:
    line = pick_spare(text, rng)
    return cut(text, line.end, line.end, text[line.newline : line.end]) if line else None


def alike_neighbours(text: str) -> list[tuple[Statement, Statement]]:
    """Neighbouring simple statements of one block."""
    lines = statements(text)
    return [
        (a, b) for a, b in pairwise(lines) if a.newline >= 0 and a.indent == b.indent and not a.header and not b.header
    ]


def swap_statements(text: str, scope: str, rng: Random) -> str | None:
    pairs = alike_neighbours(text)
    if not pairs:
        return None
    a, b = rng.choice(pairs)
    between = text[a.end : b.start]
    return text[: a.start] + text[b.start : b.end] + between + text[a.start : a.end] + text[b.end :]


def drop_guard(text: str, scope: str, rng: Random) -> str | None:
    """An `if` and its one statement left out, or the `if` alone with its statement moved out."""
    lines, code = statements(text), code_of(text)
    found = [
        (head, body)
        for head, body, after in zip(lines, lines[1:], lines[2:], strict=False)
        if head.newline >= 0 and code.startswith("if ", head.start) and head.header
        and not body.header and body.indent > head.indent >= after.indent
        and not code.startswith(("el", "except", "finally"), after.start)
        and after.indent == head.indent
    ]  # fmt: skip
    if not found:
        return None
    head, body = rng.choice(found)
    if rng.random() < 0.6:
        return cut(text, head.newline, body.end)
    return cut(text, head.start, body.start)


def leave_block(text: str, scope: str, rng: Random) -> str | None:
    """The last statement of a block outside of it, or the first after it inside."""
    lines = statements(text)
    found: list[tuple[Statement, int]] = []
    for above, line, below in zip(lines, lines[1:], lines[2:], strict=False):
        plain = not above.header and not line.header
        last = line.indent == above.indent > below.indent
        if plain and last and not text.startswith(("el", "except", "finally"), below.start):
            found.append((line, below.indent))
    for above, line in pairwise(lines):
        plain = not above.header and not line.header
        if line.newline >= 0 and 0 < above.indent - line.indent <= 4 and plain:
            found.append((line, above.indent))
    if not found:
        return None
    line, indent = rng.choice(found)
    return cut(text, line.start - line.indent, line.start, " " * indent)


MEANING: tuple[tuple[float, Mistake], ...] = (
    (6.0, rewrite_by(r" (?:<=|>=|==|!=|<|>) ", compare)),
    (4.0, rewrite_by(r" (?:\*\*|//|[-+*/%|&]) (?=[\w(\[])|(?<=[\w)\]])[-+/](?=[\w(])", calculate)),
    (5.0, rewrite_by(r"(?<![\w.])(?:[1-9]\d*|0)(?![\w.])", off_by_one)),
    (0.7, rewrite(r"(?<=[(\[,=] )-(?=[\w(])|(?<=[(\[,=])-(?=[\w(])", "")),
    (1.5, rewrite(r"(?<=[\w)\]]) ?[-+] ?1\b(?![.\w])", "")),
    (1.2, rewrite_by(r"(?<=[a-z_)])(?=\])|(?<=len\()\w+\)", add_one)),
    (2.5, rewrite_by(r"\b(?:and|or)\b", oppose)),
    (2.0, rewrite_by(r"\b(?:True|False)\b", oppose)),
    (1.0, rewrite_by(r"\bis(?: not)?\b", oppose)),
    (1.0, rewrite(r" is (?=None)", " == ")),
    (1.2, rewrite_by(r"\b(?:True|False|None)\b", lambda found, rng: rng.choice(CASES[found]))),
    (1.0, rewrite(r"\bNone\b", "False", "0", "''", "[]", "True", "{}")),
    (3.0, rewrite(r"\bnot (?=[\w(\[])", "")),
    (2.0, negate),
    (1.0, rewrite(r" not in ", " in ", " in ", " != ")),
    (0.7, rewrite_by(r"\b(?:if|and|or|while) [\w.]+ in ", mistake_in)),
    (2.0, drop_operand),
    (3.0, swap_arguments),
    (4.0, drop_argument),
    (2.0, add_argument),
    (1.5, rewrite(r"(?:(?<=\()|(?<=, ))\w+=(?=[\w(\[{\"'][^\n=,]*\)(?!:| ->))", "")),
    (2.5, rewrite(r"(?<=[\w\])])\(\)(?![:\w])", "")),
    (0.7, rewrite_by(r"(?<=\w)\.[a-z]\w*(?=\n| and | or |\)|,)", lambda found, rng: found + "()")),
    (1.5, unwrap),
    (0.7, wrap),
    (0.8, iterate),
    (1.5, rewrite(r"(?<=[\w)\]])\[[^\[\]\n]*\](?! =)", "")),
    (1.0, rewrite(r"(?<=\[)(?:0|-1|1)(?=\])", "0", "1", "-1", "2", ":", "-2")),
    (0.8, rewrite(r"(?<=\[)(?::1|1:|:-1|::-1|:)(?=\])", "1:", ":1", ":-1", ":", "::-1", "2:")),
    (1.0, rewrite(r"(?<=\()0, (?=\w+\))|(?<=\()1, (?=\w+\))", "", "0, ", "1, ")),
    (2.0, rewrite(r"\breturn (?=[\w(\[{\"'])", "")),
    (0.5, rewrite(r"\b(?:return|yield) (?=[\w(\[{\"'])", "yield ", "return ", "raise ")),
    (1.5, rewrite(r"\bawait ", "")),
    (0.4, rewrite(r"\byield from ", "yield ")),
    (1.5, rewrite(r" [-+*/|]= ", " = ", " = ", " += ", " -= ", " *= ")),
    (1.0, rewrite(r"(?<=\w) = (?=[\w(\[{\"'][^\n=]*$)(?<!, \w = )", " += ", " == ", " == ", " -= ")),
    (1.0, rewrite(r"\b(?:break|continue|pass)\b", "break", "continue", "pass", "return")),
    (0.6, rewrite(r"\belif (?=[^\n]*:[ \t]*(?:\n|$))", "if ")),
    (0.5, rewrite(r"(?:(?<=\n)|(?<=    ))if (?=[^\n]*:[ \t]*\n)", "while ")),
    (0.5, rewrite(r"(?<=\bexcept) [\w.]+(?=:)", "", " Exception")),
    (0.8, rewrite(r"(?<=[=(, ])(?:\[\]|\{\}|\(\))(?=[,)\n])", "[]", "{}", "None", "()", "set()", "''")),
    (0.5, rewrite(r"(?<=[\w)\]\"'])(?=\n)", ",", ";")),
    (0.8, rewrite(r"(?<=[(,] )\*\*?(?=\w)|(?<=\()\*\*?(?=\w)", "", "*", "**")),
    (0.6, rewrite(r"(?<=\bimport )\w+, |, \w+(?=\n|$)", "")),
    (0.6, rewrite(r" as \w+(?=\n|$|, )", "")),
    (0.5, rewrite(r"(?<=\w)\.get\((?=[\w\"'])", "(", ".pop(", ".setdefault(")),
    (0.6, rewrite(r"^[ \t]*@[\w.]+(?:\([^()\n]*\))?\n", "")),
    (0.8, rewrite(r"(?<=\()self, |(?<=\()self(?=\))", "")),
    (0.4, rewrite(r"\basync (?=def|with|for)", "")),
    (3.0, drop_statement),
    (2.0, repeat_statement),
    (1.5, swap_statements),
    (2.0, drop_guard),
    (1.5, leave_block),
)  # fmt: skip
SEMANTIC = NAMING + MEANING
