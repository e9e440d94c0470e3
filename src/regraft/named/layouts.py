"""How the files of each data set are read: as pictures in arrays, or as rows of a table that names files.

Nothing is unpacked: rows name members of archives by their paths.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.data.archives.places import Archive, open_archive
from regraft.data.sources.candidates import SIDES
from regraft.data.sources.column_names import IMAGE_ENDINGS
from regraft.errors import DataError
from regraft.named.cards import SetCard
from regraft.named.cifar_files import read_cifar
from regraft.records import Side
from regraft.storage.files import write_atomically

Array = npt.NDArray[Any]
_MOST_ARRAY_BYTES = 2_000_000_000


@dataclass(frozen=True)
class Pictures:
    """Images of one side in an array, and their classes."""

    side: Side | None
    images: Array
    """Pixels `(N, H, W)` or `(N, H, W, 3)`, uint8."""
    labels: list[str]


@dataclass(frozen=True)
class Row:
    """An image that is a file."""

    path: str
    """Its path below the root, through its archive."""
    label: str
    side: Side | None = None


@dataclass(frozen=True)
class SetFiles:
    """The files of a data set on this machine."""

    card: SetCard
    root: Path

    def path(self, number: int) -> Path:
        """A file of the card."""
        return self.root / self.card.files[number].path

    def archive(self, number: int) -> Archive:
        """A file of the card that is an archive."""
        return open_archive(self.path(number))

    def text(self, number: int, name: str) -> str:
        """The text of a member of an archive.

        Raises:
            DataError: it is not there.
        """
        return self.member(number, name).decode("utf-8")

    def member(self, number: int, name: str) -> bytes:
        """The bytes of a member of an archive.

        Raises:
            DataError: it is not there, or too large.
        """
        archive = self.archive(number)
        member = archive.contents.members.get(name)
        if member is None or member.size > _MOST_ARRAY_BYTES:
            raise DataError(f"{archive.path} is not {self.card.title}: it has no usable {name}")
        return archive.read(member)

    def images(self, number: int) -> Iterator[tuple[str, tuple[str, ...]]]:
        """The path below the root of each image in an archive, and the parts of its name."""
        for name in sorted(self.archive(number).contents.members):
            if "." + name.rsplit(".", 1)[-1].lower() in IMAGE_ENDINGS:
                yield f"{self.card.files[number].path}/{name}", tuple(name.split("/"))


def _labels(numbers: Any, names: tuple[str, ...] | list[str]) -> list[str]:
    return [names[int(number)] if names else str(int(number)) for number in numbers]


def _idx(data: bytes) -> Array:
    """An array in the format of MNIST: two zero bytes, the type, number of axes, sizes, values."""
    if data[:3] != b"\0\0\x08":
        raise DataError("no array of bytes in the format of MNIST")
    axes = data[3]
    shape = np.frombuffer(data, ">u4", axes, 4)
    return np.frombuffer(data, np.uint8, int(np.prod(shape, dtype=np.int64)), 4 + 4 * axes).reshape(shape)


def _unzipped(data: bytes) -> bytes:
    with gzip.open(io.BytesIO(data)) as file:
        return file.read(_MOST_ARRAY_BYTES)


def _mnist(files: SetFiles) -> Iterator[Pictures]:
    sides: tuple[Side, Side] = ("train", "test")
    for number, side in zip((0, 2), sides, strict=True):
        images, labels = (_idx(_unzipped(files.path(number + place).read_bytes())) for place in (0, 1))
        yield Pictures(side, images, _labels(labels, files.card.class_names))


def _emnist(files: SetFiles) -> Iterator[Pictures]:
    sides: tuple[Side, Side] = ("train", "test")
    for side in sides:
        images, labels = (
            _idx(_unzipped(files.member(0, f"gzip/emnist-balanced-{side}-{what}-ubyte.gz")))
            for what in ("images-idx3", "labels-idx1")
        )
        yield Pictures(side, images.transpose(0, 2, 1), _labels(labels, files.card.class_names))


def _usps(files: SetFiles) -> Iterator[Pictures]:
    sides: tuple[Side, Side] = ("train", "test")
    for number, side in enumerate(sides):
        with bz2.open(files.path(number)) as file:
            rows = [line.split() for line in file.read(_MOST_ARRAY_BYTES).decode("ascii").splitlines()]
        values = np.array([[cell.partition(":")[2] for cell in row[1:]] for row in rows], np.float32)
        images = ((values.reshape(-1, 16, 16) + 1) / 2 * 255).astype(np.uint8)
        yield Pictures(side, images, [str(int(row[0]) - 1) for row in rows])


def _cifar(files: SetFiles) -> Iterator[Pictures]:
    is_small = files.card.name == "cifar10"
    folder = "cifar-10-batches-py" if is_small else "cifar-100-python"
    meta, key = ("batches.meta", "label_names") if is_small else ("meta", "fine_label_names")
    names = [str(name) for name in read_cifar(files.member(0, f"{folder}/{meta}"))[key]]
    parts = [f"data_batch_{number}" for number in range(1, 6)] if is_small else ["train"]
    for name in [*parts, "test_batch" if is_small else "test"]:
        found = read_cifar(files.member(0, f"{folder}/{name}"))
        numbers = found["labels" if is_small else "fine_labels"]
        images = found["data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        yield Pictures("test" if name.startswith("test") else "train", images, _labels(numbers, names))


def _svhn(files: SetFiles) -> Iterator[Pictures]:
    from scipy.io import loadmat

    sides: tuple[Side, Side] = ("train", "test")
    for number, side in enumerate(sides):
        found = loadmat(files.path(number))
        yield Pictures(side, found["X"].transpose(3, 0, 1, 2), _labels(found["y"].ravel() % 10, ()))


def _stl10(files: SetFiles) -> Iterator[Pictures]:
    names = files.text(0, "stl10_binary/class_names.txt").split()
    sides: tuple[Side, Side] = ("train", "test")
    for side in sides:
        images, labels = (
            np.frombuffer(files.member(0, f"stl10_binary/{side}_{what}.bin"), np.uint8) for what in "Xy"
        )
        yield Pictures(side, images.reshape(-1, 3, 96, 96).transpose(0, 3, 2, 1), _labels(labels - 1, names))


def _folders(files: SetFiles) -> Iterator[Row]:
    """A folder per class, perhaps below the sides; numbers before a class's name are left out."""
    for path, parts in files.images(0):
        *above, label, _ = parts
        side = SIDES.get(above[-1].lower()) if above else None
        number, dot, rest = label.partition(".")
        label = rest if dot and number.isdigit() else label
        yield Row(path, files.card.folder_names.get(label, label), side)


