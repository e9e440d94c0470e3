"""Small data sets as image files, made from what scikit-learn and scikit-image bring along: no downloads."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from regraft.storage.files import make_folder

PICTURE_PX = 96
_MARGIN_PX = 6  # what the central crop of an ImageNet network leaves out at each edge
_DIGIT_PX = (56, 80)  # smallest and largest side of an enlarged digit
_PAPER = (40, 110)  # grey of the background, between black and the white ink of 255
_DIGITS_A_CLASS = 100
_FACES = 100  # of lfw_subset's 200 crops the first hundred, as its documentation states

Floats = npt.NDArray[Any]


def write_digit_pictures(folder: Path) -> None:
    """Write scikit-learn's first 100 digits of each class, each at a random place in a larger picture.

    The digits (Alpaydin & Kaynak 1998, UCI Optical Recognition of Handwritten Digits, test part) fill their
    8 x 8 pixels, so every pixel sees the same part of every digit, and methods that compare pixels do well.
    In a photo nothing is aligned like that. Here the size, the place and the grey of the paper vary.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    chosen = np.sort(np.concatenate([np.flatnonzero(data.target == d)[:_DIGITS_A_CLASS] for d in range(10)]))
    _write(folder, ((n, str(data.target[n]), _placed(data.images[n] / 16, seed=int(n))) for n in chosen))


def write_faces(folder: Path) -> None:
    """Write scikit-image's 100 faces and 100 other crops, 25 x 25 pixels, of Labeled Faces in the Wild."""
    from skimage.data import lfw_subset

    crops = lfw_subset()
    labels = ["face" if number < _FACES else "other" for number in range(len(crops))]
    _write(folder, ((n, labels[n], crops[n]) for n in range(len(crops))))


def write_gratings(folder: Path, *, orientations: int, images: int) -> None:
    """Write stripes of some orientations with any phase and contrast, 6 to 20 pixels wide, under noise."""
    y, x = np.mgrid[:PICTURE_PX, :PICTURE_PX]
    pictures = []
    for number in range(images):
        draws, label = np.random.default_rng([1, number]), number % orientations
        angle = np.pi * (label + draws.uniform(-0.2, 0.2)) / orientations
        along = (x * np.cos(angle) + y * np.sin(angle)) / draws.uniform(6, 20) + draws.uniform()
        values = 0.5 + draws.uniform(0.1, 0.35) * np.cos(2 * np.pi * along) + draws.normal(0, 0.05, x.shape)
        pictures.append((number, f"{180 * label / orientations:03.0f} degrees", values.clip(0, 1)))
    _write(folder, pictures)


def _placed(ink: Floats, *, seed: int) -> Floats:
    """A picture of grey paper with the ink of a digit, `(8, 8)` in [0, 1], enlarged and put somewhere."""
    generator = np.random.default_rng(seed)
    side = int(generator.integers(_DIGIT_PX[0], _DIGIT_PX[1] + 1))
    row, column = generator.integers(_MARGIN_PX, PICTURE_PX - _MARGIN_PX - side + 1, 2)
    small = Image.fromarray((ink * 255).round().astype(np.uint8))
    large = np.asarray(small.resize((side, side), Image.Resampling.BICUBIC)) / 255
    share = np.zeros((PICTURE_PX, PICTURE_PX))
    share[row : row + side, column : column + side] = large
    paper = generator.uniform(*_PAPER) / 255
    picture: Floats = share + (1 - share) * paper
    return picture


def _write(folder: Path, pictures: Iterable[tuple[int, str, Floats]]) -> None:
    """Write grey pictures, values in [0, 1], as `LABEL/NUMBER.png`; files that are there are left alone."""
    for number, label, values in pictures:
        path = folder / label / f"{number:04d}.png"
        if not path.exists():
            make_folder(path.parent)
            unfinished = path.with_suffix(".tmp")
            Image.fromarray((values * 255).round().astype(np.uint8)).save(unfinished, format="PNG")
            unfinished.replace(path)
