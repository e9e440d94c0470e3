"""Every way to store more than 8 bits shows what the same picture of 8 bits shows, or is refused."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from regraft.data.findings.intensity import choose_intensity
from regraft.data.findings.picture_findings import FACTS, facts_of
from regraft.data.pictures.loading import LoadLimits, Picture, decode
from regraft.errors import ImageError
from regraft.records import Intensity

Array = npt.NDArray[Any]
TALL, WIDE = 48, 64


def picture(bands: int) -> Array:
    """A smooth picture with values from 0 to 1, `(TALL, WIDE, bands)`."""
    draws = np.random.default_rng(bands).random((6, 8, bands)).astype(np.float32)
    planes = [
        Image.fromarray(draws[..., n]).resize((WIDE, TALL), Image.Resampling.BICUBIC) for n in range(bands)
    ]
    values = np.dstack([np.asarray(plane) for plane in planes]).astype(np.float64)
    return (values - values.min()) / (values.max() - values.min())


GREY, COLOUR = picture(1)[..., 0], picture(3)


def whole(values: Array, largest: float, kind: npt.DTypeLike = np.uint16, lowest: int = 0) -> Array:
    return (np.rint(values * (largest - lowest)) + lowest).astype(kind)


def tif(values: Array, **how: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, values, **how)
    return file.getvalue()


def by_pillow(values: Array, kind: str, **how: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, kind, **how)
    return file.getvalue()


def png(values: Array, *, significant: int = 0) -> bytes:
    """A PNG file of 16 bits, grey, in colour or with opacity, as its specification describes it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))

    bands = 1 if values.ndim == 2 else values.shape[2]
    head = struct.pack(">LLBBBBB", WIDE, TALL, 16, {1: 0, 2: 4, 3: 2, 4: 6}[bands], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    stated = chunk(b"sBIT", bytes([significant] * bands)) if significant else b""
    parts = chunk(b"IHDR", head) + stated + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def planes(values: Array) -> Array:
    return np.ascontiguousarray(np.moveaxis(values, -1, 0))


WAYS: dict[str, Callable[[int], bytes]] = {
    "TIFF, grey": lambda most: tif(whole(GREY, most)),
    "TIFF, grey, big-endian": lambda most: tif(whole(GREY, most), byteorder=">"),
    "TIFF, grey, deflated": lambda most: tif(whole(GREY, most), compression="zlib", predictor=True),
    "TIFF, grey, LZW": lambda most: by_pillow(whole(GREY, most), "TIFF", compression="tiff_lzw"),
    "TIFF, grey, tiled": lambda most: tif(whole(GREY, most), tile=(16, 16)),
    "TIFF, 0 is white": lambda most: tif(most - whole(GREY, most), photometric="miniswhite"),
    "TIFF, colour": lambda most: tif(whole(COLOUR, most), photometric="rgb"),
    "TIFF, colour, big-endian": lambda most: tif(whole(COLOUR, most), photometric="rgb", byteorder=">"),
    "TIFF, colour, deflated": lambda most: tif(
        whole(COLOUR, most), photometric="rgb", compression="zlib", predictor=True
    ),
    "TIFF, colour, planes": lambda most: tif(
        planes(whole(COLOUR, most)), photometric="rgb", planarconfig="separate"
    ),
    "BigTIFF": lambda most: tif(whole(GREY, most), bigtiff=True),
    "BigTIFF, colour, deflated": lambda most: tif(
        whole(COLOUR, most), bigtiff=True, photometric="rgb", compression="zlib"
    ),
    "PNG, grey": lambda most: by_pillow(whole(GREY, most), "PNG"),
    "PNG, colour": lambda most: png(whole(COLOUR, most)),
}
OTHERS = {
    "fractions": tif(GREY.astype(np.float32)),
    "fractions, colour": tif(COLOUR.astype(np.float32), photometric="rgb"),
    "fractions, planes": tif(planes(COLOUR).astype(np.float32), photometric="rgb", planarconfig="separate"),
    "fractions, 0 is white": tif((1 - GREY).astype(np.float32), photometric="miniswhite"),
    "floating point up to 255": tif((GREY * 255).astype(np.float32)),
    "floating point below 0": tif((GREY * 3000 - 1000).astype(np.float32)),
    "half precision": tif(GREY.astype(np.float16)),
    "double precision": tif(GREY),
    "8 bits, signed": tif(whole(GREY, 127, np.int8, -128)),
    "16 bits, signed": tif(whole(GREY, 3000, np.int16, -1000)),
    "16 bits, signed, colour": tif(whole(COLOUR, 3000, np.int16, -1000), photometric="rgb"),
    "16 bits, signed, above 0": tif(whole(GREY, 4095, np.int16)),
    "32 bits, signed": tif(whole(GREY, 90_000, np.int32, -300)),
    "32 bits": tif(whole(GREY, 2**32 - 1, np.uint32)),
    "32 bits, big-endian": tif(whole(GREY, 2**32 - 1, np.uint32), byteorder=">"),
    "32 bits of which 12 are used": tif(whole(COLOUR, 4095, np.uint32), photometric="rgb"),
    "64 bits": tif(whole(GREY, 4095, np.uint64)),
    "OME, three channels": tif(
        np.stack([whole(GREY, 4095)] * 3), ome=True, photometric="minisblack", metadata={"axes": "CYX"}
    ),
    "opacity": png(np.dstack([whole(COLOUR, 4095), np.full((TALL, WIDE, 1), 65535)])),
    "grey with opacity": png(np.dstack([whole(GREY, 4095), np.full((TALL, WIDE), 65535)])),
}
FILES = OTHERS | {
    f"{name}, {bits} bits": make(2**bits - 1) for bits in (10, 12, 14, 16) for name, make in WAYS.items()
}


def ranged(*files: bytes) -> Intensity | None:
    """The range of a data set of these files."""
    facts = [facts_of(decode(file, intensity=Intensity(is_each=True))).view(FACTS) for file in files]
    return choose_intensity(np.concatenate(facts)).chosen


@pytest.mark.parametrize("name", FILES)
def test_a_picture_of_more_bits_looks_like_that_of_eight(name: str) -> None:
    seen = np.asarray(decode(FILES[name], intensity=ranged(FILES[name])).image).astype(float)
    expected = np.rint(255 * (COLOUR if np.ptp(seen, axis=2).any() else np.dstack([GREY] * 3)))
    assert np.abs(seen - expected).max() <= 1


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_a_dark_picture_stays_dark_in_the_range_of_its_data_set(bits: int) -> None:
    light, dark = (tif(whole(GREY * factor, 2**bits - 1)) for factor in (1, 0.25))
    seen = np.asarray(decode(dark, intensity=ranged(light, dark)).image)[..., 0].astype(float)
    assert np.abs(seen - np.rint(255 * 0.25 * GREY)).max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_eight_bits_are_what_pillow_reads(channels: int) -> None:
    levels = np.rint(255 * COLOUR).astype(np.uint8)
    for file in (tif(levels, photometric="rgb"), by_pillow(levels, "PNG"), by_pillow(levels, "BMP")):
        found = decode(file, channels=channels, intensity=Intensity(whole=(0, 9), real=(0, 9), is_each=True))
        assert np.array_equal(np.asarray(found.image), levels)
        assert found.extent is None


def described(file: bytes) -> Picture:
    return decode(file, intensity=Intensity(is_each=True))


def test_ome_says_how_many_bits_are_used_and_which_channels_are_left_out() -> None:
    values = np.stack([whole(GREY, 700)] * 2)
    facts = {"axes": "CYX", "SignificantBits": 12, "Channel": {"Name": ["DAPI", "GFP"]}}
    found = described(tif(values, ome=True, photometric="minisblack", metadata=facts))
    assert found.extent is not None
    assert found.extent.stated == (0, 4095)
    assert "OME-TIFF of 2 channels, one a page (DAPI, GFP): only the first is used" in found.notes[0]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ([(280, 3, 1, 100, True), (281, 3, 1, 3000, True)], (100, 3000)),
        ([(281, 3, 1, 3000, True)], (0, 3000)),
        ([(340, 11, 1, -5.5, True), (341, 11, 1, 3000.5, True)], (-5.5, 3000.5)),
        ([(280, 3, 1, 3000, True), (281, 3, 1, 100, True)], None),
        ([], None),
    ],
    ids=["whole numbers", "white alone", "floating point", "turned around", "none"],
)
def test_tags_state_the_range(tags: list[Any], expected: tuple[float, float] | None) -> None:
    found = described(tif(whole(GREY, 700), extratags=tags))
    assert found.extent is not None
    assert found.extent.stated == expected


