from __future__ import annotations

import contextlib
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regraft.data.pictures.loading import LoadLimits, decode, fit_input, load_input, read_file
from regraft.errors import ImageError
from regraft.records import InputSpec
from tests.corpus import Case, encoded, flipped, picture

SPEC = InputSpec(size_px=64)


@pytest.mark.slow
def test_every_file_of_the_corpus_is_used_or_refused_as_expected(corpus: tuple[Path, list[Case]]) -> None:
    folder, cases = corpus
    surprises = []
    for case in cases:
        try:
            load_input(folder / case.name, SPEC)
            outcome = None
        except ImageError as error:
            outcome = str(error)
        if (outcome is None) != (case.reason is None) or (case.reason or "") not in (outcome or ""):
            surprises.append(f"{case.name!r}: expected {case.reason!r}, got {outcome!r}")
    assert not surprises, "\n".join(surprises)


MEASURE = """
import resource, sys, time
from pathlib import Path
from regraft.data.pictures.loading import load_input
from regraft.errors import ImageError
from regraft.records import InputSpec
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
slowest = 0.0
for path in sorted(Path(sys.argv[1]).iterdir()):
    started = time.perf_counter()
    try:
        load_input(path, InputSpec(size_px=64))
    except ImageError:
        pass
    slowest = max(slowest, time.perf_counter() - started)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.children
def test_the_corpus_takes_at_most_400_megabytes(corpus: tuple[Path, list[Case]]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(corpus[0])], capture_output=True, text=True, check=True
    )
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(done.stdout) * unit < 400e6


@pytest.mark.parametrize("files", [1_500, pytest.param(100_000, marks=pytest.mark.soak)])
def test_damaged_files_end_in_an_image_or_an_image_error(files: int) -> None:
    for data in flipped(files, seed=7):
        with contextlib.suppress(ImageError):
            assert load_input(data, SPEC).shape == (64, 64, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_comes_out_upright(orientation: int) -> None:
    upright = picture(64, 48)
    undone = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = upright.transpose(undone) if undone is not None else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decode(encoded(stored, "PNG", exif=exif)).image
    assert np.array_equal(np.asarray(decoded), np.asarray(upright))


@pytest.mark.parametrize("scene", ["Landscape", "Portrait"])
def test_the_published_rotated_photos_come_out_alike(shared: Callable[[str], Path], scene: str) -> None:
    folder = shared("data/dirt_exif")
    images = [load_input(folder / f"{scene}_{n}.jpg", SPEC).astype(float) for n in range(1, 9)]
    for other in images[1:]:
        assert np.abs(other - images[0]).mean() < 6


@pytest.mark.parametrize("mode", ["16-bit PNG", "16-bit TIFF", "float TIFF", "32-bit TIFF"])
def test_a_ramp_of_many_bits_has_its_mean_in_the_middle(mode: str) -> None:
    ramp = np.linspace(0, 65535, 4096).reshape(64, 64)
    array, format_name = {
        "16-bit PNG": (ramp.astype(np.uint16), "PNG"),
        "16-bit TIFF": (ramp.astype(np.uint16), "TIFF"),
        "float TIFF": ((ramp / 65535).astype(np.float32), "TIFF"),
        "32-bit TIFF": (ramp.astype(np.int32), "TIFF"),
    }[mode]
    decoded = decode(encoded(Image.fromarray(array), format_name)).image
    assert abs(np.asarray(decoded).mean() - 127.5) < 1


def test_transparency_is_laid_over_white() -> None:
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    image.putpixel((0, 0), (100, 0, 0, 255))
    decoded = decode(encoded(image, "PNG")).image
    assert decoded.getpixel((3, 3)) == (255, 255, 255)
    assert decoded.getpixel((0, 0)) == (100, 0, 0)


def test_a_large_image_composed_in_bands_equals_one_composed_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    image = picture(700, 530).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize((700, 530)))
    whole = np.asarray(decode(encoded(image, "PNG")).image)
    monkeypatch.setattr("regraft.data.pictures.composition.LARGE_PIXELS", 1000)
    banded = np.asarray(decode(encoded(image, "PNG")).image)
    assert np.array_equal(whole, banded)


def test_the_view_equals_scaling_then_cropping() -> None:
    image = picture(200, 120)
    spec = InputSpec(size_px=56, crop_share=0.875, interpolation="bilinear")
    view = fit_input(decode(encoded(image, "PNG")), spec).astype(float)
    scaled = image.resize((107, 64), Image.Resampling.BILINEAR).crop((25, 4, 81, 60))
    assert np.abs(view - np.asarray(scaled, dtype=float)).mean() < 2


def test_a_grey_network_gets_one_channel() -> None:
    spec = InputSpec(size_px=32, channels=1, mean=(0.0,), std=(1.0,))
    assert load_input(encoded(picture(), "PNG"), spec).shape == (32, 32, 1)


@pytest.mark.parametrize("mode", ["RGBA", "CMYK"])
def test_four_channels_are_the_four_bands_as_they_are_stored(mode: str) -> None:
    colour = (10, 80, 160, 240)
    data = encoded(Image.new(mode, (40, 30), colour), "PNG" if mode == "RGBA" else "TIFF")
    pixels = load_input(data, InputSpec(size_px=16, channels=4, mean=(0.5,) * 4, std=(0.5,) * 4))
    assert pixels.shape == (16, 16, 4)
    assert pixels.reshape(-1, 4).tolist() == [list(colour)] * 256


def test_pages_of_a_tiff_are_channels_scaled_from_16_bits() -> None:
    values = [0, 65535 // 3, 65535 // 2, 65535 * 3 // 4, 65535]
    pages = [Image.fromarray(np.full((20, 20), value, np.uint16)) for value in values]
    data = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    spec = InputSpec(size_px=8, channels=5, mean=(0.5,) * 5, std=(0.5,) * 5)
    assert load_input(data, spec)[4, 4].tolist() == pytest.approx([0, 85, 127.5, 191, 255], abs=1)


def test_a_picture_of_other_bands_is_refused_with_what_it_has() -> None:
    spec = InputSpec(size_px=8, channels=4, mean=(0.5,) * 4, std=(0.5,) * 4)
    with pytest.raises(ImageError, match=r"3 bands \(RGB\) on 1 pages; the network takes 4 channels"):
        load_input(encoded(Image.new("RGB", (20, 20)), "PNG"), spec)


def test_a_reduced_decode_looks_like_the_full_one() -> None:
    data = encoded(picture(2000, 1500), "JPEG", quality=95)
    full = fit_input(decode(data), SPEC).astype(float)
    assert np.abs(load_input(data, SPEC).astype(float) - full).mean() < 2


def test_the_pixel_limit_is_a_setting() -> None:
    data = encoded(picture(200, 100), "PNG")
    with pytest.raises(ImageError, match=r"200 x 100 pixels .* above the limit of 0.01"):
        decode(data, limits=LoadLimits(max_megapixels=0.01))


def test_the_file_limit_is_checked_before_reading(tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.truncate(10 << 30)
    with pytest.raises(ImageError, match="file of 10737 MB, above the limit of 128 MB"):
        read_file(path)


def test_a_missing_file_is_an_image_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="No such file"):
        read_file(tmp_path / "gone.jpg")


def test_limits_of_the_process_are_left_alone() -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    decode(encoded(picture(), "PNG"))
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == soft
