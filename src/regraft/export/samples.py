"""The images on which an exported file is compared with its model: the user's, the run's, or made-up ones."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from regraft.data.pictures.framing import needed_side_px
from regraft.data.pictures.loading import decode_for, read_file
from regraft.data.sources.folders import files_below
from regraft.errors import ImageError, NoImagesError
from regraft.records import InputSpec
from regraft.runs.model_files import ModelFiles

Source = Path | bytes
"""An image file, by its path or as bytes."""
MADE_UP = 32
_Row = TypeVar("_Row")
_SIZES = ((300, 400), (64, 64), (97, 31), (28, 28), (224, 500), (480, 640), (17, 200), (333, 250))


@dataclass(frozen=True)
class Sample:
    """Images on which two models can be compared, and which they are."""

    images: tuple[Source, ...]
    origin: str
    """What the images are, to follow their number: `of the run's images`."""
    reason: str = ""
    """Why these are neither the run's images nor named by the user, to follow "because"; else empty."""

    @property
    def text(self) -> str:
        """For example `24 of the run's images`."""
        because = f", because {self.reason}" if self.reason else ""
        return f"{len(self.images)} {self.origin}{because}"


def choose_sample(files: ModelFiles, named: Sequence[str | Path], most: int) -> Sample:
    """Images that can be read: those that were named, else those of the run, else made-up ones.

    Args:
        files: what is known about the model.
        named: files and folders that the user has named; none if empty.
        most: largest number of images, spread evenly over those that there are.

    Raises:
        NoImagesError: no image that the user has named can be read; the message has the first reason.
    """
    spec = files.model.weights.input_spec
    if named:
        return named_sample(named, spec, most)
    evaluated = (files.image(row.path) for row in spread(files.predictions, most))
    training = (files.image(item.path) for item in spread(files.training_images, most))
    found = readable((place for place in chain(evaluated, training) if place is not None), spec)
    own = tuple(dict.fromkeys(islice(found, most)))
    if own:
        return Sample(own, "of the run's images")
    return Sample(made_up(spec.channels), "made-up images", files.whereabouts)


def named_sample(named: Sequence[str | Path], spec: InputSpec, most: int) -> Sample:
    """Images that the user has named, as far as they can be read; see `choose_sample`."""
    words = " ".join(str(one) for one in named[:3]) + (" ..." if len(named) > 3 else "")
    return Sample(_named(named, words, spec, most), f"images of --images {words}")


def _named(named: Sequence[str | Path], words: str, spec: InputSpec, most: int) -> tuple[Path, ...]:
    places = [
        file for one in map(Path, named) for file in (list(files_below(one)) if one.is_dir() else [one])
    ]
    found = tuple(islice(readable(spread(places, most), spec), most))
    if found:
        return found
    reason = "no file is there"
    if places:
        try:
            _check(places[0], spec)
        except ImageError as error:
            reason = f"{places[0]}: {error}"
    raise NoImagesError(f"--images {words}: none of {len(places)} files can be read as an image; {reason}")


def readable(places: Iterable[Path], spec: InputSpec) -> Iterator[Path]:
    """The files that the loader can decode for a network."""
    for place in places:
        try:
            _check(place, spec)
        except ImageError:
            continue
        yield place


def _check(place: Path, spec: InputSpec) -> None:
    decode_for(read_file(place), spec, needed_side_px(spec))


def spread(rows: Sequence[_Row], most: int) -> Iterator[_Row]:
    """All rows; the first `most` are spread evenly, in case the others are not needed."""
    step = max(1, len(rows) // most)
    for start in range(step):
        yield from rows[start::step]


def made_up(channels: int, count: int = MADE_UP) -> tuple[bytes, ...]:
    """Image files with random pixels, always the same, in several sizes.

    Half of them are smooth, half are noise; networks of other than 1 or 3 channels get that many grey pages.
    """
    files = []
    for number in range(count):
        draws = np.random.default_rng([number, channels])
        bands = 3 if channels in (1, 3) else channels
        height, width = _SIZES[number % len(_SIZES)]
        coarse = (height, width) if number % 2 else (5, 7)
        pixels = draws.integers(0, 256, (bands, *coarse), dtype=np.uint8)
        pages = [Image.fromarray(band).resize((width, height), Image.Resampling.BICUBIC) for band in pixels]
        files.append(_saved(pages, is_colour=channels in (1, 3)))
    return tuple(files)


def _saved(pages: Sequence[Image.Image], *, is_colour: bool) -> bytes:
    file = io.BytesIO()
    if is_colour:
        Image.merge("RGB", list(pages)).save(file, "PNG", compress_level=1)
    else:
        pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    return file.getvalue()
