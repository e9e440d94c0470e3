"""Images in arrays of numpy: `.npz` files of MedMNIST and Keras, and stacks in `.npy` files.

They are written out once, as PNG files in a folder per class: what reads images reads files. Rows are taken
from the array one by one, so a file of many gigabytes does not have to fit into the memory.
"""

from __future__ import annotations

import io
import math
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from regraft.data.archives.zip_files import zip_contents
from regraft.data.sources.candidates import SIDES
from regraft.data.sources.column_names import TableColumns, choose_label, likely_names
from regraft.data.sources.labels import label_of
from regraft.data.sources.table_files import read_table
from regraft.errors import DataError, words_of
from regraft.machine.processor import count_cores
from regraft.parallel import in_order
from regraft.records import Side
from regraft.storage.files import key_of, make_folder, whole_folder, write_json
from regraft.storage.places import data_folder
from regraft.storage.tables import csv_bytes, printable
from regraft.tasks.multilabel import SEPARATOR

Array = npt.NDArray[Any]
TABLE = "labels.csv"
"""The table of images with several labels, whose names are the numbers of their columns."""
ARRAY_ENDINGS = (".npz", ".npy")
_IMAGES = frozenset({"images", "image", "x", "data", "imgs", "features", ""})
_LABELS = frozenset({"labels", "label", "y", "targets", "target"})
_MOST_IMAGES = 2_000_000
_MOST_LABEL_BYTES = 500_000_000
_MOST_SIDE_PX = 10_000
_AHEAD = 64


@dataclass(frozen=True)
class Stack:
    """Images of one size in an array, and their labels."""

    images: str
    """The array's name, for messages."""
    shape: tuple[int, ...]
    kind: np.dtype[Any]
    labels: Array
    side: Side | None


def as_folder(path: Path) -> Path:
    """The folder of PNG files that an array file becomes, written if it is not there.

    Raises:
        DataError: the file can't be read, or does not hold images with labels in a layout that is known.
    """
    from filelock import FileLock

    status = path.stat()
    facts = [os.path.realpath(path), status.st_size, status.st_mtime_ns, *_beside(path)]
    place = make_folder(data_folder() / "arrays") / f"{path.stem}-{key_of(facts)[:12]}"
    with FileLock(place.with_name(f".{place.name}.lock")):
        if not (place / "dataset.json").is_file():
            stacks = stacks_in(path)
            with whole_folder(place) as folder:
                write_stacks(path, stacks, folder)
                write_json(
                    folder / "dataset.json", {"source": str(path), "images": sum(s.shape[0] for s in stacks)}
                )
    return place


def _beside(path: Path) -> list[Any]:
    """What the labels of a stack depend on."""
    labels = _labels_beside(path) if path.suffix.lower() == ".npy" else None
    return [] if labels is None else [str(labels), labels.stat().st_mtime_ns]


def stacks_in(path: Path) -> list[Stack]:
    """The stacks of images in a file, with their labels.

    Raises:
        DataError: see `as_folder`.
    """
    try:
        return _stack_of_npy(path) if path.suffix.lower() == ".npy" else _stacks_of_npz(path)
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, MemoryError) as error:
        text = words_of(error)
        raise DataError(f"can't read the arrays in {printable(str(path))}: {text}") from error


def _stacks_of_npz(path: Path) -> list[Stack]:
    with path.open("rb") as file:
        try:
            contents = zip_contents(file, path.stat().st_size)
        except DataError as error:
            raise DataError(f"can't read the arrays in {printable(str(path))}: {error}") from error
    names = [name.removesuffix(".npy") for name in contents.members if name.endswith(".npy")]
    roles = {name: _role(name) for name in names}
    stacks = []
    for name, (side, role) in roles.items():
        if role == "images":
            labels = next((one for one, found in roles.items() if found == (side, "labels")), None)
            if labels is None:
                raise DataError(
                    f"{printable(str(path))} has no labels for the array {name}; it has {_listed(names)}. "
                    "The labels of x_train are y_train, those of train_images train_labels"
                )
            shape, kind = _header(path, name)
            stacks.append(Stack(name, shape, kind, _small(path, labels), side))
    if not stacks:
        raise DataError(
            f"{printable(str(path))} has the arrays {_listed(names)}; accepted are train_images and "
            "train_labels (also val_ and test_, as MedMNIST has them), x_train and y_train (x_test, y_test, "
            "as Keras has them), images and labels, x and y"
        )
    return [_checked(path, stack) for stack in stacks]


