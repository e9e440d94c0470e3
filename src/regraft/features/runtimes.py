"""The interface of the runtimes that compute features."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import numpy.typing as npt

from regraft.data.pictures.loading import LoadLimits, Pixels
from regraft.features.executors.task import ExtractionTask, absolute
from regraft.features.graphs import Cut, Output
from regraft.features.moments import Norm
from regraft.networks.weights.finding import Weights
from regraft.records import Column, InputSpec, MapLevel, Precision
from regraft.version import VERSION

RuntimeName = Literal["auto", "openvino", "torch"]
Row = npt.NDArray[Any]
Key = TypeVar("Key")


@dataclass(frozen=True)
class RuntimeSource:
    """What a runtime was opened with."""

    weights: Weights
    runtime: Literal["openvino", "torch"]
    precision: Precision = "fp32"
    device: str = "cpu"
    cut: Cut = None
    output: Output = "rows"
    threads: int | None = None

    def task(self, runtime: Runtime, spec: InputSpec, limits: LoadLimits) -> ExtractionTask:
        """The task of computing the runtime's rows, for processes that can read the same files.

        Args:
            runtime: the runtime that was opened with this.
            spec: the input that images are made into.
            limits: limits of the loader.
        """
        return ExtractionTask(
            version=VERSION,
            network=self.weights.network,
            weights=absolute(self.weights.path),
            weights_sha256=self.weights.sha256,
            recipe=self.weights.recipe,
            network_input=self.weights.input_spec,
            input=spec,
            runtime=self.runtime,
            precision=self.precision,
            device=self.device,
            cut=self.cut,
            output=self.output,
            threads=self.threads,
            max_megapixels=limits.max_megapixels,
            max_file_mb=limits.max_file_mb,
            width=runtime.width,
            facts=json.loads(json.dumps(dict(runtime.facts))),
        )


class Runtime(Protocol):
    """Computes rows of pooled features, activations or moments, on some device, at some precision.

    The bits of a row depend on the image and on `facts` alone: not on the other images of a batch, the order
    of images, or other work on the machine. Therefore the cache can keep the rows of single images.
    """

    layout: tuple[Column, ...]
    """The columns of a row; empty for activations."""
    width: int
    """Number of values in a row."""
    maps: tuple[MapLevel, ...]
    """The maps of a row, if the rows are maps of several stages; otherwise empty."""
    precision: Precision
    facts: Mapping[str, Any]
    """Everything that a row's bits depend on besides the image; part of the cache key."""

    source: RuntimeSource | None
    """How another process opens the same runtime; None if only this one can."""

    def run(self, images: Iterable[tuple[Key, Pixels]]) -> Iterator[tuple[Key, Row]]:
        """Yield rows for `(key, (H, W, C) uint8)` pairs, in any order, while reading the iterable.

        Rows are `(width,) float32`; rows of maps may be float16, clipped to its range.
        """


class MomentsRuntime(Runtime, Protocol):
    """A runtime whose rows are moments, which `advice/similarity.py` compares with those of the source."""

    norms: tuple[Norm, ...]
    """The BatchNorm layers, in the order of their columns."""
