"""Files and folders that a command may write: never one that it reads, and nothing that others have written.

An existing file is replaced if its content shows that Regraft wrote it for the same purpose. All checks are
made before any work is done.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from regraft.data.pictures.file_kinds import is_image, is_image_name
from regraft.errors import SettingsError
from regraft.outputs.plots import GENERATOR
from regraft.storage.seals import has_seal, is_sealed
from regraft.storage.tables import printable

_HEAD_BYTES = 1 << 16
_TEMPORARY = re.compile(r"tmp[a-z0-9_]{8}")  # what the tempfile module calls its folders
_WHOLE_BYTES = 1 << 26
_RUN_FILES = frozenset({
    "run.json", "split.json", "split.csv", "skipped.csv", "findings.csv", "predictions.csv", "scores.json",
    "scores.csv", "plan.toml", "confusion.csv", "log.jsonl", "metrics.jsonl", "metrics.csv", "stages.csv",
    "ladder.json", "ladder.csv", "ladder.svg", "boxes.csv", "pictures.csv", "detections.csv", "suspects.csv",
    "thresholds.csv",
})  # fmt: skip


@dataclass(frozen=True)
class OutputKind:
    """What a file is for, and how it is recognised."""

    what: str
    """For example `predictions as CSV`."""
    example: str
    """A usual name, for messages."""
    is_ours: Callable[[bytes], bool]
    """Whether a file's content was written by Regraft for this purpose."""
    is_drawing: bool = False
    """Whether the file is a picture, whose name may end in .png."""


_LINES = (
    {"path", "label", "probability", "top"},
    {"path", "labels", "top"},
    {"path", "value", "low", "high"},
)


def _table(*header: str) -> Callable[[bytes], bool]:
    return lambda data: data.splitlines()[:1] == [",".join(header).encode()]


_TABLES = (
    rb"path,label,probability(,rejected)?(,label_\d+,probability_\d+)*\r?\n",
    rb"path,value,low,high\r?\n",
    rb"path,labels,[^\n]+\n[^\n]*(,[01]\.\d{6})+\r?\n",  # with its numbers, unlike a table of labels
)


def _is_predictions(data: bytes) -> bool:
    return any(re.match(table, data) for table in _TABLES)


def _is_json_lines(data: bytes) -> bool:
    try:
        first = json.loads(data.split(b"\n", 1)[0])
    except ValueError:
        return False
    return isinstance(first, dict) and set(first) - {"rejected"} in _LINES


def _is_drawing(data: bytes) -> bool:
    name = GENERATOR.encode()
    marks = (b"Software\0" + name, b"<dc:title>" + name + b"</dc:title>", b"/Creator (" + name + b")")
    return any(mark in data for mark in marks)


_SUSPECTS = ("path", "label", "suggested", "own_probability", "suggested_probability", "reason", "action")


def _is_untouched_list(data: bytes) -> bool:
    """Whether nobody has filled in the column `action` of a list of suspects."""
    rows = csv.reader(io.StringIO(data.decode("utf-8", "replace")))
    return next(rows, None) == list(_SUSPECTS) and not any(row[-1].strip() for row in rows if row)


def page_of(what: str, example: str, *templates: str) -> OutputKind:
    """A page by the templates that it may have been made from."""
    marks = [f'<meta name="generator" content="regraft {one}">'.encode() for one in templates]
    return OutputKind(what, example, lambda data: any(mark in data for mark in marks))


