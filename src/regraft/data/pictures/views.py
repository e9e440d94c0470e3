"""Views: deterministic ways to cut a network's input out of an image.

View 0 is `centre`, the view that evaluation uses. View v of an image depends on the seed, v and the image's
hash alone, so a view can be cached, and any thread or process makes the same view bit for bit.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.data.pictures.framing import Frame, clipped, needed_side_px, window_sides
from regraft.data.pictures.loading import (
    LoadLimits,
    Picture,
    Pixels,
    decode_for,
    fit_input,
    resampled,
)
from regraft.randomness import generator, torch_seed
from regraft.records import InputSpec
from regraft.settings import Augmentation

_RATIOS = (3 / 4, 4 / 3)


@dataclass(frozen=True)
class ViewPolicy:
    """The augmentations that make the views other than the centre."""

    augment: Augmentation = "none"
    min_crop: float = 0.5
    erasing: float = 0.0
    seed: int = 0

    @property
    def is_identity(self) -> bool:
        """Whether every view is the centre, because nothing is augmented."""
        return self.augment == "none" and not self.erasing

    @property
    def is_heavy(self) -> bool:
        """Whether the views need torchvision's distortions after the crop (`distorted`)."""
        return self.augment in ("trivial", "rand") or self.erasing > 0

    def facts(self, view: int) -> Any:
        """Everything that the pixels of a view depend on besides the image."""
        return "centre" if view == 0 or self.is_identity else {**asdict(self), "view": view}


def decode_view(
    data: bytes, spec: InputSpec, policy: ViewPolicy, view: int, key: str, limits: LoadLimits
) -> Pixels:
    """The pixels of one view, `(size_px, size_px, channels) uint8`, before `distorted`.

    Args:
        data: the bytes of the image file.
        spec: the network's input.
        policy: how views are made.
        view: number of the view; 0 is the centre.
        key: SHA-256 of the file.
        limits: limits of the loader.

    Raises:
        ImageError: the image can't be used; the message is the reason.
    """
    if view == 0 or policy.augment == "none":
        return fit_input(decode_for(data, spec, needed_side_px(spec), limits), spec)
    is_cropped = policy.augment != "flip"
    need = round(needed_side_px(spec) / policy.min_crop**0.5) if is_cropped else needed_side_px(spec)
    picture = decode_for(data, spec, need, limits)
    draws = generator(policy.seed, "view", view, key)
    pixels = _crop(picture, spec, draws, policy.min_crop) if is_cropped else fit_input(picture, spec)
    is_flipped = policy.augment != "crop" and draws.random() < 0.5
    return np.ascontiguousarray(pixels[:, ::-1]) if is_flipped else pixels


def _crop(picture: Picture, spec: InputSpec, draws: np.random.Generator, min_crop: float) -> Pixels:
    """A crop of random area and aspect ratio (Szegedy et al. 2015, section 6) of what the framing shows."""
    size = picture.image.size
    if spec.framing in ("crop", "cover"):
        return resampled(picture, spec, _near_centre(size, spec, draws, min_crop))
    sides, (area, ratio) = window_sides(size, spec), _drawn(draws, min_crop)
    width = min(1.0, (area * ratio) ** 0.5) * sides[0]
    height = min(1.0, (area / ratio) ** 0.5) * sides[1]
    left = draws.uniform(*_inside(size[0], sides[0], width))
    top = draws.uniform(*_inside(size[1], sides[1], height))
    return resampled(picture, spec, clipped((left, top, left + width, top + height), size, spec))


def _inside(whole: int, side: int, part: float) -> tuple[float, float]:
    """The range of starts for which a part of the window lies in the image, or else holds all of it."""
    if part < whole:
        return 0.0, whole - part
    low, high = max((whole - side) / 2, whole - part), min((whole + side) / 2 - part, 0.0)
    return low, max(low, high)


def _drawn(draws: np.random.Generator, min_crop: float) -> tuple[float, float]:
    """Area as a share, and aspect ratio."""
    return float(draws.uniform(min_crop, 1.0)), float(np.exp(draws.uniform(*np.log(_RATIOS))))


def _near_centre(
    size: tuple[int, int], spec: InputSpec, draws: np.random.Generator, min_crop: float
) -> Frame:
    side, (share, ratio) = min(size), _drawn(draws, min_crop)
    area = side * side * share
    width, height = min(size[0], (area * ratio) ** 0.5), min(size[1], (area / ratio) ** 0.5)
    # The crop lies within the central square if it fits, because that shows the object in most data.
    left = draws.uniform(*_span(size[0], side, width))
    top = draws.uniform(*_span(size[1], side, height))
    return Frame((left, top, left + width, top + height), (spec.size_px, spec.size_px))


def _span(whole: int, side: int, part: float) -> tuple[float, float]:
    """The range of starts for which a part stays in the image, and in the central square if it fits."""
    low, high = (whole - side) / 2, (whole + side) / 2 - part
    low, high = min(low, high), max(low, high)
    return max(0.0, low), min(float(whole - part), max(high, 0.0))


def distorted(pixels: npt.NDArray[np.uint8], policy: ViewPolicy, view: int, key: str) -> Pixels:
    """Apply torchvision's photometric and geometric distortions to a view, `(H, W, C) uint8` in and out.

    This is not safe in threads: torchvision draws from torch's global generator, which is seeded for the
    image here and restored afterwards.
    """
    if view == 0 or not policy.is_heavy:
        return pixels
    import torch
    from torchvision.transforms import v2

    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(policy.seed, "distortion", view, key))
        if policy.augment == "trivial":
            image = v2.TrivialAugmentWide()(image)
        elif policy.augment == "rand":
            image = v2.RandAugment()(image)
        if policy.erasing:
            image = v2.RandomErasing(p=policy.erasing, value=128)(image)
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())
