"""The part of a network that is trained: the stages after the cut, and the head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from regraft.networks.stages import Stage

_BatchNorm = nn.modules.batchnorm._BatchNorm


class Tail(nn.Module):
    """The stages after a cut, then a head: from activations to scores, which are `(N, K) float32` as a rule.

    Args:
        stages: the stages in order; may be empty.
        head: the head, which reads the last stage's activation.
        trains_batchnorm: whether BatchNorm uses the statistics of batches; otherwise its own stay fixed.
        auxiliaries: classifiers used only in training, by the number of the stage whose output they read.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        head: nn.Module,
        *,
        trains_batchnorm: bool = False,
        auxiliaries: Mapping[int, nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.names = tuple(stage.name for stage in stages)
        self.stages = nn.ModuleList([stage.module for stage in stages])
        self.head = head
        self.auxiliaries = nn.ModuleDict({str(at): one for at, one in (auxiliaries or {}).items()})
        self.trains_batchnorm = trains_batchnorm
        self._first = 0
        self.train_from(0)

    def train_from(self, first: int) -> None:
        """Train the stages from number `first` on, and the head; freeze the stages before."""
        self._first = first
        for number, stage in enumerate(self.stages):
            stage.requires_grad_(number >= first)
        for at, auxiliary in self.auxiliaries.items():
            auxiliary.requires_grad_(int(at) >= first)
        self.head.requires_grad_(True)
        self.train(self.training)

    def train(self, mode: bool = True) -> Tail:
        """Set training or evaluation mode; frozen stages and BatchNorms always stay in evaluation mode."""
        super().train(mode)
        numbered = [*enumerate(self.stages), *((int(at), one) for at, one in self.auxiliaries.items())]
        for number, part in numbered:
            for module in part.modules():
                if number < self._first or (isinstance(module, _BatchNorm) and not self.trains_batchnorm):
                    module.training = False
        return self

    def forward(self, activation: torch.Tensor) -> Any:
        return self.all_scores(activation)[0]

    def all_scores(self, activation: torch.Tensor) -> list[Any]:
        """The head's scores and, in training mode, those of the auxiliary classifiers that are trained."""
        beside: list[torch.Tensor] = []
        for number, stage in enumerate(self.stages):
            activation = stage(activation)
            if self.training and number >= self._first and str(number) in self.auxiliaries:
                beside.append(self.auxiliaries[str(number)](activation))
        return [self.head(activation), *beside]

    def parts(self) -> Iterator[tuple[str, int, nn.Module]]:
        """The trained parts as `(name, number of stages after it, module)`; the head comes last."""
        for number in range(self._first, len(self.stages)):
            yield self.names[number], len(self.stages) - 1 - number, self.stages[number]
        for at, auxiliary in self.auxiliaries.items():
            if int(at) >= self._first:
                yield f"auxiliary after {self.names[int(at)]}", 0, auxiliary
        yield "head", 0, self.head

    def snapshot(self) -> dict[str, torch.Tensor]:
        """A copy of every parameter and buffer, by name."""
        return {name: value.detach().clone() for name, value in self.state_dict().items()}

    @torch.no_grad()
    def restore(self, values: Mapping[str, torch.Tensor]) -> None:
        """Copy values into the parameters and buffers of the same names, keeping their memory layout."""
        own = self.state_dict()
        for name, value in values.items():
            own[name].copy_(value)

    def statistics(self) -> dict[str, torch.Tensor]:
        """The buffers that a forward pass in training mode changes."""
        if not self.trains_batchnorm:
            return {}
        return {
            name: value for name, value in self.named_buffers() if "running_" in name or "num_batches" in name
        }


def channels_last(module: nn.Module) -> None:
    """Put the weights of convolutions into the memory layout of the fastest CPU and GPU kernels."""
    for one in module.modules():
        if isinstance(one, nn.Conv2d):  # tensors of other ranks have no such layout
            one.to(memory_format=torch.channels_last)


def autocast(device: torch.device, precision: str) -> Any:
    """Autocast to bf16 with fp32 weights, where it is safe (Micikevicius et al. 2018); no effect for fp32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
