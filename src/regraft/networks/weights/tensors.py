"""The tensors of a safetensors file as arrays, without importing torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors

from regraft.errors import WeightsError

Shape = tuple[int, ...]
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")


def shapes_of(path: Path) -> dict[str, Shape]:
    """The name and shape of every tensor of a file, from its header.

    Raises:
        WeightsError: the file can't be read.
    """
    with _opened(path) as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


def read_arrays(path: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Every tensor of floating-point numbers of a file, in single precision.

    Raises:
        WeightsError: the file can't be read.
    """
    try:
        found = safetensors.deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    except (OSError, safetensors.SafetensorError) as error:
        raise _unreadable(path, error) from error
    return {
        name: _floats(value["dtype"], value["data"]).reshape(value["shape"])
        for name, value in found
        if value["dtype"] in _READERS
    }


def check_shapes(own: Mapping[str, Shape], found: Mapping[str, Shape], path: Path, network: str) -> None:
    """Compare the tensors of a file with those of a network; auxiliary classifiers may be left over.

    Raises:
        WeightsError: names or shapes differ; the message lists the first few differences.
    """
    problems = [f"{name} is missing" for name in own if name not in found]
    problems += [
        f"{name} is unknown to the network"
        for name in found
        if name not in own and not name.startswith(_AUXILIARY)
    ]
    problems += [
        f"{name} has shape {found[name]}, expected {own[name]}"
        for name in own
        if name in found and found[name] != own[name]
    ]
    if problems:
        more = f" and {len(problems) - 4} more" if len(problems) > 4 else ""
        raise WeightsError(f"{path} doesn't fit {network}: {'; '.join(problems[:4])}{more}")


def _opened(path: Path) -> Any:
    try:
        return safetensors.safe_open(path, framework="np")
    except (OSError, safetensors.SafetensorError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> WeightsError:
    return WeightsError(f"can't read weights from {path}: {error}")


_READERS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


def _floats(kind: str, data: bytes) -> npt.NDArray[np.float32]:
    values = np.frombuffer(data, dtype=_READERS[kind])
    if kind == "BF16":  # the upper half of a single-precision number, which numpy doesn't know
        return (values.astype("<u4") << 16).view("<f4")
    return values.astype(np.float32)
