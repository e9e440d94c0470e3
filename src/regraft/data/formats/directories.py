"""The directories of TIFF files, which EXIF data consists of too: what they say, and what is damaged in them.

Pillow warns about damaged tags through Python's filters of warnings, which belong to the whole process: the
caller's filters would decide whether a file can be read. So the damage is found here, and Pillow receives
bytes without it.

Source: TIFF 6.0, section 2; BigTIFF as libtiff writes it; EXIF 2.32, section 4.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import TiffTags

from regraft.errors import ImageError

ORIENTATION = 274
MAX_PAGES = 1000
TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
_NUMBERS = {1: "B", 3: "H", 4: "L", 13: "L", 16: "Q"}
_SINGLE_VALUES = (1, 2, 7)  # types whose values Pillow reads as one: bytes, text, undefined
_PHOTOMETRIC = 262  # Pillow takes several values here without a warning
_POINTERS = (34665, 34853, 40965)  # tags that say where other lists of tags are: EXIF, GPS, interoperability
_DAMAGED_EXIF = "damaged EXIF data: the tags that can't be read are ignored"
_ESSENTIAL = {256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 320, 322, 323, 324, 325, 347}


@dataclass(frozen=True)
class Form:
    """How a TIFF file writes its numbers, and where its first directory begins."""

    order: str
    """`<` or `>`, as in `struct`."""
    is_big: bool
    first: int


@dataclass(frozen=True)
class Entry:
    """One tag of a directory."""

    tag: int
    type: int
    count: int
    place: int
    """Where the tag's record begins in the file."""
    start: int
    """Where its values begin: inside the record or elsewhere."""
    is_outside: bool
    """Whether the values are outside of the record."""

    @property
    def size(self) -> int:
        """Number of bytes of the values; 0 for an unknown type."""
        return self.count * TYPE_BYTES.get(self.type, 0)


@dataclass(frozen=True)
class Directory:
    """The tags of one page, as far as the file contains them."""

    place: int
    entries: tuple[Entry, ...]
    next_place: int
    """Where the next page's directory begins; 0 for none."""
    link: int
    """Where `next_place` is written."""
    is_cut: bool
    """Whether the file ends before the directory does."""

    @property
    def tags(self) -> set[int]:
        """The tags that are present."""
        return {entry.tag for entry in self.entries}

    def find(self, tag: int) -> Entry | None:
        """The first entry of a tag."""
        return next((entry for entry in self.entries if entry.tag == tag), None)


def form_of(data: bytes) -> Form | None:
    """The form of a TIFF file or of EXIF data; None if it is neither."""
    if data[:2] not in (b"II", b"MM") or not set(data[2:4]) & {42, 43}:
        return None
    order, is_big = "<" if data[:2] == b"II" else ">", data[2] == 43  # as Pillow decides it
    place, code = (8, "Q") if is_big else (4, "L")
    if len(data) < place + struct.calcsize("=" + code):
        return None
    return Form(order, is_big, struct.unpack_from(order + code, data, place)[0])


