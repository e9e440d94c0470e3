"""Search for the training images that are most similar in the model's features."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.data.findings.image_set import Images
from regraft.features.opening import Compute
from regraft.prediction.model import Model
from regraft.progress import Reporter
from regraft.records import Column, columns_of
from regraft.runs.reading import RunFiles

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Neighbour:
    """A training image and its similarity."""

    path: str
    label: str
    similarity: float
    """Cosine similarity, in [-1, 1]."""


@dataclass(frozen=True)
class Space:
    """The features in which images are compared: the last stage that the head reads, standardised."""

    columns: tuple[Column, ...]
    mean: Floats
    scale: Floats

    @classmethod
    def of(cls, model: Model) -> Space:
        """The space of a model's own head."""
        read = model.head.record.columns
        last = read[-1].stage
        kept = columns_of(read, [last], ("mean", "token"))
        columns = tuple(kept[-1:] or read[-1:])
        start = sum(column.stop - column.start for column in read[: read.index(columns[0])])
        width = columns[0].stop - columns[0].start
        arrays = model.head.arrays
        mean, scale = (
            np.asarray(arrays[name], np.float32)[start : start + width] for name in ("mean", "scale")
        )
        return cls(columns, mean, scale)

    def place(self, rows: npt.NDArray[Any]) -> Floats:
        """Unit vectors `(N, D)` from the values of the space's columns."""
        centred = (rows.astype(np.float32) - self.mean) * self.scale
        length = np.linalg.norm(centred, axis=1, keepdims=True)
        return np.asarray(centred / np.maximum(length, 1e-12), dtype=np.float32)


@dataclass(frozen=True)
class Gallery:
    """The training images of a run, as a searchable index."""

    space: Space
    directions: Floats
    """`(N, D)` unit vectors of the images."""
    paths: tuple[str, ...]
    labels: tuple[str, ...]

    def nearest(self, row: npt.NDArray[Any], count: int = 6) -> list[Neighbour]:
        """The most similar images.

        Args:
            row: the complete feature row of the image.
            count: number of images to return.
        """
        (column,) = self.space.columns
        own = self.space.place(row[None, column.start : column.stop])[0]
        alike = self.directions @ own
        return [
            Neighbour(self.paths[place], self.labels[place], float(alike[place]))
            for place in np.argsort(-alike, kind="stable")[:count]
        ]


def open_gallery(files: RunFiles, model: Model, reporter: Reporter) -> Gallery:
    """The training images whose features are in the cache or whose files can be read; perhaps none."""
    places = [(item, files.file(item.path) or files.place(item.path)) for item in files.training_images]
    inside = [(item, str(place.relative_to(files.root))) for item, place in places if place is not None]
    found = tuple(replace(item, path=path) for item, path in inside)
    images = Images(str(files.root), found, task=model.task)
    features = Compute(precision=model.fitted_precision).features(images, model.weights, reporter)
    known = [item for item, _ in inside if item.sha256 in features.rows]
    space = Space.of(model)
    keys = [item.sha256 for item in known]
    rows = features.matrix(keys, space.columns) if keys else np.zeros((0, len(space.mean)), np.float16)
    paths, labels = (tuple(getattr(item, name) for item in known) for name in ("path", "label"))
    return Gallery(space, space.place(rows), paths, labels)
