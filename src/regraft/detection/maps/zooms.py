"""Random zooms of pictures on a canvas: up to 1.6 times as large, of which a part is seen, or as small.

A zoom depends on the picture and the view alone, so its maps can be kept, as those of other views are.
"""

from __future__ import annotations

import math

from regraft.detection.maps.canvas import Window
from regraft.randomness import generator

MOST = 1.6
"""The largest zoom, and the inverse of the smallest."""


def zoom_window(width: int, height: int, key: str, view: int) -> Window:
    """The part of a picture that fills the canvas; it may reach beyond the picture.

    Args:
        width: width of the upright picture in pixels.
        height: its height.
        key: SHA-256 of the picture's file.
        view: number of the view.

    Returns:
        Left, top, right and bottom edge in pixels of the picture.

    >>> left, top, right, bottom = zoom_window(640, 480, "a", 2)
    >>> 640 / 1.61 < right - left < 640 * 1.61
    True
    """
    draws = generator(0, "zoom", key, view)
    zoom = math.exp(draws.uniform(-math.log(MOST), math.log(MOST)))
    wide, high = max(1, round(width / zoom)), max(1, round(height / zoom))
    left, top = (round(draws.random() * spare) for spare in (width - wide, height - high))
    return left, top, left + wide, top + high
