"""A saved model and what is known about it: a run says everything, a bundle only the model itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from regraft.errors import SettingsError
from regraft.plans.plan import Plan
from regraft.prediction.bundle import load_bundle
from regraft.prediction.model import Model
from regraft.records import ImageItem
from regraft.runs.reading import PredictionRow, RunFiles
from regraft.storage.files import read_json
from regraft.tasks.score_sheet import AnyScores, ScoreSheet


@dataclass(frozen=True)
class ModelFiles:
    """A folder with a model; what the folder doesn't say is None or empty."""

    folder: Path
    run: RunFiles | None
    """The files of the run that made the model; None for a bundle by itself."""

    @cached_property
    def model(self) -> Model:
        """The model.

        Raises:
            BundleError: it is missing or damaged.
        """
        return load_bundle(self.folder)

    @cached_property
    def bundle(self) -> Path:
        """The folder of the model's own files."""
        return self.folder if (self.folder / "bundle.json").is_file() else self.folder / "bundle"

    @property
    def regraft_version(self) -> str:
        """The version of Regraft that saved the model."""
        return str(read_json(self.bundle / "bundle.json")["regraft_version"])

    @property
    def name(self) -> str:
        """The name of the data set; empty if it is not known."""
        return self.run.run.data_root.rstrip("/").rsplit("/", 1)[-1] if self.run else ""

    @property
    def plan(self) -> Plan | None:
        """How the model was made."""
        return self.run.run.plan if self.run else None

    @cached_property
    def scores(self) -> ScoreSheet | None:
        """The model's scores."""
        return self.run.scores if self.run and (self.folder / "scores.json").is_file() else None

    @property
    def best(self) -> AnyScores | None:
        """The scores on the test images if there are any, otherwise on the validation images."""
        return (self.scores.test or self.scores.validation) if self.scores else None

    @property
    def predictions(self) -> Sequence[PredictionRow]:
        """The predictions from which the scores were computed."""
        return self.run.predictions if self.run else ()

    @property
    def training_images(self) -> Sequence[ImageItem]:
        """The images that the model was trained on."""
        return self.run.training_images if self.run else ()

    def image(self, path: str) -> Path | None:
        """The file of one of the run's images; None if it is not there."""
        return self.run.image(path) if self.run else None

    @property
    def whereabouts(self) -> str:
        """Where images of the run are looked for, as the end of a sentence about images that are missing."""
        if self.run is None:
            return "a saved model without its run lists no images"
        moved = "" if self.run.data else " (if they were moved, --data FOLDER says where they are)"
        return f"none of the run's images can be read below {self.run.root}{moved}"


def open_files(place: str | Path, data: str | Path | None = None) -> ModelFiles:
    """Find out what a folder holds: a finished run, or a saved model by itself.

    Args:
        place: a folder that `regraft fit` or `Model.save` has written, or a copy of one.
        data: the folder in which the run's images are now; None means that they were not moved.

    Raises:
        SettingsError: there is no model, or `data` was given for a model without a run.
    """
    folder, moved = Path(place), Path(data) if data is not None else None
    if (folder / "run.json").is_file():
        return ModelFiles(folder, RunFiles(folder, moved))
    if not any((folder / name).is_file() for name in ("bundle.json", "bundle/bundle.json")):
        raise SettingsError(
            f"{folder} holds no finished run and no saved model: neither run.json nor bundle.json is there. "
            "Give a folder that `regraft fit` or `Model.save` has written, for example one below runs/"
        )
    if moved is not None:
        raise SettingsError(
            f"--data {moved} has no effect on {folder}: it is a saved model without its run, which does not "
            "say what images it was fitted on. Remove --data, or give the run's folder"
        )
    return ModelFiles(folder, None)
