"""Drawn pictures, their maps without any network, and trainings on them that take seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from regraft.detection.trained.levels import spreads
from regraft.detection.trained.record import TrainedKind, TrainedRecord
from regraft.detection.training.targets import ViewTargets, padded
from regraft.detection.training.training import DetectorTraining
from regraft.progress import Reporter
from regraft.records import MapLevel
from regraft.settings import TrainSettings
from regraft.training.loop.batches import Places

CANVAS = (128, 96)
COLOURS = ((0.9, 0.1, 0.1), (0.1, 0.2, 0.9))
Rows = list[list[float]]


def levels_of(
    strides: Sequence[int] = (8, 16, 32), *, canvas: tuple[int, int] = CANVAS
) -> tuple[MapLevel, ...]:
    """Levels of 48 channels: the mean colours of 4 x 4 parts of each cell."""
    levels, start = [], 0
    for stride in strides:
        height, width = canvas[1] // stride, canvas[0] // stride
        stop = start + 48 * height * width
        levels.append(
            MapLevel(
                stage=f"s{stride}",
                stride=stride,
                channels=48,
                height=height,
                width=width,
                start=start,
                stop=stop,
            )
        )
        start = stop
    return tuple(levels)


def drawn(boxes: Rows, seed: int = 0) -> npt.NDArray[np.float32]:
    """A grey noisy picture with filled boxes in the colours of their classes, `(96, 128, 3)`."""
    picture = np.random.default_rng(seed).normal(0.5, 0.02, (CANVAS[1], CANVAS[0], 3))
    for number, left, top, right, bottom in boxes:
        picture[round(top) : round(bottom), round(left) : round(right)] = COLOURS[int(number)]
    return picture.astype(np.float32)


def row_of(picture: npt.NDArray[np.float32], levels: Sequence[MapLevel]) -> npt.NDArray[np.float16]:
    """The row of maps of a picture."""
    parts = []
    for level in levels:
        part = level.stride // 4
        cells = picture.reshape(level.height, 4, part, level.width, 4, part, 3).mean(axis=(2, 5))
        parts.append(cells.transpose(0, 2, 1, 3, 4).reshape(-1))
    return np.concatenate(parts).astype(np.float16)


def some_boxes(count: int, seed: int = 0) -> list[Rows]:
    """Two boxes that don't touch in each picture, left and right of the middle."""
    draws = np.random.default_rng(seed)
    pictures = []
    for _ in range(count):
        rows: Rows = []
        for side in (0, 64):
            width, height = draws.integers(16, 48, size=2)
            left, top = side + draws.integers(0, 64 - width), draws.integers(0, 96 - height)
            rows.append([float(draws.integers(2)), *map(float, (left, top, left + width, top + height))])
        pictures.append(rows)
    return pictures


def mirrored(rows: Rows) -> Rows:
    """Boxes with left and right exchanged."""
    return [
        [kind, CANVAS[0] - right, top, CANVAS[0] - left, bottom] for kind, left, top, right, bottom in rows
    ]


class ViewsInMemory:
    """A source of views that the epochs use in turn, `(V, N, F) float16`."""

    def __init__(self, views: npt.NDArray[np.float16]) -> None:
        self._views, self.view = torch.from_numpy(views), 0

    def __len__(self) -> int:
        return self._views.shape[1]

    def begin(self, epoch: int, reporter: Reporter) -> None:
        self.view = epoch % len(self._views)

    def fetch(self, places: Places) -> torch.Tensor:
        return self._views[self.view][torch.from_numpy(places)]

    def prepare(self, raw: torch.Tensor, places: Places) -> torch.Tensor:
        return raw.float()


def toy_training(
    kind: TrainedKind,
    pictures: list[Rows] | None = None,
    *,
    classes: int = 2,
    path: Path | None = None,
    strides: Sequence[int] = (8, 16, 32),
    **changes: Any,
) -> DetectorTraining:
    """A training on drawn pictures and their mirrored views, evaluated on the same pictures."""
    levels, pictures = levels_of(strides), some_boxes(6) if pictures is None else pictures
    views = [pictures, [mirrored(rows) for rows in pictures]]
    maps = np.stack(
        [[row_of(drawn(rows, number), levels) for number, rows in enumerate(view)] for view in views]
    )
    source = ViewsInMemory(maps)
    targets = [padded([np.reshape(rows, (-1, 5)) for rows in view]) for view in views]
    settings = TrainSettings(epochs=4, lr=4e-3, effective_batch=3, micro_batch=3, train_precision="fp32")
    return DetectorTraining(
        record=TrainedRecord(kind=kind, classes=classes, canvas=CANVAS, levels=levels, width=32, regions=16),
        spread=spreads(maps[0], levels),
        train=source,
        targets=ViewTargets(targets, lambda: source.view),
        settings=replace(settings, **changes),
        validation=ViewsInMemory(maps[:1]),
        validation_targets=ViewTargets(targets[:1]),
        key="toy",
        checkpoint=path,
    )
