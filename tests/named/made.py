"""Small files in the formats of the data sets that have names, made here byte by byte."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from tests.corpus import encoded, picture

JPEG = encoded(picture(16, 12), "JPEG")


def pickled(value: Any) -> bytes:
    """A value as Python 2 has pickled it (protocol 2): text is bytes, and arrays name numpy."""
    return b"\x80\x02" + _value(value) + b"."


def _value(value: Any) -> bytes:
    if isinstance(value, str | bytes):
        data = value.encode() if isinstance(value, str) else value
        return b"T" + struct.pack("<i", len(data)) + data
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, list):
        return b"](" + b"".join(map(_value, value)) + b"e"
    if isinstance(value, tuple):
        return b"(" + b"".join(map(_value, value)) + b"t"
    if isinstance(value, dict):
        return b"}(" + b"".join(_value(key) + _value(one) for key, one in value.items()) + b"u"
    kind = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR"
    return made + b"(K\x01" + _value(value.shape) + kind + b"\x89" + _value(value.tobytes()) + b"tb"


def idx(array: np.ndarray[Any, Any]) -> bytes:
    head = b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(head + array.astype(np.uint8).tobytes())


def tgz(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as opened:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            opened.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zipped(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as opened:
        for name, data in files.items():
            opened.writestr(name, data)
    return out.getvalue()


def _mat(**arrays: Any) -> bytes:
    from scipy.io import savemat

    out = io.BytesIO()
    savemat(out, arrays)
    return out.getvalue()


_GREY = np.arange(4 * 28 * 28, dtype=np.uint64).reshape(4, 28, 28).astype(np.uint8)
_FOUR = np.array([0, 1, 1, 0], np.uint8)
_IDX = (idx(_GREY), idx(_FOUR), idx(_GREY[:2]), idx(_FOUR[:2]))
_CIFAR = np.arange(2 * 3072, dtype=np.uint64).reshape(2, 3072).astype(np.uint8)


def _emnist() -> bytes:
    parts = {}
    for side, count in (("train", 4), ("test", 2)):
        parts[f"gzip/emnist-balanced-{side}-images-idx3-ubyte.gz"] = idx(_GREY[:count])
        parts[f"gzip/emnist-balanced-{side}-labels-idx1-ubyte.gz"] = idx(_FOUR[:count])
    return zipped(parts)


def _cifar10() -> bytes:
    batches = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    parts = {name: pickled({"data": _CIFAR, "labels": [0, 1]}) for name in batches}
    parts["batches.meta"] = pickled({"label_names": ["airplane", "bird"], "num_vis": 3072})
    return tgz({f"cifar-10-batches-py/{name}": data for name, data in parts.items()})


def _cifar100() -> bytes:
    parts = {side: pickled({"data": _CIFAR, "fine_labels": [1, 0]}) for side in ("train", "test")}
    parts["meta"] = pickled({"fine_label_names": ["apple", "bee"], "coarse_label_names": ["x"]})
    return tgz({f"cifar-100-python/{name}": data for name, data in parts.items()})


def _usps(count: int) -> bytes:
    row = " ".join(f"{place}:{place / 128 - 1:.4f}" for place in range(1, 257))
    return bz2.compress("".join(f"{number % 2 + 1} {row}\n" for number in range(count)).encode())


def _stl10() -> bytes:
    images = np.arange(2 * 3 * 96 * 96, dtype=np.uint64).astype(np.uint8).tobytes()
    parts = {f"{side}_X.bin": images for side in ("train", "test")}
    parts |= {f"{side}_y.bin": b"\1\2" for side in ("train", "test")} | {
        "class_names.txt": b"airplane\nbird\n"
    }
    return tgz({f"stl10_binary/{name}": data for name, data in parts.items()})


def _npz() -> bytes:
    out = io.BytesIO()
    arrays = {}
    for side, count in (("train", 4), ("val", 2), ("test", 2)):
        arrays[f"{side}_images"], arrays[f"{side}_labels"] = _GREY[:count], _FOUR[:count, None]
    np.savez(out, **arrays)
    return out.getvalue()


def _each(folder: str, *labels: str, ending: str = "jpg") -> dict[str, bytes]:
    return {f"{folder}/{label}/{number}.{ending}": JPEG for label in labels for number in range(2)}


def _pets() -> tuple[bytes, bytes]:
    names = [f"{label}_{number}" for label in ("Great_Pyrenees", "Bengal") for number in range(2)]
    lists = [f"{name} 1 1 1\n".encode() for name in names]
    return (
        tgz({f"images/{name}.jpg": JPEG for name in names}),
        tgz(
            {
                "annotations/trainval.txt": lists[0] + lists[2],
                "annotations/test.txt": lists[1] + lists[3],
            }
        ),
    )


def _food() -> bytes:
    files = {}
    for number, side in enumerate(("train", "test")):
        names = [f"apple_pie/{number}", f"ribs/{number}"]
        files |= {f"food-101/images/{name}.jpg": JPEG for name in names}
        files[f"food-101/meta/{side}.json"] = json.dumps(
            {name.split("/")[0]: [name] for name in names}
        ).encode()
    return tgz(files)


def _dtd() -> bytes:
    files = {}
    for side in ("train", "val", "test"):
        names = [f"{label}/{label}_{side}.jpg" for label in ("banded", "woven")]
        files |= {f"dtd/images/{name}": JPEG for name in names}
        files[f"dtd/labels/{side}1.txt"] = "\n".join(names).encode()
    return tgz(files)


def _aircraft() -> bytes:
    files = {}
    for side in ("train", "val", "test"):
        files |= {f"fgvc-aircraft-2013b/data/images/{side}{number}.jpg": JPEG for number in range(2)}
        lines = f"{side}0 Boeing 707\n{side}1 A320\n"
        files[f"fgvc-aircraft-2013b/data/images_variant_{side}.txt"] = lines.encode()
    return tgz(files)


def _gtsrb() -> tuple[bytes, bytes, bytes]:
    table = b"Filename;Width;ClassId\r\n00000.ppm;5;1\r\n00001.ppm;5;0\r\n"
    test = {f"GTSRB/Final_Test/Images/{name}.ppm": JPEG for name in ("00000", "00001")}
    return (
        zipped(_each("GTSRB/Training", "00000", "00001", ending="ppm")),
        zipped(test),
        zipped({"GT-final_test.csv": table}),
    )


def set_files() -> dict[str, tuple[bytes, ...]]:
    """The contents of the files of each data set, by its name."""
    flowers = (
        tgz({f"jpg/image_{number:05d}.jpg": JPEG for number in range(1, 7)}),
        _mat(labels=np.array([[1, 2, 1, 2, 1, 2]])),
        _mat(trnid=np.array([[1, 2]]), valid=np.array([[3, 4]]), tstid=np.array([[5, 6]])),
    )
    numbers = np.arange(32 * 32 * 3 * 2, dtype=np.uint64).astype(np.uint8).reshape(32, 32, 3, 2)
    mat = _mat(X=numbers, y=np.array([[10], [1]]))
    nested = zipped(
        {"caltech-101/101_ObjectCategories.tar.gz": tgz(_each("101_ObjectCategories", "ant", "bass"))}
    )
    return {
        "mnist": _IDX, "fashion-mnist": _IDX, "kmnist": _IDX, "emnist": (_emnist(),),
        "usps": (_usps(4), _usps(2)), "cifar10": (_cifar10(),), "cifar100": (_cifar100(),),
        "svhn": (mat, mat), "stl10": (_stl10(),), "flowers102": flowers, "pets": _pets(),
        "food101": (_food(),),
        "dtd": (_dtd(),), "eurosat": (zipped(_each("2750", "Forest", "River")),), "caltech101": (nested,),
        "caltech256": (zipped(_each("256_ObjectCategories", "001.ak47", "002.flag")),), "gtsrb": _gtsrb(),
        "fgvc-aircraft": (_aircraft(),), "sun397": (tgz(_each("SUN397/a", "abbey", "bar/indoor")),),
        "imagenette": (tgz({**_each("imagenette2-320/train", "n01440764", "n03888257"),
                            **_each("imagenette2-320/val", "n01440764", "n03888257")}),),
        "country211": (tgz({**_each("country211/train", "AD", "CH"),
                            **_each("country211/test", "AD", "CH")}),),
        "pathmnist": (_npz(),),
    }  # fmt: skip
