"""Channel moments at each BatchNorm of a network, and the logits of the network's own classifier."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from regraft.data.pictures.loading import Pixels
from regraft.features.pooling import empty_input, normalisation
from regraft.features.runtimes import Key, Row
from regraft.networks.network import Network, load_network
from regraft.networks.weights.finding import Weights
from regraft.records import Column, Precision

CLASSIFIER = "classifier"
_BATCH = 16  # every batch has this size, the last one padded: kernels are chosen by shape


@dataclass(frozen=True)
class SourceStatistics:
    """Running statistics of one BatchNorm: the moments of its input on the images of the pretraining."""

    stage: str
    mean: npt.NDArray[np.float32]
    """Mean of each channel, `(C,)`."""
    variance: npt.NDArray[np.float32]
    """Variance of each channel, `(C,)`."""


class MomentsRuntime:
    """A `Runtime` whose rows are the moments of each BatchNorm's input, then the pretrained logits.

    For each BatchNorm with C channels the row contains the C means and the C standard deviations over the
    image's positions, under the name of its stage; the logits of the network's own classifier follow. It
    computes in torch, on the CPU, in fp32, because a few dozen images are enough.
    """

    def __init__(self, weights: Weights) -> None:
        self._network = load_network(weights)
        self._network.module.eval()
        self._norms = batchnorms(self._network)
        self.layout = self._layout()
        self.width = self.layout[-1].stop
        self.precision: Precision = "fp32"
        self.facts: Mapping[str, Any] = {
            "what": "moments",
            "runtime": "torch",
            "version": torch.__version__,
            "threads": torch.get_num_threads(),
            "network": weights.network,
            "recipe": weights.recipe.model_dump(),
            "weights_sha256": weights.sha256,
        }

    @property
    def source(self) -> list[SourceStatistics]:
        """The moments on the images of the pretraining, for each BatchNorm in order."""
        return [
            SourceStatistics(stage, _numpy(norm.running_mean), _numpy(norm.running_var))
            for stage, norm in self._norms
        ]

    def run(self, images: Iterable[tuple[Key, Pixels]]) -> Iterator[tuple[Key, Row]]:
        scale = normalisation(self._network.input_spec)
        iterator = iter(images)
        while batch := list(islice(iterator, _BATCH)):
            pixels = np.zeros((_BATCH, *batch[0][1].shape), dtype=np.uint8)
            for place, (_, image) in enumerate(batch):
                pixels[place] = image
            values = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() * scale["scale"] + scale["shift"]
            rows = self._forward(values)
            for place, (key, _) in enumerate(batch):
                yield key, rows[place]

    def _layout(self) -> tuple[Column, ...]:
        columns: list[Column] = []
        start = 0
        for stage, norm in self._norms:
            for statistic in ("mean", "std"):
                stop = start + norm.num_features
                columns.append(Column(stage=stage, statistic=statistic, start=start, stop=stop))
                start = stop
        with torch.inference_mode():
            logits = self._network.forward(empty_input(self._network.input_spec))
        stop = start + logits.shape[1]
        return (*columns, Column(stage=CLASSIFIER, statistic="map", start=start, stop=stop))

    def _forward(self, images: torch.Tensor) -> Row:
        parts: dict[nn.Module, list[torch.Tensor]] = {}

        def note(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            positions = tuple(range(2, inputs[0].ndim))
            value = inputs[0].float()
            if not positions:
                parts[module] = [value, torch.zeros_like(value)]
                return
            mean = value.mean(dim=positions, keepdim=True)
            std = (value - mean).square().mean(dim=positions).sqrt()
            parts[module] = [mean.flatten(1), std]

        hooks = [norm.register_forward_pre_hook(note) for _, norm in self._norms]
        try:
            with torch.inference_mode():
                logits = self._network.forward(images)
        finally:
            for hook in hooks:
                hook.remove()
        ordered = [part for _, norm in self._norms for part in parts[norm]]
        rows: Row = torch.cat([*ordered, logits.float()], dim=1).numpy()
        return rows


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


def _numpy(tensor: torch.Tensor | None) -> npt.NDArray[np.float32]:
    assert tensor is not None
    values: npt.NDArray[np.float32] = tensor.detach().float().cpu().numpy()
    return values
