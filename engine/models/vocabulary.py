"""The tokenizer: byte-level BPE with code-aware pre-tokenisation, and the reserved tokens.

Byte level, so that every string round-trips. A newline and the indentation after it are one
piece, so that wrong indentation is one substitution; brackets, quotes and operators are never
merged with their neighbours, so that one human slip is one token edit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

PAD, MASK, DEL, BOS, INSTRUCTION, END, FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE, FIM_BEFORE = range(10)
RESERVED = (
    "<pad>",
    "<mask>",  # noise: to be filled
    "<del>",  # prediction only: nothing belongs here
    "<bos>",  # front of every canvas; its insert count covers the front
    "<instruction>",
    "<end>",  # end of a document; end of text for the autoregressive twin
    "<fim_prefix>",  # the fim tokens serve the autoregressive twin alone
    "<fim_suffix>",
    "<fim_middle>",
    "<fim_before>",
)

# One alternative per kind of piece; the first that matches wins.
PIECES = Regex(
    r"\n[ \t]*"  # a newline with the indentation of the next line
    r"| ?_*[A-Za-z]+|_+| ?\p{N}"  # a word of an identifier; single digits
    r"| ?(?:\"\"\"|'''|\.\.\.|\*\*=?|//=?|<<|>>|==|!=|<=|>=|->|:=|[-+*/%|&^@]=)"
    r"| ?[^\s\p{N}A-Za-z_]"  # any other single character
    r"| +(?= )| |\s"  # spaces inside a line
)


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Byte-level BPE over `texts`. The reserved tokens take ids 0 to 9."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(  # type: ignore[assignment]
        [
            pre_tokenizers.Split(PIECES, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(RESERVED),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        limit_alphabet=256,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _without_added_tokens(tokenizer)


def _without_added_tokens(tokenizer: Tokenizer) -> Tokenizer:
    """Added tokens would be matched inside a user's text; as plain vocabulary they never are."""
    spec = json.loads(tokenizer.to_str())
    spec["added_tokens"] = []
    return Tokenizer.from_str(json.dumps(spec))


class Vocabulary:
    """Text to token ids and back. Reserved tokens are never read from text: a file that spells
    `<mask>` is encoded as those characters."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.size = tokenizer.get_vocab_size()

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """Reads `tokenizer.json`. Raises OSError or ValueError when it is missing or corrupt."""
        return cls(Tokenizer.from_str(path.read_text(encoding="utf-8")))

    def save(self, path: Path) -> None:
        path.write_text(self._tokenizer.to_str(), encoding="utf-8")

    def encode(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        return [e.ids for e in self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    def decode(self, ids: Iterable[int]) -> str:
        """Text of `ids`; `<mask>` is shown as U+2591, the other reserved tokens as nothing."""
        parts: list[str] = []
        run: list[int] = []
        for token in ids:
            if token >= len(RESERVED):
                run.append(token)
                continue
            parts.append(self._text(run))
            run = []
            if token == MASK:
                parts.append("\u2591")
        parts.append(self._text(run))
        return "".join(parts)

    def _text(self, run: list[int]) -> str:
        return self._tokenizer.decode(run, skip_special_tokens=False)
