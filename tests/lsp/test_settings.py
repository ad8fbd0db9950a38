"""Settings: typed, reported once, and no program from a workspace."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lsp_server.secrets import excluded_by
from lsp_server.settings import CLIENT_KEYS, KEYS, TRUSTED_KEYS, Settings, project_settings, updated


def test_values_are_taken_and_wrong_ones_named_with_the_valid_ones() -> None:
    tree = {
        "candidates": 7,
        "diagnostics": {"severity": "loud"},
        "inline": {"enable": True, "debounceMs": -1},
        "colour": 1,
    }
    settings, problems = updated(Settings(), tree)
    assert settings.candidates == 7
    assert settings.inline_enable
    assert settings.diagnostics_severity == "hint"
    assert settings.inline_debounce_ms == 150
    assert len(problems) == 3
    assert any("error, warning, information or hint" in p for p in problems)
    assert any("redraft.colour is not a setting" in p for p in problems)


def test_a_workspace_cannot_choose_programs_or_servers() -> None:
    tree = {"engine": {"path": "/tmp/evil", "url": "tcp://evil:1"}, "model": {"path": "/tmp/evil"}}
    assert updated(Settings(), tree)[0] == Settings()
    assert updated(Settings(), tree, trusted=True)[0].engine_path == "/tmp/evil"


def test_project_files(tmp_path: Path) -> None:
    assert project_settings(tmp_path) == ({}, [])
    (tmp_path / "pyproject.toml").write_text("[tool.redraft]\ncandidates = 3\n")
    assert project_settings(tmp_path)[0] == {"candidates": 3}
    (tmp_path / ".redraft.toml").write_text("candidates = [")
    assert "cannot be read" in project_settings(tmp_path)[1][0]


@pytest.mark.parametrize(
    "name",
    [
        ".env",
        ".env.local",
        "a.pem",
        "server.key",
        "id_rsa",
        "id_rsa.pub",
        ".netrc",
        "secrets.yml",
        "x.tfstate",
        "C.PEM",
    ],
)
def test_secret_files_are_excluded(name: str) -> None:
    assert excluded_by(f"file:///home/me/{name}")


def test_own_globs_are_added() -> None:
    assert not excluded_by("file:///home/me/generated/x.py")
    assert excluded_by("file:///home/me/generated/x.py", ["generated"])
    for glob in ("/home/*/generated/*", "me/generated/*", "**/generated/*.py"):
        assert excluded_by("file:///home/me/generated/x.py", [glob])
    assert not excluded_by("file:///home/me/generated/x.py", ["e/generated/*", "generated/*/x.py"])


ROOT = Path(__file__).resolve().parents[2]


def test_every_setting_is_documented_with_its_default() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| `(.+?)` \|", (ROOT / "docs" / "server.md").read_text(), re.M)
    defaults = {key: getattr(Settings(), name) for key, (name, _) in {**KEYS, **TRUSTED_KEYS}.items()}
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in defaults.items()}
    assert {key: json.loads(default) for key, default in rows} == plain


def test_vs_code_knows_the_same_settings_and_defaults() -> None:
    package = json.loads((ROOT / "editors" / "vscode" / "package.json").read_text())
    known = {
        key.removeprefix("redraft."): value["default"]
        for key, value in package["contributes"]["configuration"]["properties"].items()
    }
    for key, (name, _) in {**KEYS, **TRUSTED_KEYS}.items():
        default = getattr(Settings(), name)
        assert known[key] == (list(default) if isinstance(default, tuple) else default), key
    assert set(known) <= {*KEYS, *TRUSTED_KEYS, *CLIENT_KEYS}
