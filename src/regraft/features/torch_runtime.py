"""Features computed by PyTorch, on any device."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import nn

from regraft.data.pictures.loading import Pixels
from regraft.features.graphs import Cut, Output
from regraft.features.measured_stages import MeasuredStages, moments_layout, norms_of
from regraft.features.pooling import (
    PooledStages,
    PrefixActivation,
    StageMaps,
    activation_shape,
    layout_of,
    map_levels,
)
from regraft.features.runtimes import Key, Row, RuntimeSource
from regraft.machine.devices import find_device
from regraft.networks.network import load_network
from regraft.networks.weights.finding import Weights
from regraft.records import Column, MapLevel, Precision

# Every batch has this size; the last one is padded. The shape decides which kernels run, and so the bits.
_BATCH = {"cpu": 16, "cuda": 64}


class TorchRuntime:
    """A `Runtime` that computes with PyTorch; bf16 is autocast around fp32 weights."""

    def __init__(
        self,
        weights: Weights,
        *,
        precision: Precision = "fp32",
        device: str = "auto",
        cut: Cut = None,
        output: Output = "rows",
        threads: int | None = None,
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self.device = find_device(device)
        self.source: RuntimeSource | None = RuntimeSource(
            weights, "torch", precision, str(self.device), cut, output, torch.get_num_threads()
        )
        network = load_network(weights)
        self.norms = norms_of(network)
        self._output = output
        self.precision: Precision = precision
        self._batch = _BATCH.get(self.device.type, 16)
        module: nn.Module
        self.layout: tuple[Column, ...] = ()
        self.maps: tuple[MapLevel, ...] = map_levels(network) if cut == "maps" else ()
        if cut == "maps":
            module, self.width = StageMaps(network), self.maps[-1].stop
        elif cut is not None:
            module, self.width = PrefixActivation(network, cut), math.prod(activation_shape(network, cut))
        elif output == "moments":
            module, self.layout = MeasuredStages(network), moments_layout(network)
        else:
            module, self.layout = PooledStages(network), layout_of(network)
        if cut is None:
            self.width = self.layout[-1].stop
        self._module = module.eval().to(self.device)
        for module in self._module.modules():
            if isinstance(module, nn.Conv2d):  # faster; buffers with other numbers of dimensions can't be
                module.to(memory_format=torch.channels_last)
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"
        self.facts: Mapping[str, Any] = {
            "runtime": "torch",
            "version": torch.__version__,
            "precision": precision,
            "device": name,
            "batch": self._batch,
            "threads": torch.get_num_threads(),
            "network": weights.network,
            "recipe": weights.recipe.model_dump(),
            "weights_sha256": weights.sha256,
            "input": weights.input_spec.model_dump(exclude={"intensity", "framing"}),
            **({} if cut is None else {"activation_after": cut}),
            **({} if output == "rows" else {"what": output}),
        }

    def run(self, images: Iterable[tuple[Key, Pixels]]) -> Iterator[tuple[Key, Row]]:
        iterator = iter(images)
        while batch := list(islice(iterator, self._batch)):
            pixels = np.zeros((self._batch, *batch[0][1].shape), dtype=np.uint8)
            for place, (_, image) in enumerate(batch):
                pixels[place] = image
            rows = self._forward(torch.from_numpy(pixels))
            for place, (key, _) in enumerate(batch):
                yield key, rows[place]

    def _forward(self, pixels: torch.Tensor) -> Row:
        autocast = (
            torch.autocast(self.device.type, torch.bfloat16)
            if self.precision == "bf16"
            else contextlib.nullcontext()
        )
        with torch.inference_mode(), autocast:
            values = self._module(pixels.to(self.device))
        rows: Row = (values[1] if self._output == "moments" else values).float().cpu().numpy()
        return rows
