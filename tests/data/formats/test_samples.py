from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from regraft.data.formats.samples import Samples, extent_of, grey_levels, picture_of, usual_span
from regraft.errors import ImageError
from regraft.records import Intensity

Array = npt.NDArray[Any]
TWELVE = Intensity(whole=(0, 4095))


def samples(*values: float, kind: npt.DTypeLike = np.uint16, **how: Any) -> Samples:
    return Samples((np.array([values], dtype=kind),), **how)


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([5, 200], np.uint16, (0, 255)),
        ([5, 256], np.uint16, (0, 1023)),
        ([5, 1023], np.uint16, (0, 1023)),
        ([5, 1024], np.uint16, (0, 4095)),
        ([5, 16383], np.int32, (0, 16383)),
        ([5, 16384], np.int32, (0, 65535)),
        ([5, 70000], np.uint32, (5, 70000)),
        ([-2, 7], np.int16, (-2, 7)),
        ([0.25, np.nan, 0.5], np.float32, (0, 1)),
        ([0.25, np.inf, 99], np.float32, (0, 255)),
        ([-2, 7], np.float16, (-2, 7)),
    ],
    ids=str,
)
def test_the_usual_range_is_that_of_the_fewest_bits(
    values: list[float], kind: npt.DTypeLike, expected: tuple[float, float]
) -> None:
    extent = extent_of(samples(*values, kind=kind))
    assert (extent.black, extent.white) == expected


def test_an_extent_knows_extremes_and_points() -> None:
    values = np.arange(10_001, dtype=np.uint16).reshape(1, -1)
    values[0, -1] = 60_000  # a broken pixel
    extent = extent_of(Samples((values,)))
    assert (extent.lowest, extent.highest) == (0, 60_000)
    assert (extent.low, extent.high) == pytest.approx((10, 9990))


def test_what_a_file_states_holds_only_where_no_value_lies_outside() -> None:
    assert usual_span(3, 900, is_real=False, stated=(0, 3000)) == (0, 3000)
    assert usual_span(3, 3001, is_real=False, stated=(0, 3000)) == (0, 4095)


@pytest.mark.parametrize("kind", [np.uint16, np.int16, np.int32, np.uint32, np.float32, np.float64], ids=str)
def test_grey_levels_are_rounded_shares_of_the_range(kind: npt.DTypeLike) -> None:
    values = np.arange(0, 4200, dtype=kind).reshape(60, 70)
    extent = extent_of(Samples((values,)), Intensity(whole=(100, 4000), real=(100, 4000)))
    expected = np.clip((values.astype(float) - 100) / 3900 * 255, 0, 255).round()
    assert np.array_equal(grey_levels(values, extent), expected)


def test_where_small_values_are_white_grey_levels_are_turned_around() -> None:
    dark = extent_of(samples(0, 4095), TWELVE)
    light = extent_of(samples(0, 4095, is_inverted=True), TWELVE)
    values = np.arange(4096, dtype=np.uint16)[None]
    assert np.array_equal(grey_levels(values, light), 255 - grey_levels(values, dark))


def test_each_image_may_have_its_own_range() -> None:
    values = np.linspace(1000, 1100, 10_000).reshape(100, 100)
    extent = extent_of(Samples((values.astype(np.float32),)), Intensity(is_each=True))
    assert (extent.black, extent.white) == pytest.approx((1000.1, 1099.9), abs=1e-3)


def test_a_range_of_other_numbers_is_not_used() -> None:
    extent = extent_of(samples(0.25, 0.5, kind=np.float32), TWELVE)
    assert (extent.black, extent.white) == (0, 1)


def test_large_values_keep_their_differences() -> None:
    values = np.array([[4_000_000_000, 4_000_000_255]], dtype=np.uint32)
    assert grey_levels(values, extent_of(Samples((values,)))).tolist() == [[0, 255]]


def test_what_is_no_number_is_black_or_white() -> None:
    values = np.array([[np.nan, np.inf, -np.inf, 0.5]], dtype=np.float32)
    assert grey_levels(values, extent_of(Samples((values,)))).tolist() == [[0, 255, 0, 128]]
    with pytest.raises(ImageError, match="all pixel values are NaN or infinite"):
        extent_of(samples(np.nan, kind=np.float32))


def test_a_flat_picture_divides_by_no_zero() -> None:
    values = np.full((4, 4), -3, dtype=np.int16)
    assert not grey_levels(values, extent_of(Samples((values,)))).any()


@pytest.mark.parametrize(("bands", "mode"), [(1, "L"), (3, "RGB"), (4, "CMYK")])
def test_bands_become_a_picture(bands: int, mode: str) -> None:
    several = Samples(tuple(np.full((4, 5), 4095, np.uint16) for _ in range(bands)))
    assert picture_of(several, extent_of(several)).mode == mode


def test_opacity_stays_as_it_is() -> None:
    alpha = np.array([[9, 200]], dtype=np.uint8)
    seen = samples(0, 4095, alpha=alpha)
    picture = picture_of(seen, extent_of(seen))
    assert np.asarray(picture).tolist() == [[[0, 0, 0, 9], [255, 255, 255, 200]]]
