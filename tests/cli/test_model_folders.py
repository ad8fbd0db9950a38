"""`redraft model use|test` with folders that cannot be used: one line on stderr that says what to do, exit status 1."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import RobertaConfig, RobertaForMaskedLM

from engine.cli import main
from tests.models.tiny import save_tokenizer, train_masked

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A RoBERTa that knows a little."""
    folder = tmp_path_factory.mktemp("whole")
    size = save_tokenizer(folder)
    torch.manual_seed(0)
    ids = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
    model = RobertaForMaskedLM(RobertaConfig(vocab_size=size, max_position_embeddings=200, **SIZES, **ids))
    train_masked(model, folder, 250, mask=3)
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, to be broken."""
    monkeypatch.setenv("REDRAFT_CONFIG_DIR", str(tmp_path / "config"))
    return shutil.copytree(whole, tmp_path / "model")


def config(**fields: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / "config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))

    return change


def written(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def halved(folder: Path) -> None:
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])


def layer_lost(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if "layer.1" not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def forgotten(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    noise = {name: torch.randn_like(tensor) * 0.02 for name, tensor in weights.items()}
    save_file(noise, folder / "model.safetensors", metadata={"format": "pt"})


def pickled(folder: Path) -> None:
    """Weights that would run code when loaded."""
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def bad_index(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text('{"weight_map": 5}')


def fails(capsys: pytest.CaptureFixture[str], verb: str, *arguments: str) -> str:
    """What stderr says."""
    assert main(["model", verb, *arguments]) == 1
    said = capsys.readouterr().err
    assert said.startswith("redraft: ")
    assert said.count("\n") == 1, said
    return said


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (without("config.json"), "name the folder that holds its config.json"),
        (written("config.json", b"\xff\xfe\x00"), "is damaged"),
        (written("config.json", b"[]"), "is damaged"),
        (config(architectures=7), "is damaged (architectures)"),
        (config(architectures=["DreamModel"], auto_map="x"), "is damaged (auto_map)"),
        (config(architectures=["GPT2LMHeadModel"], model_type="gpt2"), "does not denoise"),
        (without("tokenizer.json"), "no tokenizer.json"),
        (written("tokenizer.json", b"{}"), "tokenizer.json is damaged"),
    ],
)
def test_what_can_be_seen_is_said_before_the_choice_is_written(
    folder: Path, damage: Callable[[Path], object], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(folder)
    for verb in ("use", "test"):
        assert words in fails(capsys, verb, str(folder))
    assert not (folder.parent / "config").exists()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (config(architectures=["WonderForMaskedLM"], model_type="wonder"), "update transformers"),
        (written("tokenizer_config.json", b"["), "cannot be loaded"),
        (written("tokenizer_config.json", b"{}"), "names no mask_token"),
        (halved, "cannot be loaded"),
        (written("model.safetensors", b""), "cannot be loaded"),
        (written("model.safetensors", b"\xff" * 5000), "cannot be loaded"),
        (bad_index, "cannot be loaded"),
        (pickled, "no file named model.safetensors"),
        (layer_lost, "are missing or do not fit"),
        (config(hidden_size=64), "are missing or do not fit"),
        (forgotten, "no better than by chance"),
    ],
)
def test_what_a_load_and_an_edit_show_is_said(
    folder: Path, damage: Callable[[Path], object], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(folder)
    assert words in fails(capsys, "test", str(folder))


def test_what_is_no_folder_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder.parent / "empty").mkdir()
    for path in (folder / "config.json", folder.parent / "empty", folder.parent / "none"):
        for more in ([], ["--allow-code"]):
            assert f"no model in {path}" in fails(capsys, "use", str(path), *more)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_may_not_be_read_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.chmod(0)
    try:
        assert "cannot be read" in fails(capsys, "use", str(folder))
    finally:
        folder.chmod(0o700)


def test_options_that_do_not_apply_are_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "not DiffusionGemma" in fails(capsys, "use", str(folder), "--sampler", "entropy-bound")
    assert "for a model folder" in fails(capsys, "use", "embedded", "--quantise", "4bit")
    assert "for a model folder" in fails(capsys, "use", "--url", "https://x.org", "--allow-code")
    assert "for a server" in fails(capsys, "use", str(folder), "--name", "m")
    for seconds in ("0", "-1", "nan", "soon"):
        with pytest.raises(SystemExit, match="2"):
            main(["model", "use", "--url", "https://x.org", "--timeout", seconds])
    capsys.readouterr()  # the usage
    (folder.parent / "config").write_text("a file where the folder should be")
    assert "cannot be written" in fails(capsys, "use", "embedded")


def test_a_good_folder_is_used_and_passes_its_test(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "use", str(folder)]) == 0
    assert main(["model", "test", "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["model"] == "model"
    assert told["advantage"] > 1


def test_a_server_is_marked_wherever_it_is_chosen(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "use", "--url", "https://api.example.org", "--name", "m"]) == 0
    assert "REMOTE: from now on code is sent to api.example.org" in capsys.readouterr().out
    main(["model", "list"])
    assert "(REMOTE: code is sent to api.example.org)" in capsys.readouterr().out
