"""The interface of the runtimes that compute features."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, Protocol, TypeVar

import numpy.typing as npt

from regraft.data.pictures.loading import Pixels
from regraft.features.moments import Norm
from regraft.records import Column, MapLevel, Precision

RuntimeName = Literal["auto", "openvino", "torch"]
Row = npt.NDArray[Any]
Key = TypeVar("Key")


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

    def run(self, images: Iterable[tuple[Key, Pixels]]) -> Iterator[tuple[Key, Row]]:
        """Yield rows for `(key, (H, W, C) uint8)` pairs, in any order, while reading the iterable.

        Rows are `(width,) float32`; rows of maps may be float16, clipped to its range.
        """


class MomentsRuntime(Runtime, Protocol):
    """A runtime whose rows are moments, which `advice/similarity.py` compares with those of the source."""

    norms: tuple[Norm, ...]
    """The BatchNorm layers, in the order of their columns."""
