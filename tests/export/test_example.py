"""The program that is exported with a model decodes images as the loader does, to the bit."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from regraft.data.pictures.loading import decode
from regraft.export.example import decoded, main
from regraft.export.kinds import made_kinds
from regraft.records import Intensity
from tests.cases.pictures import picture
from tests.data.formats.test_deep_pictures import png, tif

SIDES = (28, 224)
"""What a small and a usual network need: some images are larger than this and some are smaller."""


def saved(image: Image.Image, kind: str = "PNG", **how: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def grey(kind: Any, factor: float, offset: float = 0.0) -> Image.Image:
    """The grey levels of a picture as other numbers."""
    levels = np.asarray(picture(0, 1).convert("L"), np.float64)
    return Image.fromarray((levels * factor + offset).astype(kind))


def with_gaps() -> Image.Image:
    values = np.asarray(grey(np.float32, 3, -50)).copy()
    values[3:5], values[7, 7], values[8, 8] = np.nan, np.inf, -np.inf
    return Image.fromarray(values)


def icon(level: int) -> Image.Image:
    image = Image.new("RGBA", (60, 60), (0, 0, 0, 0))
    image.paste((level, level, level, 255), (10, 10, 40, 40))
    return image


def turned(kind: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(picture(1, 2, (70, 40)), kind, exif=exif)


KINDS = {
    **made_kinds(3),
    **{f"{kind} on its side, {turn}": turned(kind, turn) for kind in ("PNG", "WEBP") for turn in (5, 8)},
    "12 of 16 bits": saved(grey(np.uint16, 16)),
    "16 bits, big-endian": saved(grey(np.uint16, 257), "PPM"),
    "32 bits up to 255": saved(grey(np.int32, 1), "TIFF"),
    "32 bits up to 65535": saved(grey(np.int32, 257), "TIFF"),
    "floating point up to 255": saved(grey(np.float32, 1), "TIFF"),
    "floating point with gaps": saved(with_gaps(), "TIFF"),
    "broken EXIF": saved(picture(0, 3), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12"),
    "dark icon": saved(icon(40)),
    "light grey icon": saved(icon(224)),
    "white icon": saved(icon(255)),
    "white icon in grey": saved(icon(230).convert("LA")),
    "TIFF on its side": turned("TIFF", 6),
    "one transparent colour": saved(picture(0, 4), transparency=(1, 2, 3)),
    "one transparent grey level": saved(picture(0, 5).convert("L"), transparency=90),
    "transparent GIF": saved(picture(0, 6).convert("P"), "GIF", transparency=3),
    "transparent WEBP": saved(icon(90), "WEBP"),
    "CMYK TIFF": saved(picture(0, 7).convert("CMYK"), "TIFF"),
    "long photo": saved(picture(1, 8, (3000, 700)), "JPEG"),
    "8.1 megapixels": saved(picture(1, 9, (3001, 2701)), "BMP"),
    "8.1 megapixels on their side": saved(picture(1, 9, (2701, 3001)), "TIFF"),
}


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about what the user's file says
@pytest.mark.parametrize("name", KINDS)
def test_the_example_decodes_as_the_loader_does(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(KINDS[name])
    for side in SIDES:
        expected = np.asarray(decode(KINDS[name], min_side_px=side).image)
        assert np.array_equal(decoded(str(tmp_path / "file"), 3, side), expected)
        assert np.array_equal(decoded(str(tmp_path / "file"), 1, side), expected)


RANGES = (
    Intensity(whole=(0, 4095), real=(0, 0.5)), Intensity(whole=(-300, 9000), real=(-9, 300)),
    Intensity(is_each=True),
)  # fmt: skip


@pytest.mark.parametrize("intensity", RANGES, ids=lambda one: one.text)
@pytest.mark.parametrize("name", [name for name in KINDS if "bits" in name or "floating" in name])
def test_the_range_of_the_data_set_is_used_as_the_loader_does(
    name: str, intensity: Intensity, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(KINDS[name])
    expected = np.asarray(decode(KINDS[name], min_side_px=50, intensity=intensity).image)
    assert np.array_equal(decoded(str(tmp_path / "file"), 3, 50, intensity.model_dump()), expected)


def test_what_pillow_would_cut_off_is_refused(tmp_path: Path) -> None:
    (tmp_path / "colours").write_bytes(png(np.full((48, 64, 3), 900, np.uint16)))
    with pytest.raises(ValueError, match="colours of more than 8 bits, which Pillow cuts off"):
        decoded(str(tmp_path / "colours"), 3, 50)
    (tmp_path / "inverted").write_bytes(tif(np.full((9, 9), 900, np.uint16), photometric="miniswhite"))
    with pytest.raises(ValueError, match="more than 8 bits of which 0 is white"):
        decoded(str(tmp_path / "inverted"), 3, 50)


@pytest.mark.parametrize("channels", [2, 4, 5])
def test_it_reads_other_numbers_of_channels_as_the_loader_does(channels: int, tmp_path: Path) -> None:
    files = made_kinds(channels)
    assert "grey pages of 16 bits" in files
    assert len(files) == {2: 3, 4: 4, 5: 2}[channels]
    for data in files.values():
        (tmp_path / "file").write_bytes(data)
        bands = decode(data, channels=channels).bands
        assert np.array_equal(decoded(str(tmp_path / "file"), channels, 28), np.dstack(list(bands)))


def test_it_does_nothing_before_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Exception, match=r"model\.onnx"):  # which lies next to the exported copy only
        main([])
