"""Syntax checks by language: Python by its own compiler, others by their tree-sitter grammars.

The grammars come inside the wheel of tree-sitter-language-pack 0.x; version 1 downloads them when they are first
used, which an editor's tool must not do unasked."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from engine.conflicts import conflict_lines

if TYPE_CHECKING:
    from tree_sitter import Node, Parser, Tree

# LSP language identifiers (LSP 3.17, `TextDocumentItem`) -> names of grammars.
GRAMMARS = {
    "bash": "bash",
    "c": "c",
    "cpp": "cpp",
    "csharp": "csharp",
    "css": "css",
    "go": "go",
    "html": "html",
    "java": "java",
    "javascript": "javascript",
    "javascriptreact": "javascript",
    "json": "json",
    "kotlin": "kotlin",
    "lua": "lua",
    "php": "php",
    "ruby": "ruby",
    "rust": "rust",
    "scala": "scala",
    "shellscript": "bash",
    "swift": "swift",
    "toml": "toml",
    "typescript": "typescript",
    "typescriptreact": "tsx",
    "yaml": "yaml",
}
MAX_STATEMENT = 20  # lines that a region may grow to
REGION = "<region>"  # the file name that Python's warnings about a text would carry: nobody asked for them
warnings.filterwarnings("ignore", module=re.escape(REGION))
PATIENCE_S = 2.0  # some grammars take minutes over a few kilobytes that are not of their language
# Scanners that keep their state in 1,024 bytes and end the process when it does not fit: YAML's has four a level of
# indentation, Kotlin's one a string.
YAML_LEVELS = re.compile(r"^\s+|[-?:](?=\s|$)")
MAX_YAML_LEVELS = 200
MAX_KOTLIN_TEMPLATES = 1000


LEFT_OPEN = re.compile("was never closed|unterminated triple-quoted")  # CPython's words, 3.10 and later


@dataclass(frozen=True, slots=True)
class SyntaxFault:
    """Where the parser gave up: 0-based line and column (code points), and its words."""

    line: int
    column: int
    message: str

    @property
    def leaves_open(self) -> bool:
        """Whether line and column are those of a bracket or string that is never closed."""
        return LEFT_OPEN.search(self.message) is not None


def is_checked(language: str) -> bool:
    """Whether the syntax of `language` can be checked."""
    return language == "python" or language in GRAMMARS


def syntax_fault(text: str, language: str) -> SyntaxFault | None:
    """The first syntax error of a document, or None when it has none or the language is not checked."""
    if language == "python":
        return python_fault(text)
    return grammar_fault(text, GRAMMARS[language]) if language in GRAMMARS else None


def python_fault(text: str) -> SyntaxFault | None:
    """The first syntax error of a Python module, or None when it compiles."""
    try:
        compile(text, REGION, "exec", dont_inherit=True)
    except SyntaxError as error:
        return SyntaxFault(max(0, (error.lineno or 1) - 1), max(0, (error.offset or 1) - 1), error.msg)
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        return SyntaxFault(0, 0, str(error) or type(error).__name__)
    return None


def grammar_fault(text: str, grammar: str) -> SyntaxFault | None:
    """The first error or missing token in the tree of `text`."""
    source = text.encode("utf-8", "surrogatepass")
    tree = tree_of(text, grammar)
    if tree is None:
        return SyntaxFault(0, 0, "too involved to be checked")
    root = tree.root_node
    if not root.has_error:
        return None
    node = next(faulty(root), root)
    row, column = node.start_point
    line = source[node.start_byte - column : node.start_byte]
    words = f"missing {node.type}" if node.is_missing else "syntax error"
    return SyntaxFault(row, len(line.decode("utf-8", "replace")), words)


def faulty(node: Node) -> Iterator[Node]:
    """Error and missing nodes below `node`, in the order of the text. No recursion: code nests deeper than we may."""
    ahead = node.children[::-1]
    while ahead:
        child = ahead.pop()
        if child.is_error or child.is_missing:
            yield child
        elif child.has_error:
            ahead += child.children[::-1]


def tree_of(text: str, grammar: str) -> Tree | None:
    """None where the parser must not be asked, or takes too long."""
    if (grammar == "yaml" and yaml_levels(text) > MAX_YAML_LEVELS) or (
        grammar == "kotlin" and text.count("${") > MAX_KOTLIN_TEMPLATES
    ):
        return None
    source, parser, give_up = text.encode("utf-8", "surrogatepass"), parser_of(grammar), time.monotonic() + PATIENCE_S
    try:
        return parser.parse(lambda at, _: source[at:], progress_callback=lambda _, __: time.monotonic() > give_up)
    except ValueError:
        parser.reset()  # or it would go on where it stopped
        return None


def yaml_levels(text: str) -> int:
    """At most so many levels of indentation are open at once: each needs a column of its own, and what opens it."""
    return max(sum(map(len, YAML_LEVELS.findall(line))) for line in text.split("\n"))


def statement_lines(text: str, first: int, last: int, language: str) -> tuple[int, int]:
    """The lines of the smallest piece of syntax that holds lines `first` to `last` (0-based, inclusive), unless it
    is long or has an error: then the lines themselves, and the conflicts of a merge that they touch."""
    first, last = conflict_lines(text, first, last)
    tree = tree_of(text, GRAMMARS[language]) if language in GRAMMARS else None
    node, found = tree.root_node if tree else None, (first, last)
    while node is not None and node.start_point.row <= first and last <= node.end_point.row:
        rows = node.end_point.row - node.start_point.row
        if rows < MAX_STATEMENT and not node.has_error:
            found = node.start_point.row, node.end_point.row
        node = next(
            (c for c in node.children if c.start_point.row <= first and last <= c.end_point.row and c.is_named), None
        )
    return found


@lru_cache(maxsize=8)
def parser_of(grammar: str) -> Parser:
    from tree_sitter_language_pack import get_parser

    return get_parser(cast(Any, grammar))