def _stack_of_npy(path: Path) -> list[Stack]:
    beside = _labels_beside(path)
    if beside is None:
        raise DataError(
            f"{printable(str(path))} is a stack of images without labels; put them next to it, a label "
            f"for each image in its order: {path.stem}_labels.npy, labels.npy, {path.stem}.csv or labels.csv "
            "with the column label"
        )
    shape, kind = _header(path, "")
    if beside.suffix == ".npy":
        labels = _small(beside, "")
    else:
        table = read_table(beside, likely_names(TableColumns()))
        place = choose_label(str(beside), table.names, TableColumns())
        place = 0 if place is None and len(table.names) == 1 else place
        if place is None:
            raise DataError(f"{beside} has no column label; it has {', '.join(table.names)}")
        labels = np.array([label_of(cell) or "" for cell in table.column(place)])
    return [_checked(path, Stack(path.name, shape, kind, labels, None))]


def _labels_beside(path: Path) -> Path | None:
    names = (f"{path.stem}_labels.npy", "labels.npy", f"{path.stem}.csv", "labels.csv")
    return next((path.with_name(name) for name in names if path.with_name(name).is_file()), None)


def _role(name: str) -> tuple[Side | None, str | None]:
    """The side that an array's name states, and whether it holds images or labels.

    >>> _role("train_images"), _role("y_test"), _role("x"), _role("note")
    (('train', 'images'), ('test', 'labels'), (None, 'images'), (None, None))
    """
    words = name.lower().split("_")
    sides = [SIDES[word] for word in words if word in SIDES]
    rest = "_".join(word for word in words if word not in SIDES)
    role = "images" if rest in _IMAGES and name else "labels" if rest in _LABELS else None
    return (sides[0] if len(sides) == 1 else None, role)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(printable(name) for name in names[:12]) + ("…" if len(names) > 12 else "") or "none"


@contextmanager
def _open(path: Path, name: str) -> Iterator[IO[bytes]]:
    """The bytes of an array, as they are in its `.npy` file."""
    if path.suffix.lower() == ".npy":
        with path.open("rb") as file:
            yield file
    else:
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as member:
            yield member


