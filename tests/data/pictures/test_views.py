from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from regraft.data.pictures.loading import LoadLimits, load_input
from regraft.data.pictures.views import ViewPolicy, decode_view, distorted
from regraft.records import InputSpec

SPEC = InputSpec(size_px=32)
KEY = "ab" * 32


def photo(width: int = 60, height: int = 48) -> bytes:
    """A picture in which every place has its own colour: red grows to the right, green downwards."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width)[None]
    pixels[..., 1] = np.linspace(0, 255, height)[:, None]
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def view(policy: ViewPolicy, number: int, key: str = KEY, data: bytes | None = None) -> np.ndarray:
    pixels = decode_view(data or photo(), SPEC, policy, number, key, LoadLimits())
    return distorted(pixels, policy, number, key)


@pytest.mark.parametrize("augment", ["none", "flip", "crop", "crop-flip", "trivial", "rand"])
def test_view_0_is_what_prediction_sees(augment: str) -> None:
    policy = ViewPolicy(augment, erasing=0.5)  # type: ignore[arg-type]
    assert np.array_equal(view(policy, 0), load_input(photo(), SPEC))


@pytest.mark.parametrize("augment", ["flip", "crop", "crop-flip", "trivial", "rand"])
def test_a_view_is_a_function_of_seed_number_and_image(augment: str) -> None:
    policy = ViewPolicy(augment, seed=3)  # type: ignore[arg-type]
    views = [view(policy, number) for number in range(1, 9)]
    again = [view(policy, number) for number in range(1, 9)]
    assert all(np.array_equal(one, other) for one, other in zip(views, again, strict=True))
    assert len({one.tobytes() for one in views}) > 1
    assert any(
        not np.array_equal(one, view(policy, number, key="cd" * 32)) for number, one in enumerate(views, 1)
    )


def test_flips_mirror_half_of_the_views() -> None:
    policy = ViewPolicy("flip")
    centre = view(policy, 0)
    views = [view(policy, number) for number in range(1, 201)]
    mirrored = [np.array_equal(one, centre[:, ::-1]) for one in views]
    assert all(m or np.array_equal(one, centre) for m, one in zip(mirrored, views, strict=True))
    assert 70 < sum(mirrored) < 130


def test_crops_keep_the_area_asked_for() -> None:
    policy = ViewPolicy("crop", min_crop=0.5)
    shares = []
    for number in range(1, 100):
        pixels = view(policy, number).astype(float)
        wide = (
            (pixels[0, -1, 0] - pixels[0, 0, 0]) / 255 * 60 / 31 * 32
        )  # pixels of the photo across the crop
        high = (pixels[-1, 0, 1] - pixels[0, 0, 1]) / 255 * 48 / 31 * 32
        shares.append(wide * high / 48**2)
    assert 0.4 < min(shares) < 0.6
    assert 0.85 < max(shares) < 1.1


def test_grey_networks_get_grey_views() -> None:
    spec = InputSpec(size_px=32, channels=1, mean=(0.5,), std=(0.5,))
    pixels = decode_view(photo(), spec, ViewPolicy("crop-flip"), 1, KEY, LoadLimits())
    assert pixels.shape == (32, 32, 1)


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (400, 1), (3, 2)], ids=str)
def test_any_shape_can_be_cropped(size: tuple[int, int]) -> None:
    for number in range(1, 6):
        assert view(ViewPolicy("crop"), number, data=photo(*size)).shape == (32, 32, 3)


def test_erasing_covers_a_rectangle() -> None:
    policy = ViewPolicy("none", erasing=1.0)
    erased = view(policy, 1) != load_input(photo(), SPEC)
    rows, columns = np.nonzero(erased.any(axis=2))
    share = (np.ptp(rows) + 1) * (np.ptp(columns) + 1) / 32**2
    assert 0.01 < share < 0.4


def test_the_global_generator_is_left_alone() -> None:
    import torch

    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    view(ViewPolicy("trivial"), 3)
    assert torch.equal(torch.rand(1), expected)
