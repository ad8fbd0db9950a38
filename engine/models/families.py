"""Diffusion language models that bring their own Python code: what one must know to run them.

Sources: LLaDA (arXiv 2502.09992; github.com/ML-GSAI/LLaDA generate.py), LLaDA2
(github.com/inclusionAI/LLaDA2.X; modeling_llada2_moe.py, generate), Dream (arXiv 2508.15487; generation_utils.py),
DreamOn (hkunlp.github.io/blog/2025/dreamon; its readme and sft_expand_dataset.py), DiffuCoder (arXiv 2506.20639),
Stable-DiffCoder (arXiv 2601.15892; modeling_stable_diffcoder.py, generate_block), Open-dCoder
(github.com/pengzhangzhi/Open-dLLM; qwen2/generation_utils.py, _mdm_sample).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Family:
    """`shift`: the logits at position i - 1 are those for position i, as in the autoregressive model that it
    was made from. `attention`: "block" models expect a block-causal mask, which is full where, as here, all
    text is one block; "flag" models are causal unless told otherwise. `mask`: its id, where neither config.json
    names `mask_token_id` nor the tokenizer a mask."""

    name: str
    model_types: tuple[str, ...]
    architectures: tuple[str, ...]
    shift: bool
    attention: Literal["full", "block", "flag"]
    mask: int | None = None
    expand_token: str | None = None  # in a mask's place: two masks belong here
    delete_token: str | None = None  # in a mask's place: nothing belongs here; it also ends the prompt


EXPAND = "<|expand|>"
FAMILIES = (
    Family("LLaDA2", ("llada2_moe", "llada2"), ("LLaDA2MoeModelLM",), False, "block", 156895),
    Family("LLaDA", ("llada", "LLaDA"), ("LLaDAModelLM",), False, "full", 126336),
    Family("Stable-DiffCoder", (), ("StableDiffcoderForCausalLM", "SeedDiffcoderForCausalLM"), False, "block", 5),
    Family("DreamOn", (), ("DreamOnModel",), True, "full", 151666, EXPAND, "<|endoftext|>"),
    Family("Dream, Dream-Coder, DiffuCoder", ("Dream", "dream"), ("DreamModel",), True, "full", 151666),
    Family("Open-dCoder", (), (), True, "flag"),
)


def family_of(config: dict[str, Any], expands: bool = False, masks: bool = False) -> Family | None:
    """The family of a config.json, None when there is none. DreamOn is a Dream model with an
    `expand_token_id`, or whose tokenizer `expands`; Open-dCoder says it is a Qwen2, and is told by a mask token,
    which config.json names or its tokenizer (`masks`)."""
    names = {*(config.get("architectures") or ())}
    names |= {str(name).rpartition(".")[2] for name in (config.get("auto_map") or {}).values()}
    model_type = config.get("model_type")
    by_name = {family.name: family for family in FAMILIES}
    if model_type in ("Dream", "dream") and (expands or config.get("expand_token_id") is not None):
        return by_name["DreamOn"]
    for family in FAMILIES:
        if names & set(family.architectures) or model_type in family.model_types:
            return family
    if model_type == "qwen2" and (masks or config.get("mask_token_id") is not None):
        return by_name["Open-dCoder"]
    return None
