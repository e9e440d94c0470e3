"""Pictures with their boxes as files: JPEG or PNG, each below one folder where it is below its own."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image, PngImagePlugin

from regraft.data.pictures.loading import LoadLimits, decode, read_file
from regraft.detection.results.colours import styles_of
from regraft.detection.results.drawing import draw_boxes
from regraft.detection.results.marked import MarkedPicture, MarkedSet
from regraft.errors import ImageError, SettingsError
from regraft.machine.processor import count_cores
from regraft.outputs.files import OutputKind, output_file
from regraft.parallel import in_order
from regraft.progress import Reporter, Silent
from regraft.records import SkippedFile
from regraft.storage.files import write_atomically
from regraft.storage.tables import printable

_MARK = "boxes drawn by regraft"
_JPEG_ENDINGS = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"})
DRAWN = OutputKind(
    "a picture with boxes", "drawn/a.jpg", lambda data: _MARK.encode() in data[:4096], is_drawing=True
)


@dataclass(frozen=True)
class Drawings:
    """What was drawn."""

    files: tuple[Path, ...]
    """The files that were written, in the order of the pictures."""
    skipped: tuple[SkippedFile, ...]
    """The pictures that can't be read, and why."""


def drawing_places(
    sources: Sequence[Path],
    names: Sequence[str],
    folder: Path,
    *,
    inputs: Iterable[str | Path] = (),
    overwrite: bool = False,
) -> list[Path]:
    """The file of each drawing, below a folder; all are checked before any is written.

    Args:
        sources: the files of the pictures, none of which is ever replaced.
        names: what each is called below the folder: its path. Where one is absolute or leads upwards, all
            count from the folder that they have in common. Pictures that are no JPEG files are drawn as PNG.
        folder: the folder of the drawings.
        inputs: the files and folders that are read, in which nothing is drawn.
        overwrite: whether a picture that Regraft did not draw may be replaced.

    Raises:
        SettingsError: a drawing would replace a picture, or someone else's file.

    >>> names = ["a/1.jpg", "b/1.webp"]
    >>> [str(place) for place in drawing_places([], names, Path("drawn"))]
    ['drawn/a/1.jpg', 'drawn/b/1.webp.png']
    """
    if any(name.startswith("/") or ".." in PurePosixPath(name).parts for name in names):
        whole = [os.path.abspath(name) for name in names]
        shared = os.path.commonpath([os.path.dirname(name) for name in whole])
        names = [os.path.relpath(name, shared) for name in whole]
    originals = {(status.st_dev, status.st_ino) for status in filter(None, map(_status, sources))}
    given = list(inputs)
    places: list[Path] = []
    taken: set[Path] = set()
    for name in names:
        place = folder / name
        if place.suffix.lower() not in (*_JPEG_ENDINGS, ".png"):
            place = place.with_name(f"{place.name}.png")
        while place in taken:
            place = place.with_stem(f"{place.stem}_2")
        taken.add(place)
        status = _status(place)
        if status is not None and (status.st_dev, status.st_ino) in originals:
            raise SettingsError(
                f"{printable(str(place))} is one of the pictures that boxes are drawn on, and these are "
                "never replaced. Name another folder for the drawings"
            )
        places.append(output_file(place, DRAWN, inputs=given, overwrite=overwrite))
    return places


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def write_drawings(
    marked: MarkedSet,
    folder: Path,
    *,
    root: Path | None = None,
    inputs: Iterable[str | Path] = (),
    places: Sequence[Path] | None = None,
    overwrite: bool = False,
    limits: LoadLimits | None = None,
    reporter: Reporter | None = None,
) -> Drawings:
    """Draw the boxes of each picture and write it below a folder; originals are never replaced.

    Args:
        marked: found or annotated boxes.
        folder: the folder of the drawings.
        root: the folder that the pictures' paths are relative to; None means the current one.
        inputs: the files and folders that are read, in which nothing is drawn.
        places: the file of each drawing, which `drawing_places` has checked; None lets this function ask it.
        overwrite: whether a picture that Regraft did not draw may be replaced.
        limits: sizes of pictures that are accepted.
        reporter: receives progress.

    Raises:
        SettingsError: a drawing would replace a picture, or someone else's file.
    """
    paths = [picture.path for picture in marked.pictures]
    sources = [(root or Path()) / path for path in paths]
    given = [*inputs, *([root] if root else [])]
    if places is None:
        places = drawing_places(sources, paths, folder, inputs=given, overwrite=overwrite)
    styles = styles_of(marked.labels)

    def draw(job: tuple[MarkedPicture, Path, Path]) -> Path | SkippedFile:
        picture, source, place = job
        try:
            data = read_file(source, limits)
            image = draw_boxes(decode(data, limits=limits).image, picture.boxes, styles)
        except ImageError as error:
            return SkippedFile(picture.path, str(error))
        write_atomically(place, _encoded(image, place))
        return place

    files: list[Path] = []
    skipped: list[SkippedFile] = []
    workers = count_cores()
    jobs = zip(marked.pictures, sources, places, strict=True)
    with (reporter or Silent()).phase("drawing boxes", len(paths)) as meter:
        for result in in_order(draw, jobs, workers=workers, ahead=2 * workers):
            if isinstance(result, SkippedFile):
                skipped.append(result)
            else:
                files.append(result)
            meter.advance()
    return Drawings(tuple(files), tuple(skipped))


def _encoded(image: Image.Image, place: Path) -> bytes:
    """The bytes of a drawing, with a mark near their beginning by which Regraft recognises it."""
    file = io.BytesIO()
    if place.suffix.lower() in _JPEG_ENDINGS:
        image.save(file, "JPEG", quality=92, subsampling=0, comment=_MARK)
    else:
        information = PngImagePlugin.PngInfo()
        information.add_text("Software", _MARK)
        image.save(file, "PNG", pnginfo=information)
    return file.getvalue()
