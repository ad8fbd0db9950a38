"""The autoregressive twin: the span denoiser's own parameters, run left to right in fill-in-the-middle order.

`<fim_prefix> prefix <fim_suffix> suffix [<fim_before> broken span] <fim_middle> span <end>` (Bavarian et al.,
arXiv 2207.14255, section 3, "PSM", and the broken span where there is one). As with the denoiser, prefix and
suffix stand at fixed positions before the rest, so that their keys and values serve every span between them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.models.denoiser import Context
from engine.models.network import Block, KeyValues, Sizes, SpanNetwork
from engine.models.vocabulary import (
    END,
    FIM_BEFORE,
    FIM_MIDDLE,
    FIM_PREFIX,
    FIM_SUFFIX,
    INSTRUCTION,
    RESERVED,
    Vocabulary,
)

MODEL_TYPE = "redraft-autoregressive-twin"


def is_twin(folder: Path) -> bool:
    """Whether the model folder holds a twin; False when there is no readable config.json."""
    try:
        return json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type") == MODEL_TYPE
    except (OSError, ValueError):
        return False


def context_ids(context: Context) -> list[int]:
    """Prefix and suffix in the twin's order."""
    instruction = (INSTRUCTION, *context.instruction) if context.instruction else ()
    return [FIM_PREFIX, *instruction, *context.prefix, FIM_SUFFIX, *context.suffix]


def middle_start(sizes: Sizes) -> int:
    """Position right after the suffix, wherever that began."""
    return 3 + sizes.max_instruction + sizes.max_prefix + sizes.max_suffix


def request_ids(before: Sequence[int]) -> list[int]:
    """What stands between the context and the span to be written; `before`: the span as it is, may be empty."""
    return [*((FIM_BEFORE, *before) if before else ()), FIM_MIDDLE]


