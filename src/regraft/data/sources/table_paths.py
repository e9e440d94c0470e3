"""The file that a path in a table means, also where it is written as on another system."""

from __future__ import annotations

import contextlib
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from regraft.data.archives.places import is_inside, names_in
from regraft.data.sources.column_names import IMAGE_ENDINGS
from regraft.storage.tables import printable, unguarded

_DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]{1,30}://", re.IGNORECASE)
_LONGEST_PATH = 4096
_MOST_FOLDERS = 200  # looked into, to suggest another root


@dataclass(frozen=True)
class Located:
    """A file that a table names."""

    path: str
    """Its path relative to the root, as it is spelled on disk."""
    how: str = ""
    """What was changed to find it, as the end of a sentence about paths; empty if nothing was."""


class _Listing:
    """The names in one folder, by what tables may write instead."""

    def __init__(self, folder: str) -> None:
        self.names: set[str] = set()
        self.alike: dict[str, list[str]] = defaultdict(list)
        self.composed: dict[str, list[str]] = defaultdict(list)
        self.stems: dict[str, list[str]] = defaultdict(list)
        for name in names_in(folder):
            self.names.add(name)
            whole = unicodedata.normalize("NFC", name)
            self.composed[whole].append(name)
            self.alike[whole.casefold()].append(name)
            stem, ending = os.path.splitext(whole)
            if ending.lower() in IMAGE_ENDINGS:
                self.stems[stem].append(name)

    def match(self, name: str, *, is_last: bool) -> tuple[list[str], str]:
        """The names that `name` may mean, and what was changed."""
        if name in self.names:
            return [name], ""
        whole = unicodedata.normalize("NFC", name)
        for found, how in (
            (self.composed.get(whole), "were found although their accents are encoded in another way"),
            (self.alike.get(whole.casefold()), "were found although their capital letters differ"),
            (self.stems.get(whole) if is_last else None, "have no extension, and were completed"),
        ):
            if found:
                return found, how
        return [], ""


class PathLookup:
    """Finds the files that a table names below a root."""

    def __init__(
        self, root: Path, encoding: str = "utf-8", fetched: Mapping[str, Located | str] | None = None
    ) -> None:
        self.base = os.path.realpath(root)
        self._roots = tuple(dict.fromkeys((os.path.abspath(root), self.base)))
        self._encoding = encoding
        self._fetched = fetched or {}
        self._elsewhere: str | None = None
        """What paths of another machine begin with, as the first one told that was found without it."""
        self._listings: dict[str, _Listing] = {}

    def find(self, cell: str) -> Located | str:
        """The file that a cell names, or the reason why there is none."""
        if len(cell) > _LONGEST_PATH:
            return f"a path of {len(cell):,} characters"
        if is_address(cell):
            refusal = "an address, not a path (download the images first, or add --fetch-urls)"
            return self._fetched.get(cell.strip(), refusal)
        is_outside = True
        fallback: Located | None = None
        for text, how in self._spellings(cell):
            relative = self._below(text)
            if relative is None:
                continue
            is_outside = False
            place = os.path.join(self.base, relative)
            if _is_file(place):
                return Located(relative, how)
            if os.path.lexists(place):
                fallback = fallback or Located(relative, how)
            found = self._walk(relative)
            if isinstance(found, str):
                return found
            if found is not None:
                return Located(found.path, how or found.how)
        if is_outside and (found := self._from_elsewhere(cell)) is not None:
            return found
        if fallback is not None:  # a folder or a broken link: the loader says so
            return fallback
        return (
            f"path outside of {printable(self.base)}"
            if is_outside
            else f"no such file below {printable(self.base)}"
        )

    def _from_elsewhere(self, cell: str) -> Located | None:
        """The file that an absolute path of another machine means: the longest end of it that is there.

        All such paths must begin alike, with what the first of them told.
        """
        bare = unguarded(cell.strip().strip("\"'"))
        text = bare.replace("\\", "/")
        is_drive = _DRIVE.match(bare) is not None
        if (
            not (is_drive or text.startswith("/"))
            or ".." in text.split("/")
            or (not is_drive and os.path.exists(text))
        ):
            return None
        if self._elsewhere is not None:
            places = [len(self._elsewhere)] if text.startswith(self._elsewhere) else []
        else:
            places = [found.end() for found in re.finditer("/+", text)]
        for place in places:
            found = self._walk(text[place:]) if text[place:] else None
            if isinstance(found, Located):
                self._elsewhere = text[:place]
                start = printable(self._elsewhere)
                return Located(
                    found.path, f"begin with {start} of another machine, and were found without it"
                )
        return None

    def tried(self, cell: str) -> str:
        """The full path at which a cell's file would be."""
        return os.path.normpath(os.path.join(self.base, cell.strip()))

    def _spellings(self, cell: str) -> Iterator[tuple[str, str]]:
        """What a cell may mean, in the order in which it is tried, with what was changed."""
        yield cell, ""
        bare = unguarded(cell.strip().strip("\"'")) if cell.strip() else cell
        if bare != cell:
            yield unguarded(cell), ""
            yield bare, "have blanks or quotation marks around them, which were removed"
        if "\\" in bare and not _DRIVE.match(bare):
            yield bare.replace("\\", "/"), "have backslashes, which were read as slashes"
        if self._encoding != "utf-8":
            with contextlib.suppress(UnicodeEncodeError):
                yield os.fsdecode(bare.replace("\\", "/").encode(self._encoding)), ""

    def _below(self, text: str) -> str | None:
        """The path relative to the root; None if it lies outside, going by its letters and by its links."""
        if _DRIVE.match(text) and os.sep == "/":
            return None
        place = os.path.abspath(os.path.join(self.base, text))
        for root in self._roots:
            if place.startswith(folder := os.path.join(root, "")):
                return place.removeprefix(folder)
        if os.path.isabs(text):
            place = os.path.join(os.path.realpath(os.path.dirname(place)), os.path.basename(place))
            if place.startswith(os.path.join(self.base, "")):
                return os.path.relpath(place, self.base)
        return None

    def _walk(self, relative: str) -> Located | str | None:
        """Follow a path name by name, where names may be spelled otherwise; text is a reason."""
        place, changes = self.base, ""
        parts = relative.split(os.sep)
        for number, part in enumerate(parts, start=1):
            if place not in self._listings:
                self._listings[place] = _Listing(place)
            found, how = self._listings[place].match(part, is_last=number == len(parts))
            if not found:
                return None
            if len(found) > 1:
                return f"several files could be it, such as {printable(found[0])} and {printable(found[1])}"
            place, changes = os.path.join(place, found[0]), changes or how
        return Located(os.path.relpath(place, self.base), changes) if _is_file(place) else None


