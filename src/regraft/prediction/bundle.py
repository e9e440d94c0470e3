"""A model as a folder with `bundle.json`, `network.safetensors` and `head.safetensors`: data, never code.

A soft vote has further heads (`head-2.safetensors`, ...) and, if its voters use several, further networks.
"""

from __future__ import annotations

from pathlib import Path

import safetensors
import safetensors.numpy
from pydantic import ValidationError

from regraft.data.pictures.loading import LOADER_VERSION
from regraft.errors import BundleError, StorageError
from regraft.heads.head import Head
from regraft.networks.weights.finding import Weights
from regraft.prediction.model import Model
from regraft.prediction.records import BundleRecord
from regraft.prediction.saving import HEADS, NETWORKS, RECORD
from regraft.prediction.voter import Voter
from regraft.records import HeadRecord
from regraft.storage.files import (
    read_json,
    sha256_of_file,
)
from regraft.tasks.score_sheet import ScoreSheet

_MAX_RECORD_BYTES = 64 << 20


def load_bundle(folder: str | Path) -> Model:
    """Load a model that `Model.save` or `regraft fit` has written: a bundle, or a run folder with one.

    This takes milliseconds, because the network itself is loaded at the first prediction. The model of a run
    has its scores.

    Raises:
        BundleError: the folder is not a bundle, is damaged, or has another version of the loader or schema.
    """
    place, run = Path(folder), None
    if not (place / RECORD).exists() and (place / "bundle" / RECORD).exists():
        place, run = place / "bundle", place
    record = read_bundle_record(place)
    used = {NETWORKS[0], *(other.network_file for other in record.others), *HEADS[: 1 + len(record.others)]}
    for name in sorted(used):
        path = place / name
        if not path.is_file() or sha256_of_file(path) != record.files.get(name):
            raise BundleError(f"{path} is missing or damaged; save the model again from its run")
    first = Voter(
        Weights(
            record.network,
            place / NETWORKS[0],
            record.files[NETWORKS[0]],
            record.recipe,
            record.input_spec,
            record.weights,
        ),
        _read_head(place / HEADS[0], record.head, len(record.labels)),
        record.layout,
    )
    others = [
        Voter(
            Weights(
                other.network,
                place / other.network_file,
                record.files[other.network_file],
                other.recipe,
                other.input_spec,
                other.weights,
            ),
            _read_head(place / name, other.head, len(record.labels)),
            other.layout,
        )
        for name, other in zip(HEADS[1:], record.others, strict=False)
    ]
    if any(other.weights.input_spec != first.weights.input_spec for other in others):
        raise BundleError(
            f"{place / RECORD}: the voters' networks expect different inputs, which one bundle can't have; "
            "fit again"
        )
    return Model(
        record.meaning,
        first.weights,
        first.head,
        first.layout,
        record.fitted_precision,
        record.lineage,
        scores=None if run is None else _read_scores(run / "scores.json"),
        run_folder=run,
        others=tuple(others),
    )


def model_identity(model: str | Path) -> str:
    """A hash of a saved model: of its record, which holds the hashes of its files, or of an exported file.

    Raises:
        BundleError: there is neither.
    """
    place = Path(model)
    for file in (place / RECORD, place / "bundle" / RECORD, place / "model.onnx", place):
        if file.is_file():
            return sha256_of_file(file)
    raise BundleError(f"{model} is neither a bundle nor an exported model")


def _read_scores(path: Path) -> ScoreSheet | None:
    if not path.is_file():
        return None
    try:
        return ScoreSheet.model_validate(read_json(path))
    except (StorageError, ValidationError) as error:
        raise BundleError(f"{path} is damaged: {error}. Fit again, or delete it") from error


def _read_head(path: Path, record: HeadRecord, num_classes: int) -> Head:
    try:
        head = Head(record, safetensors.numpy.load_file(path))
    except (OSError, safetensors.SafetensorError) as error:
        raise BundleError(f"can't read {path}: {error}") from error
    try:
        head.check(num_classes)
    except ValueError as error:
        raise BundleError(
            f"{path} doesn't fit bundle.json: {error}. Fit again, or copy the bundle again"
        ) from error
    return head


def read_bundle_record(place: Path) -> BundleRecord:
    """Read what a bundle says about its model, without its arrays.

    Raises:
        BundleError: the folder is not a bundle, is damaged, or has another version of the loader or schema.
    """
    path = place / RECORD
    if not path.is_file():
        raise BundleError(
            f"no model at {place}: neither {path} nor {place / 'bundle' / RECORD} exists. Give a run folder "
            "or a bundle"
        )
    if path.stat().st_size > _MAX_RECORD_BYTES:
        raise BundleError(f"{path} has {path.stat().st_size:,} bytes; the limit is {_MAX_RECORD_BYTES:,}")
    try:
        content = read_json(path)
        if isinstance(content, dict) and content.get("task") == "detection":
            raise BundleError(
                f"{place} is a detector of boxes, which this command can't use yet; `regraft predict`, "
                "`report` and `compare` can"
            )
        record = BundleRecord.model_validate(content)
    except (StorageError, ValidationError) as error:
        raise BundleError(
            f"{path} is not a bundle of this version; fit again, or install the version of regraft that "
            f"wrote it: {error}"
        ) from error
    if record.loader_version != LOADER_VERSION:
        raise BundleError(
            f"{path} was made with loader version {record.loader_version}, this is {LOADER_VERSION}, "
            "which can give other pixels. Run the fit again, or use the installation of regraft that made it"
        )
    return record
