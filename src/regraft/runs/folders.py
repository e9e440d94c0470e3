"""The folder that a run is written to: which one, whether it may be, and what of its data has changed."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from regraft.arguments import check_place
from regraft.data.sources.own_outputs import own_output
from regraft.errors import SettingsError, StorageError
from regraft.outputs.files import listed, visible
from regraft.progress import Reporter
from regraft.records import Split
from regraft.storage.files import make_folder, read_json, remove_old
from regraft.storage.locks import working_lock
from regraft.storage.tables import csv_rows, harmless, printable

_State = Literal["free", "same", "other", "foreign"]
Place = str | Path | None


def given_folder(
    out: str | Path,
    source: str | Path,
    paths: Iterable[str],
    settings: dict[str, Any],
    *,
    inputs: Iterable[Place],
    overwrite: bool,
) -> Path:
    """The folder that the user named, if a run may be written there.

    Args:
        out: the folder.
        source: the folder or table of the images.
        paths: the images that were found there, relative to the folder.
        settings: what the user asked for; a run with the same is continued.
        inputs: what else the fit reads.
        overwrite: whether a run with other settings may be replaced.

    Raises:
        SettingsError: the folder holds the images, something that is no run, or a run with other settings.
    """
    check_place("--out", out, "the name of a folder")
    folder, shown = Path(out), printable(str(out))
    _refuse_data(folder, shown, source, paths)
    state = _state(folder, settings)
    if state == "foreign":
        holds = "is a file" if folder.exists() and not folder.is_dir() else (
            f"holds files that are not a run ({listed(visible(folder))})"
        )  # fmt: skip
        raise SettingsError(f"{shown} {holds}. A run needs a folder of its own: name a new one with --out")
    for given in inputs if state == "other" or overwrite else ():
        if given is not None and os.path.exists(given) and _is_within(given, folder):
            raise SettingsError(
                f"{printable(str(given))} is read by this fit, which would replace it by the run in {shown}. "
                "Choose another --out"
            )
    if state == "other" and not overwrite:
        raise _other_settings(shown)
    return folder


def choose_folder(name: str, settings: dict[str, Any], *, inputs: Iterable[Place], overwrite: bool) -> Path:
    """The folder `runs/NAME`, numbered if that contains something else than a run with these settings."""
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("._") or "run"
    read = [given for given in inputs if given is not None]
    number = 1
    while True:
        folder = Path("runs", safe if number == 1 else f"{safe}-{number}")
        state = _state(folder, settings)
        if state in ("free", "same"):
            return folder
        if overwrite and state == "other" and not any(_is_within(given, folder) for given in read):
            return folder
        number += 1


@contextlib.contextmanager
def writing_alone(
    folder: Path | None, settings: dict[str, Any], reporter: Reporter, *, overwrite: bool
) -> Iterator[float]:
    """Have a run folder to this process alone; yields the seconds that it waited for another process.

    Args:
        folder: the folder; None if no run is written.
        settings: what the user asked for.
        reporter: receives a note if the process waits.
        overwrite: whether a run with other settings may be replaced.

    Raises:
        SettingsError: the other process has written a run with other settings there.
    """
    if folder is None:
        yield 0.0
        return
    lock, started = make_folder(folder) / ".lock", time.perf_counter()
    with contextlib.ExitStack() as stack:
        if not stack.enter_context(working_lock(lock, wait=False)):
            reporter.note(
                f"another process is writing a run to {printable(str(folder))}; waiting until it has "
                "finished. To begin at once, stop this (Ctrl-C) and name another folder with --out"
            )
            stack.enter_context(working_lock(lock, wait=True))
            if _state(folder, settings) == "other" and not overwrite:
                raise _other_settings(printable(str(folder)))
        remove_old(folder.rglob(".*.tmp"))
        try:
            yield time.perf_counter() - started
        finally:
            with contextlib.suppress(OSError):  # still under the lock; who waits for it notices
                lock.unlink()


def _other_settings(shown: str) -> SettingsError:
    return SettingsError(
        f"{shown} already holds a run with other settings; "
        "choose another --out, or replace it with --overwrite"
    )


def _state(folder: Path, settings: dict[str, Any]) -> _State:
    """What a folder holds: nothing, a run with these settings or its beginning, another run, or no run."""
    if folder.exists() and not folder.is_dir():
        return "foreign"
    if not visible(folder):
        return "free"
    if not _is_run(folder):
        return "foreign"
    if not (folder / "run.json").exists():
        return "same"
    try:
        record = read_json(folder / "run.json")
        return "same" if record["settings"] == json.loads(json.dumps(settings)) else "other"
    except (StorageError, KeyError, TypeError):
        return "other"


def _is_run(folder: Path) -> bool:
    """Whether a folder holds a run, or the log of a fit, which is the first file that a run writes."""
    return own_output(folder, {entry.name for entry in folder.iterdir()}) == "run of regraft"


def _refuse_data(folder: Path, shown: str, source: str | Path, paths: Iterable[str]) -> None:
    """Refuse a folder in which the run would lie among the images.

    Raises:
        SettingsError: the folder is the data, or lies where its images lie.
    """
    if not os.path.isdir(source):  # a table names its images, so other files do no harm
        return
    place, root = os.path.realpath(folder), os.path.realpath(source)
    if place == root:
        raise SettingsError(
            f"{shown} is the folder of the images. A run needs a folder of its own: name a new one with --out"
        )
    if not _is_within(place, root):
        return
    parts = Path(place).relative_to(root).parts
    if any(len(Path(path).parts) > 1 and Path(path).parts[0] == parts[0] for path in paths):
        raise SettingsError(
            f"{shown} is among the images of {printable(str(source))}, where the files of a run would be "
            "taken for data. Name a folder outside of the data with --out"
        )


def _is_within(place: str | Path, folder: str | Path) -> bool:
    return Path(os.path.realpath(place)).is_relative_to(os.path.realpath(folder))


@dataclass(frozen=True)
class EarlierImages:
    """The images of the run that a folder holds, as its `split.csv` lists them."""

    labels: dict[str, str]
    """The label of each image by its path."""
    hashes: dict[str, str]
    """SHA-256 of each file by its path."""

    @classmethod
    def of(cls, split: Split) -> EarlierImages:
        """The images of a split, as the run of it will list them."""
        paths = [harmless(row.path) for row in split.rows]
        return cls(
            dict(zip(paths, (harmless(row.label) for row in split.rows), strict=True)),
            dict(zip(paths, (row.sha256 for row in split.rows), strict=True)),
        )


def images_of_run(folder: Path | None, settings: dict[str, Any]) -> EarlierImages | None:
    """The images of the finished run with the same settings in a folder; None if there is no such run."""
    if folder is None or not (folder / "run.json").exists() or _state(folder, settings) != "same":
        return None
    try:
        found = EarlierImages({}, {})
        with (folder / "split.csv").open(newline="", encoding="utf-8") as file:
            for row in csv_rows(file):
                found.labels[row["path"]] = row["label"]
                found.hashes[row["path"]] = row["sha256"]
        return found
    except (OSError, UnicodeDecodeError, csv.Error, KeyError):
        return None


def say_changed_data(
    earlier: EarlierImages | None, now: EarlierImages, folder: Path | None, reporter: Reporter
) -> None:
    """Report in one line how the images differ from those of the run that is about to be replaced."""
    if earlier is None:
        return
    labels, hashes = now.labels, now.hashes
    both = labels.keys() & earlier.labels.keys()
    edited = {path for path in both if hashes[path] != earlier.hashes[path]}
    counts = {
        "added": len(labels.keys() - both),
        "removed": len(earlier.labels.keys() - both),
        "edited": len(edited),
        "labelled differently": sum(labels[path] != earlier.labels[path] for path in both - edited),
    }
    changes = [
        f"{count:,} {'image' if count == 1 else 'images'} {what}" for what, count in counts.items() if count
    ]
    if changes:
        reporter.note(
            f"the data changed since the run in {folder} ({', '.join(changes)}): it is fitted again and "
            "replaced"
        )
