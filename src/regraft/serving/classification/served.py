"""A classifier in the server: decode, predict, compare, explain."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
from fastapi import Query
from pydantic import BaseModel

from regraft.data.pictures.loading import Pixels
from regraft.explanation.occlusion import occlusion
from regraft.explanation.overlays import data_uri, overlaid, picture
from regraft.prediction.onnx_model import OUTPUTS, open_session
from regraft.serving.classification.package import ClassifierPackage
from regraft.serving.workers.batching import Answer, Batcher
from regraft.serving.workers.decoding import DecodePool
from regraft.serving.workers.inputs import framed
from regraft.tasks.classification import Classification

_MOST_NEIGHBOURS = 24
_EXPLAINED = 4  # files per request that get a heat map: each takes fifty forward passes
_GRID = 7
_BATCH = 2


@dataclass(frozen=True)
class ClassifierWishes:
    """What a request wants of a classifier."""

    top: int = 5
    """Number of labels with their probabilities, where the task has any."""
    neighbours: int = 0
    """Number of similar training images."""
    explain: bool = False
    """Whether to add heat maps (occlusion) to the first files."""


def classifier_wishes(
    top: Annotated[int, Query(ge=1, le=1000, description="labels for each image")] = 5,
    neighbours: Annotated[
        int, Query(ge=0, le=_MOST_NEIGHBOURS, description="similar training images for each image")
    ] = 0,
    explain: Annotated[bool, Query(description="add a heat map (occlusion)")] = False,
) -> ClassifierWishes:
    """The wishes in a request's address."""
    return ClassifierWishes(top, neighbours, explain)


class ServedClassifier:
    """A classifier's package with its decoding processes and its batcher; any number of threads may ask it.

    Args:
        package: the classifier.
        workers: number of decoding processes and of network threads.
        capacity: number of images that may wait.
    """

    page: ClassVar[str] = "classes"
    wishes: ClassVar[Callable[..., ClassifierWishes]] = staticmethod(classifier_wishes)
    says: ClassVar[str] = "for each file its name and its label, labels or value, or the error"
    answers: ClassVar[type[BaseModel] | None] = None

    def __init__(self, package: ClassifierPackage, *, workers: int, capacity: int) -> None:
        self._package, self.facts = package, package.facts
        session = open_session(package.graph, threads=1)
        names = [OUTPUTS[package.task.link], "place"]
        self._run: Callable[[Pixels], Answer] = lambda pixels: tuple(session.run(names, {"pixels": pixels}))
        self._pool = DecodePool(framed, package.input_spec, workers=workers)
        self._batcher = Batcher(self._run, threads=workers, most=_BATCH, capacity=2 * capacity)

    def answer(self, data: bytes, wishes: ClassifierWishes, *, place: int = 0) -> dict[str, Any]:
        """What the classifier says about one file.

        Args:
            data: the whole file.
            wishes: what the request wants.
            place: the number of the file in the request.

        Raises:
            ImageError: the file can't be used.
        """
        pixels = self._pool.decode(data)["pixels"]
        outputs, direction = self._batcher.submit(pixels).result()
        said = dict(self._package.task.answer(outputs, top=wishes.top).facts)
        if "top" in said:
            said["top"] = [{"label": label, "probability": chance} for label, chance in said["top"]]
        if wishes.neighbours:
            said["neighbours"] = self._alike(direction, wishes.neighbours)
        if wishes.explain and place < _EXPLAINED:
            said["image"] = data_uri(picture(pixels), side_px=320, quality=85)
            number = self._answered(outputs)
            heat = occlusion(pixels, lambda batch: self._output(batch, number), grid=_GRID)
            said["overlay"] = data_uri(overlaid(pixels, heat), side_px=320, quality=85)
        return said

    def _answered(self, outputs: npt.NDArray[np.float32]) -> int:
        """The number of the output that the answer is about."""
        task = self._package.task
        if isinstance(task, Classification):
            return int(task.chosen(outputs[None])[0])
        return int(outputs.argmax())

    def _output(self, batch: Pixels, number: int) -> npt.NDArray[np.float32]:
        found: npt.NDArray[np.float32] = self._run(batch)[0][:, number]
        return found

    def _alike(self, direction: npt.NDArray[np.float32], count: int) -> list[dict[str, Any]]:
        alike = self._package.places @ direction
        found = []
        for number in np.argsort(-alike, kind="stable")[:count]:
            path, label = self._package.neighbours[number]
            thumbnail = self._package.thumbnails[number]
            image = "data:image/jpeg;base64," + base64.b64encode(thumbnail).decode() if thumbnail else ""
            found.append({"path": path, "label": label, "similarity": float(alike[number]), "image": image})
        return found

    def close(self) -> None:
        """Answer the waiting images, then end processes and threads."""
        self._batcher.close()
        self._pool.close()
