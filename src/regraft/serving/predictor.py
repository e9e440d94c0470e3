"""A model in the server: room for a limited number of images, and threads that ask the model."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Protocol

from pydantic import BaseModel

from regraft.machine.processor import count_cores
from regraft.serving.classification.served import ServedClassifier
from regraft.serving.detection.package import DetectorPackage
from regraft.serving.detection.served import ServedDetector
from regraft.serving.package import Package
from regraft.serving.workers.batching import Overloaded

QUEUE = 32
"""Number of images that may be processed or wait; more are refused."""


class Served(Protocol):
    """A model of any kind, with the processes and threads that it needs; several threads ask it at once."""

    @property
    def page(self) -> str:
        """The name of its parts of the web page: `page/NAME.html` and `page/NAME.js`."""

    @property
    def facts(self) -> dict[str, Any]:
        """The answer of `/model`."""

    @property
    def wishes(self) -> Callable[..., Any]:
        """A function that makes `answer`'s wishes of a request's query parameters, which FastAPI reads."""

    @property
    def says(self) -> str:
        """What an answer contains, in words."""

    @property
    def answers(self) -> type[BaseModel] | None:
        """The schema of an answer; None where it has none."""

    def answer(self, data: bytes, wishes: Any, *, place: int) -> dict[str, Any]:
        """What it says about the file at a place of the request.

        Raises:
            ImageError: the file can't be used.
        """

    def close(self) -> None:
        """Finish what is waiting, then end processes and threads."""


class Predictor:
    """A model in the server.

    Args:
        package: the model to serve.
        workers: number of decoding processes and of network threads; None means one per core.
        capacity: number of images that may be processed or wait.
    """

    def __init__(self, package: Package, *, workers: int | None = None, capacity: int = QUEUE) -> None:
        self.capacity, self.is_draining = capacity, False
        self.model = _served(package, workers or count_cores(), capacity)
        self._threads = ThreadPoolExecutor(capacity, thread_name_prefix="image")
        self._lock, self._busy = threading.Lock(), 0

    @contextmanager
    def admitted(self, images: int) -> Iterator[None]:
        """Reserve room for some images within this context.

        Raises:
            Overloaded: there is not enough room.
        """
        with self._lock:
            if self._busy + images > max(self.capacity, images if not self._busy else 0):
                raise Overloaded
            self._busy += images
        try:
            yield
        finally:
            with self._lock:
                self._busy -= images

    @property
    def executor(self) -> ThreadPoolExecutor:
        """The threads from which the model is to be asked."""
        return self._threads

    @property
    def waiting(self) -> int:
        """Number of images that are processed or wait."""
        return self._busy

    def close(self) -> None:
        """Finish the current images, then end processes and threads."""
        self._threads.shutdown()
        self.model.close()


def _served(package: Package, workers: int, capacity: int) -> Served:
    if isinstance(package, DetectorPackage):
        return ServedDetector(package, workers=workers)
    return ServedClassifier(package, workers=workers, capacity=capacity)
