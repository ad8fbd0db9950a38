"""Files whose content must never leave the server."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import PurePath, PurePosixPath
from urllib.parse import unquote, urlsplit

from pygls.uris import to_fs_path

DENIED = (
    ".env*", "*.pem", "*.key", "*.crt", "*.cert", "*.p12", "*.pfx", "id_rsa*", "id_ed25519*", "id_ecdsa*",
    ".netrc", ".pypirc", ".npmrc", ".dev.vars", "secrets.*", "*.tfstate", "*.tfstate.*", "*.keystore", "credentials",
)  # fmt: skip
BRACES = re.compile(r"\{([^{}]*)\}")


def excluded_by(uri: str, more: Iterable[str] = ()) -> str | None:
    """The glob that keeps `uri` out, or None; a symbolic link is kept out by what it points to as well. A glob
    without a slash is held against every part of the path, else against the end of the path, of a folder on it, or all
    of it."""
    paths = named_by(uri)
    return next((glob for glob in (*DENIED, *more) if any(matches(path, glob) for path in paths)), None)


def named_by(uri: str) -> list[PurePosixPath]:
    """The path in `uri`, and where it leads to on this machine."""
    try:
        given = PurePosixPath(unquote(urlsplit(uri).path))
        path = to_fs_path(uri) if uri.startswith("file:") else None
        return [given, PurePosixPath(PurePath(os.path.realpath(path)).as_posix())] if path else [given]
    except (ValueError, OSError):  # "http://[", a null character, no permission
        return [PurePosixPath(unquote(uri))]


def matches(path: PurePosixPath, glob: str) -> bool:
    return any(matches_plain(path, one) for one in spelt_out(glob.lower().removeprefix("./").rstrip("/")))


def spelt_out(glob: str) -> list[str]:
    """ "*.{a,b}" as "*.a" and "*.b", which is how editors read it."""
    found = BRACES.search(glob)
    if not found:
        return [glob]
    head, tail = glob[: found.start()], glob[found.end() :]
    return [one for part in found[1].split(",") for one in spelt_out(head + part + tail)]


def matches_plain(path: PurePosixPath, glob: str) -> bool:
    if "/" not in glob:
        return any(fnmatch(part.lower(), glob) for part in path.parts)
    wanted, name = glob if glob.startswith(("/", "*")) else f"*/{glob}", path.as_posix().lower()
    return fnmatch(name, wanted) or fnmatch(name, f"{wanted}/*")  # a folder's is what it holds
