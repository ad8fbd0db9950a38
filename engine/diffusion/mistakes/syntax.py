"""Mistakes of punctuation, quotes, keywords and operators: most of them leave code that does not parse.

Owns the table SYNTAX of (weight, mistake). Weights are relative odds among the mistakes that apply.
"""

from __future__ import annotations

import re
from random import Random

from engine.diffusion.mistakes.surface import (
    FILL,
    STRING,
    Mistake,
    code_of,
    cut,
    pick,
    rewrite,
    rewrite_by,
    typo,
)

END = r"(?=[ \t]*(?:#|\n|\Z))"  # the end of a line's code
OPENERS = "if|elif|else|for|while|def|class|try|except|finally|with|async"
HEADER_COLON = re.compile(rf"^[ \t]*(?:{OPENERS})\b[^\n]*?(:){END}", re.MULTILINE)
PLAIN_END = re.compile(rf"^[ \t]*(?!(?:{OPENERS})\b)[^\s#{FILL}][^\n#]*?[\w)\]\"'](){END}", re.MULTILINE)
# Keywords whose misspelling is no name that would parse in their place.
KEYWORD = re.compile(
    r"\b(?:def|class|return|import|from|while|for|if|elif|else|try|except|finally|with|lambda|yield|raise"
    r"|not|and|or|in|is|as|assert|async|await|del|global)\b(?=[ \t(:])"
)
WORD_AND_SPACE = re.compile(
    r"\b(?:def|class|import|from|for|if|elif|while|in|not|and|or|as|except|with|lambda|del)( )(?=\w)"
)
FIELD = re.compile(r"\{[^{}\n]*\}")
CALL_OF_PRINT = re.compile(r"\bprint\(([^\n]*)\)" + END)
DEFINITION = re.compile(r"\bdef \w+(\([^()\n]*\))")
NEXT_PARAMETER = re.compile(r"= ?[^,()\n]+, ?\w+( ?= ?[^,()\n]+)(?=[,)])")
KEYWORD_ARGUMENT = re.compile(r"[(,] ?\w+=[^,()\n=]+, (\w+=)(?!=)")
TRANSPOSABLE = re.compile(rf"[)\]}}\"':,.=(\[{{](?=[^\s\w{FILL}])[^\w]|[(\[{{](?=\w)|\w[)\]:]")
WRONG_COLONS = (";", ";", ",", ".", "::", ":;", " {", "()", "):", ":)")
SPOT = re.compile(rf"[^\s{FILL}#](?!{FILL})")
STRAYS = "\\\\;,.:'\"`)(]}[{=+-/?@$!*&"


def drop_quote(text: str, scope: str, rng: Random) -> str | None:
    match = pick(STRING, code_of(text), rng)
    if match is None:
        return None
    at = match.end() - 1 if rng.random() < 0.6 else match.start()
    return cut(text, at, at + 1)


def exchange_quote(text: str, scope: str, rng: Random) -> str | None:
    match = pick(STRING, code_of(text), rng)
    if match is None:
        return None
    at = match.end() - 1 if rng.random() < 0.6 else match.start()
    return cut(text, at, at + 1, "'" if text[at] == '"' else '"')


def quote_inside(text: str, scope: str, rng: Random) -> str | None:
    """An unescaped quote in a string: an apostrophe, or a pair around one of its words."""
    match = pick(STRING, code_of(text), rng)
    if match is None:
        return None
    quote, inside = match.group(1), text[match.start() + 1 : match.end() - 1]
    if "\\" + quote in inside:
        return cut(text, match.start() + 1, match.end() - 1, inside.replace("\\" + quote, quote))
    words = list(re.finditer(r"\w+", inside))
    if not words:
        return None
    start, end = (match.start() + 1 + at for at in rng.choice(words).span())
    if quote == "'" and end - start > 2 and rng.random() < 0.5:
        return cut(text, end - 1, end - 1, quote)
    return text[:start] + quote + text[start:end] + quote + text[end:]


def break_string(text: str, scope: str, rng: Random) -> str | None:
    """A line break inside a string that has no triple quotes."""
    match = pick(STRING, code_of(text), rng)
    at = text.find(" ", match.start(), match.end()) if match else -1
    return cut(text, at, at + 1, "\n") if at > 0 else None


def stray(text: str, scope: str, rng: Random) -> str | None:
    """A character that slipped in somewhere in the code."""
    spots = [match.end() for match in SPOT.finditer(code_of(text))]
    if not spots:
        return None
    at = rng.choice(spots)
    letters = "aesxcvlkp1" if text[at - 1] in ")]}\"'" else ""
    return cut(text, at, at, rng.choice(STRAYS + letters * 3))


def drop_colon(text: str, scope: str, rng: Random) -> str | None:
    match = pick(HEADER_COLON, code_of(text), rng)
    return cut(text, *match.span(1)) if match else None


def wrong_colon(text: str, scope: str, rng: Random) -> str | None:
    match = pick(HEADER_COLON, code_of(text), rng)
    return cut(text, *match.span(1), rng.choice(WRONG_COLONS)) if match else None


