"""Dynamic batching: images of different requests are processed in common batches, from a bounded queue."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.data.pictures.loading import Pixels

Answer = tuple[npt.NDArray[np.float32], ...]
Run = Callable[[npt.NDArray[np.uint8]], Answer]


class Overloaded(Exception):  # noqa: N818 (it is a state, not a mistake)
    """The queue is full."""


class Batcher:
    """Threads that take waiting images, up to one batch each, and answer every image separately.

    One thread per core, each with its own batch, has ten per cent more throughput than all threads on one
    batch (benchmarks/serving.py), and no request waits for a batch to fill.

    Args:
        run: the network, from `(N, H, W, C) uint8` to arrays of N rows; called from several threads at once.
        threads: number of threads.
        most: largest number of images in a batch.
        capacity: number of images that may wait.
    """

    def __init__(self, run: Run, *, threads: int = 1, most: int = 8, capacity: int = 256) -> None:
        self._run, self._most = run, most
        self._queue: queue.Queue[tuple[Pixels, Future[Any]] | None] = queue.Queue(capacity)
        self._threads = [
            threading.Thread(target=self._work, name=f"network {number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, pixels: Pixels) -> Future[Any]:
        """Queue an image; the future gets its rows.

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
        """Answer the waiting images, then end the threads."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join(10)

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
        batch = [first]
        while len(batch) < self._most:
            try:
                one = self._queue.get_nowait()
            except queue.Empty:
                break
            if one is None:
                return batch, True
            batch.append(one)
        return batch, False

    def _answer(self, batch: list[tuple[Pixels, Future[Any]]]) -> None:
        try:
            rows = self._run(np.stack([pixels for pixels, _ in batch]))
        except Exception as error:  # noqa: BLE001 (the threads that wait for the results raise it)
            for _, future in batch:
                future.set_exception(error)
            return
        for number, (_, future) in enumerate(batch):
            future.set_result(tuple(array[number] for array in rows))
