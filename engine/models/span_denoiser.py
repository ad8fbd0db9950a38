"""The embedded model packaged the Hugging Face way, for training and `from_pretrained`; the network itself
is in `engine.models.network`."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

from engine.models.ar_twin import MODEL_TYPE
from engine.models.network import Block, Sizes, SpanNetwork
from engine.models.vocabulary import BOS, MASK, PAD


class SpanDenoiserConfig(PretrainedConfig, Sizes):
    """The sizes of the network, as keywords, and what transformers adds."""

    model_type = "redraft-span-denoiser"

    def __init__(self, **kwargs: Any) -> None:
        Sizes.__init__(self, **{f.name: kwargs.pop(f.name, f.default) for f in fields(Sizes)})
        kwargs.setdefault("tie_word_embeddings", True)
        kwargs.update(pad_token_id=PAD, bos_token_id=BOS, mask_token_id=MASK)
        PretrainedConfig.__init__(self, **kwargs)


class SpanDenoiser(SpanNetwork, PreTrainedModel):
    """`SpanNetwork` with initial values, `from_pretrained` and `save_pretrained`."""

    config: SpanDenoiserConfig
    config_class = SpanDenoiserConfig
    base_model_prefix = "model"
    main_input_name = "canvas_ids"

    def __init__(self, config: SpanDenoiserConfig) -> None:
        PreTrainedModel.__init__(self, config)
        self.build(config)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
            if module.bias is not None:  # pyright: ignore[reportUnnecessaryComparison]
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.RMSNorm):
            nn.init.ones_(module.weight)
        elif isinstance(module, Block):  # residual branches start at zero
            nn.init.zeros_(module.out.weight)
            nn.init.zeros_(module.down.weight)

    def get_input_embeddings(self) -> nn.Module:
        return self.embedding


class ARTwinConfig(SpanDenoiserConfig):
    model_type = MODEL_TYPE


class ARTwinModel(SpanDenoiser):
    """The same parameters under another name, to be run by `engine.models.ar_twin`."""

    config_class = ARTwinConfig
