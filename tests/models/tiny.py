"""Tiny models of foreign kinds, built from a configuration and saved as a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

# fmt: off
CODE = [
    "def total(items):\n    result = 0\n    for item in items:\n        result += item.price\n    return result\n",
    "def largest(values):\n    best = values[0]\n    for value in values:\n        best = max(best, value)\n"
    "    return best\n",
    "class Stack:\n    def __init__(self):\n        self.items = []\n\n    def push(self, item):\n"
    "        self.items.append(item)\n",
]
# fmt: on


def save_tokenizer(folder: Path, size: int = 400, mask: str | None = "<mask>", extra: tuple[str, ...] = ()) -> int:
    """A byte-level tokenizer as `save_pretrained` writes it; returns its size."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", *([mask] if mask else []), *extra]
    tokenizer.train_from_iterator(
        CODE,
        trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    names: dict[str, Any] = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>"}
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", **names, **({"mask_token": mask} if mask else {})
    ).save_pretrained(folder)
    return tokenizer.get_vocab_size()


def train_masked(model: Any, folder: Path, steps: int, mask: int) -> None:
    """A short training on CODE, so that the answers are more than noise."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    rows = [tokenizer.encode(text, add_special_tokens=False).ids[:60] for text in CODE]
    width = max(map(len, rows))
    ids = torch.tensor([[0, *row, *[2] * (width - len(row)), 2] for row in rows])
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(0)
    model.train()
    for _ in range(steps):
        hidden = torch.rand(ids.shape, generator=generator) < 0.3
        logits = model(input_ids=ids.masked_fill(hidden, mask)).logits
        loss = torch.nn.functional.cross_entropy(logits[hidden], ids[hidden])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
