"""A detector as a folder: `bundle.json`, `network.safetensors`, `detector.safetensors`; data, never code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy
from pydantic import ValidationError

from regraft.data.pictures.loading import LOADER_VERSION
from regraft.detection.detectors.detector import Detector
from regraft.detection.detectors.finders import Finder, solved_finder
from regraft.detection.detectors.records import DetectionSheet, DetectorRecord
from regraft.errors import BundleError, StorageError
from regraft.networks.weights.finding import Weights
from regraft.prediction.saving import NETWORKS, RECORD
from regraft.storage.files import (
    copy_atomically,
    make_folder,
    read_json,
    sha256_of,
    sha256_of_file,
    write_atomically,
    write_json,
)
from regraft.version import VERSION

ARRAYS = "detector.safetensors"
NETWORK = NETWORKS[0]
_MAX_RECORD_BYTES = 64 << 20


def save_detector(detector: Detector, folder: Path) -> Path:
    """Write a detector; each file is complete or absent, and the record, written last, lists their hashes."""
    make_folder(folder)
    arrays = {name: np.ascontiguousarray(value) for name, value in detector.finder.arrays().items()}
    data = safetensors.numpy.save(arrays)
    write_atomically(folder / ARRAYS, data)
    place = folder / NETWORK
    if not (place.exists() and sha256_of_file(place) == detector.weights.sha256):
        copy_atomically(detector.weights.path, place)
    record = DetectorRecord(
        regraft_version=VERSION,
        kind=detector.finder.kind,
        labels=detector.labels,
        thresholds=detector.thresholds,
        goal=detector.goal,
        calibration=detector.calibration,
        levels=detector.finder.levels,
        trained=getattr(detector.finder, "record", None),
        network=detector.weights.network,
        recipe=detector.weights.recipe,
        input_spec=detector.weights.input_spec,
        loader_version=LOADER_VERSION,
        weights=detector.weights.source,
        fitted_precision=detector.fitted_precision,
        lineage=detector.lineage,
        files={ARRAYS: sha256_of(data), NETWORK: sha256_of_file(place)},
    )
    write_json(folder / RECORD, record.model_dump(mode="json"))
    return folder


def is_detector(place: Path) -> bool:
    """Whether a run folder or bundle is one of a detector, by its record."""
    for path in (place / RECORD, place / "bundle" / RECORD):
        try:
            if path.is_file() and path.stat().st_size <= _MAX_RECORD_BYTES:
                return bool(read_json(path).get("task") == "detection")
        except (StorageError, AttributeError):
            return False
    return False


def load_detector(folder: str | Path) -> Detector:
    """Load a detector that `regraft fit` has written: a bundle, or a run folder with one.

    Raises:
        BundleError: the folder is not a detector, is damaged, or has another version.
    """
    place, run = Path(folder), None
    if not (place / RECORD).exists() and (place / "bundle" / RECORD).exists():
        place, run = place / "bundle", place
    try:
        record = DetectorRecord.model_validate(read_json(place / RECORD))
    except (StorageError, ValidationError, OSError) as error:
        raise BundleError(
            f"{place / RECORD} is not a detector of this version; fit again, or install the version of "
            f"regraft that wrote it: {error}"
        ) from error
    if record.loader_version != LOADER_VERSION:
        raise BundleError(
            f"{place / RECORD} was made with loader version {record.loader_version}, this is "
            f"{LOADER_VERSION}, which can give other "
            "pixels. Run the fit again, or use the installation of regraft that made it"
        )
    for name in (ARRAYS, NETWORK):
        if not (place / name).is_file() or sha256_of_file(place / name) != record.files.get(name):
            raise BundleError(f"{place / name} is missing or damaged; fit again, or copy the bundle again")
    detector = Detector(
        record.labels,
        Weights(
            record.network,
            place / NETWORK,
            record.files[NETWORK],
            record.recipe,
            record.input_spec,
            record.weights,
        ),
        _finder(place / ARRAYS, record),
        record.calibration,
        record.thresholds,
        record.fitted_precision,
        record.lineage,
        goal=record.goal,
    )
    return detector if run is None else replace(detector, scores=_scores(run / "scores.json"), run_folder=run)


def _finder(path: Path, record: DetectorRecord) -> Finder:
    try:
        arrays = safetensors.numpy.load_file(path)
        if not len(record.thresholds) == len(record.labels) == len(record.calibration.intercepts):
            raise ValueError("the number of thresholds is not that of the labels")
        if record.trained is not None:
            from regraft.detection.trained.finder import TrainedFinder

            if (record.trained.kind, record.trained.levels) != (record.kind, record.levels):
                raise ValueError("what the detector is made of contradicts itself")
            finder: Finder = TrainedFinder.load(record.trained, arrays)
            classes = record.trained.classes
        else:
            solved = solved_finder(record.kind, record.levels, arrays)
            finder, classes = solved, solved.classes
        if classes != len(record.labels):
            raise ValueError(
                f"it has arrays for {classes} classes, but {len(record.labels)} labels are named"
            )
        return finder
    except (OSError, safetensors.SafetensorError, KeyError, ValueError) as error:
        raise BundleError(
            f"{path} doesn't fit bundle.json: {error}. Fit again, or copy the bundle again"
        ) from error


def _scores(path: Path) -> DetectionSheet | None:
    if not path.is_file():
        return None
    try:
        return DetectionSheet.model_validate(read_json(path))
    except (StorageError, ValidationError) as error:
        raise BundleError(f"{path} is damaged: {error}. Fit again, or delete it") from error