TABLE_MARK = b"regraft predictions"
"""What a Parquet file of predictions says about its origin."""
PREDICTIONS = OutputKind("predictions as CSV", "predictions.csv", _is_predictions)
PREDICTION_LINES = OutputKind("predictions as JSON lines", "predictions.jsonl", _is_json_lines)
PREDICTION_TABLE = OutputKind(
    "predictions as Parquet", "predictions.parquet", lambda data: data[:4] == b"PAR1" and TABLE_MARK in data
)
SKIPPED = OutputKind("a list of skipped files", "predictions.csv.skipped.csv", _table("path", "reason"))
FINDINGS = OutputKind("a list of findings", "problems.csv", _table("kind", "message", "paths"))
SUSPECTS = OutputKind("a list of suspects", "suspects.csv", _is_untouched_list)
PLAN = OutputKind("a plan", "plan.toml", is_sealed)
DRAWING = OutputKind("a plot", "plot.svg", _is_drawing, is_drawing=True)
REPORT = page_of("a report", "report.html", "report.html", "detection.html")
EXPLANATION = page_of("a page of explanations", "explanation.html", "explanation.html", "evidence.html")
VISUALIZATION = page_of("a page about a network's features", "visualization.html", "features.html")
ARCHITECTURE = page_of("a page about a network", "network.html", "architecture.html")


def output_file(
    path: str | Path,
    kind: OutputKind,
    *,
    inputs: Iterable[str | Path | None] = (),
    overwrite: bool = False,
    flag: str = "--out",
) -> Path:
    """The path, if a file of this kind may be written there.

    Args:
        path: the file to write.
        kind: what will be written.
        inputs: the files and folders that the command reads; None and names of files that don't exist are
            left out.
        overwrite: whether a file that Regraft did not write may be replaced.
        flag: the flag that names the file.

    Raises:
        SettingsError: the path is a folder, a device, an image or an input, or someone else's file.
    """
    place = Path(path)
    shown = printable(str(path))
    example = "" if place.name == kind.example else f", for example {flag} {kind.example}"
    hint = f"Name another file{example}"
    if not str(path) or "\0" in str(path):
        raise SettingsError(f"{flag} names no file. {hint}")
    if place.is_dir():
        raise SettingsError(f"{shown} is a folder, but {kind.what} is one file. {hint}")
    if is_image_name(place.name) and not kind.is_drawing:
        raise SettingsError(
            f"{shown} has the name of an image, but {kind.what} would be written to it. Did the shell expand "
            f"{flag} *{place.suffix}? Name the output first: {flag} {kind.example}"
        )
    _refuse_inputs(place, shown, kind, inputs, hint)
    if not place.exists():
        return place
    if not place.is_file():
        raise SettingsError(f"{shown} is not a regular file, so it can't be replaced. {hint}")
    if place.name in _RUN_FILES and (place.parent / "run.json").is_file():
        raise SettingsError(f"{shown} belongs to the run in {printable(str(place.parent))}. {hint}")
    data = _content(place)
    if not data or kind.is_ours(data):
        return place
    if is_image(data) and not kind.is_drawing:
        raise SettingsError(f"{shown} holds an image, which is never replaced. {hint}")
    if not overwrite:
        raise SettingsError(
            f"{shown} exists, and {_history(data, kind)}. {hint}, or replace the file with --overwrite"
        )
    return place


def _history(data: bytes, kind: OutputKind) -> str:
    is_edited = (kind is PLAN and has_seal(data)) or (kind is SUSPECTS and _table(*_SUSPECTS)(data))
    return (
        "it was edited since regraft wrote it" if is_edited else f"it is not {kind.what} that regraft wrote"
    )


def _refuse_inputs(
    place: Path, shown: str, kind: OutputKind, inputs: Iterable[str | Path | None], hint: str
) -> None:
    exists = place.exists()
    status = place.stat() if exists else None
    whole = Path(os.path.realpath(place))
    for given in inputs:
        if given is None:
            continue
        try:
            other = os.stat(given)
        except (OSError, ValueError):
            continue
        if status is not None and os.path.samestat(status, other):
            raise SettingsError(f"{shown} is among the files that this command reads. {hint}")
        if not stat.S_ISDIR(other.st_mode) or not whole.is_relative_to(os.path.realpath(given)):
            continue
        if is_image_name(place.name) and not (Path(given) / "run.json").exists():
            raise SettingsError(
                f"{shown} lies in {printable(str(given))}, where it would be taken for one of the images. "
                f"{hint}"
            )
        if place.is_file() and not kind.is_ours(_content(place)):
            raise SettingsError(
                f"{shown} lies in {printable(str(given))}, which this command reads, and is not {kind.what} "
                f"that regraft wrote. {hint}"
            )


