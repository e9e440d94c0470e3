"""Small labelled sets in memory: grey images of one size, from scikit-learn, drawn, or a user's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from regraft.data.findings.image_set import Images
from regraft.data.pictures.loading import load_input
from regraft.errors import DataError
from regraft.progress import Reporter
from regraft.randomness import generator
from regraft.records import ImageItem, InputSpec
from regraft.storage.files import sha256_of
from regraft.workflow.check import load_images

SIZE_PX = 8
_MOST_IMAGES = 4_000
_SMALLEST_TEST = 2  # test images of each class that must remain
Floats = npt.NDArray[Any]
Classes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Labelled:
    """Images with the numbers of their classes."""

    images: torch.Tensor
    """`(N, 1, S, S) float32`."""
    targets: Classes

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class SmallSet:
    """A labelled set, of which samples are drawn."""

    name: str
    about: str
    """What it is, in words that follow "Data:"."""
    images: torch.Tensor
    """`(N, 1, S, S) float32`, of mean 0 and variance 1 over all pixels."""
    targets: Classes
    classes: int

    @property
    def key(self) -> str:
        """A hash of its images and classes."""
        return sha256_of(self.images.numpy().tobytes() + self.targets.tobytes())[:16]

    @property
    def smallest_class(self) -> int:
        """The number of images of the class that has the fewest."""
        return int(np.bincount(self.targets, minlength=self.classes).min())

    def of(self, classes: Sequence[int]) -> SmallSet:
        """Only some classes, numbered anew in the order given."""
        places = np.flatnonzero(np.isin(self.targets, list(classes)))
        number = {one: place for place, one in enumerate(classes)}
        targets = np.array([number[int(one)] for one in self.targets[places]], dtype=np.int64)
        return replace(self, images=self.images[places], targets=targets, classes=len(classes))

    def sample(self, seed: int, *, per_class: int, test: int) -> tuple[Labelled, Labelled]:
        """`per_class` training images of each class, and at most `test` others, chosen by the seed."""
        order = generator(seed, "lab sample").permutation(len(self.targets))
        train: list[int] = []
        others: list[int] = []
        taken = [0] * self.classes
        for place in order.tolist():
            number = int(self.targets[place])
            is_wanted = taken[number] < per_class
            taken[number] += is_wanted
            (train if is_wanted else others).append(place)
        return self._at(train), self._at(others[:test])

    def _at(self, places: Sequence[int]) -> Labelled:
        return Labelled(self.images[list(places)], self.targets[list(places)])


def digits(size_px: int = SIZE_PX) -> SmallSet:
    """scikit-learn's 1,797 handwritten digits (Alpaydin & Kaynak 1998), enlarged if they are to be."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = torch.from_numpy(data.images.astype(np.float32))[:, None]
    return _named(
        "digits",
        f"scikit-learn's 1,797 handwritten digits, {size_px} x {size_px} pixels",
        resized(images, size_px),
        data.target.astype(np.int64),
    )


def gratings(size_px: int = SIZE_PX, *, classes: int = 5, images: int = 900) -> SmallSet:
    """Stripes of some orientations with any phase, wavelength and contrast, under noise: drawn by numpy."""
    draws = generator(0, "gratings")
    targets = np.arange(images) % classes
    angle = np.pi * targets / classes + draws.normal(0, 0.06, images)
    wave = draws.uniform(2.5, 5.0, images) * size_px / SIZE_PX
    phase, contrast = draws.uniform(0, 2 * np.pi, images), draws.uniform(0.4, 1.0, images)
    y, x = np.mgrid[:size_px, :size_px]
    along = x * np.cos(angle)[:, None, None] + y * np.sin(angle)[:, None, None]
    values = contrast[:, None, None] * np.cos(
        2 * np.pi * along / wave[:, None, None] + phase[:, None, None]
    ) + draws.normal(0, 0.5, (images, size_px, size_px))
    return _named(
        "gratings",
        f"{images} drawn gratings of {classes} orientations under noise, {size_px} x {size_px} pixels",
        torch.from_numpy(values.astype(np.float32))[:, None],
        targets.astype(np.int64),
    )


