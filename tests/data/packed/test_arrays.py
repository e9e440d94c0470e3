"""Arrays of numpy become folders of PNG files with the same pixels, labels and sides."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from regraft.data.images import find_images
from regraft.data.packed.arrays import as_folder
from regraft.errors import DataError
from tests.data.archives.made import patched

GREY = np.arange(6 * 8 * 8, dtype=np.uint8).reshape(6, 8, 8)
COLOUR = np.arange(6 * 8 * 8 * 3, dtype=np.uint64).reshape(6, 8, 8, 3).astype(np.uint8)
LABELS = np.array([[0], [1], [0], [1], [0], [1]], dtype=np.uint8)


@pytest.fixture(autouse=True)
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REGRAFT_DATA", str(tmp_path / "own"))
    return tmp_path / "own"


def _saved(folder: Path, **arrays: Any) -> Path:
    np.savez_compressed(folder / "set.npz", **arrays)
    return folder / "set.npz"


def _read(path: Path) -> list[tuple[str | None, str, Any]]:
    """The side, label and pixels of each image."""
    found = find_images(path)
    return [(one.side, one.label, np.asarray(Image.open(one.file))) for one in found.candidates]


@pytest.mark.parametrize(
    "names",
    [
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("x_train", "y_train", "x_test", "y_test"),
    ],
    ids=["MedMNIST", "Keras"],
)
@pytest.mark.parametrize("images", [GREY, COLOUR], ids=["grey", "colour"])
def test_a_split_in_arrays_is_kept(tmp_path: Path, names: tuple[str, ...], images: Any) -> None:
    path = _saved(tmp_path, **dict(zip(names, (images[:4], LABELS[:4], images[4:], LABELS[4:]), strict=True)))
    read = sorted(_read(path), key=lambda one: (one[0] == "test", one[1]))
    expected = [
        ("train", "0", 0),
        ("train", "0", 2),
        ("train", "1", 1),
        ("train", "1", 3),
        ("test", "0", 4),
        ("test", "1", 5),
    ]
    assert [(side, label) for side, label, _ in read] == [(side, label) for side, label, _ in expected]
    assert all(
        (pixels == images[place]).all() for (_, _, pixels), (_, _, place) in zip(read, expected, strict=True)
    )


@pytest.mark.parametrize(
    "names", [("images", "labels"), ("x", "y"), ("X", "y"), ("train_images", "train_labels")]
)
def test_arrays_without_a_split_have_no_sides(tmp_path: Path, names: tuple[str, str]) -> None:
    read = _read(_saved(tmp_path, **{names[0]: GREY, names[1]: LABELS}))
    assert [(side, label) for side, label, _ in read] == [(None, "0")] * 3 + [(None, "1")] * 3


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (GREY / 255.0, GREY),
        (GREY > 100, np.where(GREY > 100, 255, 0)),
        (GREY.astype(np.uint16) * 257, GREY.astype(np.uint16) * 257),
        (GREY[..., None], GREY),
        (COLOUR.transpose(0, 3, 1, 2), COLOUR),
        (GREY.astype(np.int64), GREY),
    ],
    ids=["fractions", "booleans", "16 bits", "one channel", "channels first", "int64"],
)
def test_pixels_are_what_they_were(tmp_path: Path, images: Any, expected: Any) -> None:
    found = find_images(_saved(tmp_path, x=images, y=LABELS))
    by_place = sorted(found.candidates, key=lambda one: Path(one.file).name)
    assert all(
        (np.asarray(Image.open(one.file)) == expected[place]).all() for place, one in enumerate(by_place)
    )


def test_arrays_are_written_once(tmp_path: Path, own_data: Path) -> None:
    path = _saved(tmp_path, x=GREY, y=LABELS)
    first = as_folder(path)
    times = {file: file.stat().st_mtime_ns for file in first.rglob("*.png")}
    assert as_folder(path) == first
    assert first.is_relative_to(own_data)
    assert {file: file.stat().st_mtime_ns for file in first.rglob("*.png")} == times


def test_several_labels_become_a_table(tmp_path: Path) -> None:
    labels = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 0, 1]])
    found = find_images(_saved(tmp_path, x=GREY, y=labels), task="multilabel")
    assert [one.label for one in found.candidates] == ["0|2", "1", "", "0|1|2", "0", "2"]


@pytest.mark.parametrize("beside", ["stack_labels.npy", "labels.npy", "stack.csv", "labels.csv"])
def test_a_stack_takes_its_labels_from_beside_it(tmp_path: Path, beside: str) -> None:
    np.save(tmp_path / "stack.npy", GREY)
    if beside.endswith(".npy"):
        np.save(tmp_path / beside, np.array(["cat", "dog"] * 3))
    else:
        (tmp_path / beside).write_text("label\n" + "cat\ndog\n" * 3)
    assert [label for _, label, _ in _read(tmp_path / "stack.npy")] == ["cat"] * 3 + ["dog"] * 3


def test_a_stack_without_labels_says_where_they_are_looked_for(tmp_path: Path) -> None:
    np.save(tmp_path / "stack.npy", GREY)
    with pytest.raises(
        DataError, match=r"stack of images without labels; put them next to it.*stack_labels\.npy"
    ):
        find_images(tmp_path / "stack.npy")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": GREY}, "has no labels for the array x"),
        ({"weights": GREY}, "has the arrays weights; accepted are train_images"),
        ({"x": GREY, "y": LABELS[:5]}, "one label for each image is needed"),
        ({"x": GREY.reshape(6, 64), "y": LABELS}, r"has the shape \(6, 64\); accepted are"),
        ({"x": np.zeros((6, 8, 8, 8), np.uint8), "y": LABELS}, "volumes are not read"),
        ({"x": GREY.astype("c8"), "y": LABELS}, "holds complex64"),
        ({"x": GREY.astype(float), "y": LABELS}, "must be from 0 to 1"),
        ({"x": COLOUR.astype(np.int32) * 2, "y": LABELS}, "whole numbers must be from 0 to 255"),
        ({"x": np.asfortranarray(GREY), "y": LABELS}, "Fortran order"),
        ({"x": GREY, "y": np.array(["a/b", "..", "c", "d", "e", "f"])}, "can't be the name of a folder"),
        ({"x": GREY, "y": np.array([b"a", None] * 3, dtype=object)}, "Python objects"),
        ({"x": np.array([print] * 6, dtype=object), "y": LABELS}, "Python objects"),
    ],
    ids=lambda value: None if isinstance(value, dict) else value[:20],
)
def test_arrays_that_are_no_labelled_images_are_refused(
    tmp_path: Path, own_data: Path, arrays: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        find_images(_saved(tmp_path, **arrays))
    assert not list(own_data.rglob("*.png"))


def _zip(header: bytes, data: bytes = b"") -> bytes:
    """An archive with an array x whose header is as given, and labels."""
    out, labels = io.BytesIO(), io.BytesIO()
    np.save(labels, LABELS)
    length = struct.pack("<H", len(header))
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("x.npy", b"\x93NUMPY\1\0" + length + header + data)
        opened.writestr("y.npy", labels.getvalue())
    return out.getvalue()


def _of(count: str, data: bytes = b"") -> bytes:
    return _zip(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({count},8,8), }}".encode(), data)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"PK\3\4", _zip(b"no header"), _zip(b"__import__('os').system('true')"),
        _of("10**12"), _of("999999999999"), _of("-6"), _of("6", bytes(10)), _zip(b"(" * 20_000),
        patched(_of("6", bytes(384)), b"PK\1\2", 42, bytes(4)),
        patched(_of("6", bytes(384)), b"PK\1\2", 8, b"\1\0", last=False),
    ],
)  # fmt: skip
def test_hostile_arrays_are_refused(tmp_path: Path, own_data: Path, data: bytes) -> None:
    (tmp_path / "set.npz").write_bytes(data)
    with pytest.raises(DataError):
        find_images(tmp_path / "set.npz")
    assert not list(own_data.rglob("*.png"))
