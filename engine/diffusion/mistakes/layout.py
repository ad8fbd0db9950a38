"""Mistakes of lines and indentation, comments and blocks, half-typed and pasted text.

Owns the table LAYOUT of (weight, mistake); most leave code that does not parse.
"""

from __future__ import annotations

import re
from random import Random

from engine.diffusion.mistakes.surface import (
    FILL,
    Mistake,
    Statement,
    code_of,
    cut,
    pick,
    rewrite,
    statements,
)

COMMENT = re.compile(rf"#+(?= ?{FILL})")
CUT_POINT = re.compile(r"(?<=[.(=,\[{+\-*/:<>\"' ])(?=\S)|(?<=\w)(?=[=,:])")
SHIFTS = (-4, -4, -4, 4, 4, 4, 1, 1, -1, -1, 2, -2, 3, -3, 8, -8)
PASSIVE = FILL + "#"


def placed(text: str) -> list[Statement]:
    """The statements whose indentation is known, those after a newline; no comments and no prose."""
    code = code_of(text)
    return [s for s in statements(text) if s.newline >= 0 and code[s.start] not in PASSIVE]


def shift_lines(text: str, lines: list[Statement], shift: int) -> str:
    for line in reversed(lines):
        at = line.start - line.indent
        text = cut(text, at, line.start, " " * max(0, line.indent + shift))
    return text


def choose_shift(before: Statement | None, line: Statement, rng: Random) -> int:
    """Mostly what a slip of the tab key does; after a header mostly a block that is not indented."""
    if before is not None and before.header and line.indent > before.indent and rng.random() < 0.6:
        return before.indent - line.indent
    return rng.choice([s for s in SHIFTS if line.indent + s >= 0])


def indent_line(text: str, scope: str, rng: Random) -> str | None:
    lines = placed(text)
    if not lines:
        return None
    at = rng.randrange(len(lines))
    before = lines[at - 1] if at else None
    return shift_lines(text, [lines[at]], choose_shift(before, lines[at], rng))


def indent_run(text: str, scope: str, rng: Random) -> str | None:
    """Two or more lines, or all that follow, moved together."""
    lines = placed(text)
    if len(lines) < 2:
        return None
    first = rng.randrange(len(lines) - 1)
    last = len(lines) if rng.random() < 0.6 else rng.randint(first + 2, len(lines))
    shift = choose_shift(lines[first - 1] if first else None, lines[first], rng)
    return shift_lines(text, lines[first:last], shift)


