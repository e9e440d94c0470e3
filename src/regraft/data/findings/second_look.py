"""A second look at pairs that look alike in small: is the difference spread evenly, or is it in one place?

A copy that was compressed, resized or brightened differs everywhere a little, and most where it has fine
detail. A second picture of the same scene with another object, or with a scratch, differs in one place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[Any]

LOOK_PX = 64
_BLOCK_PX = 8
_LOCAL = (
    6.0  # how much larger than expected the largest difference of a block is; the figures are in docs/log.md
)
_DETAIL = 0.1  # share of a block's detail that copies may differ by
_NOISE = 0.003  # variance of the difference that says nothing, as a share of the picture's own variance
_CHUNK = 512


def differ_in_one_place(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Which pairs of pictures differ in one place, apart from brightness and contrast; `(M,)`.

    The squared difference of each block of 8 x 8 pixels is compared with the mean over all blocks and with
    the detail that both pictures have in the block, since resampling and compression change detail.

    Args:
        one: grey pictures of 64 x 64 pixels, `(M, 4096) uint8`.
        other: the pictures that they are compared with, of the same shape.
    """
    parts = [
        _peaks(one[start : start + _CHUNK], other[start : start + _CHUNK]) > _LOCAL
        for start in range(0, len(one), _CHUNK)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=bool)


def _peaks(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> Floats:
    a, b = _standardised(one), _standardised(other)
    common = (a * b).mean(axis=1, keepdims=True)
    difference = _by_block(np.square(a - common * b).reshape(-1, LOOK_PX, LOOK_PX))
    detail = np.minimum(_by_block(_steepness(a)), _by_block(_steepness(b)))
    expected = difference.mean(axis=1, keepdims=True) + _DETAIL * detail + _NOISE
    peaks: Floats = (difference / expected).max(axis=1)
    return peaks


def _standardised(pictures: npt.NDArray[np.uint8]) -> Floats:
    values = pictures.astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    values /= np.maximum(values.std(axis=1, keepdims=True), 1e-6)
    return values


def _steepness(pictures: Floats) -> Floats:
    """Mean squared difference of each pixel from its four neighbours, `(M, 64, 64)`."""
    images = pictures.reshape(-1, LOOK_PX, LOOK_PX)
    result = np.zeros_like(images)
    down, right = np.square(np.diff(images, axis=1)), np.square(np.diff(images, axis=2))
    result[:, 1:] += down
    result[:, :-1] += down
    result[:, :, 1:] += right
    result[:, :, :-1] += right
    return result / 4


def _by_block(images: Floats) -> Floats:
    """Means over blocks of 8 x 8 pixels, `(M, 64)`."""
    side = LOOK_PX // _BLOCK_PX
    means: Floats = images.reshape(-1, side, _BLOCK_PX, side, _BLOCK_PX).mean(axis=(2, 4))
    return means.reshape(len(images), -1)