def _caltech101(files: SetFiles) -> Iterator[Row]:
    inner = "caltech101/101_ObjectCategories.tar.gz"  # where torchvision puts it, too
    if not (files.root / inner).is_file():
        write_atomically(files.root / inner, files.member(0, "caltech-101/101_ObjectCategories.tar.gz"))
    for name in sorted(open_archive(files.root / inner).contents.members):
        if name.endswith(".jpg"):
            yield Row(f"{inner}/{name}", name.split("/")[-2])


def _sun397(files: SetFiles) -> Iterator[Row]:
    for path, parts in files.images(0):
        yield Row(path, "/".join(parts[2:-1]))


def _flowers(files: SetFiles) -> Iterator[Row]:
    from scipy.io import loadmat

    labels = loadmat(files.path(1), squeeze_me=True)["labels"]
    sets = loadmat(files.path(2), squeeze_me=True)
    sides: dict[str, Side] = {"trnid": "train", "valid": "validation", "tstid": "test"}
    for key, side in sides.items():
        for number in np.atleast_1d(sets[key]).tolist():
            yield Row(f"{files.card.files[0].path}/jpg/image_{number:05d}.jpg", str(labels[number - 1]), side)


def _pets(files: SetFiles) -> Iterator[Row]:
    sides: dict[str, Side] = {"trainval": "train", "test": "test"}
    for name, side in sides.items():
        for line in files.text(1, f"annotations/{name}.txt").splitlines():
            image = line.split()[0]
            label = image.rsplit("_", 1)[0].replace("_", " ")
            yield Row(f"{files.card.files[0].path}/images/{image}.jpg", label, side)


def _food(files: SetFiles) -> Iterator[Row]:
    sides: tuple[Side, Side] = ("train", "test")
    for side in sides:
        for label, images in json.loads(files.text(0, f"food-101/meta/{side}.json")).items():
            for image in images:
                yield Row(
                    f"{files.card.files[0].path}/food-101/images/{image}.jpg", label.replace("_", " "), side
                )


def _dtd(files: SetFiles) -> Iterator[Row]:
    sides: dict[str, Side] = {"train1": "train", "val1": "validation", "test1": "test"}
    for name, side in sides.items():
        for line in files.text(0, f"dtd/labels/{name}.txt").split():
            yield Row(f"{files.card.files[0].path}/dtd/images/{line}", line.split("/")[0], side)


def _aircraft(files: SetFiles) -> Iterator[Row]:
    sides: dict[str, Side] = {"train": "train", "val": "validation", "test": "test"}
    folder = "fgvc-aircraft-2013b/data"
    for name, side in sides.items():
        for line in files.text(0, f"{folder}/images_variant_{name}.txt").splitlines():
            image, label = line.strip().split(" ", 1)
            yield Row(f"{files.card.files[0].path}/{folder}/images/{image}.jpg", label, side)


def _gtsrb(files: SetFiles) -> Iterator[Row]:
    for path, parts in files.images(0):
        yield Row(path, str(int(parts[-2])), "train")
    table = io.StringIO(files.text(2, "GT-final_test.csv"))
    for row in csv.DictReader(table, delimiter=";", skipinitialspace=True):
        path = f"{files.card.files[1].path}/GTSRB/Final_Test/Images/{row['Filename']}"
        yield Row(path, str(int(row["ClassId"])), "test")


ARRAYS: Mapping[str, Callable[[SetFiles], Iterator[Pictures]]] = {
    "idx": _mnist,
    "emnist": _emnist,
    "usps": _usps,
    "cifar": _cifar,
    "svhn": _svhn,
    "stl10": _stl10,
}
"""Data sets whose images are arrays, by their layout."""
TABLES: Mapping[str, Callable[[SetFiles], Iterator[Row]]] = {
    "folders": _folders,
    "caltech101": _caltech101,
    "sun397": _sun397,
    "flowers": _flowers,
    "pets": _pets,
    "food": _food,
    "dtd": _dtd,
    "aircraft": _aircraft,
    "gtsrb": _gtsrb,
}
"""Data sets whose images are files in archives, by their layout."""
