"""Pictures of shapes on textured backgrounds with their boxes, drawn in memory: any number of them."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from regraft.detection.annotations.boxes import Box, BoxedPicture
from regraft.storage.files import sha256_of

SHAPES = ("cross", "disc", "ring", "square", "triangle")
WIDTH, HEIGHT = 320, 240
_OBJECTS, _SIDE = (2, 6), (28, 84)
_MOST_TRIES = 40


def drawn(number: int) -> tuple[BoxedPicture, bytes]:
    """The picture of a number, and its file.

    Every picture has two to six shapes, which hardly overlap. The background and each shape have two colours
    of their own, mixed by smoothed noise: colours say nothing of the class, and a shape is not one segment.

    >>> picture, file = drawn(7)
    >>> (picture.width, picture.height), 2 <= len(picture.boxes) <= 6, file[1:4]
    ((320, 240), True, b'PNG')
    """
    generator = np.random.default_rng([2014, number])
    image, boxes = Image.fromarray(_texture(generator, (3, 8, 24))), list[Box]()
    for _ in range(int(generator.integers(_OBJECTS[0], _OBJECTS[1] + 1))):
        place = _place(generator, boxes)
        if place is None:
            continue
        label = SHAPES[int(generator.integers(len(SHAPES)))]
        mask = Image.new("L", (WIDTH, HEIGHT))
        _draw(ImageDraw.Draw(mask), label, place)
        image.paste(Image.fromarray(_texture(generator, (12, 32))), mask=mask)
        left, top, side = place
        boxes.append(Box(label, left, top, left + side, top + side))
    content = _png(_with_grain(image, generator))
    return BoxedPicture(f"{number:05d}.png", sha256_of(content), WIDTH, HEIGHT, None, tuple(boxes)), content


def _texture(generator: np.random.Generator, scales: Sequence[int]) -> npt.NDArray[np.uint8]:
    """Two colours, mixed by noise of several scales, `(H, W, 3)`."""
    mix = np.zeros((HEIGHT, WIDTH))
    for cells in scales:
        small = generator.uniform(size=(cells * HEIGHT // WIDTH + 1, cells))
        noise = Image.fromarray((255 * small).astype(np.uint8))
        mix += np.asarray(noise.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)) / 255 / len(scales)
    first, second = generator.uniform(20, 235, (2, 3))
    colours: npt.NDArray[np.float64] = first + (second - first) * mix[..., None]
    return np.clip(colours, 0, 255).astype(np.uint8)


def _place(generator: np.random.Generator, boxes: list[Box]) -> tuple[int, int, int] | None:
    """Left, top and side of a square that hardly overlaps the others; None if none was found."""
    for _ in range(_MOST_TRIES):
        side = int(generator.integers(*_SIDE))
        left, top = int(generator.integers(0, WIDTH - side)), int(generator.integers(0, HEIGHT - side))
        is_free = all(
            min(left + side, one.x_max) - max(left, one.x_min) < 0.1 * side
            or min(top + side, one.y_max) - max(top, one.y_min) < 0.1 * side
            for one in boxes
        )
        if is_free:
            return left, top, side
    return None


def _draw(draw: ImageDraw.ImageDraw, label: str, place: tuple[int, int, int]) -> None:
    left, top, side = place
    right, bottom, third = left + side - 1, top + side - 1, side // 3
    if label == "disc":
        draw.ellipse((left, top, right, bottom), fill=255)
    elif label == "ring":
        draw.ellipse((left, top, right, bottom), outline=255, width=max(4, side // 6))
    elif label == "square":
        draw.rectangle((left, top, right, bottom), fill=255)
    elif label == "triangle":
        draw.polygon([(left + side // 2, top), (right, bottom), (left, bottom)], fill=255)
    else:
        draw.rectangle((left + third, top, right - third, bottom), fill=255)
        draw.rectangle((left, top + third, right, bottom - third), fill=255)


def _with_grain(image: Image.Image, generator: np.random.Generator) -> Image.Image:
    values = np.asarray(image) + generator.normal(0, 9, (HEIGHT, WIDTH, 1))
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
