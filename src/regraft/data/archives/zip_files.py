"""Zip files: their directory, and the bytes of one member, with what bombs are made of refused.

Only what all programs write is read: members that are stored or deflated. Windows and macOS write names in
ways of their own, which are undone. Source: APPNOTE.TXT 6.3.10, sections 4.3 and 4.4 (PKWARE).
"""

from __future__ import annotations

import itertools
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO, cast

from regraft.data.archives.members import MOST_MEMBERS, Bounded, Contents, Member, collected
from regraft.errors import DataError, ImageError, words_of

_DIRECTORY_MB = 512
_STORED, _DEFLATED = 0, 8
_METHODS = {9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "xz", 98: "PPMd", 99: "AES"}
_MOST_TIMES = 200  # photographs are packed to about the same size, drawings as BMP to a fiftieth
_SMALL_BYTES = 1_000_000_000
_DEFLATE_TIMES = 1032  # more than this, deflate can't do
_ENTRY, _LEAST_ENTRY = b"PK\1\2", 46
_HEADER = struct.Struct("<4s5H3L2H")
_UNICODE_NAME = 0x7075
_UTF8, _ENCRYPTED, _STRONGLY = 0x800, 0x1, 0x40


def zip_contents(file: BinaryIO, size: int) -> Contents:
    """The members of a zip file.

    Args:
        file: the open file.
        size: its number of bytes.

    Raises:
        DataError: it is damaged, or made to do harm; the message is the reason.
    """
    _check_count(file, size)
    try:
        bounded = Bounded(file, _DIRECTORY_MB << 20, _check_entries)
        with zipfile.ZipFile(cast("BinaryIO", bounded)) as opened:
            infos = opened.infolist()
    except DataError:
        raise
    except Exception as error:  # zipfile raises many kinds for damaged directories
        raise DataError(_reason(error)) from error
    _check_sizes(infos, size)
    return collected(_entries(infos))


def _reason(error: Exception) -> str:
    text = words_of(error)
    if "multi" in text.lower() and "disk" in text.lower():
        return f"a part of a divided archive ({text}); join the parts first, for example with `zip -s 0`"
    return f"damaged: {text}. Download or copy it again"


def _check_count(file: BinaryIO, size: int) -> None:
    """Refuse a directory of too many members before it is read."""
    file.seek(max(0, size - 65_557))
    end = file.read()
    place = end.rfind(b"PK\5\6")
    count = struct.unpack_from("<H", end, place + 10)[0] if 0 <= place <= len(end) - 22 else 0
    large = end.rfind(b"PK\6\6")
    if count == 0xFFFF and 0 <= large <= len(end) - 56:
        count = struct.unpack_from("<Q", end, large + 32)[0]
    if count > MOST_MEMBERS:
        raise _too_many(count)


def _too_many(count: int) -> DataError:
    return DataError(
        f"{count:,} members; at most {MOST_MEMBERS:,} are read: divide it into several archives, or unpack it"
    )


def _check_entries(data: bytes) -> None:
    """Refuse a directory with more entries than are read, whatever number the archive states.

    Raises:
        DataError: there are too many.
    """
    if len(data) > MOST_MEMBERS * _LEAST_ENTRY and (count := data.count(_ENTRY)) > MOST_MEMBERS:
        raise _too_many(count)


def _check_sizes(infos: Sequence[zipfile.ZipInfo], size: int) -> None:
    """Refuse a file whose members lie over each other, or promise far more bytes than it has.

    Raises:
        DataError: says which, with the figures.
    """
    spans = sorted((info.header_offset, _least_end(info)) for info in infos)
    is_over = any(stop > start for (_, stop), (start, _) in itertools.pairwise(spans))
    if spans and (spans[0][0] < 0 or is_over or max(stop for _, stop in spans) > size):
        raise DataError("members lie over each other or beyond its end, as in archives made to fill a disk")
    promised = sum(info.file_size for info in infos)
    if promised > _SMALL_BYTES + _MOST_TIMES * size:
        raise DataError(
            f"{size / 1e6:,.1f} MB that promise {promised / 1e6:,.0f} MB; more than {_MOST_TIMES} times as "
            "many are refused. If it is honest, unpack it and give the folder"
        )


def _least_end(info: zipfile.ZipInfo) -> int:
    return info.header_offset + _HEADER.size + len(_raw_name(info)) + info.compress_size


