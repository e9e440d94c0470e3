"""Samples in tar files as WebDataset writes them: `000017.jpg` with `000017.cls` or `000017.json`.

Source: https://webdataset.github.io/webdataset, "The WebDataset Format": the files of a sample share the part
of their name before the first dot, and lie next to each other.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from regraft.data.archives.places import Archive
from regraft.data.packed.trees import inside_of, refused_in
from regraft.data.sources.candidates import Candidate, Found
from regraft.data.sources.column_names import IMAGE_ENDINGS, TableColumns, choose_label
from regraft.data.sources.labels import label_of
from regraft.data.sources.side_names import sides_of
from regraft.errors import DataError, ImageError
from regraft.records import Side, SkippedFile

_LABEL_ENDINGS = ("cls", "cls.txt", "label", "label.txt")
_MOST_LABEL_BYTES = 4096
_MOST_JSON_BYTES = 1 << 20


def from_samples(archives: Sequence[Archive], root: Path) -> Found | None:
    """The images with the labels of their samples; None if most images have none."""
    sides = _sides(archives)
    candidates: list[Candidate] = []
    skipped: list[SkippedFile] = []
    images = 0
    for archive in archives:
        samples, start = _samples(archive), inside_of(archive, root)
        images += len(samples)
        for image, beside in samples:
            name = f"{start}{image}"
            try:
                label = _label(archive, beside)
            except DataError as error:
                skipped.append(SkippedFile(name, str(error)))
                continue
            if label is None:
                skipped.append(SkippedFile(name, "no label in its sample (.cls, or label in .json)"))
            else:
                path = os.path.join(archive.path, *image.split("/"))
                candidates.append(Candidate(name, path, label, sides.get(archive.path.name)))
        skipped += refused_in(archive, root)
    if not candidates or 2 * len(candidates) < images:
        return None
    if not any(candidate.side in ("test", "validation") for candidate in candidates):
        candidates = [one if one.side is None else replace(one, side=None) for one in candidates]
    return Found(root, tuple(candidates), tuple(skipped), layout="samples of an image and its label")


def _sides(archives: Sequence[Archive]) -> dict[str, Side]:
    """The sides of archives that are called like them: `train-000.tar`, `val-000.tar`."""
    stems = {archive.path.name: archive.path.name.split(".")[0] for archive in archives}
    found = sides_of(list(stems.values()))
    return {name: found[stem] for name, stem in stems.items() if stem in found}


def _samples(archive: Archive) -> list[tuple[str, dict[str, str]]]:
    """The images in an archive, each with the names of the other files of its sample by their endings."""
    samples: dict[str, dict[str, str]] = {}
    for name in archive.contents.members:
        above, slash, last = name.rpartition("/")
        stem, _, ending = last.partition(".")
        samples.setdefault(f"{above}{slash}{stem or last}", {})[ending.lower()] = name
    return [
        (name, beside)
        for beside in samples.values()
        for ending, name in beside.items()
        if f".{ending.rsplit('.', 1)[-1]}" in IMAGE_ENDINGS
    ]


def _label(archive: Archive, beside: dict[str, str]) -> str | None:
    """The label in the files of a sample; None if there is none.

    Raises:
        DataError: it can't be read; the message is the reason.
    """
    for ending in _LABEL_ENDINGS:
        if ending in beside:
            return label_of(_text(archive, beside[ending], _MOST_LABEL_BYTES))
    if "json" not in beside:
        return None
    try:
        record = json.loads(_text(archive, beside["json"], _MOST_JSON_BYTES))
    except (ValueError, RecursionError) as error:
        raise ImageError(f"the .json of its sample can't be read: {error}") from error
    return label_of(_labelled(record)) if isinstance(record, dict) else None


def _labelled(record: dict[str, Any]) -> Any:
    """The value of the field with the label; None if there is none, or if it is no single value."""
    names = [name for name, value in record.items() if isinstance(value, str | int | float)]
    place = choose_label("the .json of its sample", names, TableColumns())
    return None if place is None else record[names[place]]


def _text(archive: Archive, name: str, most: int) -> str:
    member = archive.contents.members[name]
    if member.size > most:
        raise ImageError(f"the label of its sample ({PurePosixPath(name).name}) has {member.size:,} bytes")
    return archive.read(member).decode("utf-8", "replace")
