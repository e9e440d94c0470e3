from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from regraft.data.pictures.loading import LoadLimits, decode
from regraft.errors import ImageError
from tests.corpus import encoded
from tests.data.remarks import file_of

Values = npt.NDArray[np.generic]
HEIGHT, WIDTH = 40, 50
TYPES = {8: "u1", 16: "u2", 32: "f4"}
ONE = {8: 255, 16: 65535, 32: 1}


def values(bands: int, bits: int) -> Values:
    """Random values over the whole range."""
    shares = np.random.default_rng([bands, bits]).random((HEIGHT, WIDTH, bands))
    return (shares * ONE[bits]).astype(TYPES[bits])


def tiff(
    pixels: Values,
    *,
    is_planar: bool = False,
    rows: int = HEIGHT,
    tile_px: int | None = None,
    is_deflated: bool = False,
    has_predictor: bool = False,
    order: str = "<",
    orientation: int = 1,
) -> bytes:
    """A TIFF file of any number of bands, in any layout."""
    bands, kind = pixels.shape[2], pixels.dtype.newbyteorder(order)
    planes = [pixels[..., n : n + 1] for n in range(bands)] if is_planar else [pixels]
    blocks = []
    for plane in planes:
        for part in _tiles(plane, tile_px) if tile_px else _strips(plane, rows):
            steps = np.diff(part, axis=1, prepend=np.zeros_like(part[:, :1])) if has_predictor else part
            raw = steps.astype(kind).tobytes()
            blocks.append(zlib.compress(raw) if is_deflated else raw)
    places = (8 + np.cumsum([0, *map(len, blocks)])[:-1]).tolist()
    first, second = _longs(places, order), _longs([len(block) for block in blocks], order)
    where = [(273, 4, *first), (279, 4, *second), (278, 4, 1, rows)]
    if tile_px:
        where = [(324, 4, *first), (325, 4, *second), (322, 3, 1, tile_px), (323, 3, 1, tile_px)]
    bits = struct.pack(f"{order}{bands}H", *[pixels.dtype.itemsize * 8] * bands)
    tags = [
        (256, 4, 1, pixels.shape[1]), (257, 4, 1, pixels.shape[0]),
        (258, 3, bands, bits if bands > 2 else int.from_bytes(bits, "little" if order == "<" else "big")),
        (259, 3, 1, 8 if is_deflated else 1), (262, 3, 1, 1), (274, 3, 1, orientation), (277, 3, 1, bands),
        (284, 3, 1, 2 if is_planar else 1), (317, 3, 1, 2 if has_predictor else 1),
        (339, 3, 1, 3 if pixels.dtype.kind == "f" else 1), *where,
    ]  # fmt: skip
    return file_of(b"".join(blocks), tags, order)


def _longs(numbers: list[int], order: str) -> tuple[int, int | bytes]:
    """The count and the value of a tag of whole numbers; one alone lies in its record."""
    packed = struct.pack(f"{order}{len(numbers)}L", *numbers)
    return len(numbers), numbers[0] if len(numbers) == 1 else packed


def _strips(plane: Values, rows: int) -> list[Values]:
    return [plane[top : top + rows] for top in range(0, len(plane), rows)]


