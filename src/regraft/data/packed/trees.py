"""The folders in archives, as if they had been unpacked: the same files in the same order."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from regraft.data.archives.places import Archive, archive_kind, open_archive
from regraft.data.pictures.side_files import side_file
from regraft.data.sources.folder_tree import Folder, Walk, no_data
from regraft.data.sources.folders import files_below
from regraft.records import SkippedFile

_Folders = dict[tuple[str, ...], Folder | None]


def tree_of(archives: Sequence[Archive], root: Path) -> tuple[Folder, Walk]:
    """The folders in archives, merged by their names, and what was set aside.

    Args:
        archives: one archive, or the shards of one.
        root: the archive's path, or the folder of the shards.
    """
    walk, tree = Walk(), Folder(root)
    folders: _Folders = {(): tree}
    for archive in archives:
        for name in archive.contents.members:
            *above, last = name.split("/")
            folder = _folder(folders, tuple(above), archive, walk)
            if folder is not None:
                walk.add_file(folder, os.path.join(archive.path, *above, last), last)
        walk.skipped += refused_in(archive, root)
    for folder in folders.values():
        if folder is not None:
            folder.files.sort(key=lambda file: (os.path.basename(file), file))
            folder.folders.sort(key=lambda one: one.name)
    return tree, walk


def _folder(folders: _Folders, parts: tuple[str, ...], archive: Archive, walk: Walk) -> Folder | None:
    """The folder of a member, made with those above it; None for one that is no data."""
    if parts in folders:
        return folders[parts]
    above = _folder(folders, parts[:-1], archive, walk)
    folder = None
    if above is not None:
        path = archive.path.joinpath(*parts)
        reason = no_data(parts[-1])
        if reason is None:
            folder = Folder(path)
            above.folders.append(folder)
        else:
            walk.set_aside.append((path, reason))
    folders[parts] = folder
    return folder


def inside_of(archive: Archive, root: Path) -> str:
    """What the paths of an archive's members begin with, relative to the root."""
    return "" if archive.path == root else f"{archive.path.relative_to(root).as_posix()}/"


def refused_in(archive: Archive, root: Path) -> list[SkippedFile]:
    """The members that are not read, with paths relative to the root; texts and notes are left out."""
    start = inside_of(archive, root)
    return [
        SkippedFile(f"{start}{file.path}", file.reason)
        for file in archive.contents.refused
        if side_file(file.path.rsplit("/", 1)[-1]) is None
    ]


def files_in(place: Path) -> Iterator[Path]:
    """The files in a folder or archive that may be images, ordered by name; none for other places.

    Raises:
        DataError: the archive can't be read.
    """
    if place.is_dir():
        yield from files_below(place)
    elif archive_kind(place) is not None:
        archive = open_archive(place)
        tree, _ = tree_of([archive], archive.path)
        yield from map(Path, tree.all_files())
