from __future__ import annotations

import io
import subprocess
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile, TiffImagePlugin

from regraft.data.formats.directories import TYPE_BYTES
from regraft.data.pictures.loading import LoadLimits, decode
from regraft.errors import ImageError
from tests.corpus import encoded, flipped, picture
from tests.data.remarks import UPRIGHT_SIDEWAYS, file_of, remarked

REMARKED = {name: (data, note) for name, data, note in remarked()}
SIDEWAYS = [
    "far.jpg", "behind.jpg", "cut.jpg", "resolutions.jpg", "exif.png", "late exif.png", "exif.webp",
    "two short values.tif", "far.tif", "behind.tif", "no exif.tif", "cut.tif",
]  # fmt: skip


def outcome(data: bytes) -> tuple[object, ...]:
    """Everything that a caller receives: pixels and notes, or the reason for refusing the file."""
    try:
        decoded = decode(data)
    except ImageError as error:
        return (str(error),)
    return decoded.image.size, decoded.image.tobytes(), decoded.notes


def under(action: str, function: Callable[[], object]) -> tuple[object, list[str]]:
    """What a function returns under a caller's filter, and the warnings that it gave."""
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter(action)  # type: ignore[arg-type]
        result = function()
    return result, [str(one.message) for one in given]


def opened_by_pillow(data: bytes) -> None:
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
        image.getexif().get(274)
        image.convert("RGB")
    except (OSError, ValueError):
        warnings.warn("Pillow refuses the file", stacklevel=1)


@pytest.mark.parametrize("name", [name for name in REMARKED if name not in ("extreme.tif", "cut.tif")])
def test_pillow_itself_warns_about_the_files_of_these_tests(name: str) -> None:
    assert under("always", lambda: opened_by_pillow(REMARKED[name][0]))[1]


@pytest.mark.parametrize("name", REMARKED)
def test_pixels_and_notes_are_the_same_whatever_the_callers_filters_are(name: str) -> None:
    data = REMARKED[name][0]
    found = [under(action, lambda: outcome(data)) for action in ("ignore", "default", "error", "always")]
    assert [given for _, given in found] == [[]] * 4
    assert len({result for result, _ in found}) == 1


@pytest.mark.parametrize("name", REMARKED)
def test_a_remark_about_good_pixels_is_a_note(name: str) -> None:
    data, note = REMARKED[name]
    notes = decode(data).notes
    assert not notes if note is None else any(note in one for one in notes)


@pytest.mark.parametrize("name", SIDEWAYS)
def test_the_orientation_is_obeyed_although_another_tag_is_damaged(name: str) -> None:
    assert decode(REMARKED[name][0]).image.size == UPRIGHT_SIDEWAYS


@pytest.mark.parametrize("action", ["ignore", "error"])
def test_threads_agree_under_any_filter(action: str) -> None:
    files = [data for data, _ in REMARKED.values()] * 4
    expected = [outcome(data) for data in files]

    def together() -> list[tuple[object, ...]]:
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(outcome, files))

    assert under(action, together) == (expected, [])


def test_damaged_files_never_let_pillow_warn() -> None:
    for data in flipped(1_500, seed=11):
        strict, _ = under("error", lambda: outcome(data))  # noqa: B023 (called at once)
        lenient, given = under("always", lambda: outcome(data))  # noqa: B023
        assert (strict, given) == (lenient, [])


SETTINGS = """
import sys, warnings
import numpy, PIL.Image, PIL.ImageFile, PIL.WebPImagePlugin
def settings():
    return (list(warnings.filters), warnings.showwarning, PIL.Image.MAX_IMAGE_PIXELS,
            PIL.ImageFile.LOAD_TRUNCATED_IMAGES, numpy.geterr())
before = settings()
from regraft.data.pictures.loading import decode
from regraft.data.findings.scan import scan
from regraft.data.images import find_images
scan(find_images(sys.argv[1]))
sys.exit(before != settings())
"""


@pytest.mark.children
@pytest.mark.usefixtures("own_cache")
def test_a_scan_leaves_the_settings_of_the_process_alone(photos: Path) -> None:
    done = subprocess.run([sys.executable, "-c", SETTINGS, str(photos)], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "BMP", "GIF", "TIFF", "AVIF", "PPM"])
def test_pillows_limit_of_pixels_does_not_count(format_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    several = {"save_all": True, "append_images": [picture()], "disposal": 2} if format_name == "GIF" else {}
    data = encoded(picture(), format_name, **several)
    expected = outcome(data)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert outcome(data) == expected
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(data)).load()


def test_pillows_limit_of_pixels_is_named_where_it_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ImageError, match=r"twice Pillow's own limit .*MAX_IMAGE_PIXELS = 100.* for WEBP"):
        decode(encoded(picture(), "WEBP"))


def test_more_pixels_than_pillow_allows_are_read_if_the_limit_is_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    decoded = decode(encoded(picture(400, 300), "TIFF", compression="tiff_lzw"), limits=LoadLimits(0.2))
    assert decoded.image.size == (400, 300)


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_a_tiff_is_turned_upright_once(compression: str | None) -> None:
    exif = Image.Exif()
    exif[274] = 6
    data = encoded(picture(40, 30), "TIFF", exif=exif, compression=compression)
    expected = picture(40, 30).transpose(Image.Transpose.ROTATE_270)
    assert np.array_equal(np.asarray(decode(data).image), np.asarray(expected))


def test_the_first_picture_of_several_in_a_jpeg_is_used() -> None:
    data = encoded(picture(), "MPO", save_all=True, append_images=[Image.new("RGB", (64, 48))])
    assert np.abs(np.asarray(decode(data).image).astype(int) - np.asarray(picture())).mean() < 5


def test_a_gif_whose_first_frame_is_larger_than_its_screen_is_read_whole() -> None:
    data = bytearray(encoded(picture().quantize(16), "GIF"))
    data[6:10] = b"\x05\0\x05\0"
    assert decode(bytes(data)).image.size == (64, 48)


def test_a_tiff_without_its_pixels_is_refused_with_the_reason() -> None:
    tags = [(256, 4, 1, 9), (257, 4, 1, 9), (273, 4, 900, 9_999), (279, 4, 1, 81)]
    with pytest.raises(ImageError, match=r"tag 273 \(StripOffsets\) lie outside of the file"):
        decode(file_of(bytes(81), tags))


def test_types_of_tags_are_those_of_pillow() -> None:
    known = TiffImagePlugin.ImageFileDirectory_v2._load_dispatch
    assert {kind: size for kind, (size, _) in known.items()} == TYPE_BYTES


def test_incomplete_files_are_refused_unless_the_program_asks_pillow_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = encoded(picture(300, 200), "JPEG")
    with pytest.raises(ImageError, match="truncated"):
        decode(data[: len(data) // 2])
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert decode(data[: len(data) // 2]).image.size == (300, 200)
