"""Several processes that train one model: each draws its own share of the stream, gradients are averaged.

`accelerate launch` and `torchrun` both start such processes and tell them their places in the environment.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, distributed, nn


class Processes:
    """This process's place among `count`; alone where nobody launched several."""

    def __init__(self) -> None:
        self.rank = int(os.environ.get("RANK", "0"))
        self.count = int(os.environ.get("WORLD_SIZE", "1"))
        local = int(os.environ.get("LOCAL_RANK", "0"))
        self.device = torch.device(f"cuda:{local}" if torch.cuda.is_available() else "cpu")
        if self.count > 1 and not distributed.is_initialized():
            distributed.init_process_group("nccl" if self.device.type == "cuda" else "gloo")

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes files and says what happens."""
        return self.rank == 0

    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        """Every gradient becomes its mean over the processes; one exchange for all of them."""
        if self.count == 1:
            return
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        whole = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(whole)
        for gradient, mean in zip(gradients, whole.div_(self.count).split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def mean(self, values: Sequence[float]) -> list[float]:
        """The mean of each value over the processes, the same in all of them."""
        if self.count == 1:
            return list(values)
        table: Tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(table)
        return table.div_(self.count).tolist()

    def end(self) -> None:
        if self.count > 1:
            distributed.barrier()
            distributed.destroy_process_group()
