"""Files of CIFAR are read; pickles that would run something are refused, and nothing runs."""

from __future__ import annotations

import os
import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regraft.errors import DataError
from regraft.named.cifar_files import read_cifar
from tests.named.made import pickled

PIXELS = np.arange(60, dtype=np.uint8).reshape(5, 12)


def test_a_file_of_python_2_gives_its_dictionary() -> None:
    found = read_cifar(pickled({"data": PIXELS, "labels": [3, 1, 0, 2, 1], "batch_label": "batch 1 of 5"}))
    assert (found["data"] == PIXELS).all()
    assert found["labels"] == [3, 1, 0, 2, 1]
    assert found["batch_label"] == "batch 1 of 5"


@pytest.mark.parametrize("protocol", range(2, 6))
def test_plain_values_are_read_in_any_protocol(protocol: int) -> None:
    value = {
        "labels": [1, 2, 300, 70_000, -1],
        "names": ["a", "b"],
        "pair": (1, 2),
        "nothing": None,
        "half": 0.5,
    }
    assert read_cifar(pickle.dumps(value, protocol)) == value


class _Runs:
    """An object whose pickle calls something."""

    def __init__(self, called: Any, *arguments: Any) -> None:
        self.call = (called, arguments)

    def __reduce__(self) -> Any:
        return self.call


def _hostile(canary: Path) -> list[Any]:
    command = f"touch {canary}"
    return [
        _Runs(os.system, command), {"data": _Runs(os.system, command)}, {"data": [_Runs(eval, "1")]},
        {"data": _Runs(exec, f"open({str(canary)!r}, 'w')")}, {"data": _Runs(getattr, "x", "upper")},
        {"data": _Runs(open, str(canary), "w")}, {"data": np.array([print], object)},
        {"data": np.zeros(3)}, {"data": np.dtype("O")}, {"data": OrderedDict(a=1)}, {"data": {1, 2}},
        {"data": Path("x")}, {"data": print}, {"data": _Runs}, {"data": bytearray(b"x")}, {"data": 1j},
    ]  # fmt: skip


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("number", range(16))
def test_pickles_that_name_or_call_anything_are_refused(tmp_path: Path, number: int, protocol: int) -> None:
    value = _hostile(tmp_path / "canary")[number]
    with pytest.raises(DataError, match=r"CIFAR"):
        read_cifar(pickle.dumps(value, protocol))
    assert not (tmp_path / "canary").exists()


_GLOBAL = b"\x80\x02cos\nsystem\n"
_ARRAY = pickled({"data": PIXELS})


@pytest.mark.parametrize(
    "data",
    [
        b"", b".", b"\x80\x02.", b"\x80\x02}", _ARRAY[:-1], _ARRAY[:40], b"\x80\x02N.", b"\x80\x02].",
        _GLOBAL + b".", _GLOBAL + b"(U\x04true\x74R.", b"(ios\nsystem\n.", b"(cos\nsystem\nS'true'\no.",
        b"\x80\x02cnumpy\nload\n.", b"\x80\x02cnumpy.core.multiarray\nscalar\n.", b"P1\n.",
        b"\x80\x02K\x01Q.",
        b"\x80\x02\x82\x01.", b"\x80\x02}cnumpy\ndtype\n(U\x01Ot\x52.", b"\x80\x02h\x05.", b"\x80\x02(((.",
        b"\x80\x02K\x01K\x02a.", b"\x80\x02K\x01K\x02K\x03s.", b"\x80\x02}K\x01K\x02s.", b"\x80\x02K\x01)R.",
        b"\x80\x02}}b.", b"\x80\x02T" + struct.pack("<i", -5) + b".",
        b"\x80\x02T" + struct.pack("<i", 1 << 30),
        _ARRAY.replace(struct.pack("<i", 12), struct.pack("<i", 13)), _ARRAY.replace(b"U\x02u1", b"U\x02O8"),
        b"I" + b"9" * 10_000 + b"\n.", b"\x80\x02" + b"(" * 100_000 + b".",
        b"\x80\x04\x95" + b"\xff" * 8 + b".",
    ],
)  # fmt: skip
def test_damaged_and_strange_programs_are_refused(data: bytes) -> None:
    with pytest.raises(DataError):
        read_cifar(data)
