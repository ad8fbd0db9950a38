"""Slips with a form of their own, undone as a whole: older Python, other languages, word processors.

Each is a pattern, what was meant, and what believing that costs a priori in nats; a form that Python never has
is hardly ever meant otherwise, so that its cost is negative. Purely textual, imports nothing of the engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Form = tuple[re.Pattern[str], str, float]
STRING = r"(?P<kept>'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"|\#.*)"  # strings and comments, left as they are

PYTHON_2 = (
    (r"^([ \t]*)print\s+(?!\()(.*?)[ \t]*$", r"\1print(\2)"),
    (r"^([ \t]*)print\s+(.*?)[ \t]*$", r"\1print(\2)"),
    (r"except\s+([\w.]+|\([^)]*\))\s*,\s*(\w+)\s*:", r"except \1 as \2:"),
    (r"^([ \t]*raise\s+[\w.]+)\s*,\s*(.*?)[ \t]*$", r"\1(\2)"),
    (r"^([ \t]*exec)\s+(.*?)[ \t]*$", r"\1(\2)"),
    (r"\bur(?=['\"])", "r"),
    (r"<>", "!="),
    (r"\b(0)(\d+)\b", r"\1o\2"),
    (r"\b(0[xX][\da-fA-F]+|\d+)[lL]\b", r"\1"),
    (r"`([^`\n]+)`", r"repr(\1)"),
)
OLDER = tuple((re.compile(pattern, re.M), new) for pattern, new in PYTHON_2)

# Of code only, never inside strings and comments.
FORMS = (
    (r"\belse\s+if\b", "elif", -4.0),
    (r"[ \t]*&&[ \t]*", " and ", -4.0),
    (r"[ \t]*\|\|[ \t]*", " or ", -4.0),
    (r"!==", "!=", -4.0),
    (r"===", "==", -4.0),
    (r"!\s*(?=[\w(])", "not ", -1.0),
    (r"=\s*<(?!=)", "<=", 0.5),
    (r"=\s*>", ">=", 1.0),
    (r"=!", "!=", 0.5),
    (r"-[ \t]+>", "->", -1.0),
    (r"(?P<a>[-+*/%=!<>:|&^])[ \t]+=(?!=)", r"\g<a>=", 0.5),
    (r"(?P<a>[\w.\])]+)\s*\+\+", r"\g<a> += 1", -2.0),
    (r"(?P<a>[\w.\])]+)\s*--[ \t]*$", r"\g<a> -= 1", -2.0),
    (r"^(?P<a>[ \t]*)(?:var|let|const|auto|int|float|double|String|string|boolean|bool|char|long)\s+(?=\w+\s*=)",
     r"\g<a>", -2.0),
    (r"^(?P<a>[ \t]*)(?:function|func|fun|fn)\s+(?=\w+\s*\()", r"\g<a>def ", -2.0),
    (r"^(?P<a>[ \t]*(?:async\s+)?def\s+\w+)\s*(?=:)", r"\g<a>()", 0.0),
    (r"^(?P<a>[ \t]*)def(?=\s+\w+\s*\([\w., ]*\)\s*:)", r"\g<a>class", 2.0),
    (r"(?P<a>\S)\s*\{[ \t]*$", r"\g<a>:", 0.0),
    (r"\s+then\s*:?[ \t]*$", ":", 0.0),
    (r"^(?P<a>[ \t]*)//", r"\g<a>#", -1.0),
    (r"\bthrow\s+(?:new\s+)?(?=\w)", "raise ", -2.0),
    (r"(?<==)\s*new\s+(?=\w)", " ", -2.0),
    (r"(?P<d>=|\breturn\b)[ \t]*(?P<a>[^?\n]+?)\s*\?\s*(?P<b>[^:\n]+?)\s*:\s*(?P<c>.+?)[ \t]*$",
     r"\g<d> \g<b> if \g<a> else \g<c>", -1.0),
    (r"^(?P<a>[ \t]*)import\s+\{?\s*(?P<b>\w[\w, ]*?)\s*\}?\s+from\s+(?P<c>[\w.]+);?[ \t]*$",
     r"\g<a>from \g<c> import \g<b>", -2.0),
    (r"^(?P<a>[ \t]*)(?P<b>import\s+[\w.]+)\s+(?=from\s)", r"\g<a>\g<b>\n\g<a>", -1.0),
    (r"^(?P<a>[ \t]*)import(?=\s+[\w.]+\s+import\b)", r"\g<a>from", -1.0),
    (r"^(?P<a>[ \t]*from\s+[\w.]+\s+)(?!import\b)(?=[\w*(])", r"\g<a>import ", -1.0),
    (r"^(?P<a>[ \t]*)from(?=\s+[\w.]+[ \t]*$)", r"\g<a>import", 1.0),
    (r"(?P<a>\bimport\s+\w+)\s+import\b", r"\g<a> as", 1.0),
    (r"(?P<a>[(\[{])\s*,\s*", r"\g<a>", 1.0),
    (r"(?P<a>[\w\])][ \t]*=)[ \t]*(?=\#|$)", r"\g<a> None ", 1.0),
)  # fmt: skip
FOREIGN: tuple[Form, ...] = tuple((re.compile(f"{STRING}|{p}", re.M), new, cost) for p, new, cost in FORMS)

FIELD = re.compile(r"\{[^{}\n]*\}")  # of an f-string
ESCAPE_OUTSIDE = re.compile(r"""(["'])((?:\\[nt])+)(?=\s*[,)])""")  # "text"\n) for "text\n")
ESCAPES = re.compile(r"\\(?=['\"])")
INDENTED_BY_TABS = re.compile(r"^[ \t]*\t[ \t]*", re.M)

# What word processors, chats and other keyboards write for what Python reads.
INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f"
BLANK = "\u00a0\u2002\u2003\u2007\u2009\u202f\u3000"
LOOKALIKES = {
    "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "＂": '"', "‘": "'", "’": "'", "‚": "'", "´": "'", "＇": "'",
    "（": "(", "）": ")", "［": "[", "］": "]", "｛": "{", "｝": "}", "，": ",", "、": ",", "：": ":", "；": ";",
    "．": ".", "。": ".", "＝": "=", "＋": "+", "－": "-", "＊": "*", "／": "/", "＜": "<", "＞": ">", "！": "!",
    "＃": "#", "–": "-", "—": "-", "−": "-", "×": "*", "÷": "/", "≠": "!=", "≤": "<=", "≥": ">=", "→": "->", "…": "...",
}  # fmt: skip
ASCII = str.maketrans({**dict.fromkeys(INVISIBLE), **dict.fromkeys(BLANK, " "), **LOOKALIKES})
CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")
NOT_ASCII = re.compile(r"(?P<kept>'[^'\n]*'|\"[^\"\n]*\"|\#.*)|[^\x00-\x7f]+")

MARKER = re.compile(r"^(?:<{7}|\|{7}|={7}|>{7})(?: .*)?\n", re.M)


def undone(text: str, start: int, stop: int) -> Iterator[tuple[str, float]]:
    """`text` with slips undone, of one kind or several, and the cost of each; `start:stop`: the line at fault."""
    yield from older_python(text)
    yield MARKER.sub("", text + "\n")[:-1], 1.0
    before, line, after = text[:start], text[start:stop], text[stop:]
    foreign = line
    for pattern, new, cost in FOREIGN:
        yield outside_strings(pattern, new, text), cost
        yield before + outside_strings(pattern, new, line) + after, cost
        if cost < 0:
            foreign = outside_strings(pattern, new, foreign)
    yield before + foreign + after, -1.0
    yield before + ESCAPES.sub("", line) + after, 1.0
    yield before + ESCAPE_OUTSIDE.sub(r"\2\1", line) + after, 0.5
    for width in (8, 4):
        yield INDENTED_BY_TABS.sub(lambda m, w=width: m.group().expandtabs(w), text), -1.0
    for quote, other in (('"', "'"), ("'", '"')):  # an f-string's own quote within it: Python 3.12 alone reads that
        yield FIELD.sub(lambda m, q=quote, o=other: m.group().replace(q, o), text), -1.0
    plain = CONTROL.sub("", NOT_ASCII.sub(lambda m: m["kept"] or m.group().translate(ASCII), text))
    yield plain, -4.0
    yield CONTROL.sub("", text.translate(ASCII)), -3.0


def outside_strings(pattern: re.Pattern[str], new: str, text: str) -> str:
    """What `pattern` finds replaced; its group `kept` takes strings and comments."""
    return pattern.sub(lambda m: m["kept"] or m.expand(new), text)


def older_python(text: str) -> Iterator[tuple[str, float]]:
    """Python 2 forms, one kind or all at once: where that makes the text parse, hardly anything else was meant."""
    whole = text
    for pattern, new in OLDER:
        whole = pattern.sub(new, whole)
        yield pattern.sub(new, text), -8.0
    yield whole, -7.0