def read_directory(data: bytes, place: int, form: Form) -> Directory | None:
    """The directory at `place`; None if the file has none there."""
    head, each, count_code, link_code = (8, 20, "Q", "Q") if form.is_big else (2, 12, "H", "L")
    if place + head > len(data):
        return None
    (claimed,) = struct.unpack_from(form.order + count_code, data, place)
    count = min(claimed, (len(data) - place - head) // each)
    entries = tuple(_entry(data, place + head + each * number, form) for number in range(count))
    link = place + head + each * count
    is_cut = count < claimed or link + struct.calcsize("=" + link_code) > len(data)
    next_place = 0 if is_cut else struct.unpack_from(form.order + link_code, data, link)[0]
    return Directory(place, entries, next_place, link, is_cut)


def _entry(data: bytes, place: int, form: Form) -> Entry:
    code, room = ("HHQ", 8) if form.is_big else ("HHL", 4)
    tag, kind, count = struct.unpack_from(form.order + code, data, place)
    inside = place + 4 + room
    if count * TYPE_BYTES.get(kind, 0) <= room:
        return Entry(tag, kind, count, place, inside, False)
    (start,) = struct.unpack_from(form.order + ("Q" if form.is_big else "L"), data, inside)
    return Entry(tag, kind, count, place, start, True)


def numbers(data: bytes, entry: Entry | None, form: Form, most: int = 64) -> tuple[int, ...]:
    """The whole numbers of a tag, at most `most`; none if it has another type or lies outside of the file."""
    if entry is None or entry.type not in _NUMBERS or entry.start + entry.size > len(data):
        return ()
    code = f"{form.order}{min(entry.count, most)}{_NUMBERS[entry.type]}"
    return struct.unpack_from(code, data, entry.start)


def exif_orientation(exif: bytes) -> tuple[int | None, str | None]:
    """The orientation that EXIF data states (None if it states none), and a note if the data is damaged."""
    data = exif.removeprefix(b"Exif\0\0").removeprefix(b"Exif\0\0")
    form = form_of(data)
    directory = read_directory(data, form.first, form) if form else None
    if form is None or directory is None:
        return None, "unreadable EXIF data: the image is not rotated" if data else None
    found = numbers(data, directory.find(ORIENTATION), form)
    is_damaged = _is_damaged(data, directory) or any(_has_too_many(entry) for entry in directory.entries)
    return found[0] if found else None, _DAMAGED_EXIF if is_damaged else None


def picture_list_note(data: bytes) -> str | None:
    """A note about the list of pictures of an MPO file, which has the form of EXIF data, if it is damaged."""
    form = form_of(data)
    directory = read_directory(data, form.first, form) if form else None
    if directory is None or _is_damaged(data, directory) or not {0xB001, 0xB002} <= directory.tags:
        return "damaged list of pictures (MPO): only the first picture is used"
    return None


def _is_damaged(data: bytes, directory: Directory) -> bool:
    return directory.is_cut or any(
        entry.is_outside and entry.start + entry.size > len(data) for entry in directory.entries
    )


def repaired(data: bytes, max_pages: int = 2) -> tuple[bytes, list[str]]:
    """A TIFF file without the tags that Pillow warns about, and notes about what they were.

    Tags whose values lie outside of the file are removed; tags that have several values where one is
    defined keep the first; a chain of pages ends where the file or `max_pages` does.

    Raises:
        ImageError: what is damaged is necessary to decode the picture.
    """
    form = form_of(data)
    if form is None:
        return data, []
    return _Repair(data, form).done(max_pages)


class _Repair:
    """The changes to one file, and what was changed."""

    def __init__(self, data: bytes, form: Form) -> None:
        self._data, self._form = data, form
        self._patches: list[tuple[int, bytes]] = []
        self._removed: dict[int, None] = {}
        self._shortened: dict[int, None] = {}
        self._is_cut = False
        self._has_damaged_exif = False
        self._allowance = len(data)  # of values outside of records, for all pages: as Pillow counts

    def done(self, max_pages: int) -> tuple[bytes, list[str]]:
        place, link, seen = self._form.first, -1, set[int]()
        while place and place not in seen:
            directory = read_directory(self._data, place, self._form)
            if directory is None or len(seen) >= max_pages:
                self._is_cut |= directory is None
                self._end_chain(link)
                break
            seen.add(place)
            self._page(directory, is_first=len(seen) == 1)
            place, link = directory.next_place, directory.link
        if not self._patches:
            return self._data, self._notes()
        fixed = bytearray(self._data)
        for start, new in self._patches:
            fixed[start : start + len(new)] = new
        return bytes(fixed), self._notes()

    def _end_chain(self, link: int) -> None:
        if link < 0:
            raise ImageError("the TIFF file ends before its list of tags: it is truncated")
        self._patches.append((link, bytes(8 if self._form.is_big else 4)))

    def _page(self, directory: Directory, *, is_first: bool) -> None:
        known: set[int] = set()
        used = 0
        for entry in directory.entries:
            if entry.tag in known or not entry.size:
                continue
            if entry.is_outside and (
                entry.start + entry.size > len(self._data) or used + entry.size > self._allowance
            ):
                self._remove(entry, is_first=is_first)
                continue
            known.add(entry.tag)
            used += entry.size if entry.is_outside else 0
            if _has_too_many(entry):
                self._shorten(entry)
        self._allowance -= used
        self._has_damaged_exif |= any(self._leads_astray(directory.find(tag)) for tag in _POINTERS)
        if directory.is_cut:
            self._is_cut = True
            code, count = ("Q" if self._form.is_big else "H"), len(directory.entries)
            self._patches.append((directory.place, struct.pack(self._form.order + code, count)))
            self._end_chain(directory.link)

    def _leads_astray(self, pointer: Entry | None) -> bool:
        """Whether the list of tags that a tag points to is damaged."""
        places = numbers(self._data, pointer, self._form)
        found = read_directory(self._data, places[0], self._form) if places else None
        return pointer is not None and (found is None or _is_damaged(self._data, found))

    def _remove(self, entry: Entry, *, is_first: bool) -> None:
        if is_first and entry.tag in _ESSENTIAL:
            name = TiffTags.lookup(entry.tag).name
            raise ImageError(
                f"the values of TIFF tag {entry.tag} ({name}) lie outside of the file: it is truncated"
            )
        self._removed[entry.tag] = None
        self._patches.append((entry.place + 2, bytes(2)))  # type 0, which all readers pass over

    def _shorten(self, entry: Entry) -> None:
        self._shortened[entry.tag] = None
        code, room = ("Q", 8) if self._form.is_big else ("L", 4)
        self._patches.append((entry.place + 4, struct.pack(self._form.order + code, 1)))
        unit = TYPE_BYTES[entry.type]
        if entry.is_outside and unit <= room:
            value = self._data[entry.start : entry.start + unit].ljust(room, b"\0")
            self._patches.append((entry.place + 4 + room, value))

    def _notes(self) -> list[str]:
        notes = []
        if self._removed:
            notes.append(f"damaged TIFF data: {_tags(self._removed)} lies outside of the file and is ignored")
        if self._shortened:
            notes.append(
                f"TIFF data: {_tags(self._shortened)} has several values, of which the first is used"
            )
        if self._is_cut:
            notes.append("damaged TIFF data: the list of tags or pages is cut off")
        if self._has_damaged_exif:
            notes.append(_DAMAGED_EXIF)
        return notes


def _has_too_many(entry: Entry) -> bool:
    is_list = entry.count > 1 and entry.type not in _SINGLE_VALUES
    return is_list and entry.tag != _PHOTOMETRIC and TiffTags.lookup(entry.tag).length == 1


def _tags(tags: Sequence[int] | dict[int, None]) -> str:
    shown = [str(tag) for tag in list(tags)[:4]]
    return f"tag {', '.join(shown)}{' and others' if len(tags) > 4 else ''}"