def extra_end(text: str, scope: str, rng: Random) -> str | None:
    """Something after a line that is complete."""
    match = pick(PLAIN_END, code_of(text), rng)
    if match is None:
        return None
    ending = rng.choice((":", ":", ":", ")", ")", "]", "}", "'", '"', "\\", ".", " +", "s", " ="))
    return cut(text, *match.span(1), ending)


def misspell_keyword(text: str, scope: str, rng: Random) -> str | None:
    match = pick(KEYWORD, code_of(text), rng)
    return cut(text, *match.span(), typo(match.group(), rng)) if match else None


def capital_keyword(text: str, scope: str, rng: Random) -> str | None:
    match = pick(KEYWORD, code_of(text), rng)
    if match is None:
        return None
    word = match.group()
    return cut(text, *match.span(), word.upper() if rng.random() < 0.2 else word.capitalize())


def join_keyword(text: str, scope: str, rng: Random) -> str | None:
    match = pick(WORD_AND_SPACE, code_of(text), rng)
    return cut(text, *match.span(1)) if match else None


def repeat_token(text: str, scope: str, rng: Random) -> str | None:
    match = pick(KEYWORD, code_of(text), rng)
    return cut(text, match.end(), match.end(), " " + match.group()) if match else None


def transpose(text: str, scope: str, rng: Random) -> str | None:
    """Two neighbouring characters exchanged, one of them punctuation."""
    match = pick(TRANSPOSABLE, code_of(text), rng)
    if match is None:
        return None
    at = match.start()
    return cut(text, at, at + 2, text[at + 1] + text[at])


def field_brace(text: str, scope: str, rng: Random) -> str | None:
    """A brace forgotten in an f-string or format string."""
    match = pick(FIELD, text, rng)
    if match is None or code_of(text)[match.start()] != FILL:
        return None
    at = match.end() - 1 if rng.random() < 0.6 else match.start()
    return cut(text, at, at + 1)


def print_statement(text: str, scope: str, rng: Random) -> str | None:
    match = pick(CALL_OF_PRINT, code_of(text), rng)
    if match is None:
        return None
    start, end = match.span(1)
    return cut(text, match.start(), match.end(), "print " + text[start:end])


def drop_parameters(text: str, scope: str, rng: Random) -> str | None:
    match = pick(DEFINITION, code_of(text), rng)
    return cut(text, *match.span(1)) if match else None


def drop_later_default(text: str, scope: str, rng: Random) -> str | None:
    """A parameter without default after one that has one."""
    match = pick(NEXT_PARAMETER, code_of(text), rng)
    return cut(text, *match.span(1)) if match else None


def drop_argument_name(text: str, scope: str, rng: Random) -> str | None:
    """A positional argument after a keyword argument."""
    match = pick(KEYWORD_ARGUMENT, code_of(text), rng)
    return cut(text, *match.span(1)) if match else None


def unwrap_print(found: str, rng: Random) -> str:
    return found.replace("as", ",", 1).replace(" ,", ",", 1)


def ternary(found: str, rng: Random) -> str:
    value, _, rest = found.partition(" if ")
    condition, _, other = rest.partition(" else ")
    return f"{condition} ? {value} : {other}"


def reverse_import(found: str, rng: Random) -> str:
    _, module, _, names = found.split(" ", 3)
    return f"import {names} from {module}"


