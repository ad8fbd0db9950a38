"""DiffusionGemma from a tiny configuration to an edit."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from transformers import DiffusionGemmaConfig, DiffusionGemmaForBlockDiffusion, DiffusionGemmaTextConfig
from transformers.models.diffusion_gemma.generation_diffusion_gemma import (
    DiffusionGemmaGenerationConfig,
    EntropyBoundSampler,
    EntropyBoundSamplerConfig,
    LinearTemperatureScheduleLogitsProcessor,
)

from engine.cli import main
from engine.diffusion.sampler import within_bound
from engine.editing import edit_session, run_session
from engine.languages import python_fault
from engine.messages import EditRequest
from engine.models.choice import read_choice
from engine.models.denoiser import CanvasItem, Context, EntropyBound
from engine.models.diffusion_gemma import DiffusionGemmaDenoiser
from engine.models.loading import load_choice, load_denoiser, model_kind
from engine.models.vocabulary import BOS, MASK
from tests.models.tiny import save_tokenizer

VISION = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "head_dim": 8}


def build(path: Path) -> None:
    size = save_tokenizer(path, mask=None, extra=("<|turn>", "<turn|>"))
    text = DiffusionGemmaTextConfig(
        vocab_size=size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        global_head_dim=16,
        layer_types=["sliding_attention", "full_attention"],
        sliding_window=16,
        max_position_embeddings=1024,
        num_experts=2,
        top_k_experts=1,
        moe_intermediate_size=16,
        pad_token_id=1,
        eos_token_id=2,
        bos_token_id=0,
    )
    torch.manual_seed(0)
    config = DiffusionGemmaConfig(text_config=text, vision_config=VISION, canvas_length=64)
    model = DiffusionGemmaForBlockDiffusion(config)
    for name, weight in model.named_parameters():
        if "norm" not in name and weight.dim() > 1:  # as initialised, a canvas would hardly tell in the logits
            torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("gemma")
    build(path)
    return path


@pytest.fixture(scope="module")
def model(folder) -> DiffusionGemmaDenoiser:
    loaded = load_denoiser(folder, "cpu")
    assert isinstance(loaded, DiffusionGemmaDenoiser)
    assert model_kind(folder) == "diffusion-gemma"
    return loaded


@pytest.mark.parametrize("intent", ["fix", "rewrite", "fill"])
def test_an_edit_goes_all_the_way(model, intent) -> None:
    prefix, span, suffix = "def total(items):\n", "    result = 0\n", "    return result\n"
    request = EditRequest(intent, prefix, span, suffix, candidates=2, max_steps=3)
    results = [run_session(edit_session(request, model), model) for _ in range(2)]
    assert results[0].candidates == results[1].candidates  # the noise is seeded
    for candidate in results[0].candidates:
        assert python_fault(prefix + candidate.text + suffix) is None
        assert candidate.text != span
    assert results[0].forward_passes > 0


def test_a_missing_bracket_is_mended(model) -> None:
    request = EditRequest(
        "fix", "def area(width, height):\n", "    return (width * height\n", "\n\nprint(area(2, 3))\n"
    )
    result = run_session(edit_session(request, model), model)
    assert result.candidates
    assert all(candidate.parses for candidate in result.candidates)


def test_a_batch_is_its_canvases_one_by_one(model) -> None:
    encode = model.vocabulary.encode
    here, there = Context((), tuple(encode("a = 1\n" * 9)), ()), Context((), (), tuple(encode("\nb")))
    items = [
        CanvasItem(here, (BOS, *encode("x = y"), MASK)),
        CanvasItem(here, (BOS, *encode("y = x"), MASK)),
        CanvasItem(there, (BOS, *encode("y = x"), MASK)),
        CanvasItem(there, (BOS, MASK, *encode("z"), MASK), (1, 3)),
        CanvasItem(there, (BOS,)),
    ]
    together = model.denoise(items)
    for item, logits in zip(items, together, strict=True):
        (alone,) = model.denoise([item])
        assert torch.allclose(logits.tokens, alone.tokens, atol=1e-4)
        assert len(logits.tokens) == (len(item.canvas) if item.rows is None else len(item.rows))
    assert not torch.allclose(together[1].tokens, together[2].tokens, atol=1e-3)  # the context tells


def test_the_cached_context_gives_what_the_whole_model_gives(folder, model) -> None:
    """Prompt and canvas in one call of the untouched library, with its self-conditioning, against ours."""
    context = Context((), tuple(model.vocabulary.encode("def f(x):\n    return ")), ())
    item = CanvasItem(context, (BOS, *model.vocabulary.encode("x + 1\n")))
    (ours,) = model.denoise([item])
    whole = DiffusionGemmaForBlockDiffusion.from_pretrained(folder).eval()
    ids, canvas = torch.tensor([model.prompt(context)]), torch.tensor([model.canvas(item.canvas)])
    with torch.inference_mode():
        plain = whole(input_ids=ids, decoder_input_ids=canvas).logits
        conditioned = whole(input_ids=ids, decoder_input_ids=canvas, self_conditioning_logits=plain).logits
    n = len(item.canvas) - 1
    logits = conditioned[0, :n].clone()
    logits[:, sorted(model.vocabulary.special)] = -torch.inf
    wanted = logits.log_softmax(-1)
    assert torch.allclose(ours.tokens[1:, 13:], wanted[:, 3:], atol=1e-4)
    assert not torch.allclose(plain[0, :n], conditioned[0, :n], atol=1e-3)


def test_masks_are_random_tokens_and_the_turn_ends_the_canvas(model) -> None:
    canvas = (BOS, *model.vocabulary.encode("x ="), *[MASK] * 40)
    ids = model.canvas(canvas)
    assert ids == model.canvas(canvas)
    assert ids[-1] == 4  # <turn|>
    assert len(set(ids[-41:-1])) > 20
    assert not set(ids[:-1]) & model.vocabulary.special


def test_entropy_bounded_steps_trust_what_the_librarys_own_sampler_accepts() -> None:
    generator = torch.Generator().manual_seed(0)
    trusted = set()
    for bound in (0.001, 0.1, 3.0, 30.0):
        scales = torch.linspace(0, 30, 24)[torch.randperm(24, generator=generator), None]  # from no idea to sure
        logits = torch.randn(24, 50, generator=generator) * scales
        theirs = EntropyBoundSampler(EntropyBoundSamplerConfig(bound), 24, 50, 8)
        theirs.accept_canvas(torch.zeros(1, 24), torch.ones(1, 24), logits[None], 1)
        assert theirs.accepted_token_mask is not None
        ours = within_bound(logits.log_softmax(-1), bound)
        assert torch.equal(ours, theirs.accepted_token_mask[0])
        trusted.add(int(ours.sum()))
    assert len(trusted) == 4


def test_the_temperature_falls_as_in_the_librarys_schedule() -> None:
    theirs = LinearTemperatureScheduleLogitsProcessor(0.4, 0.8, 8)
    ours = EntropyBound(0.1, 0.4, 0.8)
    for left in range(8, 0, -1):
        assert 1 / float(theirs(None, torch.ones(1), left)) == pytest.approx(ours.temperature(left, 8))


def test_its_own_sampler_is_an_option_of_the_folder(folder, model, tmp_path, monkeypatch) -> None:
    assert model.entropy_bound is None
    own = shutil.copytree(folder, tmp_path / "own")
    monkeypatch.setenv("REDRAFT_CONFIG_DIR", str(tmp_path))
    assert main(["model", "use", str(own), "--sampler", "entropy-bound"]) == 0
    assert load_choice(read_choice(), "cpu").entropy_bound == EntropyBound(0.1, 0.4, 0.8)  # the library's defaults
    sampler = EntropyBoundSamplerConfig(entropy_bound=0.3)
    DiffusionGemmaGenerationConfig(sampler_config=sampler, t_min=0.2, t_max=1.0).save_pretrained(own)
    bounded = load_choice(read_choice(), "cpu")
    assert bounded.entropy_bound == EntropyBound(0.3, 0.2, 1.0)
    request = EditRequest("fill", "a = 1\n", "...\n", "b = 2\n", candidates=1, max_steps=2)
    assert steps_of(bounded, request) != steps_of(model, request)


def steps_of(model, request: EditRequest) -> list[str]:
    """What the denoising looks like at each step."""
    shown: list[str] = []
    run_session(edit_session(request, model), model, on_state=lambda state: shown.append(state.text))
    return shown


def test_the_prompt_shows_the_code_with_a_gap(folder, model) -> None:
    encode = model.vocabulary.encode
    context = Context(tuple(encode("sum\n  them")), tuple(encode("a = 1\n")), tuple(encode("\nb = 2")))
    shown = Tokenizer.from_file(str(folder / "tokenizer.json")).decode(model.prompt(context), skip_special_tokens=False)
    assert shown == (
        "<s><|turn>user\nWrite what belongs in place of <region/>. Answer with the missing code alone. sum them\n\n"
        "a = 1\n<region/>\nb = 2<turn|>\n<|turn>model\n"
    )
