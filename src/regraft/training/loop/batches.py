"""Batches: where the input of a tail comes from, and how it is fetched in time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from regraft.progress import Reporter

Places = npt.NDArray[np.int64]
_AHEAD = 2  # batches that are fetched while another is used


class Source(Protocol):
    """Provides the input of the tail, by places in the training (or validation) set."""

    def __len__(self) -> int:
        """Number of images."""

    def begin(self, epoch: int, reporter: Reporter) -> None:
        """Prepare for an epoch, which decides the view of the images."""

    def fetch(self, places: Places) -> torch.Tensor:
        """The images of a batch as they are kept, on the CPU; called from another thread."""

    def prepare(self, raw: torch.Tensor, places: Places) -> torch.Tensor:
        """The input of the tail, `(N, ...) float32` on the device; called from the training thread."""


class TensorSource:
    """Values that fit into memory, `(N, ...) float32`."""

    def __init__(self, values: torch.Tensor) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def begin(self, epoch: int, reporter: Reporter) -> None:
        return None

    def fetch(self, places: Places) -> torch.Tensor:
        return self._values[torch.from_numpy(places)]

    def prepare(self, raw: torch.Tensor, places: Places) -> torch.Tensor:
        return raw


def fetched(source: Source, batches: Sequence[Places]) -> Iterator[torch.Tensor]:
    """The batches in order; another thread fetches them shortly before they are needed."""
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as pool:
        waiting: list[Future[Any]] = [pool.submit(source.fetch, places) for places in batches[:_AHEAD]]
        try:
            for number in range(len(batches)):
                raw = waiting.pop(0).result()
                if number + _AHEAD < len(batches):
                    waiting.append(pool.submit(source.fetch, batches[number + _AHEAD]))
                yield raw
        finally:
            for future in waiting:
                future.cancel()
