"""Which columns of a table hold the paths, labels, sides and groups."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from regraft.data.pictures.file_kinds import EXTENSIONS
from regraft.errors import DataError, close_names


@dataclass(frozen=True)
class TableColumns:
    """Names of the table columns to read."""

    path: str = "path"
    label: str = "label"
    """The column of labels; not read if `labels` names columns."""
    labels: tuple[str, ...] = ()
    """A column of 0 and 1 for each of several labels."""
    split: str = "split"
    group: str = "group"


@dataclass(frozen=True)
class Chosen:
    """The places of the columns that are read."""

    path: int
    labels: tuple[int, ...]
    """The column of labels, or one for each label."""
    split: int | None
    group: int | None
    is_by_column: bool = False
    """Whether there is a column for each label."""


# Usual names, the most telling ones first: a name counts only if no name of an earlier line is there.
_PATHS = (
    "path paths filename filenames filepath filepaths file files imagepath imagepaths imgpath imagefile "
    "imgfile imagefilename relativepath relpath fullpath",
    "image images img picture photo imagename imgname name",
    "imageid imgid photoid pictureid id uuid key",
)
_LABELS = (
    "label labels class classes classname category categories categoryname target species labelname "
    "classlabel groundtruth truth breed diagnosis y",
    "classid labelid categoryid targetid classindex classidx",
)
_SPLITS = ("split subset partition set phase usage fold side",)
IMAGE_ENDINGS = frozenset(ending for endings in EXTENSIONS.values() for ending in endings)


def plain_name(name: str) -> str:
    """A column's name in small letters, without blanks and punctuation.

    >>> plain_name("Image_Path ")
    'imagepath'
    """
    return re.sub(r"[\W_]+", "", name).casefold()


def likely_names(columns: TableColumns) -> frozenset[str]:
    """The names that the columns of a table may have, as `plain_name` gives them."""
    asked = {plain_name(name) for name in (columns.path, columns.label, columns.split, columns.group)}
    asked |= {plain_name(name) for name in columns.labels}
    usual = {word for line in (*_PATHS, *_LABELS, *_SPLITS) for word in line.split()}
    return frozenset(asked | usual)


def choose_columns(table: str, names: Sequence[str], columns: TableColumns) -> Chosen:
    """Find the columns that are asked for, or, where nothing is asked, those with usual names.

    Raises:
        DataError: a column is missing or there twice, or several could be it; the message names the flags.
    """
    usual = TableColumns()
    path = _place(table, names, columns.path, usual.path, _PATHS, what="path")
    if columns.labels:
        return _several(table, names, columns, path)
    label = _place(table, names, columns.label, usual.label, _LABELS, what="label")
    if path is None and label is not None:
        path = _other(names, label)
    elif label is None and path is not None:
        label = _other(names, path)
    if path is None or label is None:
        raise _missing(
            table, names, [wanted for wanted, place in (("path", path), ("label", label)) if place is None]
        )
    if path == label:
        raise DataError(
            f"{table}: the column {names[path]} can't hold both the paths and the labels; give two different "
            "columns with --path-column and --label-column"
        )
    split = _place(table, names, columns.split, usual.split, (), what="split")
    group = _place(table, names, columns.group, usual.group, (), what="group")
    return Chosen(path, (label,), split, group)


def choose_label(where: str, names: Sequence[str], columns: TableColumns) -> int | None:
    """The place of the label among names; None if none of them is usual.

    Raises:
        DataError: several could be it.
    """
    return _place(where, names, columns.label, TableColumns.label, _LABELS, what="label")


def _several(table: str, names: Sequence[str], columns: TableColumns, path: int | None) -> Chosen:
    """The columns of a table that has one for each label."""
    usual = TableColumns()
    missing = [name for name in columns.labels if name not in names]
    if missing:
        close = "".join(close_names(name, names) for name in missing)
        raise DataError(
            f"{table} has no column {' and no column '.join(missing)}{close}; it has {_shown(names)}. "
            "Name a column for each label with --label-columns"
        )
    labels = tuple(
        place
        for name in columns.labels
        if (place := _place(table, names, name, "", (), what="label")) is not None
    )
    if path is None:
        raise _missing(table, names, ["path"])
    if path in labels:
        raise DataError(
            f"{table}: the column {names[path]} can't hold both the paths and a label; leave it out of "
            "--label-columns, or name the paths with --path-column"
        )
    split = _place(table, names, columns.split, usual.split, (), what="split")
    group = _place(table, names, columns.group, usual.group, (), what="group")
    return Chosen(path, labels, split, group, is_by_column=True)


def usual_splits(names: Sequence[str], taken: Collection[int]) -> list[int]:
    """The columns that may say train or test for each image, going by their names."""
    words = _SPLITS[0].split()
    return [place for place, name in enumerate(names) if place not in taken and plain_name(name) in words]


def _place(
    table: str, names: Sequence[str], asked: str, default: str, usual: Sequence[str], *, what: str
) -> int | None:
    """The place of a column; None if its name was not asked for and no usual name is there."""
    exact = [place for place, name in enumerate(names) if name == asked]
    if len(exact) > 1:
        raise DataError(
            f"{table} has {len(exact)} columns called {asked}; rename one of them, or choose another column "
            f"with --{what}-column"
        )
    if exact:
        return exact[0]
    if asked != default:
        raise DataError(
            f"{table} has no column {asked}{close_names(asked, names)}; it has {_shown(names)}. "
            f"Choose one of these with --{what}-column"
        )
    for words in (asked, *usual):
        found = [place for place, name in enumerate(names) if plain_name(name) in words.split()]
        if len(found) > 1:
            raise DataError(
                f"{table} has no column {asked}, and {' and '.join(names[place] for place in found)} "
                f"could both be it; choose one with --{what}-column"
            )
        if found:
            return found[0]
    return None


def _other(names: Sequence[str], known: int) -> int | None:
    """The only other column of a table with two columns; columns without a name are numbers of rows."""
    taken = {*_SPLITS[0].split(), "group"}
    others = [
        place for place, name in enumerate(names) if name and place != known and plain_name(name) not in taken
    ]
    return others[0] if len(others) == 1 else None


def _missing(table: str, names: Sequence[str], wanted: Sequence[str]) -> DataError:
    if any(PurePath(name.replace("\\", "/")).suffix.lower() in IMAGE_ENDINGS for name in names):
        return DataError(
            f"{table} has no line with the names of its columns: the first line is {','.join(names)}. "
            "Put a line such as path,label above it"
        )
    flags = " and ".join(f"--{word}-column" for word in wanted)
    close = "".join(close_names(word, names) for word in wanted)
    return DataError(
        f"{table} has no column {' and no column '.join(wanted)}{close}; it has {_shown(names)}. "
        f"The columns path and label are needed; choose other columns with {flags}. "
        "The columns split and group are optional"
    )


def _shown(names: Sequence[str]) -> str:
    shown = [name or "(no name)" for name in names]
    return ", ".join(shown[:20]) + (f" and {len(shown) - 20} more" if len(shown) > 20 else "")
