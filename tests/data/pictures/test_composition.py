from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from regraft.data.pictures.composition import to_rgb
from regraft.data.pictures.loading import decode
from tests.corpus import encoded

LIGHT, DARK = (250, 250, 250), (60, 60, 60)


def icon(colour: tuple[int, int, int], ground: tuple[int, int, int] = (0, 0, 0)) -> Image.Image:
    """An opaque square on transparent ground."""
    image = Image.new("RGBA", (40, 40), (*ground, 0))
    ImageDraw.Draw(image).rectangle((10, 10, 29, 29), fill=(*colour, 255))
    return image


def corner(image: Image.Image) -> int:
    """The grey level of the ground."""
    return int(np.asarray(image.convert("L"))[0, 0])


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P", "RGBa", "La"])
def test_light_pictures_are_laid_over_black_in_every_mode(mode: str) -> None:
    image = icon(LIGHT)
    image = {
        "P": lambda: image.quantize(8),
        "PA": lambda: image.convert("LA").convert("PA"),
        "La": lambda: image.convert("LA").convert("La"),
    }.get(mode, lambda: image.convert(mode))()
    assert image.mode == mode
    composed = to_rgb(image)
    assert corner(composed) == 0
    assert abs(int(np.asarray(composed)[20, 20, 0]) - 250) <= 3


def test_dark_pictures_are_laid_over_white() -> None:
    assert corner(decode(encoded(icon(DARK), "PNG")).image) == 255


def test_one_light_picture_is_black_below_whatever_colour_is_invisible() -> None:
    assert corner(decode(encoded(icon(LIGHT, ground=DARK), "PNG")).image) == 0


@pytest.mark.parametrize(("dark_rows", "ground"), [(0, 0), (1, 255)])
def test_five_percent_of_darker_content_are_enough_for_white(dark_rows: int, ground: int) -> None:
    image = icon(LIGHT)
    if dark_rows:
        ImageDraw.Draw(image).rectangle((10, 10, 29, 9 + dark_rows), fill=(*DARK, 255))  # 20 of 400 pixels
    assert corner(decode(encoded(image, "PNG")).image) == ground


def test_what_is_almost_transparent_counts_little() -> None:
    image = icon(LIGHT)
    image.paste((*DARK, 10), (10, 10, 30, 12))  # 40 of 400 pixels, with 4 % of the opacity
    assert corner(decode(encoded(image, "PNG")).image) == 0


def test_a_picture_without_anything_visible_is_white() -> None:
    assert corner(decode(encoded(Image.new("RGBA", (20, 20), (9, 9, 9, 0)), "PNG")).image) == 255


def test_the_ground_is_chosen_once_for_a_large_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    image = icon(LIGHT).resize((300, 1200))
    ImageDraw.Draw(image).rectangle((0, 1000, 299, 1199), fill=(*DARK, 255))  # only in the last strips
    whole = np.asarray(to_rgb(image))
    monkeypatch.setattr("regraft.data.pictures.composition.LARGE_PIXELS", 1000)
    assert corner(to_rgb(image)) == 255
    assert np.array_equal(whole, np.asarray(to_rgb(image)))
