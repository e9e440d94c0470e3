from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from PIL import Image, ImageOps

from regraft.data.pictures.framing import FRAMINGS, clipped, covered, frame_of, needed_side_px
from regraft.data.pictures.loading import LoadLimits, decode, fit_input, load_input
from regraft.data.pictures.views import ViewPolicy, decode_view
from regraft.records import Framing, InputSpec
from regraft.serving.workers.inputs import framed
from tests.corpus import encoded, picture

SHAPES = [(1, 1), (1, 400), (400, 1), (3, 2), (50, 2000), (2000, 50), (60, 48), (64, 64), (301, 300)]


def spec_of(framing: Framing, **changes: object) -> InputSpec:
    return InputSpec.model_validate({"size_px": 32, "framing": framing, **changes})


@pytest.mark.parametrize(
    ("framing", "box", "size", "place"),
    [
        ("crop", (75.0, 25.0, 225.0, 175.0), (32, 32), (0, 0)),  # 3/4 of 200
        ("cover", (50.0, 0.0, 250.0, 200.0), (32, 32), (0, 0)),
        ("squeeze", (0.0, 0.0, 300.0, 200.0), (32, 32), (0, 0)),
        ("pad", (0.0, 0.0, 300.0, 200.0), (32, 21), (0, 5)),  # 32 x 200 / 300 = 21.3; 11 rows are left
    ],
)
def test_what_is_shown_and_where(
    framing: Framing, box: tuple[float, ...], size: tuple[int, int], place: tuple[int, int]
) -> None:
    frame = frame_of((300, 200), spec_of(framing, crop_share=0.75))
    assert (frame.box, frame.size, frame.place) == (box, size, place)


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("size", SHAPES, ids=str)
def test_a_frame_lies_inside_of_image_and_input(framing: Framing, size: tuple[int, int]) -> None:
    frame = frame_of(size, spec_of(framing))
    left, top, right, bottom = frame.box
    assert 0 <= left < right <= size[0]
    assert 0 <= top < bottom <= size[1]
    assert all(part >= 1 and start + part <= 32 for start, part in zip(frame.place, frame.size, strict=True))


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("size", SHAPES, ids=str)
def test_any_shape_fills_the_input(framing: Framing, size: tuple[int, int]) -> None:
    assert load_input(encoded(picture(*size), "PNG"), spec_of(framing)).shape == (32, 32, 3)


@pytest.mark.parametrize("size", [(60, 48), (48, 60), (100, 25), (25, 100), (64, 64)], ids=str)
def test_padding_is_that_of_pillow(size: tuple[int, int]) -> None:
    image = picture(*size)
    spec = spec_of("pad", mean=(0.2, 0.4, 0.6))  # 51, 102 and 153 of 255
    expected = ImageOps.pad(image, (32, 32), Image.Resampling.BICUBIC, color=(51, 102, 153))
    assert np.array_equal(fit_input(decode(encoded(image, "PNG")), spec), np.asarray(expected))


@pytest.mark.parametrize("size", [(60, 48), (48, 60), (400, 10), (5, 4)], ids=str)
def test_squeezing_is_resizing_the_whole_image(size: tuple[int, int]) -> None:
    image = picture(*size)
    expected = np.asarray(image.resize((32, 32), Image.Resampling.BICUBIC))
    assert np.array_equal(fit_input(decode(encoded(image, "PNG")), spec_of("squeeze")), expected)


def test_covering_is_a_crop_of_the_whole_shorter_side() -> None:
    data = encoded(picture(60, 48), "PNG")
    assert np.array_equal(
        load_input(data, spec_of("cover")), load_input(data, spec_of("crop", crop_share=1.0))
    )


@pytest.mark.parametrize("framing", ["cover", "squeeze", "pad"])
def test_square_images_look_alike_unless_they_are_cropped(framing: Framing) -> None:
    data = encoded(picture(96, 96), "PNG")
    assert np.array_equal(load_input(data, spec_of(framing)), load_input(data, spec_of("cover")))
    assert not np.array_equal(load_input(data, spec_of(framing)), load_input(data, spec_of("crop")))


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("size", [(2400, 1500), (3600, 600)], ids=str)
def test_a_reduced_decode_shows_the_same(framing: Framing, size: tuple[int, int]) -> None:
    data = encoded(picture(*size), "JPEG", quality=95)
    full = fit_input(decode(data), spec_of(framing)).astype(float)
    assert np.abs(load_input(data, spec_of(framing)).astype(float) - full).mean() < 2


