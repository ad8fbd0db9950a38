"""Models that bring their own code: a tiny one, written here, from folder to edit; what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tokenizers import Tokenizer
from transformers import Qwen2Config, Qwen2ForCausalLM

from engine.cli import main
from engine.editing import edit_session, run_session
from engine.errors import EditError
from engine.languages import python_fault
from engine.messages import EditRequest
from engine.models.choice import ModelChoice, code_digest, read_choice
from engine.models.denoiser import CanvasItem, Context
from engine.models.families import FAMILIES, family_of
from engine.models.foreign import ForeignVocabulary, token_id
from engine.models.loading import load_choice, load_denoiser, load_model, model_kind
from engine.models.probe import LEAST, advantage
from engine.models.remote_code import RemoteCodeDenoiser
from engine.models.vocabulary import BOS, DEL, MASK
from tests.models.tiny import CODE, save_tokenizer, train_masked

# A bidirectional network in two files, as such repositories have them. `shift`: position i - 1 answers for i.
CONFIGURATION = """
from transformers import PretrainedConfig

class TinyConfig(PretrainedConfig):
    model_type = "tiny_diffusion"

    def __init__(self, vocab_size=400, hidden=64, shift=False, flag=False, max_position_embeddings=300, **more):
        self.vocab_size, self.hidden, self.shift, self.flag = vocab_size, hidden, shift, flag
        self.max_position_embeddings = max_position_embeddings
        super().__init__(**more)
"""
MODELING = """
import torch
from transformers import PreTrainedModel
from transformers.modeling_outputs import MaskedLMOutput
from .configuration_tiny import TinyConfig

class TinyModel(PreTrainedModel):
    config_class = TinyConfig

    def __init__(self, config):
        super().__init__(config)
        self.tokens = torch.nn.Embedding(config.vocab_size, config.hidden)
        self.places = torch.nn.Embedding(config.max_position_embeddings, config.hidden)
        self.layer = torch.nn.TransformerEncoderLayer(config.hidden, 4, 128, dropout=0.0, batch_first=True)
        self.head = torch.nn.Linear(config.hidden, config.vocab_size)
        self.post_init()

    def forward(self, input_ids, attention_mask=None, is_causal=True):
        assert is_causal is not self.config.flag  # a causal one must be told
        if attention_mask is not None:
            assert attention_mask.shape == (len(input_ids), 1, input_ids.shape[1], input_ids.shape[1])
        places = self.places(torch.arange(input_ids.shape[1], device=input_ids.device))
        logits = self.head(self.layer(self.tokens(input_ids) + places))
        if self.config.shift:
            logits = torch.cat([logits[:, 1:], logits[:, :1]], dim=1)
        return MaskedLMOutput(logits=logits)
"""
EXTRA = ("<|expand|>", "<|endoftext|>")  # ids 4 and 5


def write_model(folder: Path, **config: object) -> None:
    """The folder as the family's repository has it, untrained."""
    size = save_tokenizer(folder, extra=EXTRA)
    (folder / "configuration_tiny.py").write_text(CONFIGURATION)
    (folder / "modeling_tiny.py").write_text(MODELING)
    tree = {
        "architectures": ["TinyModel"],
        "auto_map": {"AutoConfig": "configuration_tiny.TinyConfig", "AutoModel": "modeling_tiny.TinyModel"},
        "vocab_size": size,
        "mask_token_id": 3,
        **config,
    }
    (folder / "config.json").write_text(json.dumps(tree))


def build(folder: Path, **config: object) -> None:
    from transformers import AutoConfig, AutoModel

    write_model(folder, **config)
    torch.manual_seed(0)
    tree = (folder / "config.json").read_text()
    read = AutoConfig.from_pretrained(folder, trust_remote_code=True)
    read.shift = read.flag = False
    model = AutoModel.from_config(read, trust_remote_code=True)
    train_masked(model, folder, 150, mask=3)
    model.save_pretrained(folder)
    (folder / "config.json").write_text(tree)