def causal_hidden(
    network: SpanNetwork, ids: Tensor, positions: Tensor, past: KeyValues | None = None
) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Last hidden states [batch, length, hidden] of `ids` [batch, length] at `positions`, each seeing `past`
    and what stands before it; and its own keys and values per layer. Padding belongs at the right end."""
    x = network.embedding(ids)
    rope = network.rope(positions)
    allowed = None if past is None else causal_mask(ids, past)
    layers: list[tuple[Tensor, Tensor]] = []
    for i, block in enumerate(cast("list[Block]", network.blocks)):
        q, k, v = block.project(x, rope)
        layers.append((k, v))
        if past is not None:
            k, v = torch.cat((past.layers[i][0], k), dim=2), torch.cat((past.layers[i][1], v), dim=2)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed, is_causal=past is None)
        x = block.mix(x, attended.transpose(1, 2).flatten(2))
    return network.norm(x), layers


def causal_mask(ids: Tensor, past: KeyValues) -> Tensor | None:
    """[batch, 1, length, past + length]: all real tokens of the past, then the triangle; None: all."""
    batch, length = ids.shape
    if length == 1 and past.mask is None:
        return None
    size = past.layers[0][0].shape[2]
    real = torch.ones(batch, size, dtype=torch.bool, device=ids.device) if past.mask is None else past.mask
    triangle = torch.ones(length, length, dtype=torch.bool, device=ids.device).tril()
    return torch.cat((real[:, None].expand(-1, length, -1), triangle.expand(batch, -1, -1)), dim=2)[:, None]


@dataclass(slots=True)
class Written:
    """A span written to its end (or to the limit of its length), and its log-probability in nats."""

    tokens: list[int]
    score: float


class ARTwin:
    """Writes spans with a trained twin, or with any network of the denoiser's shape where only time matters."""

    def __init__(self, network: SpanNetwork, vocabulary: Vocabulary, name: str, device: str = "cpu") -> None:
        self.network = network.eval()
        torch.nn.Module.to(network, device)
        self.vocabulary, self.name, self.device = vocabulary, name, device
        self.parameters = sum(p.numel() for p in network.parameters())
        self.max_prefix, self.max_suffix = network.sizes.max_prefix, network.sizes.max_suffix
        self.max_canvas = network.sizes.max_canvas

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> ARTwin:
        """Loads a model folder. Raises OSError, ValueError, RuntimeError or SafetensorError when it is not one."""
        network = SpanNetwork.load(folder)
        loaded = cls(network, Vocabulary.load(folder / "tokenizer.json"), folder.name, device)
        network.pack(device)
        return loaded

    @torch.inference_mode()
    def write(self, context: Context, before: Sequence[int], length: int) -> list[int]:
        """Exactly `length` tokens, the likeliest one by one; one forward pass each, keys and values cached."""
        past, states = self._read(context, before)
        start = middle_start(self.network.sizes) + len(request_ids(before))
        made = [len(RESERVED) + int(self._log_probabilities(states)[0, len(RESERVED) :].argmax())]
        while len(made) < length:
            past, states = self._extend(past, [made[-1:]], start + len(made) - 1)
            made.append(len(RESERVED) + int(self._log_probabilities(states)[0, len(RESERVED) :].argmax()))
        return made

    @torch.inference_mode()
    def beam(self, context: Context, before: Sequence[int], beams: int, limit: int) -> list[Written]:
        """The `beams` likeliest spans of at most `limit` tokens that beam search finds, best first. Each beam
        ends with <end>; the search ends when no open beam can beat the finished ones."""
        past, states = self._read(context, before)
        start = middle_start(self.network.sizes) + len(request_ids(before))
        open_, finished = [Written([], 0.0)], list[Written]()
        for made in range(limit + 1):
            open_, ended, parents = self._branch(open_, self._log_probabilities(states), beams, last=made == limit)
            finished = sorted([*finished, *ended], key=lambda w: -w.score)[:beams]
            if not open_ or (len(finished) == beams and open_[0].score < finished[-1].score):
                break
            past = KeyValues([(k[parents], v[parents]) for k, v in past.layers], None)
            past, states = self._extend(past, [w.tokens[-1:] for w in open_], start + made)
        return finished

    def _branch(
        self, open_: Sequence[Written], logits: Tensor, beams: int, last: bool
    ) -> tuple[list[Written], list[Written], list[int]]:
        """The likeliest continuations: still open, ended, and the parents of the open ones."""
        scores = torch.tensor([[w.score] for w in open_]) + logits
        if last:
            return [], [Written(w.tokens, float(row[END])) for w, row in zip(open_, scores, strict=True)], []
        values, places = scores.flatten().topk(2 * beams)
        going, ended, parents = list[Written](), list[Written](), list[int]()
        for value, place in zip(values.tolist(), places.tolist(), strict=True):
            parent, token = divmod(place, logits.shape[1])
            if token == END:
                ended.append(Written(open_[parent].tokens, value))
            elif len(going) < beams and value > -torch.inf:
                going.append(Written([*open_[parent].tokens, token], value))
                parents.append(parent)
        return going, ended, parents

    def _read(self, context: Context, before: Sequence[int]) -> tuple[KeyValues, Tensor]:
        """Keys and values of context and request, and the state [1, hidden] the first token comes from."""
        ids, request = context_ids(context), request_ids(before)
        start = middle_start(self.network.sizes)
        positions = [*range(start - len(ids), start), *range(start, start + len(request))]
        places = torch.tensor([positions], device=self.device)
        states, layers = causal_hidden(self.network, torch.tensor([ids + request], device=self.device), places)
        return KeyValues(layers, None), states[:, -1]

    def _extend(self, past: KeyValues, ids: Sequence[list[int]], position: int) -> tuple[KeyValues, Tensor]:
        """One token more for each row."""
        places = torch.full((len(ids), 1), position, device=self.device)
        states, layers = causal_hidden(self.network, torch.tensor(ids, device=self.device), places, past)
        pairs = zip(past.layers, layers, strict=True)
        joined = [(torch.cat((a, k), dim=2), torch.cat((b, v), dim=2)) for (a, b), (k, v) in pairs]
        return KeyValues(joined, None), states[:, -1]

    def _log_probabilities(self, states: Tensor) -> Tensor:
        """[rows, vocab] on the CPU; of the reserved tokens only <end> is possible."""
        logits = self.network.token_logits(states).float()
        banned = [token for token in range(len(RESERVED)) if token != END]
        logits[:, banned] = -torch.inf
        return logits.log_softmax(-1).cpu()
