"""Archives of all kinds, made here byte by byte: honest ones as programs write them, and hostile ones."""

from __future__ import annotations

import gzip
import io
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.corpus import encoded, picture

PNG = encoded(picture(16, 12), "PNG")
JPEG = encoded(picture(16, 12), "JPEG")


@dataclass(frozen=True)
class Hostile:
    """An archive made to do harm, and a part of the reason why it, or what is in it, is refused."""

    name: str
    make: Callable[[], bytes]
    reason: str


class _Raw(zipfile.ZipInfo):
    """A member whose name is written as the given bytes, without saying how they are encoded."""

    raw = b""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802  (zipfile's name)
        return self.raw, self.flag_bits & ~0x800


def _info(raw: bytes, system: int, mode: int = stat.S_IFREG | 0o644) -> _Raw:
    info = _Raw(raw.decode("latin-1"))
    info.raw, info.create_system, info.external_attr = raw, system, mode << 16
    return info


class _Pipe(io.RawIOBase):
    """A place that can only be written to, so that zipfile writes sizes after the data, as macOS does."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.parts.append(bytes(data))  # type: ignore[call-overload]
        return len(self.parts[-1])


def zip_by_windows(files: Mapping[str, bytes]) -> bytes:
    """As .NET has written it: backslashes, names in the code page of DOS, notes of the Explorer."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in {
            **files,
            "cat/Thumbs.db": b"\xd0\xcf",
            "desktop.ini": b"[.ShellClassInfo]",
        }.items():
            info = _info(name.replace("/", "\\").encode("cp437"), 0, 0)
            opened.writestr(info, data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def zip_by_macos(files: Mapping[str, bytes]) -> bytes:
    """As the Finder writes it: UTF-8 without its flag, sizes after the data, a shadow of each file."""
    out = _Pipe()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as opened:  # type: ignore[arg-type]
        for name, data in {**files, ".DS_Store": b"\0\0\0\1Bud1"}.items():
            opened.writestr(_info(name.encode(), 3), data, zipfile.ZIP_DEFLATED)
            folder, _, last = name.rpartition("/")
            shadow = f"__MACOSX/{folder}/._{last}".encode()
            opened.writestr(_info(shadow, 3), b"\0\5\x16\7" + bytes(60), zipfile.ZIP_DEFLATED)
    return b"".join(out.parts)


def zip_of(*members: tuple[str, bytes], mode: int = stat.S_IFREG | 0o644, method: int = 8) -> bytes:
    """A zip file whose names are written as they are."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as opened:
        for name, data in members:
            opened.writestr(_info(name.encode(), 3, mode), data, method)
            opened.NameToInfo.clear()  # or a name that is there twice would be a warning
    return out.getvalue()


def zip_named_twice(name: str, plain: bytes) -> bytes:
    """A file with a name in another code, and the same in Unicode after it, as WinZip writes it."""
    info = _info(plain, 0)
    field = struct.pack("<BL", 1, zlib.crc32(plain)) + name.encode()
    info.extra = struct.pack("<2H", 0x7075, len(field)) + field
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as opened:
        opened.writestr(info, PNG)
    return out.getvalue()


def tar_of(*members: tuple[str, bytes | tarfile.TarInfo], form: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar file; a member is its bytes, or a header without any."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as opened:
        for name, data in members:
            info = tarfile.TarInfo(name) if isinstance(data, bytes) else data
            info.name = name
            info.size = len(data) if isinstance(data, bytes) else info.size
            opened.addfile(info, io.BytesIO(data) if isinstance(data, bytes) else None)
    return out.getvalue()


def special(kind: bytes, target: str = "") -> tarfile.TarInfo:
    """The header of a link, a device or another special file."""
    info = tarfile.TarInfo("x.png")
    info.type, info.linkname = kind, target
    return info


def patched(data: bytes, mark: bytes, offset: int, value: bytes, *, last: bool = True) -> bytes:
    """The data with other bytes at a distance from the last place (or the first) where a mark is."""
    place = (data.rfind(mark) if last else data.find(mark)) + offset
    return data[:place] + value + data[place + len(value) :]


def _central(offset: int, value: bytes, *members: tuple[str, bytes]) -> bytes:
    return patched(zip_of(*(members or [("a/x.png", PNG)])), b"PK\1\2", offset, value)


def _two() -> list[tuple[str, bytes]]:
    return [("a/x.png", PNG), ("a/y.png", PNG)]


def _many_promised() -> bytes:
    data = zip_of(("a/x.png", bytes(1_000_000)))
    name, entry = b"a/x.png", data.rfind(b"PK\1\2")
    record = data[entry : entry + 46 + len(name)]
    start, packed, rest = data[:entry], len(data[:entry]), b""
    for number in range(1, 1500):  # each is possible by itself: about a thousand times
        one = bytearray(record)
        one[42:46] = struct.pack("<L", number * packed)
        rest += bytes(one)
    body = start * 1500
    return (
        body
        + record
        + rest
        + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1500, 1500, 1500 * len(record), len(body), 0)
    )


def _tar_header(size: bytes) -> bytes:
    header = bytearray(tar_of(("a/x.png", PNG), form=tarfile.GNU_FORMAT))
    header[124:136] = size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    return bytes(header)


def _named_long(count: int) -> bytes:
    one = tar_of(("a" * 200, PNG), form=tarfile.GNU_FORMAT)[:1024]  # the name alone, as a header and a block
    return one * count + tar_of(("a/x.png", PNG))


def _sparse() -> bytes:
    info = tarfile.TarInfo("a/x.png")
    info.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.size": "1000000",
                        "GNU.sparse.map": "0,10,500,10"}  # fmt: skip
    info.size = 20
    return tar_of(("a/x.png", info)) + bytes(1024)


def _bad_deflate() -> bytes:
    return patched(zip_of(("a/x.png", PNG)), b"a/x.png", 7, b"\xff\xff", last=False)


def _many_counted() -> bytes:
    large = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1 << 31, 0, 0)
    return b"PK\3\4" + large + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0, 0, 0)


def _noise_after() -> bytes:
    return tar_of(("a/x.png", PNG))[: 512 + -(-len(PNG) // 512) * 512] + b"no header" * 100


def _digits() -> bytes:
    info = tarfile.TarInfo("a/x.png")
    info.pax_headers = {"comment": "1" * 900_000}
    return tar_of(("a/x.png", info))


def _backwards() -> bytes:
    return _tar_header(b"\xff" * 8 + struct.pack(">l", -1024))


def _long_name() -> bytes:
    return tar_of(("a" * 2_000_000, PNG), form=tarfile.GNU_FORMAT)


HOSTILE = (
    Hostile("parent.zip", lambda: zip_of(("../x.png", PNG)), "leads out of it"),
    Hostile("deep-parent.zip", lambda: zip_of(("a/../../x.png", PNG)), "leads out of it"),
    Hostile("backslash-parent.zip", lambda: zip_of(("..\\x.png", PNG)), "leads out of it"),
    Hostile("mixed-parent.zip", lambda: zip_of(("a/..\\..\\x.png", PNG)), "leads out of it"),
    Hostile("absolute.zip", lambda: zip_of(("/etc/x.png", PNG)), "is absolute"),
    Hostile("drive.zip", lambda: zip_of(("C:\\x.png", PNG)), "is absolute"),
    Hostile("share.zip", lambda: zip_of(("\\\\host\\x.png", PNG)), "is absolute"),
    Hostile("nameless.zip", lambda: zip_of(("./.", PNG)), "no name"),
    Hostile("deep.zip", lambda: zip_of(("a/" * 70 + "x.png", PNG)), "71 folders deep"),
    Hostile("long.zip", lambda: zip_of(("a" * 5000 + ".png", PNG)), "5,004 characters"),
    Hostile("link.zip", lambda: zip_of(("x.png", b"/etc/passwd"), mode=stat.S_IFLNK | 0o777), "a link"),
    Hostile("pipe.zip", lambda: zip_of(("x.png", b""), mode=stat.S_IFIFO | 0o644), "not a regular file"),
    Hostile("device.zip", lambda: zip_of(("x.png", b""), mode=stat.S_IFCHR | 0o644), "not a regular file"),
    Hostile("encrypted.zip", lambda: _central(8, b"\1\0"), "encrypted"),
    Hostile("twice.zip", lambda: zip_of(*2 * [("a/x.png", PNG)]), "several members"),
    Hostile("bzip2.zip", lambda: zip_of(("a/x.png", PNG), method=zipfile.ZIP_BZIP2), "by bzip2"),
    Hostile("lzma.zip", lambda: zip_of(("a/x.png", PNG), method=zipfile.ZIP_LZMA), "by LZMA"),
    Hostile("promise.zip", lambda: _central(24, struct.pack("<L", 900_000_000)), "can't hold 900,000,000"),
    Hostile("promises.zip", _many_promised, "promise"),
    Hostile("overlap.zip", lambda: _central(42, bytes(4), *_two()), "over each other"),
    Hostile("beyond.zip", lambda: _central(42, struct.pack("<L", 1 << 20)), "beyond its end"),
    Hostile("cut.zip", lambda: zip_of(*_two())[:200], "damaged"),
    Hostile("head.zip", lambda: b"PK\3\4" + bytes(100), "damaged"),
    Hostile("fewer.zip", lambda: _central(24, struct.pack("<L", 10)), "more bytes than the 10"),
    Hostile("checksum.zip", lambda: _central(16, b"\0\0\0\0"), "checksum"),
    Hostile("stored.zip", lambda: _central(10, b"\0\0"), "two sizes"),
    Hostile("deflate.zip", _bad_deflate, "damaged"),
    Hostile("count.zip", _many_counted, "2,147,483,648 members"),
    Hostile("part.zip", lambda: b"PK\7\x08" + zip_of(("a/x.png", PNG)), "divided zip"),
    Hostile("parent.tar", lambda: tar_of(("../x.png", PNG)), "leads out of it"),
    Hostile("absolute.tar", lambda: tar_of(("/etc/x.png", PNG)), "is absolute"),
    Hostile("link.tar", lambda: tar_of(("x.png", special(tarfile.SYMTYPE, "/etc/passwd"))), "a link"),
    Hostile("hard-link.tar", lambda: tar_of(("x.png", special(tarfile.LNKTYPE, "/etc/passwd"))), "a link"),
    Hostile("pipe.tar", lambda: tar_of(("x.png", special(tarfile.FIFOTYPE))), "not a regular file"),
    Hostile("device.tar", lambda: tar_of(("x.png", special(tarfile.CHRTYPE))), "not a regular file"),
    Hostile("twice.tar", lambda: tar_of(*2 * [("a/x.png", PNG)]), "several members"),
    Hostile("holes.tar", _sparse, "holes"),
    Hostile("cut.tar", lambda: tar_of(("a/x.png", bytes(4000)))[:2000], "cut off"),
    Hostile("middle.tar", _noise_after, "damaged"),
    Hostile("negative.tar", _backwards, "without end|damaged"),
    Hostile("names.tar", lambda: _named_long(4000), "damaged"),
    Hostile("digits.tar", _digits, "header of digits"),
    Hostile("long-name.tar", _long_name, "header of more than"),
    Hostile("empty.tar", lambda: b"", "no archive"),
    Hostile("text.tar", lambda: b"these are no photographs\n" * 50, "damaged"),
    Hostile("cut.tar.gz", lambda: gzip.compress(tar_of(("a/x.png", PNG)))[:-40], "damaged"),
    Hostile("noise.tar.gz", lambda: b"\x1f\x8b" + bytes(range(100)), "damaged"),
    Hostile("seven.7z", lambda: b"7z\xbc\xaf\x27\x1c" + bytes(100), "a 7-Zip archive; unpack it"),
    Hostile("photos.gz", lambda: gzip.compress(tar_of(("a/x.png", PNG))), "if it is called .tar.gz"),
    Hostile("photos.rar", lambda: b"Rar!\x1a\x07\x01\x00" + bytes(100), "a RAR archive"),
)  # fmt: skip
