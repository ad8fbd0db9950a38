"""Files whose content must never leave the server."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

DENIED = (
    ".env*", "*.pem", "*.key", "*.crt", "*.cert", "*.p12", "*.pfx", "id_rsa*", "id_ed25519*", "id_ecdsa*",
    ".netrc", ".pypirc", ".npmrc", ".dev.vars", "secrets.*", "*.tfstate", "*.tfstate.*", "*.keystore", "credentials",
)  # fmt: skip


def excluded_by(uri: str, more: Iterable[str] = ()) -> str | None:
    """The glob that keeps `uri` out, or None. A glob without a slash is held against every part of the
    path, else against the whole path."""
    try:
        path = PurePosixPath(unquote(urlsplit(uri).path))
    except ValueError:  # "http://[" and its like
        path = PurePosixPath(unquote(uri))
    for glob in (*DENIED, *more):
        parts = [path.as_posix()] if "/" in glob else path.parts
        if any(fnmatch(part.lower(), glob.lower()) for part in parts):
            return glob
    return None