def _entries(infos: Sequence[zipfile.ZipInfo]) -> Iterator[tuple[str, Member | str]]:
    for info in infos:
        name = _name(info)
        if not name.endswith("/"):
            yield name, _refusal(info) or _member(info)


def _member(info: zipfile.ZipInfo) -> Member:
    packed = info.compress_size if info.compress_type == _DEFLATED else None
    return Member(info.header_offset, info.file_size, packed, info.CRC)


def _refusal(info: zipfile.ZipInfo) -> str | None:
    """Why a member is not read; None if it is."""
    if info.flag_bits & (_ENCRYPTED | _STRONGLY):
        return "encrypted in the archive; unpack it with its password, and give the folder"
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "a link in the archive" if kind == stat.S_IFLNK else "not a regular file in the archive"
    if info.compress_type not in (_STORED, _DEFLATED):
        method = _METHODS.get(info.compress_type, f"method {info.compress_type}")
        return f"compressed in the archive by {method}; unpack it, or make a zip file by Deflate"
    if info.compress_type == _STORED and info.compress_size != info.file_size:
        return "damaged: the archive states two sizes for it"
    if info.compress_type == _DEFLATED and not _is_possible(info.compress_size, info.file_size):
        return f"damaged: {info.compress_size:,} bytes of the archive can't hold {info.file_size:,}"
    return None


def _is_possible(packed: int, size: int) -> bool:
    return size <= _DEFLATE_TIMES * packed and packed <= size + size // 1000 + 1024


def _raw_name(info: zipfile.ZipInfo) -> bytes:
    encoding = "utf-8" if info.flag_bits & _UTF8 else "cp437"
    return info.orig_filename.encode(encoding, "surrogateescape")


def _name(info: zipfile.ZipInfo) -> str:
    """A member's name: macOS writes UTF-8 without saying so, and Windows has written backslashes."""
    name = info.orig_filename
    if not info.flag_bits & _UTF8:
        raw = _raw_name(info)
        try:
            name = _stated_name(info.extra, raw) or raw.decode("utf-8")
        except UnicodeDecodeError:  # the code page of DOS, which zipfile assumes too
            name = raw.decode("cp437")
    return name.replace("\\", "/") if not name.startswith("\\") else name


def _stated_name(extra: bytes, raw: bytes) -> str | None:
    """The name in UTF-8 that some programs add to one in another code (APPNOTE.TXT 4.6.9).

    Raises:
        UnicodeDecodeError: it is not UTF-8.
    """
    place = 0
    while place + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, place)
        field = extra[place + 4 : place + 4 + size]
        if kind == _UNICODE_NAME and field[:5] == struct.pack("<BL", 1, zlib.crc32(raw)):
            return field[5:].decode("utf-8")
        place += 4 + size
    return None


def read_zip_member(file: BinaryIO, member: Member, most: int | None = None) -> bytes:
    """The bytes of a member, or as many as `most` of its first bytes.

    Raises:
        ImageError: it is damaged, or holds something else than the directory says.
    """
    file.seek(member.start)
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size or header[:4] != b"PK\3\4":
        raise ImageError("damaged in the archive: it is not where the archive's directory says")
    fields = _HEADER.unpack(header)
    file.seek(fields[-2] + fields[-1], 1)
    wanted = member.size if most is None else min(most, member.size)
    is_part = wanted < member.size
    if member.packed is None:
        return _whole(file.read(wanted), member, is_part=is_part)
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    packed = file.read(min(member.packed, 65_536) if is_part else member.packed)
    try:
        data = unpacker.decompress(packed, wanted if is_part else member.size + 1)
    except zlib.error as error:
        raise ImageError(f"damaged in the archive: {error}") from error
    return _whole(data, member, is_part=is_part)


def _whole(data: bytes, member: Member, *, is_part: bool) -> bytes:
    """The data, if it is what the directory promises."""
    if is_part:
        return data
    if len(data) != member.size:
        more = "more" if len(data) > member.size else "fewer"
        raise ImageError(f"damaged in the archive: {more} bytes than the {member.size:,} that it states")
    if member.checksum is not None and zlib.crc32(data) != member.checksum:
        raise ImageError("damaged in the archive: its checksum is another one")
    return data
