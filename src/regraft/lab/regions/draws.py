"""The pictures of one draw, on the canvas, with their boxes and folds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.data.pictures.loading import read_file
from regraft.detection.annotations.boxes import BoxedPicture, BoxSet
from regraft.detection.maps.canvas import canvas_for, on_canvas
from regraft.detection.maps.scenes import Scene, scenes_of
from regraft.errors import DataError
from regraft.lab.regions.drawing import HEIGHT, SHAPES, WIDTH, drawn
from regraft.records import InputSpec
from regraft.storage.files import key_of

_FOLDS = 4
LONGER_PX = 320
"""The longer side of the canvas."""


@dataclass(frozen=True)
class Sizes:
    """How many pictures a draw has."""

    train: int
    test: int


@dataclass(frozen=True)
class Draw:
    """The pictures of one draw."""

    train: tuple[Scene, ...]
    test: tuple[Scene, ...]
    pixels: dict[str, npt.NDArray[np.uint8]]
    """The canvas of each picture `(H, W, 3)`, by its key."""


@dataclass(frozen=True)
class Pictures:
    """Pictures that draws are made of."""

    about: str
    labels: tuple[str, ...]
    canvas: tuple[int, int]
    """Width and height."""
    most_draws: int | None
    """How many draws share no picture; None for any number."""
    key: str
    """Hash of all pictures and boxes."""
    choose: Callable[[int], tuple[Sequence[tuple[BoxedPicture, bytes]], Sequence[tuple[BoxedPicture, bytes]]]]
    """Training and test pictures of a draw, with their files."""

    def draw(self, seed: int, spec: InputSpec) -> Draw:
        """The pictures of one draw on the canvas of a network's input."""
        train, test = self.choose(seed)
        pixels = {one.sha256: on_canvas(file, spec)[0] for one, file in (*train, *test)}
        folds = [place % min(_FOLDS, len(train)) for place in range(len(train))]
        return Draw(
            scenes_of([one for one, _ in train], self.labels, spec, folds),
            tuple(replace(scene, fold=0) for scene in scenes_of([one for one, _ in test], self.labels, spec)),
            pixels,
        )


def drawn_pictures(sizes: Sizes) -> Pictures:
    """Pictures of shapes, made as they are needed: no two draws share one."""
    each = sizes.train + sizes.test

    def choose(seed: int) -> Any:
        pictures = [drawn(number) for number in range(seed * each, (seed + 1) * each)]
        return pictures[: sizes.train], pictures[sizes.train :]

    return Pictures(
        f"pictures of shapes on textures ({', '.join(SHAPES)}), made by this experiment",
        SHAPES,
        canvas_for([(WIDTH, HEIGHT)], longer_px=LONGER_PX),
        None,
        "drawn shapes, 1",
        choose,
    )


def boxed_pictures(boxes: BoxSet, sizes: Sizes) -> Pictures:
    """The pictures of a data set; draws share none, and published test pictures are never trained on.

    Copies of a picture count once.

    Raises:
        DataError: there are too few pictures with boxes.
    """
    root = Path(boxes.root)
    unique = {one.sha256: one for one in boxes.pictures if one.boxes}
    every = sorted(unique.values(), key=lambda one: one.sha256)  # an order that no folder or name decides
    sides = {one.side for one in every}
    if {"train", "test"} <= sides:
        train = [one for one in every if one.side == "train"]
        test = [one for one in every if one.side == "test"]
        most = min(len(train) // sizes.train, len(test) // sizes.test)
    else:
        each = sizes.train + sizes.test
        most = len(every) // each
        train = [one for draw in range(most) for one in every[draw * each :][: sizes.train]]
        test = [one for draw in range(most) for one in every[draw * each + sizes.train :][: sizes.test]]
    if most < 1:
        raise DataError(
            f"{boxes.root} has {len(every):,} different pictures with boxes, which is not enough for "
            f"{sizes.train} training and {sizes.test} test pictures (of the published sides, if there are "
            "any). Use --quick, or add pictures"
        )

    def choose(seed: int) -> Any:
        own = train[seed * sizes.train :][: sizes.train], test[seed * sizes.test :][: sizes.test]
        return tuple([(one, read_file(root / one.path)) for one in part] for part in own)

    facts = [[one.sha256, one.side, [str(box) for box in one.boxes]] for one in every]
    return Pictures(
        f"{len(every):,} pictures with boxes of {len(boxes.labels)} classes in {boxes.root}",
        boxes.labels,
        canvas_for([(one.width, one.height) for one in every], longer_px=LONGER_PX),
        most,
        key_of(facts),
        choose,
    )