def indent_with_tab(text: str, scope: str, rng: Random) -> str | None:
    lines = [line for line in placed(text) if line.indent]
    if not lines:
        return None
    line = rng.choice(lines)
    width = line.indent if rng.random() < 0.6 else rng.randrange(line.indent)
    tabs = "\t" * max(1, width // rng.choice((4, 4, 8)))
    return cut(text, line.start - width, line.start, tabs)


def block_after(lines: tuple[Statement, ...], at: int) -> int:
    """Index after the last statement of the block that lines[at] opens."""
    end = at + 1
    while end < len(lines) and lines[end].indent > lines[at].indent:
        end += 1
    return end


def drop_body(text: str, scope: str, rng: Random) -> str | None:
    """A header is left without its block."""
    lines = statements(text)
    headers = [at for at, line in enumerate(lines[:-1]) if line.header and lines[at + 1].indent > line.indent]
    if not headers:
        return None
    at = rng.choice(headers)
    end = block_after(lines, at)
    return cut(text, lines[at].end, lines[end - 1].end)


def drop_header(text: str, scope: str, rng: Random) -> str | None:
    """A block is left without its header."""
    headers = [line for line in placed(text) if line.header]
    if not headers:
        return None
    line = rng.choice(headers)
    return cut(text, line.newline, line.end)


def repeat_header(text: str, scope: str, rng: Random) -> str | None:
    headers = [line for line in placed(text) if line.header]
    if not headers:
        return None
    line = rng.choice(headers)
    return cut(text, line.end, line.end, text[line.newline : line.end])


def join_lines(text: str, scope: str, rng: Random) -> str | None:
    lines = placed(text)[1:]
    if not lines:
        return None
    line = rng.choice(lines)
    return cut(text, line.newline, line.start, rng.choice((" ", " ", "", "  ")))


def split_line(text: str, scope: str, rng: Random) -> str | None:
    """A line break in the middle of a statement."""
    lines = placed(text)
    if not lines:
        return None
    line = rng.choice(lines)
    code = code_of(text)
    spaces = [at for at in range(line.start, line.end) if code[at] == " "]
    if not spaces:
        return None
    at = rng.choice(spaces)
    return cut(text, at, at + 1, "\n" + " " * (line.indent + rng.choice((0, 0, 4))))


def half_typed(text: str, scope: str, rng: Random) -> str | None:
    """A line's end is missing; more often a short one."""
    lines = statements(text)
    if not lines:
        return None
    line = rng.choice(lines)
    points = [m.start() for m in CUT_POINT.finditer(code_of(text), line.start + 1, line.end)]
    if not points:
        return None
    kept = text[: max(rng.choice(points), rng.choice(points))].rstrip(" ")
    return kept + text[line.end :]


def start_of_line(text: str, scope: str, rng: Random) -> str | None:
    """A line begun, as if from the code around, and abandoned."""
    lines, model = placed(text), rng.choice(scope.split("\n")).strip()
    points = [m.start() for m in CUT_POINT.finditer(model, 1)]
    if not lines or not points:
        return None
    line = rng.choice(lines)
    begun = model[: rng.choice(points)].rstrip()
    return cut(text, line.newline, line.newline, "\n" + " " * line.indent + begun)


def comment_line(text: str, scope: str, rng: Random) -> str | None:
    """A line commented out; more often than not one that something hangs on."""
    lines = [line for line in placed(text) if text[line.start] not in "\"'"]
    needed = [line for at, line in enumerate(lines) if line.header or (at and lines[at - 1].header)]
    if not lines:
        return None
    line = rng.choice(needed if needed and rng.random() < 0.8 else lines)
    return cut(text, line.start, line.start, rng.choice(("# ", "#", "# ", "// ")))


def uncomment(text: str, scope: str, rng: Random) -> str | None:
    match = pick(COMMENT, code_of(text), rng)
    if match is None:
        return None
    return cut(text, *match.span(), rng.choice(("", "", "", "//", "//", "/*", "--", "%", "'")))


def bare_docstring(text: str, scope: str, rng: Random) -> str | None:
    match = pick(re.compile(rf"(\"\"\"|''')({FILL}+)\1"), code_of(text), rng)
    return cut(text, *match.span(), text[match.start(2) : match.end(2)]) if match else None


def merge_markers(text: str, scope: str, rng: Random) -> str | None:
    """What a conflict leaves behind: all three markers around a line, or one forgotten."""
    lines = placed(text)
    if not lines:
        return None
    line = rng.choice(lines)
    ours = text[line.newline : line.end]
    commit = "".join(rng.choice("0123456789abcdef") for _ in range(7))
    begin, middle, end = "\n<<<<<<< HEAD", "\n=======", "\n>>>>>>> " + rng.choice((commit, "master", "main"))
    if rng.random() < 0.5:
        return cut(text, line.newline, line.newline, rng.choice((begin, middle, end)))
    theirs = ours if rng.random() < 0.5 else ""
    return cut(text, line.newline, line.end, begin + ours + middle + theirs + end)


LAYOUT: tuple[tuple[float, Mistake], ...] = (
    (9.0, indent_line),
    (5.0, indent_run),
    (1.5, indent_with_tab),
    (2.0, drop_body),
    (1.5, drop_header),
    (1.2, repeat_header),
    (1.2, join_lines),
    (1.0, split_line),
    (3.5, half_typed),
    (1.2, start_of_line),
    (1.2, comment_line),
    (2.5, uncomment),
    (0.5, bare_docstring),
    (0.4, merge_markers),
    (0.6, rewrite(r"(?<=[\w)\]\"'])(?=\n[ \t]*\w)", " \\", "\\")),  # stray continuation
    (0.8, rewrite(r" ?\\(?=\n)", "")),  # continuation forgotten
    (0.3, rewrite(r"^(?=[ \t]*[a-z])", ">>> ", "... ", "+ ", "- ", "> ", "$ ")),  # pasted from elsewhere
    (0.2, rewrite(r"\n(?=[ \t]*[a-z])", "\n```\n", "\n```python\n", "\n}\n")),
)
