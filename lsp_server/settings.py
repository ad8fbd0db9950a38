"""Typed settings of the section "redraft", from the editor and from the project.

Editor settings win over `.redraft.toml` and `[tool.redraft]` in pyproject.toml. What can start a
program or send code elsewhere (`engine.*`, `model.path`) is taken from the client's initialization
options alone, never from a workspace.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting with its default. Field `a_b` is the key named in `KEYS`."""

    code_action_enable: bool = True
    diagnostics_enable: bool = True
    diagnostics_severity: str = "hint"
    inline_enable: bool = False
    inline_debounce_ms: int = 150
    exclude: tuple[str, ...] = ()
    instructions: tuple[str, ...] = ()
    candidates: int = 4
    deadline_ms: int = 5000
    strength: float | None = None
    needs_confirmation: bool = False
    engine_path: str | None = None
    engine_url: str | None = None
    engine_fallback: bool = False
    engine_device: str | None = None
    engine_threads: int | None = None
    engine_idle_seconds: float = 900.0
    model_path: str | None = None


def a_bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def a_severity(value: Any) -> str:
    if value not in ("error", "warning", "information", "hint"):
        raise ValueError("error, warning, information or hint")
    return value


def strings(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("a list of strings")
    return tuple(value)


def text(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ValueError("a string or null")
    return value or None


def number(low: float, high: float, whole: bool = True, optional: bool = False) -> Callable[[Any], Any]:
    def parse(value: Any) -> Any:
        if value is None and optional:
            return None
        kinds = (int,) if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
            raise ValueError(f"a {'whole ' if whole else ''}number from {low:g} to {high:g}")
        return value

    return parse


KEYS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "codeAction.enable": ("code_action_enable", a_bool),
    "diagnostics.enable": ("diagnostics_enable", a_bool),
    "diagnostics.severity": ("diagnostics_severity", a_severity),
    "inline.enable": ("inline_enable", a_bool),
    "inline.debounceMs": ("inline_debounce_ms", number(0, 5000)),
    "exclude": ("exclude", strings),
    "instructions": ("instructions", strings),
    "candidates": ("candidates", number(1, 100)),
    "deadlineMs": ("deadline_ms", number(10, 600_000)),
    "strength": ("strength", number(0, 1, whole=False, optional=True)),
    "preview.needsConfirmation": ("needs_confirmation", a_bool),
}
TRUSTED_KEYS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "engine.path": ("engine_path", text),
    "engine.url": ("engine_url", text),
    "engine.fallback": ("engine_fallback", a_bool),
    "engine.device": ("engine_device", text),
    "engine.threads": ("engine_threads", number(1, 256, optional=True)),
    "engine.idleSeconds": ("engine_idle_seconds", number(1, 1e7, whole=False)),
    "model.path": ("model_path", text),
}
PROJECT_FILES = (".redraft.toml", "pyproject.toml")  # the first that has settings counts
MAX_PROJECT_FILE = 1_000_000  # bytes
MAX_DEPTH = 2  # of a setting's key
# Read by the editors' own clients; known here, so that they are not reported.
CLIENT_KEYS = ("interpreter", "importStrategy", "languages", "trace.server", "logLevel", "showNotifications")


def flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """{"a": {"b": 1}} -> ("a.b", 1); no setting lies deeper than a hostile tree may."""
    for key, value in tree.items():
        if isinstance(value, Mapping) and prefix.count(".") < MAX_DEPTH:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def updated(base: Settings, tree: Any, trusted: bool = False) -> tuple[Settings, list[str]]:
    """`base` with the values of `tree` over it, and one line for each that is unknown or wrong."""
    if tree is None:
        return base, []
    if not isinstance(tree, Mapping):
        return base, ["redraft: settings must be an object"]
    changes: dict[str, Any] = {}
    problems: list[str] = []
    for key, value in flatten(tree):
        if key in TRUSTED_KEYS and not trusted:
            continue  # a workspace may not choose programs; the client's own copy counts
        if key not in KEYS and key not in TRUSTED_KEYS:
            if key not in CLIENT_KEYS:
                problems.append(f"redraft.{key[:80]} is not a setting; there are: {', '.join((*KEYS, *TRUSTED_KEYS))}")
            continue
        name, parse = KEYS.get(key) or TRUSTED_KEYS[key]
        try:
            changes[name] = parse(value)
        except ValueError as error:
            default = next(f.default for f in fields(Settings) if f.name == name)
            problems.append(f"redraft.{key} must be {error}; using {default!r}")
    return replace(base, **changes), problems


def trusted_part(settings: Settings) -> Settings:
    """The defaults, but for what only the client's initialization options may set."""
    return Settings(**{name: getattr(settings, name) for name, _ in TRUSTED_KEYS.values()})


def project_settings(folder: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """The project's own tree: `.redraft.toml`, else `[tool.redraft]` of pyproject.toml; None where it cannot be read.
    A file of the workspace is not to be trusted: whatever it holds, the outcome is a tree or a problem."""
    for name in PROJECT_FILES:
        path = folder / name
        try:
            if not path.is_file():
                continue
            if path.stat().st_size > MAX_PROJECT_FILE:
                return None, [f"{name} has more than {MAX_PROJECT_FILE:,} bytes: not read"]
            tree = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            return None, [f"{name} cannot be read: {str(error)[:200]}"]
        tool = tree.get("tool")
        found = tree if name == ".redraft.toml" else tool.get("redraft") if isinstance(tool, dict) else None
        if found is not None:
            return found, []
    return {}, []
