"""The split of a data set as a file, from which the next fit takes the sides of the images.

Up to 20,000 images it is JSON, which people can read; of a million images that would be 253 MB. Longer
splits are columns of a Parquet file. Both are read, whatever the number of images is now, and a file is
written only if it changes.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from regraft.errors import StorageError
from regraft.records import Side, Split
from regraft.storage.columns import read_columns, read_facts, write_columns
from regraft.storage.files import listed_key, read_json, write_json

FEW = 20_000
_SIDES = frozenset(get_args(Side))


def saved_sides(place: Path) -> dict[str, Side]:
    """The side of each image by its hash; none if no split was saved, or the file is damaged.

    Args:
        place: the file without its ending.
    """
    long = place.with_suffix(".parquet")
    try:
        if long.exists():
            found = read_columns(long, ["sha256", "side"])
            sides = dict(zip(found["sha256"], found["side"], strict=True))
            return sides if _SIDES.issuperset(sides.values()) else {}  # type: ignore[return-value]
        split = Split.model_validate(read_json(place.with_suffix(".json")))
    except (StorageError, ValidationError):
        return {}
    return {row.sha256: row.side for row in split.rows}


def save_split(place: Path, split: Split, *, is_readable: bool) -> None:
    """Write a split, unless it is there already.

    Args:
        place: the file without its ending.
        split: the split.
        is_readable: whether a file that is there could be read.
    """
    short, long = place.with_suffix(".json"), place.with_suffix(".parquet")
    if len(split.rows) <= FEW:
        record = split.model_dump(mode="json", exclude={"history"})
        if not (is_readable and _json_or_nothing(short) == record):
            write_json(short, record)
        _remove(long)
        return
    groups = [row.group for row in split.rows]
    facts = split.model_dump(mode="json", exclude={"history", "rows"})
    facts |= {"rows": len(split.rows), "groups_sha256": listed_key(groups)}
    if not (is_readable and _facts_or_nothing(long) == facts):
        columns = {name: [getattr(row, name) for row in split.rows] for name in _COLUMNS}
        write_columns(long, {**columns, "group": groups}, facts)
    _remove(short)


_COLUMNS = ("path", "label", "sha256", "side")


def _json_or_nothing(path: Path) -> Any:
    with contextlib.suppress(StorageError):
        return read_json(path)
    return None


def _facts_or_nothing(path: Path) -> Any:
    with contextlib.suppress(StorageError):
        return read_facts(path)
    return None


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
