"""Dynamic batching: images of different requests go through the network together, in a bounded queue."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.data.loading import Pixels

Answer = tuple[npt.NDArray[np.float32], ...]
Run = Callable[[npt.NDArray[np.uint8]], Answer]


class Overloaded(Exception):  # noqa: N818 (it is a state, not a mistake)
    """More waits than the queue holds."""


class Batcher:
    """One thread that takes what waits, up to a batch, and answers each image by itself.

    Args:
        run: the network: `(N, H, W, C) uint8` to arrays of N rows.
        most: images in a batch.
        wait_s: how long a first image waits for others.
        capacity: images that may wait.
    """

    def __init__(self, run: Run, *, most: int = 8, wait_s: float = 0.001, capacity: int = 256) -> None:
        self._run, self._most, self._wait_s = run, most, wait_s
        self._queue: queue.Queue[tuple[Pixels, Future[Any]] | None] = queue.Queue(capacity)
        self._thread = threading.Thread(target=self._work, name="batcher", daemon=True)
        self._thread.start()

    def submit(self, pixels: Pixels) -> Future[Any]:
        """The image's rows, when they are there.

        Raises:
            Overloaded: the queue is full.
        """
        future: Future[Any] = Future()
        try:
            self._queue.put_nowait((pixels, future))
        except queue.Full:
            raise Overloaded from None
        return future

    def close(self) -> None:
        """Answer what waits, then end."""
        self._queue.put(None)
        self._thread.join(10)

    def _work(self) -> None:
        while True:
            first = self._queue.get()
            if first is None:
                return
            batch, is_last = self._gathered(first)
            self._answer(batch)
            if is_last:
                return

    def _gathered(self, first: tuple[Pixels, Future[Any]]) -> tuple[list[tuple[Pixels, Future[Any]]], bool]:
        batch, deadline = [first], time.monotonic() + self._wait_s
        while len(batch) < self._most:
            try:
                one = self._queue.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            if one is None:
                return batch, True
            batch.append(one)
        return batch, False

    def _answer(self, batch: list[tuple[Pixels, Future[Any]]]) -> None:
        try:
            rows = self._run(np.stack([pixels for pixels, _ in batch]))
        except Exception as error:
            for _, future in batch:
                future.set_exception(error)
            return
        for number, (_, future) in enumerate(batch):
            future.set_result(tuple(array[number] for array in rows))
