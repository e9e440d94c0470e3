"""Files whose pixels are fine, and about which Pillow warns when it opens, loads or converts them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from tests.corpus import encoded, picture

WIDTH, HEIGHT = 96, 64
UPRIGHT_SIDEWAYS = (HEIGHT, WIDTH)
SIDEWAYS = struct.pack("<HHLHxx", 274, 3, 1, 6)
"""The tag that says that a picture lies on its side."""
FAR_AWAY = struct.pack("<HHLL", 271, 2, 524_288, 60_000)
"""A tag whose 524,288 bytes would lie behind the end of the file."""
BEHIND = struct.pack("<HHLL", 271, 2, 30, 5_000)

Value = int | bytes


def exif(*records: bytes, claimed: int | None = None) -> bytes:
    """EXIF data with the given records, and 100 further bytes that values may point to (from byte 62 on)."""
    head = b"II*\0" + struct.pack("<LH", 8, claimed or len(records))
    return (head + b"".join(records)).ljust(62, b"\0") + struct.pack("<4L", 72, 1, 72, 1) + bytes(84)


def jpeg_with(marker: int, payload: bytes) -> bytes:
    """A JPEG without the JFIF segment, as cameras write it, that begins with a segment."""
    plain = encoded(picture(WIDTH, HEIGHT), "JPEG")
    (length,) = struct.unpack_from(">H", plain, 4)
    return (
        b"\xff\xd8\xff"
        + bytes([marker])
        + struct.pack(">H", len(payload) + 2)
        + payload
        + plain[4 + length :]
    )


def png_with(kind: bytes, *payloads: bytes, is_late: bool = False) -> bytes:
    """A PNG with further chunks before or after its pixels."""
    plain = encoded(picture(WIDTH, HEIGHT), "PNG")
    chunks = b"".join(
        struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))
        for data in payloads
    )
    place = len(plain) - 12 if is_late else 33
    return plain[:place] + chunks + plain[place:]


def tiff_with(*tags: tuple[int, int, int, Value]) -> bytes:
    """An uncompressed TIFF with further tags: tag, type, count, and a value, or bytes for elsewhere."""
    pixels = np.asarray(picture(WIDTH, HEIGHT)).tobytes()
    known: list[tuple[int, int, int, Value]] = [
        (256, 4, 1, WIDTH), (257, 4, 1, HEIGHT), (258, 3, 3, struct.pack("<3H", 8, 8, 8)), (259, 3, 1, 1),
        (262, 3, 1, 2), (273, 4, 1, 8), (277, 3, 1, 3), (278, 4, 1, HEIGHT), (279, 4, 1, len(pixels)),
    ]  # fmt: skip
    return file_of(pixels, [*known, *tags])


def file_of(body: bytes, tags: Sequence[tuple[int, int, int, Value]], order: str = "<") -> bytes:
    """A TIFF file: the header, a body that begins at byte 8, and a directory behind it."""
    outside, start = b"", 8 + len(body)
    records = b""
    for tag, kind, count, value in sorted(tags, key=lambda one: one[0]):
        if isinstance(value, bytes):
            place, outside = start + len(outside), outside + value
            value = place
        short = kind == 3 and count == 1
        records += struct.pack(order + ("HHLHxx" if short else "HHLL"), tag, kind, count, value)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "L", start + len(outside))
    return head + body + outside + struct.pack(order + "H", len(tags)) + records + bytes(4)


def _avif() -> bytes:
    good = exif(struct.pack("<HHLL", 271, 2, 30, 70))
    data = encoded(picture(WIDTH, HEIGHT), "AVIF", exif=b"Exif\0\0" + good)
    assert good in data
    return data.replace(good, exif(FAR_AWAY))


def remarked() -> Iterator[tuple[str, bytes, str | None]]:
    """Names, files, and a part of the note that each must get (None for none)."""
    two = struct.pack("<4L", 72, 1, 72, 1)
    yield "far.jpg", jpeg_with(0xE1, b"Exif\0\0" + exif(FAR_AWAY, SIDEWAYS)), "EXIF"
    yield "behind.jpg", jpeg_with(0xE1, b"Exif\0\0" + exif(BEHIND, SIDEWAYS)), "EXIF"
    yield "cut.jpg", jpeg_with(0xE1, b"Exif\0\0" + exif(SIDEWAYS, claimed=9)[:40]), "EXIF"
    yield "no list.jpg", jpeg_with(0xE1, b"Exif\0\0II*\0\xff\xff\xff\x7f" + bytes(9)), "unreadable EXIF"
    resolution = struct.pack("<HHLL", 282, 5, 2, 62), struct.pack("<HHLHxx", 296, 3, 1, 2)
    yield "resolutions.jpg", jpeg_with(0xE1, b"Exif\0\0" + exif(SIDEWAYS, *resolution)), "EXIF"
    yield "mpo.jpg", jpeg_with(0xE2, b"MPF\0" + exif(SIDEWAYS)), "MPO"
    yield "no frames.png", png_with(b"acTL", struct.pack(">LL", 0, 0)), "animation"
    yield "twice.png", png_with(b"acTL", *[struct.pack(">LL", 2, 0)] * 2), "animation"
    yield "late.png", png_with(b"acTL", struct.pack(">LL", 0, 0), is_late=True), "animation"
    yield "exif.png", png_with(b"eXIf", exif(FAR_AWAY, SIDEWAYS)), "EXIF"
    yield "late exif.png", png_with(b"eXIf", exif(FAR_AWAY, SIDEWAYS), is_late=True), "EXIF"
    alpha = b"\x00\x80" + b"\xff" * 14
    yield "palette.png", encoded(picture(WIDTH, HEIGHT).quantize(16), "PNG", transparency=alpha), None
    damaged = b"Exif\0\0" + exif(FAR_AWAY, SIDEWAYS)
    yield "exif.webp", encoded(picture(WIDTH, HEIGHT), "WEBP", exif=damaged, lossless=True), "EXIF"
    yield "exif.avif", _avif(), "EXIF"
    yield "two values.tif", tiff_with((282, 5, 2, two)), "tag 282"
    yield "two short values.tif", tiff_with((274, 3, 2, 6 | 6 << 16)), "tag 274"
    yield "far.tif", tiff_with((271, 2, 5_000_000, 9), (274, 3, 1, 6)), "tag 271"
    yield "behind.tif", tiff_with((271, 2, 300, 18_500), (274, 3, 1, 6)), "tag 271"
    yield "no exif.tif", tiff_with((274, 3, 1, 6), (34665, 4, 1, 5_000_000)), "EXIF"
    yield "cut.tif", tiff_with((274, 3, 1, 6))[:-2], "cut off"
    extreme = np.linspace(-3e38, 3e38, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH).astype(np.float32)
    yield "extreme.tif", encoded(Image.fromarray(extreme), "TIFF"), None
