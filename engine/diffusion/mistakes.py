"""Human-like mistakes: the substitutions of the edit forward process.

Each mistake is a small pure function on text, (text, scope, rng) -> text or None when it does not
apply; `break_span` draws from the table by weight. Purely textual and fast, because it runs for
every training sample; never raises.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Callable
from itertools import accumulate
from random import Random

Mistake = Callable[[str, str, Random], "str | None"]

WORD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
NAME = re.compile(r"(?<![\w.])[a-z_][a-z_0-9]{1,}(?!\w)", re.I)
CALL = re.compile(r"(\w+)\(([^()\n]+)\)")
INDENT = re.compile(r"\n([ ]*)(?=[^\s])")
KEYWORDS = re.compile(r"\b(?:def|class|return|import|from|while|for|if|elif|else|try|except|finally|with|lambda|yield|raise|pass|break|continue|not|and|or|in|is|print|True|False|None|self)\b")
RESERVED = set(KEYWORDS.pattern[5:-3].split("|"))
COMPARISONS = {"<": ("<=", ">"), "<=": ("<", ">="), ">": (">=", "<"), ">=": (">", "<="), "==": ("!=", "is"), "!=": ("==", "is not")}
ARITHMETIC = {"+": "-", "-": "+", "*": "/", "/": "*", "//": "/", "%": "//"}


def cut(text: str, start: int, end: int, new: str = "") -> str:
    return text[:start] + new + text[end:]


def pick(pattern: re.Pattern[str], text: str, rng: Random) -> re.Match[str] | None:
    found = list(pattern.finditer(text))
    return rng.choice(found) if found else None


def substitute(pattern: str, new: str | Callable[[re.Match[str], Random], str]) -> Mistake:
    """A mistake that rewrites one match of `pattern`."""
    compiled = re.compile(pattern)

    def mistake(text: str, scope: str, rng: Random) -> str | None:
        match = pick(compiled, text, rng)
        if match is None:
            return None
        return cut(text, *match.span(), match.expand(new) if isinstance(new, str) else new(match, rng))

    return mistake


def typo(word: str, rng: Random) -> str:
    """One slip of the fingers in `word`."""
    at = rng.randrange(len(word))
    kind = rng.random()
    if kind < 0.3:
        return cut(word, at, at + 1)
    if kind < 0.55:
        return cut(word, at, at, word[at])
    if kind < 0.8 and at + 1 < len(word):
        return cut(word, at, at + 2, word[at + 1] + word[at])
    return cut(word, at, at + 1, rng.choice("aeiostrnlc"))


def keyword_typo(text: str, scope: str, rng: Random) -> str | None:
    match = pick(KEYWORDS, text, rng)
    return cut(text, *match.span(), typo(match.group(), rng)) if match else None


def name_typo(text: str, scope: str, rng: Random) -> str | None:
    match = pick(WORD, text, rng)
    return cut(text, *match.span(), typo(match.group(), rng)) if match and len(match.group()) > 2 else None


def other_name(text: str, scope: str, rng: Random) -> str | None:
    match, other = pick(NAME, text, rng), pick(NAME, scope, rng)
    if not match or not other or match.group() in RESERVED or other.group() in RESERVED:
        return None
    return cut(text, *match.span(), other.group())


def swap_arguments(text: str, scope: str, rng: Random) -> str | None:
    match = pick(CALL, text, rng)
    parts = match.group(2).split(",") if match else []
    if not match or len(parts) < 2:
        return None
    i = rng.randrange(len(parts) - 1)
    a, b = parts[i].strip(), parts[i + 1].strip()
    parts[i], parts[i + 1] = parts[i].replace(a, b, 1), parts[i + 1].replace(b, a, 1)
    return cut(text, *match.span(2), ",".join(parts))


def drop_argument(text: str, scope: str, rng: Random) -> str | None:
    match = pick(CALL, text, rng)
    parts = match.group(2).split(",") if match else []
    if not match or len(parts) < 2:
        return None
    del parts[rng.randrange(len(parts))]
    return cut(text, *match.span(2), ",".join(parts).strip())


def reindent_line(text: str, scope: str, rng: Random) -> str | None:
    match = pick(INDENT, text, rng)
    if not match:
        return None
    width = max(0, len(match.group(1)) + rng.choice((-4, -4, -1, 1, 1, -2, 2, 4, 4, 3, -3, -8, 8)))
    return cut(text, *match.span(1), " " * width)


def reindent_rest(text: str, scope: str, rng: Random) -> str | None:
    match = pick(INDENT, text, rng)
    if not match:
        return None
    shift = rng.choice((-4, 4, 4, -1, 1, 2))
    return text[: match.start()] + INDENT.sub(lambda m: "\n" + " " * max(0, len(m.group(1)) + shift), text[match.start() :])


def tab_indent(text: str, scope: str, rng: Random) -> str | None:
    match = pick(INDENT, text, rng)
    return cut(text, *match.span(1), "\t" * max(1, len(match.group(1)) // 4)) if match else None


def lines_of(text: str) -> list[str]:
    return text.split("\n")


def drop_line(text: str, scope: str, rng: Random) -> str | None:
    lines = lines_of(text)
    if len(lines) < 3:
        return None
    del lines[rng.randrange(1, len(lines))]
    return "\n".join(lines)


def repeat_line(text: str, scope: str, rng: Random) -> str | None:
    lines = lines_of(text)
    at = rng.randrange(len(lines))
    if not lines[at].strip():
        return None
    lines.insert(at, lines[at])
    return "\n".join(lines)


def swap_lines(text: str, scope: str, rng: Random) -> str | None:
    lines = lines_of(text)
    if len(lines) < 3:
        return None
    at = rng.randrange(1, len(lines) - 1)
    lines[at], lines[at + 1] = lines[at + 1], lines[at]
    return "\n".join(lines)


def half_line(text: str, scope: str, rng: Random) -> str | None:
    lines = lines_of(text)
    at = rng.randrange(len(lines))
    body = lines[at].lstrip()
    if len(body) < 6:
        return None
    keep = len(lines[at]) - len(body) + rng.randrange(3, len(body))
    lines[at] = lines[at][:keep]
    return "\n".join(lines)


def stray(text: str, scope: str, rng: Random) -> str | None:
    at = rng.randint(min(1, len(text)), len(text))
    return cut(text, at, at, rng.choice("\\,.:;'\"()[]{}=+-/s`ax1 "))


def comment_slashes(text: str, scope: str, rng: Random) -> str | None:
    match = pick(re.compile(r"#+ ?(?=\w)"), text, rng)
    return cut(text, *match.span(), rng.choice(("//", "// ", "", " "))) if match else None


def comment_out(text: str, scope: str, rng: Random) -> str | None:
    match = pick(INDENT, text, rng)
    return cut(text, match.end(), match.end(), "# ") if match else None


def off_by_one(match: re.Match[str], rng: Random) -> str:
    return str(max(0, int(match.group()) + rng.choice((-1, 1)))) if len(match.group()) < 9 else "0"


def compare(match: re.Match[str], rng: Random) -> str:
    return match.group(1) + rng.choice(COMPARISONS[match.group(2)]) + match.group(3)


def calculate(match: re.Match[str], rng: Random) -> str:
    return match.group(1) + ARITHMETIC[match.group(2)] + match.group(3)


SYNTAX: tuple[tuple[float, Mistake], ...] = (
    (9, substitute(r"[)\]}]", "")),  # unclosed bracket
    (4, substitute(r"[(\[{]", "")),
    (4, substitute(r"([()\[\]{}])", r"\1\1")),
    (2, substitute(r"\)", lambda m, r: r.choice("]}"))),
    (6, substitute(r":(?=[ \t]*(?:\n|$|#))", "")),  # missing colon at a line's end
    (2, substitute(r"(?<=[\w)\]])(?=[ \t]*(?:\n|$))", ":")),
    (7, substitute(r", ?", lambda m, r: r.choice(("", " ", "")))),
    (2, substitute(r",", lambda m, r: r.choice((".", ",,", ";")))),
    (3, substitute(r"(?<=\w)==(?=\w)| == ", lambda m, r: m.group().replace("==", "="))),
    (2, substitute(r" = ", lambda m, r: r.choice((" == ", " ", " := ")))),
    (5, substitute(r"[\"']", "")),  # unclosed string
    (2, substitute(r"[\"']", lambda m, r: r.choice(("''", '""', '"', "'")))),
    (1.5, substitute(r"(?<=\w)(?=\w*['\"])", "'")),  # unescaped quote inside a string
    (1.5, substitute(r"(\"\"\"|''')", "")),
    (1, substitute(r"['\"]", lambda m, r: "\\" + m.group())),
    (5, keyword_typo),
    (8, reindent_line),
    (4, reindent_rest),
    (1, tab_indent),
    (4, stray),
    (2.5, comment_slashes),
    (1.5, comment_out),
    (3, half_line),
    (2, drop_line),
    (1.5, substitute(r"\belif\b", lambda m, r: r.choice(("else if", "elseif", "else")))),
    (1, substitute(r"\belse:", lambda m, r: r.choice(("else", "elif:", "else if:")))),
    (1, substitute(r"print\((.*)\)", r"print \1")),
    (1, substitute(r" (?:in|is|and|or|if|for|import|as) ", " ")),
    (1, substitute(r" [-+*/%] ", " ")),
    (1, substitute(r"\. ?(?=\w)", lambda m, r: r.choice(("", "..", ",")))),
    (0.5, substitute(r"\n(?=\S| )", "\n<<<<<<< HEAD\n")),
)
SEMANTIC: tuple[tuple[float, Mistake], ...] = (
    (8, other_name),
    (6, substitute(r"(\s|\w)(<=|>=|==|!=|<|>)(\s|\w)", compare)),
    (4, substitute(r"([\w)] ?)(//|[-+*/%])( ?[\w(])", calculate)),
    (5, substitute(r"\b\d+\b", off_by_one)),
    (3, swap_arguments),
    (3, drop_argument),
    (3, substitute(r"\bnot ", "")),
    (2, substitute(r"\b(if|while|and|or) (?!not)", r"\1 not ")),
    (2, substitute(r"\b(?:and|or)\b", lambda m, r: "or" if m.group() == "and" else "and")),
    (3, substitute(r"\bself\.", "")),
    (2, substitute(r"\breturn ", "")),
    (1, substitute(r"\bawait ", "")),
    (2, substitute(r"\b(?:True|False)\b", lambda m, r: "False" if m.group() == "True" else "True")),
    (1, substitute(r"\bNone\b", lambda m, r: r.choice(("0", "False", "[]", "''")))),
    (1, substitute(r"\bis not\b|\bis\b", lambda m, r: {"is": "is not", "is not": "is"}[m.group()])),
    (1, substitute(r"\bnot in\b", "in")),
    (1, substitute(r"\.append\(", ".extend(")),
    (1.5, substitute(r"(?<=\w)\(\)", "")),
    (1, substitute(r"(?<=[\w\]])\[[^\[\]\n]*\]", "")),
    (3, name_typo),
    (2, repeat_line),
    (2, drop_line),
    (1.5, swap_lines),
    (1, substitute(r"\bf(?=[\"'])", "")),
    (1, substitute(r" [-+] 1\b", "")),
    (0.7, substitute(r"\bbreak\b|\bcontinue\b", lambda m, r: "pass")),
    (0.7, substitute(r"\b(?:min|max)\(", lambda m, r: "max(" if m.group() == "min(" else "min(")),
    (0.7, substitute(r"(\w+)\.(\w+)\(", r"\2(")),
)


def cumulative(table: tuple[tuple[float, Mistake], ...]) -> list[float]:
    return list(accumulate(weight for weight, _ in table))


SYNTAX_WEIGHTS, SEMANTIC_WEIGHTS = cumulative(SYNTAX), cumulative(SEMANTIC)


def break_span(span: str, scope: str, rng: Random, count: int, syntax_share: float = 0.6) -> str:
    """`span` with `count` mistakes made, names borrowed from `scope`. Differs from `span` whenever some
    mistake applies. Deterministic given `rng`."""
    broken = span
    for _ in range(count):
        table, weights = (SYNTAX, SYNTAX_WEIGHTS) if rng.random() < syntax_share else (SEMANTIC, SEMANTIC_WEIGHTS)
        for _ in range(12):
            mistake = table[bisect(weights, rng.random() * weights[-1])][1]
            made = mistake(broken, scope, rng)
            if made is not None and made != broken and made != span:
                broken = made
                break
    return broken
