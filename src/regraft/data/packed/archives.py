"""Images and labels from archives that stay packed: folders in them, or samples with labels."""

from __future__ import annotations

import glob
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from regraft.data.archives.places import Archive, open_archive
from regraft.data.packed.samples import from_samples
from regraft.data.packed.trees import tree_of
from regraft.data.sources.candidates import Found
from regraft.data.sources.folders import found_in
from regraft.errors import DataError, NoImagesError
from regraft.records import Finding
from regraft.settings import Layout as LayoutChoice
from regraft.storage.tables import printable

_TABLES = (".csv", ".tsv", ".parquet", ".jsonl")
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
_ENDINGS = (".tar", ".parquet")
_MOST_SHARDS = 100_000
_BRACES = re.compile(r"\{([^{}]*)\}")


def from_archive(path: Path, layout: LayoutChoice = "auto") -> Found:
    """The candidates in an archive, which stays packed; their paths are relative to the archive.

    Raises:
        DataError: the archive can't be read, or its layout is not clear.
    """
    archive = open_archive(path)
    found = _found([archive], archive.path, layout, text=archive.noun)
    return found if found.candidates else replace(found, findings=(*found.findings, *_ways_out(archive)))


def _ways_out(archive: Archive) -> list[Finding]:
    """What to do with an archive that has no class folders, but a table or another archive."""
    inner = [name for name in archive.contents.members if name.lower().endswith(_ARCHIVES)]
    if inner:
        text = f"it holds the archive {printable(inner[0])}: take it out, and give that one"
        return [Finding("note", text, tuple(inner))]
    names = [name for name in archive.contents.members if name.lower().endswith(_TABLES)]
    if not names:
        return []
    text = (
        f"it holds the table {printable(names[0])}: if the labels are in it, copy it out of the archive, and "
        f"give it with --root {shlex.quote(printable(archive.path.name))}"
    )
    return [Finding("note", text, tuple(names))]


def from_shards(files: Sequence[Path], layout: LayoutChoice = "auto") -> Found:
    """The candidates in several archives of one data set; their paths begin with the name of their archive.

    Raises:
        DataError: one of them can't be read, or the layout is not clear.
    """
    archives = [open_archive(file) for file in files]
    folders = {archive.path.parent for archive in archives}
    if len(folders) > 1:
        names = " and ".join(sorted(map(str, folders))[:2])
        raise DataError(f"the shards are in several folders, such as {names}; move them into one")
    found = _found(archives, folders.pop(), layout, text=f"{len(files):,} shards")
    return replace(found, source="+".join([archives[0].path.name, archives[-1].path.name, str(len(files))]))


def _found(archives: Sequence[Archive], root: Path, layout: LayoutChoice, *, text: str) -> Found:
    found = from_samples(archives, root) if layout == "auto" else None
    if found is None:
        tree, walk = tree_of(archives, root)
        found = found_in(tree, walk, root, layout)
    return replace(found, layout=f"{text}: {found.layout}")


def shards_of(source: Path) -> list[Path]:
    """The files that a pattern names (`shards-{000..015}.tar`, `shards/*.tar`), or the shards in a folder.

    Raises:
        NoImagesError: some of the files that braces name are not there.
    """
    text = str(source)
    if source.is_dir():
        return _shards_in(source)
    if source.exists():
        return []
    if not _BRACES.search(text):
        return [Path(path) for path in sorted(glob.glob(text))] if glob.has_magic(text) else []
    named = [Path(one) for one in _expanded(text)]
    lost = [path for path in named if not path.is_file()]
    if lost:
        raise NoImagesError(
            f"of the {len(named):,} files that {printable(text)} names, {len(lost):,} "
            f"{'is' if len(lost) == 1 else 'are'} not there, for example {printable(str(lost[0]))}"
        )
    return named


def _shards_in(folder: Path) -> list[Path]:
    """The tar or Parquet files in a folder that holds little else; none in other folders."""
    try:
        names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError:
        return []
    for ending in _ENDINGS:
        shards = [folder / name for name in names if name.lower().endswith(ending)]
        others = [folder / name for name in names if not name.lower().endswith(ending)]
        if len(others) <= len(shards) and all(shard.is_file() for shard in shards):
            return [] if any(other.is_dir() or other.suffix in _ENDINGS for other in others) else shards
    return []


def _expanded(text: str) -> Iterator[str]:
    """The texts that a pattern with braces stands for, as a shell would write them.

    >>> list(_expanded("a-{08..10}.tar")), list(_expanded("{train,val}.tar"))
    (['a-08.tar', 'a-09.tar', 'a-10.tar'], ['train.tar', 'val.tar'])
    """
    found = _BRACES.search(text)
    if found is None:
        yield text
        return
    for word in _words(found[1]):
        yield from _expanded(text[: found.start()] + word + text[found.end() :])


def _words(inside: str) -> Iterator[str]:
    numbers = re.fullmatch(r"(\d{1,9})\.\.(\d{1,9})", inside)
    if numbers is None:
        yield from inside.split(",")
        return
    first, last, width = int(numbers[1]), int(numbers[2]), len(numbers[1])
    if last - first >= _MOST_SHARDS:
        raise DataError(f"{{{inside}}} names {last - first + 1:,} files; at most {_MOST_SHARDS:,} are read")
    yield from (f"{number:0{width}d}" for number in range(first, last + 1))
