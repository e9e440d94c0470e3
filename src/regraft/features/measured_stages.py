"""Pooled features of every stage, and what the similarity to the source is measured by, from one pass."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from regraft.features.moments import CLASSIFIER, Norm
from regraft.features.pooling import PooledStages, empty_input, mean_over_views
from regraft.networks.network import Network
from regraft.records import Column


class MeasuredStages(nn.Module):
    """A module from pixels to two rows: that of `PooledStages`, and the row of moments.

    Input `(N, H, W, C) uint8`, outputs `(N, F)` and `(N, M) float32`. The second row contains, for each
    BatchNorm with C channels, the C means and the C standard deviations of its input over the image's
    positions; then the logits of the network's own classifier.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.pooled = PooledStages(network)
        self.classifier = network.classifier
        self._norms = [norm for _, norm in batchnorms(network)]

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        parts: dict[nn.Module, torch.Tensor] = {}

        def note(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            parts[module] = _moments(inputs[0])

        hooks = [norm.register_forward_pre_hook(note) for norm in self._norms]
        try:
            features, last = self.pooled.with_last(images)
        finally:
            for hook in hooks:
                hook.remove()
        moments = torch.cat([*(parts[norm] for norm in self._norms), self.classifier(last).flatten(1)], dim=1)
        average = self.pooled.average
        return mean_over_views(features, average), mean_over_views(moments, average)


def _moments(value: torch.Tensor) -> torch.Tensor:
    """The means and standard deviations of each channel over all positions, `(N, 2 C)`."""
    positions = tuple(range(2, value.ndim))
    if not positions:
        return torch.cat([value, torch.zeros_like(value)], dim=1)
    mean = value.mean(dim=positions, keepdim=True)
    std = (value - mean).square().mean(dim=positions).sqrt()
    return torch.cat([mean.flatten(1), std], dim=1)


def batchnorms(network: Network) -> list[tuple[str, _BatchNorm]]:
    """Every BatchNorm that keeps running statistics, in order, with the name of its stage."""
    found: dict[_BatchNorm, str] = {}
    for stage in network.stages:
        for module in stage.module.modules():
            if (
                isinstance(module, _BatchNorm)
                and module.track_running_stats
                and module.running_var is not None
            ):
                found.setdefault(module, stage.name)
    return [(stage, norm) for norm, stage in found.items()]


def norms_of(network: Network) -> tuple[Norm, ...]:
    """Where the running statistics of every BatchNorm are in a file of the network's weights."""
    names = {id(buffer): name for name, buffer in network.module.named_buffers()}
    return tuple(
        Norm(
            stage=stage,
            mean=names[id(norm.running_mean)],
            variance=names[id(norm.running_var)],
        )
        for stage, norm in batchnorms(network)
    )


def moments_layout(network: Network) -> tuple[Column, ...]:
    """The columns of a row of moments."""
    columns: list[Column] = []
    start = 0
    for stage, norm in batchnorms(network):
        for statistic in ("mean", "std"):
            stop = start + norm.num_features
            columns.append(Column(stage=stage, statistic=statistic, start=start, stop=stop))
            start = stop
    with torch.inference_mode():
        logits = network.forward(empty_input(network.input_spec)).flatten(1)
    stop = start + logits.shape[1]
    return (*columns, Column(stage=CLASSIFIER, statistic="map", start=start, stop=stop))
