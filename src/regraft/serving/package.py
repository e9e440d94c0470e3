"""What a server needs from a saved model, made once by a separate process and cached.

Making a package needs torch, using it does not.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from regraft.detection.detectors.bundle import is_detector
from regraft.errors import BundleError, SettingsError
from regraft.progress import Reporter
from regraft.runs.model_files import open_files
from regraft.serving.classification.package import ClassifierPackage, classifier_key, read_classifier
from regraft.serving.detection.package import DetectorPackage, detector_key, read_detector
from regraft.storage.places import cache_folder
from regraft.tasks.wishes import rejecting

Package = ClassifierPackage | DetectorPackage


def open_package(run: str | Path, reporter: Reporter, data: str | Path | None = None) -> Package:
    """The package of a model, from the cache if it is there.

    Args:
        run: a folder that `regraft fit` or `Model.save` has written.
        reporter: receives progress.
        data: the folder in which the run's images are now; None means that they were not moved.

    Raises:
        BundleError: the package could not be made, for the reason given.
        SettingsError: there is no model, or `data` was given for a detector.
    """
    place, moved = Path(run).resolve(), Path(data).resolve() if data is not None else None
    if is_detector(place):
        if moved is not None:
            raise SettingsError(
                f"--data {moved} has no effect on {place}: the answers of a detector show no images of its "
                "run. Remove --data"
            )
        return read_detector(_cached(place, detector_key(place), None, reporter))
    return read_classifier(_cached(place, classifier_key(open_files(place, moved)), moved, reporter))


def with_rejection(package: Package, least: float | None) -> Package:
    """The package whose answers need another probability; None leaves it as it is.

    Raises:
        SettingsError: the model has no classes, or no image is below.
    """
    if least is None:
        return package
    if isinstance(package, DetectorPackage):
        raise SettingsError(
            f"--reject-below {least:g} is for classes of whole images, but this model finds boxes, of which "
            "the parameter `threshold` of a request leaves out those with lower probabilities"
        )
    task = rejecting(package.task, least)
    return replace(package, task=task, facts={**package.facts, "reject_below": least})


def _cached(run: Path, key: str, data: Path | None, reporter: Reporter) -> Path:
    """The folder of a package, which is made if it is not there."""
    folder = cache_folder() / "serving" / key[:24]
    if not (folder / "package.json").exists():
        with reporter.phase("preparing the model for serving", 1, "models") as meter:
            _make_apart(run, folder, data)
            meter.advance()
    return folder


def _make_apart(run: Path, folder: Path, data: Path | None) -> None:
    """Make the package in a separate process, which may import torch."""
    command = [sys.executable, "-m", "regraft.serving.packing", str(run), str(folder)]
    command += [str(data)] if data is not None else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
        raise BundleError(f"{run} can't be prepared for serving: {last}")