def _content(path: Path) -> bytes:
    """A file's content; of a large one the beginning and the end, between which no mark is written."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size <= _WHOLE_BYTES:
                return file.read()
            head = file.read(_HEAD_BYTES)
            file.seek(size - _HEAD_BYTES)
            return head + file.read()
    except OSError as error:
        raise SettingsError(
            f"{printable(str(path))} exists and can't be read: {error.strerror}. Name another file"
        ) from error


def output_folder(
    path: str | Path,
    what: str,
    *,
    marks: Mapping[str, bytes],
    inputs: Iterable[str | Path | None] = (),
    flag: str = "--out",
) -> Path:
    """The path, if it is a new or an empty folder, or one that holds an earlier output of the same kind.

    Args:
        path: the folder to write to.
        what: what is written to it, for example `an export`.
        marks: what some of the written files contain; an earlier output has at least one of them, and none
            that someone else has written.
        inputs: the files and folders that the command reads.
        flag: the flag that names the folder.

    Raises:
        SettingsError: the path is a file or an input, or others have written to it.
    """
    place, shown = Path(path), printable(str(path))
    hint = f"Name a new folder with {flag}"
    if not str(path) or "\0" in str(path):
        raise SettingsError(f"{flag} names no folder. {hint}")
    if place.exists() and not place.is_dir():
        raise SettingsError(f"{shown} is a file, but {what} needs a folder. {hint}")
    for given in inputs:
        if given is not None and os.path.isdir(given) and _lies_in(place, Path(given)):
            is_same = _lies_in(Path(given), place)
            where = "is" if is_same else f"lies in {printable(str(given))}, which is"
            raise SettingsError(f"{shown} {where} a folder of images that this command reads. {hint}")
    found = visible(place)
    marked = [(place / name, mark) for name, mark in marks.items() if name in found]
    if found and not (marked and all(mark in _content(file) for file, mark in marked)):
        raise SettingsError(
            f"{shown} holds files that are not {what} of regraft ({listed(found)}), and nothing is written "
            f"among them. {hint}"
        )
    return place


def new_folder(
    path: str | Path, what: str, *, inputs: Iterable[str | Path | None] = (), flag: str = "--out"
) -> Path:
    """The path, if it is a new or an empty folder outside of what the command reads.

    Args:
        path: the folder to write to.
        what: what is written to it, for example `a folder of crops`.
        inputs: the files and folders that the command reads.
        flag: the flag that names the folder.

    Raises:
        SettingsError: the path is a file, lies in an input, or is a folder with files.
    """
    place, given = Path(path), [*inputs]
    is_read = any(one is not None and os.path.isdir(one) and _lies_in(place, Path(one)) for one in given)
    found = [] if is_read else visible(place)
    if found:
        raise SettingsError(
            f"{printable(str(path))} is a folder with files ({listed(found)}), and {what} needs a new or an "
            f"empty one. Name another folder with {flag}"
        )
    return output_folder(path, what, marks={}, inputs=given, flag=flag)


def visible(folder: Path) -> list[str]:
    """The names in a folder, in order, without hidden and temporary ones; none if there is no folder."""
    if not folder.is_dir():
        return []
    found = sorted(entry.name for entry in folder.iterdir())
    return [name for name in found if not name.startswith(".") and not _TEMPORARY.fullmatch(name)]


def listed(names: list[str]) -> str:
    """The first names of a list, for a message."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(printable(name) for name in names[:3]) + more


def _lies_in(place: Path, folder: Path) -> bool:
    return Path(os.path.realpath(place)).is_relative_to(os.path.realpath(folder))