@pytest.mark.parametrize(("framing", "side"), [("crop", 37), ("cover", 32), ("squeeze", 32), ("pad", 32)])
def test_a_decoded_image_may_be_as_small_as_what_is_shown(framing: Framing, side: int) -> None:
    assert needed_side_px(spec_of(framing)) == side  # 32 / 0.875 = 36.6


def test_four_bands_have_borders_of_their_own_means() -> None:
    data = encoded(Image.new("RGBA", (40, 20), (10, 80, 160, 240)), "PNG")
    spec = spec_of("pad", channels=4, mean=(0.0, 0.2, 0.4, 0.6), std=(1.0,) * 4)
    pixels = load_input(data, spec)
    assert pixels[0, 0].tolist() == [0, 51, 102, 153]
    assert pixels[16, 16].tolist() == [10, 80, 160, 240]


def test_the_usual_framing_leaves_cache_keys_as_they_were() -> None:
    assert "framing" not in InputSpec().model_dump()
    assert len({str(spec_of(framing).model_dump()) for framing in get_args(Framing)}) == 4


def test_the_server_shows_what_the_loader_shows() -> None:
    data = encoded(picture(60, 48), "PNG")
    for framing in FRAMINGS:
        pixels = framed(data, spec_of(framing), LoadLimits())["pixels"]
        assert np.array_equal(pixels, load_input(data, spec_of(framing)))


def test_a_window_over_the_edge_leaves_the_rest_of_the_input_free() -> None:
    """A window of 20 pixels, of which 5 lie to the left of the image: a quarter of 32 is border."""
    frame = clipped((-5.0, 0.0, 15.0, 20.0), (40, 40), spec_of("pad"))
    assert (frame.box, frame.size, frame.place) == ((0.0, 0.0, 15.0, 20.0), (24, 32), (8, 0))


@pytest.mark.parametrize("framing", FRAMINGS)
def test_view_0_is_what_the_network_sees(framing: Framing) -> None:
    data = encoded(picture(60, 48), "PNG")
    pixels = decode_view(data, spec_of(framing), ViewPolicy("crop-flip"), 0, "ab" * 32, LoadLimits())
    assert np.array_equal(pixels, load_input(data, spec_of(framing)))


def gradient(width: int, height: int) -> bytes:
    """Red grows to the right, green downwards; blue is 255."""
    pixels = np.full((height, width, 3), 255, dtype=np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width)[None]
    pixels[..., 1] = np.linspace(0, 255, height)[:, None]
    return encoded(Image.fromarray(pixels), "PNG")


def test_views_of_a_squeezed_image_are_parts_of_all_of_it() -> None:
    spec, data, shares = spec_of("squeeze"), gradient(400, 100), []
    for number in range(1, 100):
        pixels = decode_view(data, spec, ViewPolicy("crop"), number, "ab" * 32, LoadLimits()).astype(float)
        wide, high = pixels[0, -1, 0] - pixels[0, 0, 0], pixels[-1, 0, 1] - pixels[0, 0, 1]
        shares.append(wide * high / 255**2 * (32 / 31) ** 2)
    assert 0.4 < min(shares) < 0.6
    assert 0.85 < max(shares) < 1.1


@pytest.mark.parametrize("size", [(400, 100), (100, 400), (1, 400)], ids=str)
def test_views_of_a_padded_image_never_show_borders_alone(size: tuple[int, int]) -> None:
    spec = spec_of("pad", mean=(0.0, 0.0, 0.0))
    for number in range(1, 60):
        policy = ViewPolicy("crop", min_crop=0.05)
        pixels = decode_view(gradient(*size), spec, policy, number, "ab" * 32, LoadLimits())
        assert (pixels[..., 2] > 200).any()  # where the image is


def test_a_canvas_keeps_the_aspect_ratio() -> None:
    assert covered((300, 200), (32, 32)) == (32, 21)
    assert covered((1, 4000), (32, 32)) == (1, 32)
