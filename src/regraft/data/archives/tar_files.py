"""Tar files: a list of members, each a range of bytes, so any of them can be read without the others."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import BinaryIO, cast

from regraft.data.archives.members import Bounded, Contents, Member, collected
from regraft.errors import DataError, ImageError, words_of
from regraft.records import SkippedFile

_LONGEST_HEADER = 1 << 20  # names of a megabyte are none
_BLOCK = 512
_DIGITS = bytes(ord("0") if ord("0") <= code <= ord("9") else ord(" ") for code in range(256))
_MANY_DIGITS = b"0" * 300


def tar_contents(file: BinaryIO, size: int) -> Contents:
    """The members of a tar file; where it is cut off or damaged, those before, and a reason.

    Args:
        file: the open file.
        size: its number of bytes.

    Raises:
        DataError: it is no tar file, or made to do harm; the message is the reason.
    """
    broken: list[str] = []
    try:
        bounded = Bounded(file, _LONGEST_HEADER, _check_header)
        with tarfile.open(fileobj=cast("BinaryIO", bounded), mode="r:") as opened:
            found = collected(_entries(opened, size, broken))
            if not broken and not _ends(file, opened.offset):
                broken.append("the rest of the archive is damaged")
    except DataError:
        raise
    except Exception as error:  # tarfile raises many kinds for damaged headers
        raise DataError(f"damaged: {words_of(error)}. Download or copy it again") from error
    last = next(reversed(found.members), "its beginning")
    lost = tuple(SkippedFile(f"all after {last}", f"{reason}; copy it again") for reason in broken)
    return Contents(found.members, (*found.refused, *lost))


def _check_header(data: bytes) -> None:
    """Refuse digits without end, for which tarfile of Python before 3.11.10 takes time without end.

    Source: CVE-2024-6232. 10,000 digits take it 0.3 s, and ten times as many a hundred times as long.

    Raises:
        DataError: there are more digits in a row than any number or name has.
    """
    if len(data) > _BLOCK and _MANY_DIGITS in data.translate(_DIGITS):
        raise DataError("a header of digits, as in archives made to be read without end")


def _ends(file: BinaryIO, place: int) -> bool:
    """Whether a tar file ends at a place: with zeros, or with nothing more."""
    file.seek(place)
    return not file.read(_BLOCK).strip(b"\0")


def _entries(opened: tarfile.TarFile, size: int, broken: list[str]) -> Iterator[tuple[str, Member | str]]:
    last = -1
    while True:
        try:
            info = opened.next()
        except tarfile.TarError as error:
            if last < 0:
                raise
            broken.append(f"the archive is cut off ({words_of(error)})")
            return
        if info is None:
            return
        opened.members = []  # type: ignore[attr-defined]  # or they would be kept, a kilobyte each
        if info.offset <= last or info.size < 0 or info.offset_data < info.offset:
            raise DataError(
                "a member begins before the one before it, as in archives made to be read without end"
            )
        last = info.offset
        if not info.isdir():
            yield info.name, _refusal(info, size) or Member(info.offset_data, info.size)


def _refusal(info: tarfile.TarInfo, size: int) -> str | None:
    """Why a member is not read; None if it is."""
    if info.issym() or info.islnk():
        return "a link in the archive"
    if info.issparse():
        return "a file with holes in the archive; unpack it, and give the folder"
    if not info.isreg():
        return "not a regular file in the archive"
    return "the archive is cut off in it" if info.offset_data + info.size > size else None


def read_tar_member(file: BinaryIO, member: Member, most: int | None = None) -> bytes:
    """The bytes of a member, or as many as `most` of its first bytes.

    Raises:
        ImageError: the file is shorter than it was.
    """
    wanted = member.size if most is None else min(most, member.size)
    file.seek(member.start)
    data = file.read(wanted)
    if len(data) < wanted:
        raise ImageError("the archive has become shorter while it was read")
    return data