BRACKETS: tuple[tuple[float, Mistake], ...] = (
    (9.0, rewrite(r"[)\]}]", "")),  # unclosed
    (3.0, rewrite(r"[)\]}]" + END, "")),
    (3.5, rewrite(r"[(\[{]", "")),  # unopened
    (4.0, rewrite_by(r"[)\]}]", lambda found, rng: found * 2)),
    (1.0, rewrite_by(r"[(\[{]", lambda found, rng: found * 2)),
    (1.5, rewrite(r"\)", "]", "}", ">", "0", "9")),
    (0.7, rewrite(r"[\]}]", ")", "]", "}")),
    (0.5, rewrite(r"\(", "[", "{", "9", "8")),
    (1.0, drop_parameters),
)
QUOTES: tuple[tuple[float, Mistake], ...] = (
    (6.0, drop_quote),
    (2.0, exchange_quote),
    (2.0, quote_inside),
    (0.8, break_string),
    (0.8, rewrite(r"(?<![\"'])[\"'](?![\"'])", '""', "''", '"""', "`", "\u201c", "\u2019")),
    (2.0, rewrite_by(r"\"\"\"|'''", lambda found, rng: found[: rng.choice((0, 0, 0, 1, 2, 2))])),
    (0.7, rewrite_by(rf"(?<={FILL})[\"'](?![\"'])", lambda found, rng: "\\" + found)),
    (1.2, field_brace),
)
PUNCTUATION: tuple[tuple[float, Mistake], ...] = (
    (8.0, drop_colon),
    (2.0, wrong_colon),
    (2.5, extra_end),
    (6.0, rewrite(r"(?<=[\w)\]}\"']), (?=[\w(\[{\"'*])", " ", " ", "")),
    (2.5, rewrite(r"(?<=[\w)\]}\"']),(?=\n)", "")),  # between the lines of a display or call
    (1.0, rewrite(r"(?<=[\w)\]}\"']),(?=[ \n])", ".", ";", ",,", ":", " ,,")),
    (1.5, rewrite(r"(?<=[\w\"']):(?= ?[\w(\[{\"'])", "", " ", "=", ",", ";")),  # in a dict, slice, lambda
    (1.0, rewrite(r"(?<=[\w)\]])\.(?=[A-Za-z_])", "..", ".,", ",.", " ", ";")),
    (4.0, stray),
    (2.0, transpose),
    (0.4, rewrite(r"(?<=\w), ", "\uff0c", " \u060c")),
    (0.4, rewrite(r" - ", " \u2013 ", " \u2014 ")),
)
KEYWORDS: tuple[tuple[float, Mistake], ...] = (
    (6.0, misspell_keyword),
    (1.2, capital_keyword),
    (1.2, join_keyword),
    (1.2, repeat_token),
    (2.0, rewrite(r"\belif\b(?= )", "else if", "elseif", "elsif", "else", "else if", "elif if", "el if")),
    (0.7, rewrite(r"\belse(?=:)", "elif", "else if", "els", "otherwise", "else else", "esle")),
    (1.5, rewrite(r" in (?=[\w(\[\"'])", " ", " on ", " = ", " of ", " : ", " in in ")),
    (1.2, rewrite(r"\b(?:def|class) (?=\w)", "", "", "function ", "func ", "define ", "fun ", "de ")),
    (1.0, rewrite(r"(?<=\w) (?:import|as) (?=\w)", " ", ".", " ")),
    (1.0, rewrite(r"(?<=[\w)\]\"']) (?:if|else|and|or|is|not in) (?=[\w(\[\"'])", " ", "  ")),
    (0.5, rewrite(r"\bis not\b", "not is", "isnot", "is!")),
    (0.4, rewrite(r"\bnot in\b", "in not", "not", "!in", "notin")),
    (0.4, rewrite(r"\bexcept\b", "catch", "expect", "Except", "except as")),
    (0.4, rewrite(r"\braise (?=\w)", "throw ", "rise ", "raise new ", "throw new ")),
    (0.4, rewrite(r"\bimport (?=\w)", "include ", "import from ", "imports ", "import: ")),
    (0.4, rewrite_by(r"\bfrom [\w.]+ import \w+(?:, \w+)*", reverse_import)),
    (0.4, rewrite(r"(?:(?<=\n)|(?<=  ))(?=\w+ = )", "var ", "let ", "const ", "int ", "set ")),
    (1.2, print_statement),
    (0.6, rewrite_by(r"\bexcept [\w.]+ as \w+", unwrap_print)),
    (0.4, rewrite_by(r"(?<== )[\w.]+ if [\w. ]+ else [\w.]+" + END, ternary)),
)
OPERATORS: tuple[tuple[float, Mistake], ...] = (
    (3.0, rewrite(r" == ", " = ", " = ", " = ", " === ", " =  = ", " := ", " ")),
    (0.7, rewrite(r" != ", " =! ", " !== ", " <> ", " ! = ", " ~= ", " !  ")),
    (0.5, rewrite(r" <= ", " =< ", " < = ", " <== ", " \u2264 ")),
    (0.5, rewrite(r" >= ", " => ", " > = ", " >== ", " \u2265 ")),
    (0.5, rewrite(r" (?:\+|-|\*|/|//|%)= ", " + = ", " +  ", "++ ", " =+= ", " - = ")),
    (0.5, rewrite(r" -> ", " => ", " - > ", " - ", " : ", " ")),
    (2.0, rewrite(r"(?<=[\w)\]\"']) = (?=[\w(\[{\"'])", " ", " ", "", " =: ", " = = ", "->", " =  = ")),
    (1.5, rewrite(r"(?<=[\w)\]\"']) (?:[+*/%-]|//|[<>]=?|[=!]=) (?=[\w(\[{\"'])", " ", "", " ")),
    (0.7, rewrite_by(r" (?:\*|/|<|>|%|=|==)(?= [\w(\[{\"'])", lambda found, rng: found * 2)),
    (0.5, rewrite(r" and (?=\w)", " && ", " && ", " & & ", " and and ", " AND ")),
    (0.5, rewrite(r" or (?=\w)", " || ", " || ", " or or ", " OR ")),
    (0.5, rewrite(r"\bnot (?=\w)", "!", "!", "! ", "NOT ")),
    (0.4, rewrite(r"(?<=[\w)\]]) [-+]= 1" + END, "++", "++", "--")),
    (0.4, rewrite_by(r"(?<![\w.])[1-9]\d*(?![\w.])", lambda found, rng: found + rng.choice("abes"))),
    (0.3, rewrite_by(r"(?<![\w.])[1-9]\d*(?![\w.])", lambda found, rng: "0" + found)),
    (0.7, drop_later_default),
    (0.8, drop_argument_name),
)
SYNTAX = BRACKETS + QUOTES + PUNCTUATION + KEYWORDS + OPERATORS
