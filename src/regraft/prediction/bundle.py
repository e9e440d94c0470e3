"""A model as a folder: `bundle.json`, `network.safetensors`, `head.safetensors`. Data, never code."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy
from pydantic import ValidationError

from regraft import storage
from regraft.data.loading import LOADER_VERSION
from regraft.errors import BundleError, StorageError
from regraft.features.heads import Head
from regraft.networks.weights import Weights
from regraft.prediction.model import Model
from regraft.records import BundleRecord

_RECORD, _NETWORK, _HEAD = "bundle.json", "network.safetensors", "head.safetensors"
_MAX_RECORD_BYTES = 64 << 20


def save_bundle(model: Model, folder: Path) -> Path:
    """Write a model; each file is whole or absent, and the record, written last, names the others' hashes."""
    arrays = {name: np.ascontiguousarray(array) for name, array in model.head.arrays.items()}
    head = safetensors.numpy.save(arrays)
    storage.write_atomically(folder / _HEAD, head)
    if not _same(folder / _NETWORK, model.weights.path):
        storage.copy_atomically(model.weights.path, folder / _NETWORK)
    record = BundleRecord(
        regraft_version=metadata.version("regraft"),
        labels=model.labels,
        network=model.weights.network,
        recipe=model.weights.recipe,
        input_spec=model.weights.input_spec,
        loader_version=LOADER_VERSION,
        weights=model.weights.source,
        head=model.head.record,
        layout=model.layout,
        fitted_precision=model.fitted_precision,
        lineage=model.lineage,
        files={_HEAD: storage.sha256_of(head), _NETWORK: storage.sha256_of_file(folder / _NETWORK)},
    )
    storage.write_json(folder / _RECORD, record.model_dump(mode="json"))
    return folder


def _same(one: Path, other: Path) -> bool:
    return one.exists() and storage.sha256_of_file(one) == storage.sha256_of_file(other)


def load_model(folder: str | Path) -> Model:
    """A model that `Model.save` or `regraft fit` left behind: a bundle, or a run folder that holds one.

    Takes milliseconds: the network itself is loaded at the first prediction.

    Raises:
        BundleError: not a bundle, damaged, or of another version of the loader or schema.
    """
    place = Path(folder)
    if not (place / _RECORD).exists() and (place / "bundle" / _RECORD).exists():
        place = place / "bundle"
    record = _read_record(place)
    for name in (_HEAD, _NETWORK):
        path = place / name
        if not path.is_file() or storage.sha256_of_file(path) != record.files.get(name):
            raise BundleError(f"{path} is missing or damaged; save the model again from its run")
    try:
        arrays = safetensors.numpy.load_file(place / _HEAD)
    except (OSError, safetensors.SafetensorError) as error:
        raise BundleError(f"can't read {place / _HEAD}: {error}") from error
    network = place / _NETWORK
    weights = Weights(
        record.network, network, record.files[_NETWORK], record.recipe, record.input_spec, record.weights
    )
    head = Head(record.head, arrays)
    try:
        head.check(len(record.labels))
    except ValueError as error:
        raise BundleError(f"{place / _HEAD} doesn't fit its record: {error}") from error
    return Model(record.labels, weights, head, record.layout, record.fitted_precision, record.lineage)


def _read_record(place: Path) -> BundleRecord:
    path = place / _RECORD
    if not path.is_file():
        raise BundleError(f"no model at {place}: neither {path} nor {place / 'bundle' / _RECORD} exists")
    if path.stat().st_size > _MAX_RECORD_BYTES:
        raise BundleError(f"{path} has {path.stat().st_size:,} bytes, more than any bundle needs")
    try:
        record = BundleRecord.model_validate(storage.read_json(path))
    except (StorageError, ValidationError) as error:
        raise BundleError(f"{path} is not a bundle of this version: {error}") from error
    if record.loader_version != LOADER_VERSION:
        raise BundleError(
            f"{path} was made with loader version {record.loader_version}, this is {LOADER_VERSION}: pixels "
            f"would differ. Install regraft {record.regraft_version} or fit again"
        )
    return record