@pytest.fixture(scope="module", params=["LLaDA", "LLaDA2", "DreamOn", "Open-dCoder", "Stable-DiffCoder"])
def folder(request, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp(request.param.lower())
    kinds: dict[str, dict[str, object]] = {
        "LLaDA": {"model_type": "llada"},
        "LLaDA2": {"model_type": "llada2_moe"},
        "DreamOn": {"model_type": "Dream", "shift": True, "expand_token_id": 4},
        "Open-dCoder": {"model_type": "qwen2", "shift": True, "flag": True},
        "Stable-DiffCoder": {"model_type": "llama", "architectures": ["StableDiffcoderForCausalLM"]},
    }
    build(path, **kinds[request.param])
    return path


def load(folder: Path) -> RemoteCodeDenoiser:
    model = load_choice(ModelChoice(path=str(folder), allowed_code=code_digest(folder)), "cpu")
    assert isinstance(model, RemoteCodeDenoiser)
    return model


def test_an_edit_goes_all_the_way(folder) -> None:
    model = load(folder)
    prefix, suffix = "def total(items):\n", "    for item in items:\n        result += item\n"
    for intent in ("fix", "fill"):
        request = EditRequest(intent, prefix, "    result = 0\n", suffix, candidates=2, max_steps=3)
        for candidate in run_session(edit_session(request, model), model).candidates:
            assert python_fault(prefix + candidate.text + suffix) is None
    broken = EditRequest("fix", "def area(width, height):\n", "    return (width * height\n", "\n\nprint(1)\n")
    assert run_session(edit_session(broken, model), model).candidates


def test_a_trained_model_knows_what_masks_stand_for(folder) -> None:
    """So the shift of each family is undone and its attention mask is of the right shape."""
    model = load(folder)
    right = asked = 0
    for text in CODE:
        ids = model.vocabulary.encode(text)[:60]
        places = list(range(2, len(ids), 5))
        canvas = (BOS, *(MASK if i in places else token for i, token in enumerate(ids)))
        (logits,) = model.denoise([CanvasItem(Context((), (), ()), canvas)])
        best = logits.tokens.argmax(-1).tolist()
        right += sum(best[i + 1] == ids[i] for i in places)
        asked += len(places)
    assert right > asked / 2  # chance is under 1%


def test_length_tokens_become_deletions_and_insertions(tmp_path) -> None:
    build(tmp_path, model_type="Dream", shift=True, expand_token_id=4)
    model = load(tmp_path)
    assert model.free_length
    assert (model.expand, model.delete) == (4, 5)
    item = CanvasItem(Context((), (), ()), (BOS, MASK, model.vocabulary.encode("x")[0], MASK))
    bias = model.model.head.bias.data
    bias[5] = 50.0
    (deleted,) = model.denoise([item])
    assert deleted.tokens.argmax(-1).tolist() == [BOS, DEL, item.canvas[2], DEL]
    bias[4] = 100.0
    (grown,) = model.denoise([item])
    assert (grown.inserts[[1, 3], 1] > grown.inserts[[1, 3], 0]).all()
    assert grown.inserts[[0, 2], 0].exp().min() > 0.9


def test_the_prompt_is_a_comment_and_the_code(folder) -> None:
    model = load(folder)
    encode = model.vocabulary.encode
    context = Context(tuple(encode("sum\n  them")), tuple(encode("a = 1\n")), tuple(encode("\nb = 2")))
    shown = Tokenizer.from_file(str(folder / "tokenizer.json")).decode(
        model.prompt(context, [3, 3]), skip_special_tokens=False
    )
    end = "<|endoftext|>" if model.family.name == "DreamOn" else ""
    assert shown == f"<s># sum them\na = 1\n<mask><mask>\nb = 2{end}"


def fails(choice: ModelChoice, *words: str) -> None:
    with pytest.raises(EditError) as caught:
        load_choice(choice, "cpu")
    assert caught.value.code == "model_unavailable"
    assert "\n" not in caught.value.message
    for word in words:
        assert word in caught.value.message


def test_code_runs_only_when_allowed_and_unchanged(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "model"
    write_model(folder, model_type="llada")
    ran = tmp_path / "ran"
    trap = f"\nopen({str(ran)!r}, 'w').close()\n"
    (folder / "modeling_tiny.py").write_text(MODELING + trap)
    assert model_kind(folder) == "remote-code"
    fails(ModelChoice(path=str(folder)), "Python code of its own", "--allow-code")
    monkeypatch.setenv("REDRAFT_CONFIG_DIR", str(tmp_path))
    assert main(["model", "use", str(folder), "--allow-code"]) == 0
    assert read_choice().allowed_code == code_digest(folder)
    (folder / "modeling_tiny.py").write_text(MODELING + trap + "# changed\n")
    fails(read_choice(), "is not what you allowed")
    other = shutil.copytree(folder, tmp_path / "other")
    with pytest.raises(EditError, match="Python code of its own"):
        load_model(other)  # a workspace's model.path is not the folder that was allowed
    with pytest.raises(EditError, match="Python code of its own"):
        load_denoiser(other)
    assert not ran.exists()


def test_code_from_elsewhere_and_lost_masks_are_refused(tmp_path) -> None:
    write_model(tmp_path, model_type="llada", auto_map={"AutoModel": "someone/thing--modeling.Model"})
    fails(ModelChoice(path=str(tmp_path), allowed_code=code_digest(tmp_path)), "code from elsewhere", "someone/thing")
    maskless = tmp_path / "maskless"
    write_model(maskless, model_type="qwen2", mask_token_id="lost")
    fails(ModelChoice(path=str(maskless), allowed_code=code_digest(maskless)), "mask_token_id")
    codeless = tmp_path / "codeless"
    write_model(codeless, model_type="Dream", auto_map={"AutoTokenizer": ["x.Slow", None]})
    fails(ModelChoice(path=str(codeless), allowed_code=code_digest(codeless)), "names no model")


def test_open_dcoder_needs_no_code_of_its_own(tmp_path) -> None:
    """As it is published: a Qwen2 whose tokenizer names a mask, trained to see both ways, one place shifted."""
    size = save_tokenizer(tmp_path)
    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
    config = Qwen2Config(vocab_size=size, num_key_value_heads=2, max_position_embeddings=300, **sizes)
    config.is_causal = False
    model = Qwen2ForCausalLM(config)

    def unshifted(input_ids):
        logits = model(input_ids=input_ids, is_causal=False).logits
        return SimpleNamespace(logits=torch.cat([logits[:, :1], logits[:, :-1]], dim=1))

    unshifted.parameters, unshifted.train = model.parameters, model.train
    train_masked(unshifted, tmp_path, 150, mask=3)
    model.save_pretrained(tmp_path)
    tree = json.loads((tmp_path / "config.json").read_text())
    del tree["is_causal"]
    (tmp_path / "config.json").write_text(json.dumps(tree))
    assert model_kind(tmp_path) == "remote-code"
    loaded = load_choice(ModelChoice(path=str(tmp_path)), "cpu")
    assert loaded.family.name == "Open-dCoder"
    assert advantage(loaded) > LEAST
    ids = loaded.vocabulary.encode(CODE[0])[:20]
    seen = [loaded.denoise([CanvasItem(Context((), (), ()), (BOS, MASK, *ids[1:-1], last))])[0] for last in ids[:2]]
    assert not torch.allclose(seen[0].tokens[1], seen[1].tokens[1], atol=1e-3)  # the last token tells the first
    plain = tmp_path / "plain"
    save_tokenizer(plain, mask=None)
    model.save_pretrained(plain)
    with pytest.raises(EditError, match="does not denoise"):
        model_kind(plain)


def test_families_are_told_apart() -> None:
    """By what their published config.json say."""
    names = {family.name: family for family in FAMILIES}
    auto = {"auto_map": {"AutoModel": "m.M"}, "mask_token_id": 7}
    seed = {"AutoModelForCausalLM": "modeling_seed_diffcoder.SeedDiffcoderForCausalLM"}
    for config, name in (
        ({"architectures": ["LLaDAModelLM"], "model_type": "llada"}, "LLaDA"),
        ({"architectures": ["LLaDA2MoeModelLM"], "model_type": "llada2_moe"}, "LLaDA2"),
        ({"architectures": ["DreamModel"], "model_type": "Dream"}, "Dream, Dream-Coder, DiffuCoder"),
        ({"architectures": ["DreamModel"], "model_type": "Dream", "expand_token_id": 151667}, "DreamOn"),
        ({"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", **auto}, "Open-dCoder"),
        ({"architectures": ["StableDiffcoderForCausalLM"], "model_type": "llama"}, "Stable-DiffCoder"),
        ({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "auto_map": seed}, "Stable-DiffCoder"),
    ):
        assert family_of(config) is names[name]
    assert family_of({"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"}) is None
    assert family_of({"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"}, masks=True) is names["Open-dCoder"]
    assert family_of({"architectures": ["LlamaForCausalLM"], "model_type": "llama", **auto}) is None
    assert family_of({"architectures": ["DreamModel"], "model_type": "Dream"}, expands=True) is names["DreamOn"]


def test_a_tokenizer_of_older_files(tmp_path) -> None:
    """Dream's repositories have vocab.json and merges.txt, whose marks stand in tokenizer_config.json."""
    write_model(tmp_path, model_type="Dream")
    whole = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    marks = {str(i): whole.id_to_token(i) for i in range(6)}
    whole.model.save(str(tmp_path))
    (tmp_path / "tokenizer.json").unlink()
    added = {i: {"content": text, "special": True} for i, text in marks.items()}
    named = {"mask_token": "<mask>", "tokenizer_class": "DreamTokenizer", "added_tokens_decoder": added}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(named))
    vocabulary = ForeignVocabulary.read(tmp_path)
    text = "def f(x):\n    return x  # <mask>\n"
    assert vocabulary.decode(vocabulary.encode(text)) == text
    assert vocabulary.id_of("<|expand|>") == 4
    assert token_id(tmp_path, "mask_token") == 3
    (tmp_path / "merges.txt").unlink()
    with pytest.raises(EditError, match=r"no tokenizer\.json"):
        ForeignVocabulary.read(tmp_path)
