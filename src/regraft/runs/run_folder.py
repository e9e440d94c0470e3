"""What the folder of every run holds: the log, the ladder, the split, and where the images are now."""

from __future__ import annotations

import csv
import json
import os
import shlex
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from regraft.data.archives.places import find_inside, holds_files, is_inside
from regraft.errors import ImageError, SettingsError, StorageError
from regraft.records import ImageItem, Intensity, Record
from regraft.runs.records import LadderRecord
from regraft.storage.files import read_json, sha256_of, sha256_of_file
from regraft.storage.tables import csv_rows, printable, unguarded

Kind = TypeVar("Kind", bound=Record)


@dataclass(frozen=True)
class RunFolder(ABC):
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

    @property
    @abstractmethod
    def data_root(self) -> str:
        """The folder or table of the images, as the run knows it."""

    @cached_property
    def intensity(self) -> Intensity | None:
        """The range of the run's images of more than 8 bits; None if there were none."""
        kept = read_json(self.folder / "run.json").get("intensity")
        return None if kept is None else Intensity.model_validate(kept)

    @cached_property
    def ladder(self) -> LadderRecord | None:
        """The ladder's rungs; None if the run's strategy was not auto."""
        if not (self.folder / "ladder.json").is_file():
            return None
        return self.record("ladder.json", LadderRecord)

    @cached_property
    def training_images(self) -> tuple[ImageItem, ...]:
        """The images that the model was trained on."""
        return tuple(
            ImageItem(unguarded(row["path"]), unguarded(row["label"]), row["sha256"])
            for row in self._rows("split.csv")
            if row["side"] == "train"
        )

    @cached_property
    def root(self) -> Path:
        """The folder that the image paths are relative to."""
        if self.data is not None:
            places = [self.data]
        else:  # a relative path is relative to where the fit was started, or to where the project is now
            places = [Path(base, self.data_root) for base in (self._started.get("cwd", ""), "")]
        found = next((place for place in places if place.exists()), places[0])
        is_other_file = found.is_file() and not holds_files(found)
        return Path(os.path.abspath(found.parent if is_other_file else found))

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
        if not words:
            return ""
        program = Path(words[0]).name
        return shlex.join(["regraft" if program == "__main__.py" else program, *words[1:]])

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
        return list(self._rows(name))

    def _rows(self, name: str) -> Iterator[dict[str, str]]:
        """The same one by one: of a million images, all rows together would take a gigabyte."""
        try:
            with (self.folder / name).open(newline="", encoding="utf-8") as file:
                yield from csv_rows(file)
        except FileNotFoundError:
            return
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise SettingsError(f"{self.folder / name} can't be read: {error}") from error

    def file(self, path: str) -> Path | None:
        """The file that one of the run's paths names; None if there is none below the data set's root.

        Links are followed, as they were when the images were found. But a run's files are data from
        somewhere: a path that leads out of the root by its own words (`../..`, or absolute) is not obeyed.
        """
        places = (self.place(name) for name in (path, path.removeprefix("'")))
        return next((place for place in places if place is not None and _is_file(place)), None)

    def place(self, path: str) -> Path | None:
        """Where one of the run's paths leads, whether or not a file is there; None outside of the root."""
        return _spelled(self.root, path)

    def image(self, path: str) -> Path | None:
        """The file of one of the run's images; None if it is not there.

        A file of the same name with other bytes is another image: it was changed since the run, or the folder
        is that of other images.
        """
        place = self.file(path)
        known = self._hashes.get(path)
        return None if place and known and _sha256(place) != known else place

    def has_image(self, path: str) -> bool:
        """Whether a path is that of one of the run's images, which may have been moved since."""
        return path in self._hashes

    @cached_property
    def groups(self) -> dict[str, str]:
        """The group of each of the run's images by its path."""
        return {unguarded(row["path"]): row["group"] for row in self._rows("split.csv")}

    @cached_property
    def _hashes(self) -> dict[str, str]:
        return {unguarded(row["path"]): row["sha256"] for row in self._rows("split.csv")}

    def _text(self, name: str) -> str:
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{self.folder / name} can't be read: {error}") from error

    def record(self, name: str, kind: type[Kind]) -> Kind:
        """One of the run's JSON files as a record.

        Raises:
            SettingsError: the file is missing or damaged; the message names it.
        """
        try:
            return kind.model_validate(read_json(self.folder / name))
        except (StorageError, ValidationError) as error:
            raise SettingsError(
                f"{self.folder / name} can't be read: {error}. Run the fit again, or use another run"
            ) from error


def _is_file(place: Path) -> bool:
    return os.path.isfile(place) or is_inside(place)


def _sha256(place: Path) -> str:
    """The hash of a file, or of one in an archive; empty if it can't be read."""
    if os.path.isfile(place):
        return sha256_of_file(place)
    try:
        inside = find_inside(place)
        return sha256_of(inside.read()) if inside else ""
    except ImageError:
        return ""


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
