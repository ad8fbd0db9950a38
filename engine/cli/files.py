"""Files on the command line: read byte for byte, written whole or not at all."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from engine.cli.errors import CommandError

MAX_BYTES = 2_000_000
LANGUAGES = {
    ".py": "python", ".pyi": "python", ".js": "javascript", ".ts": "typescript", ".lua": "lua", ".go": "go",
    ".rs": "rust", ".c": "c", ".h": "c", ".cpp": "cpp", ".java": "java", ".rb": "ruby", ".sh": "shellscript",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SourceFile:
    path: Path
    text: str
    language: str

    @property
    def lines(self) -> list[str]:
        """Lines with their endings; only \\n, \\r\\n and \\r end a line."""
        return re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", self.text)


def read_source(path: Path) -> SourceFile:
    """Raises CommandError when the file cannot be edited."""
    if path.is_dir():
        raise CommandError(f"{path} is a folder: name a file")
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise CommandError(f"{path} has {size:,} bytes, the limit is {MAX_BYTES:,}: edit a smaller file")
        data = path.read_bytes()
    except FileNotFoundError:
        raise CommandError(f"{path} does not exist: check the name") from None
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from error
    if b"\0" in data:
        raise CommandError(f"{path} is a binary file: only text can be edited")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CommandError(f"{path} is not UTF-8 (byte {error.start}): convert it first") from error
    return SourceFile(path, text, LANGUAGES.get(path.suffix, "plaintext"))


def parse_range(value: str, file: SourceFile) -> tuple[int, int]:
    """ "L1:L2" (1-based, inclusive) -> 0-based half-open line numbers. Raises CommandError."""
    match = re.fullmatch(r"(\d+)(?::(\d+))?", value)
    if not match:
        raise CommandError(f"--range {value!r} is not of the form FIRST:LAST, line numbers from 1")
    first, last = int(match[1]), int(match[2] or match[1])
    count = max(1, len(file.lines))
    if not 1 <= first <= last <= count:
        raise CommandError(f"--range {value} is outside {file.path}, which has lines 1 to {count}")
    return first - 1, last


def write_source(file: SourceFile, text: str) -> None:
    """Replaces the file in one step, keeping its mode. Raises CommandError when it changed meanwhile."""
    target = file.path.resolve()
    try:
        if file.path.read_bytes() != file.text.encode("utf-8"):
            raise CommandError(f"{file.path} changed meanwhile, nothing was written: run the command again")
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except FileNotFoundError:
        raise CommandError(f"{file.path} is gone, nothing was written") from None
    except OSError as error:
        raise CommandError(f"{target.parent} cannot be written to: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(text.encode("utf-8"))
        os.chmod(temporary, target.stat().st_mode)
        os.replace(temporary, target)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise CommandError(f"{file.path} cannot be written: {error.strerror}") from error