def _header(path: Path, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    with _open(path, name) as file:
        return _read_header(file, name or path.name)


def _read_header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The shape and type of an array in C order; Python objects (pickles) are refused."""
    version = np.lib.format.read_magic(file)
    reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in reader:
        raise DataError(
            f"the array {name} is in version {version} of the format; save it again with numpy.save"
        )
    shape, is_fortran, kind = reader[version](file)
    if kind.hasobject:
        raise DataError(
            f"the array {name} holds Python objects, which are not read; save it as numbers or text"
        )
    if is_fortran and len(shape) > 1:
        raise DataError(f"the array {name} is in Fortran order; save it with numpy.ascontiguousarray")
    return tuple(int(size) for size in shape), kind


def _small(path: Path, name: str) -> Array:
    """An array of labels."""
    shape, kind = _header(path, name)
    size = math.prod(shape) * kind.itemsize
    if size > _MOST_LABEL_BYTES:
        raise DataError(
            f"the labels {name or path.name} take {size / 1e6:,.0f} MB; more than 500 MB are refused"
        )
    with _open(path, name) as file:
        data = io.BytesIO(file.read(size + 65_536))
    return np.asarray(np.lib.format.read_array(data, allow_pickle=False))


def _checked(path: Path, stack: Stack) -> Stack:
    """The stack, if it can be images with a label each.

    Raises:
        DataError: names the shape and what is accepted.
    """
    shape, name = stack.shape, f"{stack.images} in {printable(str(path))}"
    if shape and shape[0] > _MOST_IMAGES:
        raise DataError(
            f"the array {name} has {shape[0]:,} images; at most {_MOST_IMAGES:,} are written out: divide it"
        )
    is_grey, is_colour = len(shape) == 3, len(shape) == 4 and (shape[3] in (1, 3, 4) or shape[1] in (1, 3))
    if not (is_grey or is_colour) or 0 in shape or max(shape[1:]) > _MOST_SIDE_PX:
        volumes = " (volumes are not read: save slices)" if len(shape) == 4 else ""
        raise DataError(
            f"the array {name} has the shape {shape}{volumes}; accepted are "
            "(images, height, width), and the same with 1, 3 or 4 channels at the end"
        )
    if stack.kind.kind not in "buif":
        raise DataError(
            f"the array {name} holds {stack.kind}; accepted are whole numbers "
            "from 0 to 255, uint16, bool, and floating-point numbers from 0 to 1"
        )
    labels = stack.labels
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim not in (1, 2) or len(labels) != shape[0]:
        raise DataError(
            f"the labels of {name} have the shape {stack.labels.shape}, for "
            f"{shape[0]:,} images; one label for each image is needed, or a column of 0 and 1 for each label"
        )
    return Stack(stack.images, shape, stack.kind, labels, stack.side)


def write_stacks(path: Path, stacks: Sequence[Stack], folder: Path, names: Sequence[str] = ()) -> None:
    """Write images as PNG files: below their sides and classes, or with a table if they have several labels.

    Args:
        path: the file of arrays.
        stacks: what is in it.
        folder: a new folder.
        names: the names of the classes by their numbers; without them, the numbers are the names.

    Raises:
        DataError: an image has values that no picture has.
    """
    if len({stack.side for stack in stacks}) == 1:
        stacks = [Stack(one.images, one.shape, one.kind, one.labels, None) for one in stacks]
    write_pictures(_jobs(path, stacks, folder, names))
    if stacks[0].labels.ndim == 2:
        rows = [
            (
                f"{_folder(stack, '')}{number:07d}.png",
                SEPARATOR.join(_name(number, names) for number in np.flatnonzero(row)),
                stack.side,
            )
            for stack in stacks
            for number, row in enumerate(stack.labels)
        ]
        (folder / TABLE).write_bytes(csv_bytes(["path", "label", "split"], rows))


def _name(value: Any, names: Sequence[str]) -> str:
    return names[int(value)] if names else str(value)


def write_pictures(pictures: Iterable[tuple[Path, Array]]) -> None:
    """Write PNG files of `(H, W)` or `(H, W, 3 or 4)` pixels, in threads; their folders are made."""
    for _ in in_order(_write, _with_folders(pictures), workers=count_cores(), ahead=_AHEAD):
        pass


def _with_folders(pictures: Iterable[tuple[Path, Array]]) -> Iterator[tuple[Path, Array]]:
    made: set[Path] = set()
    for place, pixels in pictures:
        if place.parent not in made:
            made.add(make_folder(place.parent))
        yield place, pixels


def _folder(stack: Stack, label: str) -> str:
    return "".join(f"{part}/" for part in (stack.side or ("" if label else "images"), label) if part)


def _jobs(
    path: Path, stacks: Sequence[Stack], folder: Path, names: Sequence[str]
) -> Iterator[tuple[Path, Array]]:
    for stack in stacks:
        name = "" if path.suffix.lower() == ".npy" else stack.images
        for number, pixels in enumerate(_rows(path, name, stack)):
            is_single = stack.labels.ndim == 1
            label = class_folder(_name(stack.labels[number], names)) if is_single else ""
            yield folder / _folder(stack, label) / f"{number:07d}.png", pixels


def class_folder(value: Any) -> str:
    """The name of a class's folder.

    Raises:
        DataError: the label is missing, or can't be the name of a folder.
    """
    label = label_of(value)
    if label is None:
        raise DataError("some images have no label; remove them from the arrays")
    if label in (".", "..") or "/" in label or "\\" in label or len(label) > 100:
        raise DataError(f"the label {printable(label)[:60]!r} can't be the name of a folder")
    return label


def _rows(path: Path, name: str, stack: Stack) -> Iterator[Array]:
    size = math.prod(stack.shape[1:]) * stack.kind.itemsize
    with _open(path, name) as file:
        _read_header(file, stack.images)
        for number in range(stack.shape[0]):
            try:
                data = file.read(size)
            except (zipfile.BadZipFile, zlib.error, EOFError) as error:
                raise DataError(
                    f"the array {stack.images} in {printable(str(path))} is damaged: {error}"
                ) from error
            if len(data) < size:
                raise DataError(
                    f"the array {stack.images} in {printable(str(path))} ends after {number:,} of "
                    f"{stack.shape[0]:,} images; download or copy the file again"
                )
            yield _picture(np.frombuffer(data, stack.kind).reshape(stack.shape[1:]), stack, number)


def _picture(values: Array, stack: Stack, number: int) -> Array:
    """An image as uint8 or uint16, `(H, W)` or `(H, W, 3 or 4)`."""
    if values.ndim == 3 and values.shape[2] not in (1, 3, 4):
        values = values.transpose(1, 2, 0)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.dtype.kind == "b":
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype.kind == "f":
        if not (values.min() >= 0 and values.max() <= 1):
            raise DataError(
                f"image {number} of the array {stack.images} has values from {values.min():g} to "
                f"{values.max():g}; floating-point numbers must be from 0 to 1. Divide them by 255, or save "
                "them as uint8"
            )
        return np.rint(values.astype(np.float64) * 255).astype(np.uint8)
    if values.dtype == np.uint16 and values.ndim == 2:
        return values.astype("<u2")
    if values.min() < 0 or values.max() > 255:
        raise DataError(
            f"image {number} of the array {stack.images} has values from {values.min():,} to "
            f"{values.max():,}; whole numbers must be from 0 to 255, or of the type uint16"
        )
    return values.astype(np.uint8)


def _write(job: tuple[Path, Array]) -> None:
    place, pixels = job
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG", compress_level=1)
    place.write_bytes(file.getvalue())
