"""Pictures of one scene under a fixed camera: noise, light, and in some of them a scratch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

_SIDE_PX = 128


def scene(number: int) -> Image.Image:
    """One of many soft scenes; no two look alike."""
    draws = np.random.default_rng([5, number])
    pixels = draws.integers(30, 220, (9, 9, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((_SIDE_PX, _SIDE_PX), Image.Resampling.BICUBIC)


def shot(of: Image.Image, seed: tuple[int, int], *, noise: float = 6) -> Image.Image:
    """Another exposure of a scene: other light, other noise."""
    draws = np.random.default_rng(seed)
    pixels = np.asarray(of) * draws.uniform(0.92, 1.08) + draws.normal(0, noise, (_SIDE_PX, _SIDE_PX, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def scratched(image: Image.Image, seed: tuple[int, int]) -> Image.Image:
    """The picture with a white line somewhere."""
    draws = np.random.default_rng(seed)
    (x, y), angle = draws.uniform(24, 104, 2), draws.uniform(0, 3.14)
    result = image.copy()
    end = (x + 22 * np.cos(angle), y + 22 * np.sin(angle))
    ImageDraw.Draw(result).line((x, y, *end), fill=(255, 255, 255), width=3)
    return result


def inspected(scenes: int = 1) -> Callable[[int, int], Image.Image]:
    """A drawing function for `pictures.folder`: every class but the first has a scratch."""

    def draw(kind: int, number: int) -> Image.Image:
        exposure = shot(scene(number % scenes), (kind, number))
        return scratched(exposure, (kind, number)) if kind else exposure

    return draw