def _tiles(plane: Values, side: int) -> list[Values]:
    height, width = (-(-length // side) * side for length in plane.shape[:2])
    whole = np.zeros((height, width, plane.shape[2]), plane.dtype)
    whole[: plane.shape[0], : plane.shape[1]] = plane
    return [whole[y : y + side, x : x + side] for y in range(0, height, side) for x in range(0, width, side)]


@pytest.mark.parametrize(
    "layout",
    [
        {}, {"is_planar": True}, {"rows": 7}, {"is_planar": True, "rows": 7}, {"order": ">"},
        {"is_deflated": True}, {"is_deflated": True, "has_predictor": True},
        {"is_deflated": True, "has_predictor": True, "is_planar": True}, {"tile_px": 16},
        {"tile_px": 16, "is_planar": True, "is_deflated": True},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("bands", [2, 5, 7])
def test_all_bands_are_read_in_every_layout(bands: int, bits: int, layout: dict[str, object]) -> None:
    pixels = values(bands, bits)
    found = decode(tiff(pixels, **layout), channels=bands).bands  # type: ignore[arg-type]
    expected = pixels.astype(float) * 255 / ONE[bits]
    assert np.abs(np.stack([np.asarray(band) for band in found], axis=-1) - expected).max() <= 1


def test_bands_of_floating_point_numbers_are_read() -> None:
    pixels = values(5, 32)
    found = decode(tiff(pixels, is_deflated=True), channels=5).bands
    assert np.abs(np.stack([np.asarray(band) for band in found], axis=-1) - 255.0 * pixels).max() <= 1


def test_bands_are_turned_upright() -> None:
    pixels = values(5, 16)
    found = decode(tiff(pixels, orientation=6), channels=5).bands[4]
    expected = np.rot90(pixels[..., 4].astype(float), -1) * 255 / 65535
    assert np.abs(np.asarray(found) - expected).max() <= 1


def test_a_network_of_three_channels_gets_the_first_three_bands_and_a_note() -> None:
    pixels = values(5, 16)
    found = decode(tiff(pixels))
    assert np.abs(np.asarray(found.image) - pixels[..., :3] / 257).max() <= 1
    assert "5 bands of 16 bits" in found.notes[0]
    assert "--channels 5" in found.notes[0]


def test_another_number_of_channels_is_refused_with_bands_and_bits() -> None:
    with pytest.raises(ImageError, match=r"a TIFF of 5 bands of 16 bits; the network takes 4 channels"):
        decode(tiff(values(5, 16)), channels=4)


@pytest.mark.parametrize(("bits", "text"), [(24, "5 bands of 24 bits"), (48, "5 bands of 48 bits")])
def test_bands_that_are_not_read_are_named_with_the_way_out(bits: int, text: str) -> None:
    data = tiff(values(5, 16)).replace(struct.pack("<5H", *[16] * 5), struct.pack("<5H", *[bits] * 5))
    with pytest.raises(ImageError, match=f"{text}, which is not read; save each band as a page of its own"):
        decode(data, channels=5)


def test_three_bands_that_pillow_does_not_read_are_colours_without_a_note() -> None:
    pixels = values(3, 32)
    found = decode(tiff(pixels))
    assert np.abs(np.asarray(found.image) - 255.0 * pixels).max() <= 1
    assert not found.notes


def test_a_big_tiff_of_five_bands_is_read() -> None:
    small = {256: 9, 257: 9, 258: 16, 259: 1, 262: 1, 277: 5, 273: 16, 279: 810}
    tags = b"".join(struct.pack("<HHQQ", tag, 4, 1, value) for tag, value in sorted(small.items()))
    data = b"II+\0\x08\0\0\0" + struct.pack("<Q", 826) + bytes(810) + struct.pack("<Q", 8) + tags + bytes(8)
    assert [band.getextrema() for band in decode(data, channels=5).bands] == [(0, 0)] * 5


def test_the_limit_of_pixels_counts_for_each_band_and_for_all() -> None:
    data = tiff(values(7, 16))
    with pytest.raises(ImageError, match=r"above the limit of 0\.001"):
        decode(data, channels=7, limits=LoadLimits(max_megapixels=0.001))
    with pytest.raises(ImageError, match=r"7 bands .* the limit is 0\.01 megapixels in all"):
        decode(data, channels=7, limits=LoadLimits(max_megapixels=0.0025))


def test_pages_are_still_bands() -> None:
    pages = [Image.new("L", (9, 9), level) for level in (10, 60, 110, 160, 210)]
    data = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    found = decode(data, channels=5).bands
    assert [band.getpixel((4, 4)) for band in found] == [10, 60, 110, 160, 210]