def test_png_files_state_their_significant_bits() -> None:
    for values in (whole(GREY, 700), whole(COLOUR, 700)):
        found = described(png(values, significant=12))
        assert found.extent is not None
        assert found.extent.stated == (0, 4095)
    scaled = whole(GREY, 65535)  # as the specification wants it
    assert ranged(png(scaled, significant=12)) == Intensity(whole=(0, 65535))


def test_twelve_bits_are_read_as_they_are_packed() -> None:
    values = whole(GREY, 700)
    pairs = values.reshape(-1, 2).astype(np.uint32)
    packed = (pairs[:, 0] << 12 | pairs[:, 1]).astype(">u4").view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()
    file = bytearray(tif(np.zeros((TALL, WIDE * 3 // 2), np.uint8)))
    for old, new in ((struct.pack("<HHLL", 256, 4, 1, WIDE * 3 // 2), struct.pack("<HHLL", 256, 4, 1, WIDE)),
                     (struct.pack("<HHLL", 258, 3, 1, 8), struct.pack("<HHLL", 258, 3, 1, 12))):  # fmt: skip
        assert file.count(old) == 1
        file[:] = file.replace(old, new)
    file[-len(packed) :] = packed
    seen = np.asarray(decode(bytes(file)).image)[..., 0]
    assert np.array_equal(seen, np.rint(values / 4095 * 255))


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (tif(whole(GREY, 4095, np.uint64), compression="lzma"), "64 bits, which is not read"),
        (tif(np.zeros((8, 8), np.complex64)), "8 bytes|64 bits"),
        (tif(np.zeros((8, 8), np.uint16), photometric="cfa"), "mosaic of a camera"),
    ],
    ids=["compression", "complex numbers", "raw photo"],
)
def test_what_is_not_read_has_a_reason(file: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        decode(file)


def test_promised_pixels_are_checked_before_anything_is_decoded() -> None:
    file = bytearray(tif(np.zeros((8, 8), np.uint64)))
    for tag in (256, 257):
        place = file.index(struct.pack("<HHLL", tag, 4, 1, 8))
        file[place : place + 12] = struct.pack("<HHLL", tag, 4, 1, 100_000)
    with pytest.raises(ImageError, match="100000 x 100000 pixels"):
        decode(bytes(file))


def test_a_strip_that_holds_more_than_its_pixels_is_refused() -> None:
    small = tif(np.zeros((8, 8), np.uint64), compression="zlib")
    bomb = zlib.compress(bytes(8_000_000))
    place = small.index(struct.pack("<HHL", 279, 4, 1)) + 8
    start = struct.unpack_from("<L", small, small.index(struct.pack("<HHL", 273, 4, 1)) + 8)[0]
    file = small[:place] + struct.pack("<L", len(bomb)) + small[place + 4 : start] + bomb
    with pytest.raises(ImageError, match="strips hold more than the 512 bytes"):
        decode(file, limits=LoadLimits())


@pytest.mark.parametrize("count", [400, pytest.param(8000, marks=pytest.mark.soak)])
def test_damaged_files_are_read_or_refused(count: int) -> None:
    draws = random.Random(count)
    several, limits, read = list(FILES.values()), LoadLimits(max_megapixels=1), 0
    for _ in range(count):
        file = bytearray(draws.choice(several))
        for _ in range(draws.randint(1, 6)):
            file[draws.randrange(2, min(len(file), draws.choice((400, 10**6))))] = draws.randrange(256)
        try:
            read += decode(bytes(file), limits=limits).image.mode == "RGB"
        except ImageError:
            continue
    assert 0 < read < count
