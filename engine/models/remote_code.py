"""Diffusion language models that run their own Python code (LLaDA, Dream, DreamOn and others), as denoisers.

They are masked language models with habits (`families`): they are asked as `masked_lm` asks. The code runs
only when the user allowed it, and only as it was then: its digest is the pinned revision. Open-dCoder may come
without code: transformers' own Qwen2 then runs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.errors import EditError
from engine.models.choice import code_digest
from engine.models.denoiser import CanvasItem, CanvasLogits
from engine.models.families import EXPAND, Family, family_of
from engine.models.foreign import SHIFT, ForeignVocabulary, check_size, load_weights, read_json, token_id
from engine.models.masked_lm import MaskedLmDenoiser
from engine.models.vocabulary import DEL, MASK

AUTO_CLASSES = ("AutoModelForMaskedLM", "AutoModelForCausalLM", "AutoModel")
POSITIONS = ("max_position_embeddings", "max_sequence_length")  # names in their configurations
LONGEST = 2048  # tokens read at once


class RemoteCodeDenoiser(MaskedLmDenoiser):
    """`family` says how the model wants to be asked; `expand`, `delete`: ids of its length tokens."""

    def __init__(self, model: Any, vocabulary: ForeignVocabulary, mask: int, folder: Path, family: Family) -> None:
        positions = next((getattr(model.config, name) for name in POSITIONS if hasattr(model.config, name)), LONGEST)
        model.config.max_position_embeddings = min(int(positions), LONGEST)
        last = vocabulary.id_of(family.delete_token) if family.delete_token else None
        super().__init__(model, vocabulary, mask, (token_id(folder, "bos_token"), last), folder.name)
        self.family = family
        model.config.is_causal = False  # what transformers' own models go by
        self.expand, self.delete = (
            None if token is None else vocabulary.id_of(token) for token in (family.expand_token, family.delete_token)
        )
        self.free_length = self.expand is not None and self.delete is not None
        lengths = {self.expand, self.delete} - {None}
        self._banned = [token for token in self._banned if token not in lengths]

    @classmethod
    def load_allowed(cls, folder: Path, device: str, allowed: str | None, **options: Any) -> RemoteCodeDenoiser:
        """Raises EditError when the code is not allowed, comes from elsewhere, or the folder lacks a mask token
        or a usable tokenizer; and what from_pretrained raises."""
        import transformers

        config = read_json(folder / "config.json")
        own = config.get("auto_map")
        if own:
            check_code(folder, own, allowed)
        vocabulary = ForeignVocabulary.read(folder)
        named = token_id(folder, "mask_token")
        family = family_of(config, expands=vocabulary.id_of(EXPAND) is not None, masks=named is not None)
        assert family is not None  # else the folder is of another kind
        mask = config.get("mask_token_id") or named or family.mask
        if not isinstance(mask, int):
            raise EditError(
                "model_unavailable",
                f"{folder} names no mask token: put its mask_token_id into config.json ({family.name})",
            )
        loader = next((name for name in AUTO_CLASSES if name in own), None) if own else AUTO_CLASSES[1]
        if loader is None:
            raise EditError("model_unavailable", f"auto_map in {folder}/config.json names no model: download it anew")
        model = load_weights(
            getattr(transformers, loader), folder, device, trust_remote_code=bool(own), dtype="auto", **options
        )
        check_size(folder, vocabulary, int(getattr(model.config, "embedding_size", None) or model.config.vocab_size))
        return cls(model, vocabulary, mask, folder, family)

    @torch.inference_mode()
    def denoise(self, items: Sequence[CanvasItem]) -> list[CanvasLogits]:
        answers = super().denoise(items)
        if self.expand is not None and self.delete is not None:
            for item, logits in zip(items, answers, strict=True):
                own_lengths(item, logits, SHIFT + self.expand, SHIFT + self.delete)
        return answers

    def _forward(self, sequences: list[list[int]]) -> Sequence[Tensor]:
        """Sequences of one length go together: without padding, no family needs a mask of its own shape."""
        found: dict[int, Tensor] = {}
        for width in {len(row) for row in sequences}:
            places = [i for i, row in enumerate(sequences) if len(row) == width]
            ids = torch.tensor([sequences[i] for i in places], device=self.model.device)
            extra: dict[str, Any] = {}
            if self.family.attention == "flag":
                extra["is_causal"] = False
            # Block-causal by habit, and all of this is one block. The mask is added to the scores, where ones do
            # what zeros do, or its logarithm is: both let everything be seen.
            if self.family.attention == "block":
                extra["attention_mask"] = torch.ones((len(places), 1, width, width), device=ids.device).to(
                    self.model.dtype
                )
            logits: Tensor = self.model(input_ids=ids, **extra).logits
            if self.family.shift:
                logits = torch.cat([logits[:, :1], logits[:, :-1]], dim=1)
            found.update(zip(places, logits, strict=True))
        return [found[i] for i in range(len(sequences))]


def own_lengths(item: CanvasItem, logits: CanvasLogits, expand: int, delete: int) -> None:
    """DreamOn's length tokens at masks become ours: `delete` is <del>, `expand` one more mask behind. At
    visible tokens they mean nothing, being end of text there."""
    rows = range(len(item.canvas)) if item.rows is None else item.rows
    at_masks = torch.tensor([item.canvas[row] == MASK for row in rows])
    grow = logits.tokens[:, expand].clone()
    logits.tokens[at_masks, DEL] = logits.tokens[at_masks, delete]
    logits.tokens[:, [expand, delete]] = -torch.inf
    logits.tokens[:] = logits.tokens.log_softmax(-1)
    logits.inserts[at_masks, 0] = torch.log1p(-grow[at_masks].exp().clamp(max=1 - 1e-6))
    logits.inserts[at_masks, 1] = grow[at_masks].clamp(min=-30.0)


def check_code(folder: Path, auto_map: dict[str, Any], allowed: str | None) -> None:
    """Raises EditError unless the folder's code is all there and the one that the user allowed."""
    elsewhere = [str(value) for value in auto_map.values() if "--" in str(value)]
    if elsewhere:
        raise EditError(
            "model_unavailable",
            f"{folder} takes code from elsewhere ({elsewhere[0][:80]}): download those .py files into the folder and "
            "name them in config.json without the repository",
        )
    if allowed is None:
        raise EditError(
            "model_unavailable",
            f"{folder} runs Python code of its own: read its .py files, then allow exactly these with "
            f"`redraft model use {folder} --allow-code`",
        )
    if code_digest(folder) != allowed:
        raise EditError(
            "model_unavailable",
            f"the Python code in {folder} is not what you allowed: read it again, then run "
            f"`redraft model use {folder} --allow-code`",
        )
