from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from regraft.data.pictures.loading import LoadLimits
from regraft.detection.maps.canvas import Placement, canvas_for, on_canvas
from regraft.evaluation.boxes import overlaps
from regraft.records import InputSpec, Intensity

SPEC = InputSpec(size_px=64, width_px=96, interpolation="bilinear")  # never brighter than the picture


def file_of(pixels: np.ndarray, orientation: int = 1) -> bytes:
    """A PNG that shows these upright pixels, stored as the EXIF orientation says."""
    turns = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.swapaxes(0, 1),
        6: lambda p: p.swapaxes(0, 1)[::-1],
        7: lambda p: p.swapaxes(0, 1)[::-1, ::-1],
        8: lambda p: p.swapaxes(0, 1)[:, ::-1],
    }
    image, buffer = Image.fromarray(np.ascontiguousarray(turns[orientation](pixels))), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(buffer, "PNG", exif=exif)
    return buffer.getvalue()


def painted(width: int, height: int, box: np.ndarray) -> np.ndarray:
    left, top, right, bottom = box.astype(int)
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[top:bottom, left:right] = 255
    return pixels


def bounds(canvas: np.ndarray, placement: Placement) -> np.ndarray:
    """The bright rectangle: its middle is the centre of the light, its side the sum, however blurred."""
    wide, high = placement.covered
    light = canvas[:high, :wide, 0].astype(float) / 255
    edges = []
    for line in (light.max(axis=0), light.max(axis=1)):
        side, middle = line.sum(), np.average(np.arange(len(line)) + 0.5, weights=line)
        edges.append((middle - side / 2, middle + side / 2))
    (left, right), (top, bottom) = edges
    return np.array([[left, top, right, bottom]])


def draws() -> list[tuple[int, int, np.ndarray, int, bool]]:
    """Sizes of pictures, some very wide or high, with a rectangle of more than 8 pixels on the canvas."""
    generator = np.random.default_rng(0)
    found = []
    while len(found) < 200:
        width, height = (int(2 ** generator.uniform(3.5, 8)) for _ in range(2))
        left, right = np.sort(generator.integers(0, width + 1, 2))
        top, bottom = np.sort(generator.integers(0, height + 1, 2))
        box = np.array([left, top, right, bottom], float)
        shown = Placement(width, height, 96, 64).onto(box)[0]
        if (shown[2:] - shown[:2] > 8).all():
            found.append((width, height, box, int(generator.integers(1, 9)), bool(generator.integers(2))))
    return found


def test_a_painted_rectangle_lies_on_the_canvas_where_its_box_says() -> None:
    wrong = []
    for width, height, box, orientation, is_mirrored in draws():
        data = file_of(painted(width, height, box), orientation)
        canvas, placement = on_canvas(data, SPEC, is_mirrored=is_mirrored)
        assert (placement.width, placement.height) == (width, height)
        share = overlaps(bounds(canvas, placement), placement.onto(box))[0, 0]
        if share < 0.98:
            wrong.append((width, height, box.tolist(), orientation, is_mirrored, share))
    assert wrong == []


@pytest.mark.parametrize("is_mirrored", [False, True], ids=["as it is", "mirrored"])
def test_back_undoes_onto(is_mirrored: bool) -> None:
    for width, height, box, _, _ in draws():
        placement = Placement(width, height, 96, 64, is_mirrored)
        assert placement.back(placement.onto(box)) == pytest.approx(box[None])
        assert placement.onto(placement.back(placement.onto(box))) == pytest.approx(placement.onto(box))


def test_boxes_beyond_the_picture_are_clipped_on_their_way_back() -> None:
    placement = Placement(48, 64, 96, 64)  # covers the left half
    assert placement.back([[-5, -5, 96, 64]]).tolist() == [[0, 0, 48, 64]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_gives_the_same_canvas(orientation: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    upright, _ = on_canvas(file_of(pixels), SPEC)
    canvas, placement = on_canvas(file_of(pixels, orientation), SPEC)
    assert (placement.width, placement.height) == (60, 40)
    assert np.array_equal(canvas, upright)


@pytest.mark.parametrize("size", [(2000, 10), (10, 2000), (9, 9), (8, 300)], ids=str)
def test_what_a_picture_does_not_cover_is_the_networks_grey(size: tuple[int, int]) -> None:
    data = file_of(np.full((size[1], size[0], 3), 255, np.uint8))
    canvas, placement = on_canvas(data, SPEC, limits=LoadLimits())
    wide, high = placement.covered
    assert canvas.shape == (64, 96, 3)
    assert (canvas[:high, :wide] == 255).all()
    outside = np.ones((64, 96), bool)
    outside[:high, :wide] = False
    grey = np.round(255 * np.array(SPEC.mean))
    assert (canvas[outside] == grey).all()


def test_a_mirrored_picture_stays_in_the_corner() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    plain, _ = on_canvas(file_of(pixels), SPEC)
    turned, _ = on_canvas(file_of(pixels), SPEC, is_mirrored=True)
    assert np.array_equal(turned[:, :48], plain[:, :48][:, ::-1])
    assert np.array_equal(turned[:, 48:], plain[:, 48:])


def test_grey_networks_get_one_channel() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    spec = InputSpec(size_px=64, width_px=96, channels=1, mean=(0.5,), std=(0.5,))
    canvas, _ = on_canvas(file_of(pixels), spec)
    weights = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    assert canvas.shape == (64, 96, 1)
    assert np.abs(canvas[..., 0] - pixels @ weights).max() <= 1


@pytest.mark.parametrize(
    ("sizes", "longer_px", "expected"),
    [
        ([(480, 640)], None, (384, 512)),
        ([(100, 100), (640, 480), (640, 480)], None, (512, 384)),  # the median shape
        ([(10_000, 10)], None, (768, 256)),  # at most 3 : 1
        ([(10, 10_000)], 96, (64, 96)),  # at least 64 pixels
        ([(640, 480)], 96, (96, 64)),
    ],
    ids=str,
)
def test_the_canvas_has_the_usual_shape(
    sizes: list[tuple[int, int]], longer_px: int | None, expected: tuple[int, int]
) -> None:
    assert canvas_for(sizes, longer_px=longer_px) == expected


def test_pictures_of_more_bits_are_in_the_range_of_the_data_set() -> None:
    levels = np.arange(0, 120, dtype=np.uint16).reshape(10, 12)  # alone they would be of eight bits
    deep, buffer = Image.fromarray(levels * 16), io.BytesIO()
    deep.save(buffer, "PNG")
    spec = SPEC.model_copy(update={"intensity": Intensity(whole=(0, 255 * 16))})
    found, _ = on_canvas(buffer.getvalue(), spec)
    expected, _ = on_canvas(file_of(levels.astype(np.uint8)), SPEC)
    assert np.array_equal(found, expected)
