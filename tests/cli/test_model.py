"""`redraft model`: the choice is written, read back, tested by a real edit."""

from __future__ import annotations

import json

import pytest

from engine.cli import main


@pytest.fixture(autouse=True)
def own_config(tmp_path, monkeypatch):
    monkeypatch.setenv("REDRAFT_CONFIG_DIR", str(tmp_path))


def test_use_is_what_list_says(tmp_path, capsys) -> None:
    assert main(["model", "use", "--url", "https://api.example.org/v1", "--name", "m", "--no-fallback"]) == 0
    assert main(["model", "list", "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["url"] == "https://api.example.org/v1"
    assert told["model"] == "m"
    assert told["fallback"] is False
    assert main(["model", "use", "embedded"]) == 0
    main(["model", "list"])
    assert "in use: embedded" in capsys.readouterr().out


def test_the_embedded_model_passes_its_test(capsys) -> None:
    assert main(["model", "test", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["mended"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["use"], "name a model folder"),
        (["use", "/no/such/folder"], "no model in"),
        (["use", "--url", "http://api.example.org"], "use https"),
        (["test", "--url", "http://127.0.0.1:9", "--timeout", "1"], "cannot be reached"),
    ],
)
def test_what_is_wrong_is_said(arguments, word, capsys) -> None:
    assert main(["model", *arguments]) == 1
    assert word in capsys.readouterr().err
