"""The steps of a prediction in the server: decode, predict, compare, explain."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.data.pictures.loading import Pixels
from regraft.explanation.occlusion import occlusion
from regraft.explanation.overlays import data_uri, overlaid, picture
from regraft.machine.processor import count_cores
from regraft.prediction.onnx_model import OUTPUTS, open_session
from regraft.serving.batching import Answer, Batcher, Overloaded
from regraft.serving.decoding import DecodePool
from regraft.serving.package import Package

QUEUE = 32
"""Number of images that may be processed or wait; more are refused."""
_GRID = 7
_BATCH = 2


class Predictor:
    """A package with its worker processes and its batcher.

    Args:
        package: the model to serve.
        workers: number of decoding processes and of network threads; None means one per core.
        capacity: number of images that may be processed or wait.
    """

    def __init__(self, package: Package, *, workers: int | None = None, capacity: int = QUEUE) -> None:
        count = workers or count_cores()
        self.package, self.capacity = package, capacity
        self.is_draining = False
        session = open_session(package.graph, threads=1)
        names = [OUTPUTS[package.task.link], "place"]
        self._run: Callable[[Pixels], Answer] = lambda pixels: tuple(session.run(names, {"pixels": pixels}))
        self._pool = DecodePool(package.input_spec, workers=count)
        self._batcher = Batcher(self._run, threads=count, most=_BATCH, capacity=2 * capacity)
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
        """The threads from which `judge` is to be called."""
        return self._threads

    @property
    def waiting(self) -> int:
        """Number of images that are processed or wait."""
        return self._busy

    def judge(self, data: bytes, *, top: int, neighbours: int, explain: bool) -> dict[str, Any]:
        """Predict one file.

        Args:
            data: the whole file.
            top: number of labels with their probabilities, where the task has any.
            neighbours: number of similar training images.
            explain: whether to add a heat map (occlusion).

        Raises:
            ImageError: the file can't be used.
        """
        pixels = self._pool.decode(data)
        outputs, place = self._batcher.submit(pixels).result()
        said = dict(self.package.task.answer(outputs, top=top).facts)
        if "top" in said:
            said["top"] = [{"label": label, "probability": chance} for label, chance in said["top"]]
        if neighbours:
            said["neighbours"] = self._alike(place, neighbours)
        if explain:
            said["image"] = data_uri(picture(pixels), side_px=320, quality=85)
            heat = occlusion(pixels, lambda batch: self._output(batch, int(outputs.argmax())), grid=_GRID)
            said["overlay"] = data_uri(overlaid(pixels, heat), side_px=320, quality=85)
        return said

    def _output(self, batch: Pixels, number: int) -> npt.NDArray[np.float32]:
        found: npt.NDArray[np.float32] = self._run(batch)[0][:, number]
        return found

    def _alike(self, place: npt.NDArray[np.float32], count: int) -> list[dict[str, Any]]:
        alike = self.package.places @ place
        found = []
        for number in np.argsort(-alike, kind="stable")[:count]:
            path, label = self.package.neighbours[number]
            thumbnail = self.package.thumbnails[number]
            image = "data:image/jpeg;base64," + base64.b64encode(thumbnail).decode() if thumbnail else ""
            found.append({"path": path, "label": label, "similarity": float(alike[number]), "image": image})
        return found

    def close(self) -> None:
        """Finish the current images, then end processes and threads."""
        self._threads.shutdown()
        self._batcher.close()
        self._pool.close()
