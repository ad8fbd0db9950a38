"""What all models from elsewhere share: their tokens behind our reserved ones, and log-probabilities for
heads that they lack.

The reverse process knows the reserved ids 0 to 9. A foreign token t is therefore token SHIFT + t here, and
the model's own mask, padding and marker tokens are never predicted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from engine.errors import EditError
from engine.models.denoiser import CanvasItem, CanvasLogits
from engine.models.vocabulary import BOS, DEL, MASK, RESERVED, Vocabulary

SHIFT = len(RESERVED)
MAX_INSERT = 4
# Log-odds (nats) of inserting or deleting at a visible place, for models that cannot tell: below every margin,
# so that only a search with a judge tries it, after the replacements that the model finds plausible.
INSERT_ODDS, DELETE_ODDS = -4.0, -5.0
PROBE = "\ndef f(x):\n    if x  != 'Ä':\n\treturn  [x, 1.5]  # Ω\n"


class ForeignVocabulary(Vocabulary):
    """A Hugging Face tokenizer in our id space. Its special tokens are not read from text."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        spec = json.loads(tokenizer.to_str())
        self.special = frozenset(token["id"] for token in spec["added_tokens"] if token["special"])
        spec["added_tokens"] = [token for token in spec["added_tokens"] if not token["special"]]
        spec["post_processor"] = None
        super().__init__(Tokenizer.from_str(json.dumps(spec)))
        self._ids = tokenizer.get_vocab(with_added_tokens=True)
        self.size = SHIFT + 1 + max(self._ids.values(), default=0)

    @classmethod
    def read(cls, folder: Path) -> ForeignVocabulary:
        """Raises EditError when `folder` has no tokenizer that keeps text as it is."""
        vocabulary = cls(read_tokenizer(folder))
        if vocabulary.decode(vocabulary.encode(PROBE)) != PROBE:
            raise EditError(
                "model_unavailable",
                f"the tokenizer in {folder} changes text (case, spaces or rare letters): choose a model made for code",
            )
        return vocabulary

    def id_of(self, token: str) -> int | None:
        """The model's own id of a token, special or not."""
        return self._ids.get(token)

    def special_token(self, token: str) -> int:
        """Our id of a token that no text holds. Raises KeyError when there is none of this name."""
        return SHIFT + self._ids[token]

    def encode(self, text: str) -> list[int]:
        return [SHIFT + token for token in super().encode(text)]

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        return [[SHIFT + token for token in ids] for ids in super().encode_batch(texts)]

    def _text(self, run: list[int]) -> str:
        return super()._text([token - SHIFT for token in run])


def foreign_ids(canvas: Sequence[int], mask: int) -> list[int]:
    """The model's own ids for `canvas`, without our <bos>."""
    return [mask if token == MASK else token - SHIFT for token in canvas if token != BOS]


def load_weights(loader: Any, folder: Path, device: str, **options: Any) -> Any:
    """`loader.from_pretrained`, of safetensors alone (never of pickles), on `device` unless quantised. Raises
    EditError when weights are missing or of other shapes than config.json says: transformers would make them up."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    model, told = loader.from_pretrained(
        folder,
        local_files_only=True,
        use_safetensors=True,
        output_loading_info=True,
        ignore_mismatched_sizes=True,
        **options,
    )
    wrong = sorted([*told["missing_keys"], *(str(key) for key, *_ in told["mismatched_keys"])])
    if wrong:
        raise EditError(
            "model_unavailable",
            f"{len(wrong)} weights in {folder} are missing or do not fit its config.json ({wrong[0]}): "
            "download the model folder anew",
        )
    return model if getattr(model, "hf_quantizer", None) else model.to(device)


def check_size(folder: Path, vocabulary: ForeignVocabulary, model_size: int) -> None:
    """Raises EditError when the tokenizer has tokens that the model lacks (the other way round is padding)."""
    if vocabulary.size - SHIFT > model_size:
        raise EditError(
            "model_unavailable",
            f"the tokenizer in {folder} has {vocabulary.size - SHIFT} tokens, the model only {model_size}: "
            "they do not belong together, download the model folder anew",
        )


def canvas_logits(item: CanvasItem, logits: Tensor, size: int, banned: Sequence[int]) -> CanvasLogits:
    """`logits` [n - 1, model's vocabulary], for the canvas without <bos>, as the reverse process wants them;
    `size` is that of our vocabulary."""
    ids = torch.tensor(item.canvas)
    own = logits.float().cpu()
    own[:, list(banned)] = -torch.inf
    own = own[:, : size - SHIFT].log_softmax(-1)
    tokens = torch.full((len(ids), size), -torch.inf)
    tokens[0, BOS] = 0.0
    tokens[1:, SHIFT : SHIFT + own.shape[1]] = own
    visible = (ids != MASK) & (ids != BOS)
    tokens[visible, DEL] = tokens[visible, ids[visible]].clamp(min=-25.0) + DELETE_ODDS
    inserts = torch.full((len(ids), MAX_INSERT + 1), -torch.inf)
    inserts[:, 0] = 0.0
    inserts[:, 1:] = INSERT_ODDS - torch.arange(MAX_INSERT)
    inserts[ids == MASK, 1:] = -30.0
    inserts = inserts.log_softmax(-1)
    if item.rows is not None:
        rows = list(item.rows)
        tokens, inserts = tokens[rows], inserts[rows]
    return CanvasLogits(tokens, inserts)


def read_json(path: Path) -> dict[str, Any]:
    """An object from `path`, {} when there is no such file. Raises ValueError when it is no JSON object."""
    if not path.is_file():
        return {}
    value = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(value, dict):
        raise ValueError(f"{path.name} is not a JSON object")
    return value


def read_tokenizer(folder: Path) -> Tokenizer:
    """Also from the older vocab.json and merges.txt, where it is known how they split text: CodeBERT's as
    RoBERTa's, those of Dream and its kin as Qwen2's. Raises EditError when there is neither."""
    path = folder / "tokenizer.json"
    if path.is_file():
        try:
            return Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except Exception as error:  # tokenizers raises no other class
            raise EditError(
                "model_unavailable", f"{path} is damaged ({error}): download the model folder anew"
            ) from error
    kind = str(read_json(folder / "config.json").get("model_type")).lower()
    if kind in ("roberta", "dream") and (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        from transformers import Qwen2Tokenizer, RobertaTokenizer

        loader: Any = RobertaTokenizer if kind == "roberta" else Qwen2Tokenizer
        return loader.from_pretrained(folder, local_files_only=True).backend_tokenizer
    raise EditError(
        "model_unavailable",
        f"{folder} has no tokenizer.json: save the model's fast tokenizer there (tokenizer.save_pretrained)",
    )


def token_id(folder: Path, name: str) -> int | None:
    """The id of the special token `name` ("mask_token", say) by the folder's tokenizer files."""
    config = read_json(folder / "tokenizer_config.json")
    special = read_json(folder / "special_tokens_map.json")
    content = config.get(name) or special.get(name)
    if isinstance(content, dict):
        content = content.get("content")
    if not isinstance(content, str):
        return None
    return read_tokenizer(folder).token_to_id(content)


def one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
