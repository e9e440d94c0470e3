"""A data set by its name: found on this machine, or downloaded, and laid out once to be fitted."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regraft.data.packed.arrays import class_folder, stacks_in, write_pictures, write_stacks
from regraft.errors import DataError, DownloadError, LicenceError, StorageError, words_of
from regraft.named.cards import SetCard, SetFile, plain_set_name, set_card, set_cards
from regraft.named.hub_sets import hub_address, hub_folder
from regraft.named.layouts import ARRAYS, TABLES, Array, SetFiles
from regraft.networks.weights.fetching import RemoteFile, fetch
from regraft.networks.weights.hubs import offline_because
from regraft.networks.zoo.licences import accept, forbids_commerce
from regraft.progress import Reporter, Silent
from regraft.storage.files import make_folder, read_json, whole_folder, write_json
from regraft.storage.places import data_folder
from regraft.storage.tables import csv_bytes
from regraft.version import VERSION

RECORD, TABLE = "dataset.json", "labels.csv"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class LaidOut:
    """Where the images of a data set are."""

    card: SetCard
    source: Path
    """What can be fitted: a folder, or a table."""
    root: Path | None = None
    """What the paths in the table are relative to; None for a folder."""


def roots(data_root: str | Path | None = None) -> list[Path]:
    """The folders in which files of data sets are looked for: those of torchvision and MedMNIST, too."""
    given = [Path(data_root)] if data_root else []
    return [*given, data_folder(), Path("data"), Path.home() / ".medmnist"]


def set_files(card: SetCard, data_root: str | Path | None = None) -> SetFiles | None:
    """The files of a data set, if all of them are in one of the roots."""
    for root in roots(data_root):
        if all((root / file.path).is_file() for file in card.files):
            return SetFiles(card, Path(os.path.abspath(root)))
    return None


def laid_out(name: str, data_root: str | Path | None = None) -> LaidOut:
    """A data set that is on this machine, laid out if it is not yet.

    Raises:
        DataError: no data set has the name, its files are not here, or they are damaged.
        LicenceError: its licence forbids commercial use and was not accepted.
    """
    card = set_card(name)
    folder = _folder(card)
    _check_licence(card, is_accepted=False, reporter=Silent())
    if (folder / RECORD).is_file():
        found = _from_record(card, folder)
        if found is not None:
            return found
    files = set_files(card, data_root)
    if files is None:
        raise _absent(card, data_root)
    return _lay_out(files, folder)


def set_named(source: str) -> SetCard | None:
    """The data set that a source names; None where it is a path, or where a file or folder has that name."""
    if os.path.lexists(source) or os.sep in source:
        return None
    return set_cards().get(plain_set_name(source))


def check_here(source: str, data_root: str | Path | None = None) -> None:
    """Refuse the name of a data set that can't be fitted, before anything slow is imported or read.

    Raises:
        DataError: the data set is not on this machine.
        LicenceError: its licence forbids commercial use and was not accepted.
    """
    address = hub_address(source)
    if address is not None:
        hub_folder(address)
    card = set_named(source)
    if card is not None:
        _check_licence(card, is_accepted=False, reporter=Silent())
        if not is_here(card, data_root):
            raise _absent(card, data_root)


def _absent(card: SetCard, data_root: str | Path | None) -> DataError:
    places = ", ".join(map(str, roots(data_root)))
    return DataError(
        f"the data set {card.name} is not on this machine: none of {places} holds {card.files[0].path}. "
        f"`regraft data {card.name}` downloads it ({card.mb:,} MB). {_by_hand(card, data_root)}"
    )


def _listed(files: Sequence[SetFile]) -> str:
    return "; ".join(f"{file.path}, MD5 {file.md5 or 'not stated'}, from {file.url}" for file in files)


def is_here(card: SetCard, data_root: str | Path | None = None) -> bool:
    """Whether a data set can be fitted without a download."""
    return (_folder(card) / RECORD).is_file() or set_files(card, data_root) is not None


def _folder(card: SetCard) -> Path:
    return data_folder() / "sets" / card.name


def _from_record(card: SetCard, folder: Path) -> LaidOut | None:
    """The data set as it was laid out; None if the files that its table names are no longer there."""
    root = read_json(folder / RECORD).get("root")
    if root is None:
        return LaidOut(card, folder)
    there = all((Path(root) / file.path).is_file() for file in card.files)
    return LaidOut(card, folder / TABLE, Path(root)) if there else None


def get(
    name: str,
    *,
    data_root: str | Path | None = None,
    offline: bool = False,
    is_accepted: bool = False,
    reporter: Reporter | None = None,
) -> LaidOut:
    """A data set, downloaded if it is not on this machine.

    Args:
        name: its name.
        data_root: where its files are looked for first, and downloaded to.
        offline: never download.
        is_accepted: whether a licence that forbids commercial use is accepted.
        reporter: receives the licence and the progress.

    Raises:
        DataError: no data set has the name, or its files are damaged.
        DownloadError: it can't be downloaded; names the file, its checksum and where to put it.
        LicenceError: its licence forbids commercial use and was not accepted.
    """
    card, reporter = set_card(name), reporter or Silent()
    reporter.note(f"{card.name}: {card.title}; licence: {licence_text(card)}")
    _check_licence(card, is_accepted=is_accepted, reporter=reporter)
    if not is_here(card, data_root):
        forbidden = offline_because(offline)
        if forbidden:
            raise DownloadError(
                f"{forbidden} forbids the download of {card.name}. " + _by_hand(card, data_root)
            )
        _download(card, Path(data_root) if data_root else data_folder(), reporter)
    return laid_out(name, data_root)


def licence_text(card: SetCard) -> str:
    """The licence of a data set, with who states it and when that was looked up."""
    return f"{card.licence} ({card.licence_by}, looked up {card.licence_date})"


def _check_licence(card: SetCard, *, is_accepted: bool, reporter: Reporter) -> None:
    if forbids_commerce(card.licence) and not accept(
        card.licence, is_accepted=is_accepted, reporter=reporter
    ):
        raise LicenceError(
            f"the licence of {card.name} is {card.licence}, which also applies to models fitted to it. "
            f"Accept it once with `regraft data {card.name} --accept-license`, or choose another data set: "
            "`regraft data` lists all with their licences"
        )


def _by_hand(card: SetCard, data_root: str | Path | None) -> str:
    place = roots(data_root)[0]
    return f"On a machine with a network, fetch these files, and put them into {place}: {_listed(card.files)}"


def _download(card: SetCard, root: Path, reporter: Reporter) -> None:
    with reporter.phase(f"downloading {card.name} ({card.mb:,} MB)", card.mb * 1_000_000) as meter:
        for file in card.files:
            target = root / file.path
            if target.is_file():
                continue
            try:
                fetch(RemoteFile(file.url, None, None), target, meter)
            except DownloadError as error:
                raise DownloadError(
                    f"{error.with_flags}. If you have the file from elsewhere, put it at {target}; its MD5 "
                    f"is {file.md5 or 'not stated'}"
                ) from error
            _check(file, target)


def _check(file: SetFile, path: Path) -> str:
    """The MD5 of a file, which must be the stated one.

    Raises:
        DataError: it is another one.
    """
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            digest.update(chunk)
    if file.md5 is not None and digest.hexdigest() != file.md5:
        raise DataError(
            f"{path} has the MD5 {digest.hexdigest()}, but the published one is {file.md5}: it is damaged or "
            f"another version. Delete it, and fetch {file.url} again"
        )
    return digest.hexdigest()


def _lay_out(files: SetFiles, folder: Path) -> LaidOut:
    """Check the files, and write the pictures of arrays, or the table of files."""
    from filelock import FileLock

    card = files.card
    make_folder(folder.parent)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        if (folder / RECORD).is_file() and _from_record(card, folder) is not None:
            return laid_out(card.name)
        sums = {file.path: _check(file, files.path(number)) for number, file in enumerate(card.files)}
        if (folder / RECORD).is_file():
            (folder / RECORD).unlink()
        root = files.root if card.layout in TABLES else None
        with whole_folder(folder) as new:
            _fill(files, new)
            write_json(new / RECORD, _record(card, sums, root))
    return LaidOut(card, folder / TABLE if root else folder, root)


def _fill(files: SetFiles, folder: Path) -> None:
    """Write the pictures or the table of a data set.

    Raises:
        DataError: its files are not as published.
    """
    try:
        _written(files, folder)
    except StorageError:
        raise
    except Exception as error:  # a damaged file is wrong in any way
        if isinstance(error, OSError) and error.errno is not None:  # of the disk, not of the files
            raise
        raise DataError(
            f"the files of {files.card.name} in {files.root} are not as published ({words_of(error)}). "
            "Delete them, and fetch them again"
        ) from error


def _written(files: SetFiles, folder: Path) -> None:
    card = files.card
    if card.layout == "npz":
        path = files.path(0)
        write_stacks(path, stacks_in(path), folder, card.class_names)
    elif card.layout in ARRAYS:
        write_pictures(_pictures(files, folder))
    else:
        rows = [(row.path, row.label, row.side) for row in TABLES[card.layout](files)]
        if not rows:
            raise DataError(f"the files of {card.name} hold no images; delete them, and fetch them again")
        (folder / TABLE).write_bytes(csv_bytes(["path", "label", "split"], rows))


def _pictures(files: SetFiles, folder: Path) -> Iterator[tuple[Path, Array]]:
    number = 0
    for part in ARRAYS[files.card.layout](files):
        for pixels, label in zip(part.images, part.labels, strict=True):
            yield folder / (part.side or "") / class_folder(label) / f"{number:07d}.png", pixels
            number += 1


def _record(card: SetCard, sums: dict[str, str], root: Path | None) -> dict[str, Any]:
    return {
        "name": card.name,
        "title": card.title,
        "version": card.version,
        "source": [file.url for file in card.files],
        "md5": sums,
        "split": card.split or "none: test images are drawn",
        "licence": card.licence,
        "licence_stated_by": card.licence_by,
        "licence_looked_up": card.licence_date,
        "citation": card.citation,
        "images": card.images,
        "classes": card.classes,
        "root": str(root) if root else None,
        "regraft_version": VERSION,
    }