def _is_file(place: str) -> bool:
    return os.path.isfile(place) or is_inside(place)


def is_address(cell: str) -> bool:
    """Whether a cell holds a web address instead of a path.

    >>> is_address("https://example.org/1.jpg"), is_address("C:/photos/1.jpg")
    (True, False)
    """
    return _ADDRESS.match(cell.strip()) is not None


def better_root(lookup: PathLookup, cells: Sequence[str]) -> str:
    """A suggestion of what would find the files that were not found, to be added to the reason.

    Args:
        lookup: the lookup that did not find them.
        cells: some of the paths, as the table writes them.
    """
    for cell in cells[:3]:
        text = cell.strip().replace("\\", "/")
        is_absolute = os.path.isabs(text) or _DRIVE.match(cell.strip()) is not None
        if is_absolute and os.path.exists(text):
            folders = [os.path.dirname(one.strip()) for one in cells if os.path.isabs(one.strip())]
            return f"with --root {printable(os.path.commonpath(folders))} they would be found"
        if not is_absolute:
            for root in _other_roots(lookup.base):
                if isinstance(PathLookup(Path(root)).find(text), Located):
                    return f"with --root {printable(_short(root))} they would be found"
        tail = _known_tail(lookup, text)
        if tail:
            return f"{printable(tail)} is there, so write the paths relative to it"
    return ""


def _known_tail(lookup: PathLookup, text: str) -> str | None:
    """The longest end of a path that names a file below the root; for paths that begin elsewhere."""
    parts = [part for part in text.split("/") if part not in ("", ".", "..")]
    for start in range(1, len(parts)):
        found = lookup.find("/".join(parts[start:]))
        if isinstance(found, Located):
            return found.path
    return None


def _other_roots(base: str) -> Iterable[str]:
    """Folders in which the files may be instead: the current one, those above, and those just below."""
    yield os.getcwd()
    above = base
    for _ in range(3):
        above = os.path.dirname(above)
        yield above
    below = _subfolders(base)
    yield from below
    for folder in below[:_MOST_FOLDERS]:
        yield from _subfolders(folder)[:_MOST_FOLDERS]


def _subfolders(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.path for entry in entries if entry.is_dir() and entry.name[0] != ".")[
                :_MOST_FOLDERS
            ]
    except OSError:
        return []


def _short(root: str) -> str:
    """A folder as it is typed: relative to the current one if it lies below it."""
    here = os.getcwd()
    if root == here:
        return "."
    return os.path.relpath(root, here) if root.startswith(os.path.join(here, "")) else root
