"""A finished run, read from its folder: everything that a report or a list of runs shows."""

from __future__ import annotations

import csv
import json
import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from regraft.errors import SettingsError, StorageError
from regraft.prediction.bundle import read_bundle_record
from regraft.records import ImageItem
from regraft.runs.records import LadderRecord, Run
from regraft.storage.files import read_json, sha256_of_file
from regraft.storage.tables import printable, unguarded
from regraft.tasks.score_sheet import AnyScores, ScoreSheet, measures
from regraft.tasks.task import Measure, Task


@dataclass(frozen=True)
class PredictionRow:
    """One line of `predictions.csv`."""

    path: str
    """Path relative to the data set's root."""
    side: str
    label: str
    predicted: str
    probability: float
    """The probability of the predicted label; NaN in tasks other than classification."""
    goodness: float
    """How good the prediction is, larger is better; for classes, 1 if it is right."""
    cells: Mapping[str, str]
    """All columns, by their names."""

    @property
    def is_right(self) -> bool:
        """Whether the most probable label is the true one."""
        return self.label == self.predicted


@dataclass(frozen=True)
class RunFiles:
    """The contents of a run folder; each file is read when it is needed.

    Raises:
        SettingsError: the folder is not a finished run, or a file in it is damaged; the message names it.
    """

    folder: Path
    data: Path | None = None
    """The folder in which the images are now; None means the one in which they were when the run was made."""

    def __post_init__(self) -> None:
        if not (self.folder / "run.json").is_file():
            is_bundle = (self.folder / "bundle.json").is_file()
            raise SettingsError(
                f"{self.folder} holds no finished run: run.json is missing. "
                + ("It is a saved model, which can be exported, served and explained. " if is_bundle else "")
                + "Give a folder that `regraft fit` has written, for example one below runs/"
            )
        if self.data is not None and not self.data.exists():
            raise SettingsError(
                f"--data {self.data} does not exist; give the folder that the run's images are in now"
            )

    @cached_property
    def run(self) -> Run:
        """What was done."""
        return self._record("run.json", Run)  # type: ignore[no-any-return]

    @cached_property
    def scores(self) -> ScoreSheet:
        """The run's scores."""
        return self._record("scores.json", ScoreSheet)  # type: ignore[no-any-return]

    @cached_property
    def ladder(self) -> LadderRecord | None:
        """The ladder's rungs; None if the run's strategy was not auto."""
        if not (self.folder / "ladder.json").is_file():
            return None
        return self._record("ladder.json", LadderRecord)  # type: ignore[no-any-return]

    @property
    def best(self) -> AnyScores:
        """The scores on the test images if there are any, otherwise on the validation images."""
        found = self.scores.test or self.scores.validation
        assert found is not None
        return found

    @property
    def headline(self) -> Measure:
        """The most important of the best scores: for classification, the accuracy."""
        return measures(self.best)[0]

    @cached_property
    def predictions(self) -> list[PredictionRow]:
        """The predictions from which the scores were computed."""
        lines = [
            {unguarded(name): unguarded(cell) for name, cell in row.items()}
            for row in self.table("predictions.csv")
        ]
        return [
            PredictionRow(
                row["path"], row["side"], row["label"], row["predicted"],
                float(row.get("probability", "nan")),
                self.task.goodness_of(row), row,
            )
            for row in lines
        ]  # fmt: skip

    @cached_property
    def task(self) -> Task:
        """What the labels of the run mean.

        Raises:
            BundleError: the run's model is missing or damaged.
        """
        return read_bundle_record(self.folder / "bundle").meaning

    @cached_property
    def training_images(self) -> tuple[ImageItem, ...]:
        """The images that the model was trained on."""
        return tuple(
            ImageItem(unguarded(row["path"]), unguarded(row["label"]), row["sha256"])
            for row in self.table("split.csv")
            if row["side"] == "train"
        )

    @cached_property
    def root(self) -> Path:
        """The folder that the image paths are relative to."""
        if self.data is not None:
            places = [self.data]
        else:  # a relative path is relative to where the fit was started, or to where the project is now
            places = [Path(base, self.run.data_root) for base in (self._started.get("cwd", ""), "")]
        found = next((place for place in places if place.exists()), places[0])
        return Path(os.path.abspath(found.parent if found.is_file() else found))

    @cached_property
    def log(self) -> list[dict[str, Any]]:
        """The lines of the log; lines that can't be read are left out."""
        lines: list[dict[str, Any]] = []
        for line in self._text("log.jsonl").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict):
                lines.append(entry)
        return lines

    @property
    def _last_start(self) -> list[dict[str, Any]]:
        """The lines of the log since the fit was last started."""
        starts = [place for place, entry in enumerate(self.log) if entry.get("kind") == "started"]
        return self.log[starts[-1] :] if starts else self.log

    @property
    def _started(self) -> dict[str, Any]:
        """How the fit was last started; empty if the log does not say."""
        return next((entry for entry in self._last_start if entry.get("kind") == "started"), {})

    @property
    def command(self) -> str:
        """The command that started the run."""
        words = [str(word) for word in self._started.get("command", [])]
        return shlex.join([Path(words[0]).name, *words[1:]]) if words else ""

    @property
    def phases(self) -> list[tuple[str, float]]:
        """`(name, seconds)` of each phase in order, summed over equal names and interrupted starts."""
        total: dict[str, float] = {}
        for entry in self.log:
            if entry.get("kind") == "phase":
                name = str(entry.get("name"))
                total[name] = total.get(name, 0.0) + float(entry.get("wall_s", 0.0))
        return list(total.items())

    @property
    def warnings(self) -> list[str]:
        """The warnings since the fit was last started."""
        return [str(entry.get("text")) for entry in self._last_start if entry.get("kind") == "warning"]

    @cached_property
    def epochs(self) -> list[dict[str, Any]]:
        """One row for each epoch; empty if nothing was trained."""
        return [json.loads(line) for line in self._text("metrics.jsonl").splitlines()]

    @property
    def spent_s(self) -> float:
        """Seconds of work: the ladder's clock, or the sum of all phases; cached work is not counted again."""
        if self.ladder is not None and self.ladder.rows:
            return max(row.elapsed_s for row in self.ladder.rows)
        return sum(seconds for _, seconds in self.phases)

    def table(self, name: str) -> list[dict[str, str]]:
        """The rows of one of the run's CSV files; empty if the file does not exist."""
        return list(csv.DictReader(self._text(name).splitlines()))

    def file(self, path: str) -> Path | None:
        """The file that one of the run's paths names; None if there is none below the data set's root.

        Links are followed, as they were when the images were found. But a run's files are data from
        somewhere: a path that leads out of the root by its own words (`../..`, or absolute) is not obeyed.
        """
        places = (self.place(name) for name in (path, path.removeprefix("'")))
        return next((place for place in places if place is not None and os.path.isfile(place)), None)

    def place(self, path: str) -> Path | None:
        """Where one of the run's paths leads, whether or not a file is there; None outside of the root."""
        return _spelled(self.root, path)

    def image(self, path: str) -> Path | None:
        """The file of one of the run's images; None if it is not there.

        In a folder that the user has named, a file of the same name with other bytes is another image.
        """
        place = self.file(path)
        known = self._hashes.get(path) if self.data is not None else None
        return None if place and known and sha256_of_file(place) != known else place

    def has_image(self, path: str) -> bool:
        """Whether a path is that of one of the run's images, which may have been moved since."""
        return path in self._hashes

    @cached_property
    def _hashes(self) -> dict[str, str]:
        return {unguarded(row["path"]): row["sha256"] for row in self.table("split.csv")}

    def _text(self, name: str) -> str:
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{self.folder / name} can't be read: {error}") from error

    def _record(self, name: str, kind: Any) -> Any:
        try:
            return kind.model_validate(read_json(self.folder / name))
        except (StorageError, ValidationError) as error:
            raise SettingsError(
                f"{self.folder / name} can't be read: {error}. Run the fit again, or use another run"
            ) from error


def _spelled(root: Path, path: str) -> Path | None:
    """Find a file by its path as tables write it, where control characters are escaped.

    Returns:
        A place below the root, whether or not a file is there; None for a path that leads out of the root.
    """
    aim = Path(os.path.normpath(root / path))
    if "\0" in path or not aim.is_relative_to(root):
        return None
    place = root
    for part in aim.relative_to(root).parts:
        if "\\" in part and not os.path.exists(place / part):
            try:
                same = (one.name for one in place.iterdir() if printable(one.name) == part)
                part = next(same, part)
            except OSError:
                return None
        place /= part
    return place


def runs_below(folder: Path) -> Iterator[RunFiles]:
    """The finished runs in a folder, at most two levels deep."""
    for place in sorted({*folder.glob("run.json"), *folder.glob("*/run.json"), *folder.glob("*/*/run.json")}):
        yield RunFiles(place.parent)