def shuffled(given: SmallSet) -> SmallSet:
    """The set with its pixels in another order, the same for all images: what is local is lost."""
    side = given.images.shape[-1]
    order = torch.from_numpy(generator(0, "pixels").permutation(side * side))
    images = given.images.flatten(2)[:, :, order].reshape(given.images.shape)
    return replace(given, name=f"{given.name}, pixels shuffled", images=images)


def folder(path: str, *, size_px: int, reporter: Reporter) -> SmallSet:
    """The images of a folder or table, grey and small.

    Raises:
        DataError: the images can't be used, or have no classes.
    """
    found = load_images(path, reporter=reporter)
    if found.task is None or found.task.link != "softmax":
        raise DataError(
            f"the images of {path} do not have one class each, which this experiment needs. Use a folder "
            "with a folder for each class, or remove --data"
        )
    order = generator(0, "lab folder").permutation(len(found.items))[:_MOST_IMAGES]
    items = [found.items[place] for place in sorted(order.tolist())]
    spec = InputSpec(
        size_px=size_px, channels=1, mean=(0.0,), std=(1.0,), interpolation="bilinear", crop_share=1.0
    )
    pixels = np.stack([load_input(Path(found.root, item.path), spec) for item in items])
    number = {label: place for place, label in enumerate(found.labels)}
    about = f"{len(items):,} images of {path} in {len(number)} classes, grey, {size_px} x {size_px} pixels"
    images = torch.from_numpy(pixels.reshape(len(items), 1, size_px, size_px).astype(np.float32))
    return _named(path, about, images, np.array([number[str(item.label)] for item in items]))


def chosen(
    data: str | None, *, per_class: int, reporter: Reporter, own_px: int = 2 * SIZE_PX, classes: int = 2
) -> SmallSet:
    """The user's images, or the digits.

    Args:
        data: path of the user's images; None for the digits.
        per_class: training images that each class needs.
        reporter: receives progress.
        own_px: side of the user's images.
        classes: the smallest number of classes.

    Raises:
        DataError: there are too few classes, or a class has too few images.
    """
    found = digits() if data is None else folder(data, size_px=own_px, reporter=reporter)
    if found.classes < classes:
        raise DataError(
            f"{found.name} has {found.classes} classes, but this experiment needs {classes}. Use other "
            "images, or remove --data"
        )
    least = found.smallest_class
    if least < per_class + _SMALLEST_TEST:
        raise DataError(
            f"a class of {found.name} has {least} images, but this experiment needs "
            f"{per_class + _SMALLEST_TEST} of each. Add images, or remove --data"
        )
    return found


def some_of_each(found: Images, *, most: int, least: int) -> Images:
    """Some images of each class, the same ones each time.

    Args:
        found: images with one class each.
        most: the largest number of images of a class.
        least: the number that each class needs.

    Raises:
        DataError: the images have no classes, or a class has too few.
    """
    if found.task is None or found.task.link != "softmax":
        raise DataError(
            f"the images of {found.root} do not have one class each, which this experiment needs. Use a "
            "folder with a folder for each class, or remove --data"
        )
    chosen: list[ImageItem] = []
    for label in found.labels:
        own = [item for item in found.items if str(item.label) == label]
        if len(own) < least:
            raise DataError(
                f"class {label!r} has {len(own)} images, but this experiment needs {least} of each. Add "
                "images, or remove --data"
            )
        order = generator(0, "some", label).permutation(len(own))[:most]
        chosen += [own[place] for place in sorted(order.tolist())]
    return replace(found, items=tuple(chosen))


def content_of(images: Images) -> str:
    """A hash of the content of all images, in order."""
    return sha256_of("".join(item.sha256 for item in images.items).encode())[:16]


def resized(images: torch.Tensor, size_px: int) -> torch.Tensor:
    """Images of another size, by bilinear interpolation."""
    if images.shape[-1] == size_px:
        return images
    return functional.interpolate(images, size=size_px, mode="bilinear", align_corners=False)


def _named(name: str, about: str, images: torch.Tensor, targets: Classes) -> SmallSet:
    standard = (images - images.mean()) / images.std()
    return SmallSet(name, about, standard, targets.astype(np.int64), int(targets.max()) + 1)
