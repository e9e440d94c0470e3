"""A detector in the server: decode, find boxes, count them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from regraft.detection.maps.found import Found
from regraft.detection.results.counting import count_boxes
from regraft.detection.results.marked import found_boxes
from regraft.prediction.onnx_model import open_session
from regraft.serving.detection.package import DetectorPackage
from regraft.serving.workers.decoding import DecodePool
from regraft.serving.workers.inputs import Inputs, letterboxed

_OUTPUTS = ("boxes", "labels", "scores")


class AnsweredBox(BaseModel):
    """A box; edges are in pixels of the upright picture."""

    model_config = ConfigDict(use_attribute_docstrings=True)
    label: str
    score: float = Field(ge=0, le=1)
    """The probability that there is an object of this class there."""
    x_min: float = Field(ge=0)
    y_min: float = Field(ge=0)
    x_max: float = Field(ge=0)
    y_max: float = Field(ge=0)


class AnsweredPicture(BaseModel):
    """What was found in one file, or why it can't be used: then there are only the name and the error."""

    model_config = ConfigDict(use_attribute_docstrings=True)
    name: str
    """The client's name of the file; empty where the body is the file."""
    width: int = 0
    """Width of the upright picture in pixels."""
    height: int = 0
    boxes: list[AnsweredBox] = []
    """The most probable first."""
    counts: dict[str, int] = {}
    """The number of boxes of each class."""
    error: str = ""


class DetectorAnswer(BaseModel):
    """What was found in the files of a request, in their order."""

    predictions: list[AnsweredPicture]


@dataclass(frozen=True)
class DetectorWishes:
    """What a request wants of a detector."""

    threshold: float | None = None
    """The probability from which on boxes are answered; None means the detector's own for each class."""


def detector_wishes(
    threshold: Annotated[
        float | None,
        Query(
            ge=0,
            le=1,
            allow_inf_nan=False,
            description="probability from which on boxes are answered, instead of the detector's own "
            "threshold for each class; boxes below 0.01 are never answered",
        ),
    ] = None,
) -> DetectorWishes:
    """The wishes in a request's address."""
    return DetectorWishes(threshold)


class ServedDetector:
    """A detector's package with its decoding processes and network threads; any number of threads may ask it.

    Args:
        package: the detector.
        workers: number of decoding processes and of network threads; each looks at one picture at a time.
    """

    page: ClassVar[str] = "boxes"
    wishes: ClassVar[Callable[..., DetectorWishes]] = staticmethod(detector_wishes)
    says: ClassVar[str] = (
        "for each file its name, its size, its boxes with edges in pixels of the upright picture, and the "
        "number of boxes of each class, or the error"
    )
    answers: ClassVar[type[BaseModel]] = DetectorAnswer

    def __init__(self, package: DetectorPackage, *, workers: int) -> None:
        self._package, self.facts = package, package.facts
        self._session = open_session(package.graph, threads=1)
        self._pool = DecodePool(letterboxed, package.input_spec, workers=workers)
        self._network = ThreadPoolExecutor(workers, thread_name_prefix="network")

    def answer(self, data: bytes, wishes: DetectorWishes, *, place: int = 0) -> dict[str, Any]:  # noqa: ARG002
        """The boxes of one file.

        Args:
            data: the whole file.
            wishes: what the request wants.
            place: the number of the file in the request, which makes no difference.

        Raises:
            ImageError: the file can't be used.
        """
        inputs = self._pool.decode(data)
        width, height = (int(side) for side in inputs["picture"])
        found = self._network.submit(self._found, inputs).result()
        labels = self._package.labels
        least = self._package.thresholds if wishes.threshold is None else [wishes.threshold] * len(labels)
        marked = found_boxes([("", width, height, found)], labels, np.asarray(least, dtype=np.float64))
        boxes = [
            {
                "label": one.box.label,
                "score": one.score,
                "x_min": one.box.x_min,
                "y_min": one.box.y_min,
                "x_max": one.box.x_max,
                "y_max": one.box.y_max,
            }
            for one in marked.pictures[0].boxes
        ]
        counts = dict(zip(labels, count_boxes(marked).counts[0], strict=True))
        return {"width": width, "height": height, "boxes": boxes, "counts": counts}

    def _found(self, inputs: Inputs) -> Found:
        answer: list[npt.NDArray[Any]] = self._session.run(_OUTPUTS, dict(inputs))
        return Found.of(*answer)

    def close(self) -> None:
        """Answer the waiting pictures, then end processes and threads."""
        self._network.shutdown()
        self._pool.close()
