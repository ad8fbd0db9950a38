"""Masked language models from configuration to edit, and what is said about folders that hold none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from transformers import (
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    ModernBertConfig,
    ModernBertForMaskedLM,
    RobertaConfig,
    RobertaForMaskedLM,
)

from engine.editing import edit_session, run_session
from engine.errors import EditError
from engine.languages import python_fault
from engine.messages import EditRequest
from engine.models.choice import ModelChoice
from engine.models.denoiser import CanvasItem, Context
from engine.models.loading import load_choice, load_denoiser, model_kind
from engine.models.vocabulary import BOS, DEL, MASK
from tests.models.tiny import CODE, save_tokenizer, train_masked

SIZES = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}


def build(kind: str, size: int):
    common = {**SIZES, "vocab_size": size, "max_position_embeddings": 300, "pad_token_id": 1}
    if kind == "bert":
        return BertForMaskedLM(BertConfig(**common))
    if kind == "roberta":
        return RobertaForMaskedLM(RobertaConfig(**common, bos_token_id=0, eos_token_id=2))
    ends = {"bos_token_id": 0, "eos_token_id": 2, "cls_token_id": 0, "sep_token_id": 2}
    return ModernBertForMaskedLM(ModernBertConfig(**common, **ends))


@pytest.fixture(scope="module", params=["bert", "roberta", "modernbert"])
def folder(request, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp(request.param)
    size = save_tokenizer(path)
    torch.manual_seed(0)
    model = build(request.param, size)
    train_masked(model, path, 500, mask=3)  # half as many are too few on some processors
    model.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def model(folder):
    return load_denoiser(folder, "cpu")


@pytest.mark.parametrize("intent", ["fix", "rewrite", "fill"])
def test_an_edit_goes_all_the_way(model, intent) -> None:
    prefix, span, suffix = "def total(items):\n", "    result = 0\n", "    for item in items:\n        result += item\n"
    result = run_session(edit_session(EditRequest(intent, prefix, span, suffix, candidates=3), model), model)
    for candidate in result.candidates:
        assert python_fault(prefix + candidate.text + suffix) is None
        assert candidate.text != span
    assert result.forward_passes > 0


def test_a_trained_model_knows_what_masks_stand_for(model) -> None:
    right = asked = 0
    for text in CODE:
        ids = model.vocabulary.encode(text)[:60]
        places = list(range(2, len(ids), 5))
        canvas = (BOS, *(MASK if i in places else token for i, token in enumerate(ids)))
        (logits,) = model.denoise([CanvasItem(Context((), (), ()), canvas)])
        assert logits.tokens.shape == (len(canvas), model.vocabulary.size)
        assert torch.isfinite(logits.tokens[1:].logsumexp(-1)).all()
        best = logits.tokens.argmax(-1).tolist()
        right += sum(best[i + 1] == ids[i] for i in places)
        asked += len(places)
    assert right > asked / 2  # chance is under 1%


def test_visible_tokens_are_judged_as_if_masked(model) -> None:
    encode = model.vocabulary.encode
    context = Context((), tuple(encode(CODE[1].partition("best")[0])), ())
    right = (BOS, *encode("best = values[0]\n"))
    wrong = list(right)
    wrong[3] = encode("!")[0]
    good, bad = model.denoise([CanvasItem(context, right), CanvasItem(context, tuple(wrong))])
    assert good.tokens[3, right[3]] > bad.tokens[3, wrong[3]]
    assert (good.tokens[1:, DEL] < good.tokens[range(1, len(right)), right[1:]]).all()
    assert good.inserts.argmax(-1).sum() == 0


def test_rows_are_those_of_the_whole_answer(model) -> None:
    canvas = (BOS, MASK, *model.vocabulary.encode("x"), MASK)
    context = Context((), (), ())
    whole, rows = model.denoise([CanvasItem(context, canvas), CanvasItem(context, canvas, (1, len(canvas) - 1))])
    assert torch.allclose(whole.tokens[[1, len(canvas) - 1]], rows.tokens, atol=1e-4)


def test_the_prompt_is_a_comment_and_the_code(folder, model) -> None:
    encode = model.vocabulary.encode
    context = Context(tuple(encode("sum\n  them")), tuple(encode("a = 1\n")), tuple(encode("\nb = 2")))
    ids = model.prompt(context, [3, 3])
    shown = Tokenizer.from_file(str(folder / "tokenizer.json")).decode(ids, skip_special_tokens=False)
    assert shown == "<s># sum them\na = 1\n<mask><mask>\nb = 2</s>"


def test_special_tokens_in_a_users_text_stay_text(model) -> None:
    text = "x = '<mask></s>'\n"
    assert 3 not in [t - 10 for t in model.vocabulary.encode(text)]
    assert model.vocabulary.decode(model.vocabulary.encode(text)) == text


def fails(folder: Path, code: str, *words: str, choice: ModelChoice | None = None) -> None:
    with pytest.raises(EditError) as caught:
        load_choice(choice or ModelChoice(path=str(folder)), "cpu")
    assert caught.value.code == code
    assert "\n" not in caught.value.message
    for word in words:
        assert word in caught.value.message


def test_what_cannot_be_used_is_said(tmp_path, folder) -> None:
    fails(tmp_path, "model_unavailable", "no model in")
    causal = tmp_path / "causal"
    GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=8, n_head=1, vocab_size=20)).save_pretrained(causal)
    fails(causal, "model_unavailable", "gpt2", "does not denoise")
    bare = shutil.copytree(folder, tmp_path / "bare")
    (bare / "tokenizer.json").unlink()
    fails(bare, "model_unavailable", "no tokenizer.json")
    maskless = tmp_path / "maskless"
    save_tokenizer(maskless, mask=None)
    for name in ("config.json", "model.safetensors"):
        shutil.copy(folder / name, maskless)
    fails(maskless, "model_unavailable", "mask_token")
    damaged = shutil.copytree(folder, tmp_path / "damaged")
    (damaged / "config.json").write_text("{")
    fails(damaged, "model_unavailable", "damaged")
    cut = shutil.copytree(folder, tmp_path / "cut")
    weights = (cut / "model.safetensors").read_bytes()
    (cut / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    fails(cut, "model_unavailable", "cannot be loaded")
    other = shutil.copytree(folder, tmp_path / "other")
    save_tokenizer(other, size=500)
    config = json.loads((other / "config.json").read_text())
    if config["vocab_size"] < len(Tokenizer.from_file(str(other / "tokenizer.json")).get_vocab()):
        fails(other, "model_unavailable", "do not belong together")
    assert model_kind(folder) == "masked-lm"
