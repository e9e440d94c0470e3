"""What single units of a network respond to: maps, exciting patches, and deconvolved patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from regraft.data.pictures.loading import Pixels
from regraft.explanation.maps import Floats, as_maps
from regraft.prediction.graph import NetworkPart, Trunk
from regraft.progress import Reporter, Silent

_BATCH = 16
_FELT = 0.02  # pixels with less than this share of the strongest influence are not part of a patch
_ACTIVATIONS = {
    "relu", "relu_", "relu6", "hardtanh", "hardtanh_", "leaky_relu", "leaky_relu_", "elu", "silu", "silu_",
    "gelu", "hardswish", "hardswish_", "mish",
}  # fmt: skip


@dataclass(frozen=True)
class StageMaps:
    """The response of one stage to an image."""

    stage: str
    shape: tuple[int, ...]
    """Shape of the whole activation, without the batch."""
    channels: tuple[int, ...]
    """Numbers of the most active channels."""
    maps: tuple[Floats, ...]
    """Maps `(H, W)` of those channels, each scaled to [0, 1]."""


def stage_maps(part: Trunk, pixels: Pixels, *, count: int = 8) -> list[StageMaps]:
    """The maps of the most active channels after every stage; stages without positions have none."""
    found = []
    with torch.inference_mode():
        value = part.normalised(torch.from_numpy(pixels.copy())[None])
        for name, stage in zip(part.names, part.stages, strict=True):
            value = stage(value)
            maps = as_maps(value)
            chosen: list[int] = []
            if maps is not None and min(maps.shape[-2:]) > 1:
                strength = maps[0].clamp_min(0).mean(dim=(1, 2))
                chosen = strength.argsort(descending=True)[:count].tolist()
            shown = tuple(_stretched(maps[0, unit].numpy()) for unit in chosen) if maps is not None else ()
            found.append(StageMaps(name, tuple(value.shape[1:]), tuple(chosen), shown))
    return found


@dataclass(frozen=True)
class Patch:
    """A part of an image that excites a unit."""

    image: int
    """Number of the image among those that were searched."""
    box: tuple[int, int, int, int]
    """Left, top, right, bottom of the pixels that influence the unit, in the network's input."""
    size_px: int
    """Side of the whole input."""
    pixels: Pixels
    """Pixels of the patch."""
    deconvolved: Pixels
    """The exciting part of the patch, by deconvolution (Zeiler & Fergus 2014, section 2.1)."""


@dataclass(frozen=True)
class Unit:
    """A channel of a stage, and the patches that excite it most."""

    stage: str
    channel: int
    patches: tuple[Patch, ...]


def exciting_patches(
    part: NetworkPart,
    images: Sequence[Pixels],
    stages: Sequence[str],
    *,
    units: int = 6,
    patches: int = 4,
    reporter: Reporter | None = None,
) -> list[Unit]:
    """The most selective units of some stages, with the patches that excite each most.

    Args:
        part: the network.
        images: images to search, at the network's input size.
        stages: stages whose units are shown.
        units: number of units per stage.
        patches: number of patches per unit, from different images.
        reporter: receives progress.
    """
    found: list[Unit] = []
    tops, places = _responses(part, images, stages, reporter or Silent())
    for stage in stages:
        top = tops[stage]
        best = np.sort(top, axis=0)[-patches:].mean(axis=0)
        selective = (best - top.mean(axis=0)) / (top.std(axis=0) + 1e-6) * (best > 0)
        for channel in np.argsort(-selective, kind="stable")[:units].tolist():
            chosen = np.argsort(-top[:, channel], kind="stable")[:patches].tolist()
            spots = [int(places[stage][image, channel]) for image in chosen]
            shown = _taken_back(part, [images[image] for image in chosen], stage, channel, spots)
            size = len(images[0])
            made = (
                Patch(image, box, size, patch, back)
                for image, (box, patch, back) in zip(chosen, shown, strict=True)
            )
            found.append(Unit(stage, channel, tuple(made)))
    return found


def _responses(
    part: NetworkPart, images: Sequence[Pixels], stages: Sequence[str], reporter: Reporter
) -> tuple[dict[str, Floats], dict[str, Any]]:
    """For each stage, the strongest response of each unit to each image `(N, C)`, and its position."""
    tops: dict[str, list[Floats]] = {stage: [] for stage in stages}
    places: dict[str, list[Any]] = {stage: [] for stage in stages}
    with torch.inference_mode(), reporter.phase("looking at units", len(images)) as meter:
        for start in range(0, len(images), _BATCH):
            batch = torch.from_numpy(np.stack(images[start : start + _BATCH]))
            value = part.normalised(batch)
            for name, stage in zip(part.names, part.stages, strict=True):
                value = stage(value)
                maps = as_maps(value) if name in tops else None
                if maps is not None:
                    top, place = maps.flatten(2).max(dim=2)
                    tops[name].append(top.numpy())
                    places[name].append(place.numpy())
            meter.advance(len(batch))
    return (
        {stage: np.concatenate(parts) for stage, parts in tops.items()},
        {stage: np.concatenate(parts) for stage, parts in places.items()},
    )


def _taken_back(
    part: NetworkPart, images: Sequence[Pixels], stage: str, channel: int, places: Sequence[int]
) -> list[tuple[tuple[int, int, int, int], Pixels, Pixels]]:
    """For each image, the box that influences the unit, the patch, and the deconvolved patch."""
    batch = part.normalised(torch.from_numpy(np.stack(images)))
    with _Deconvolution(is_rectified=False):
        plain = _backward(part, batch, stage, channel, places)
    with _Deconvolution(is_rectified=True):
        positive = _backward(part, batch, stage, channel, places)
    found = []
    for image, felt, back in zip(images, plain, positive, strict=True):
        box = _felt_box(felt.abs().amax(dim=0).numpy())
        left, top, right, bottom = box
        shown = back[:, top:bottom, left:right].permute(1, 2, 0).numpy()
        grey = 127.5 + 127.5 * shown / (np.abs(shown).max() or 1.0)
        found.append((box, image[top:bottom, left:right], np.asarray(grey.round(), dtype=np.uint8)))
    return found


def _backward(
    part: NetworkPart, batch: torch.Tensor, stage: str, channel: int, places: Sequence[int]
) -> torch.Tensor:
    """Gradient `(N, C, H, W)` of a unit's value at one position of each image, by the image's pixels."""
    images = batch.clone().requires_grad_(True)
    maps = as_maps(part.after(stage, images))
    assert maps is not None
    chosen = maps[:, channel].flatten(1).gather(1, torch.tensor(places)[:, None])
    (gradient,) = torch.autograd.grad(chosen.sum(), images)
    return gradient


class _Deconvolution(TorchFunctionMode):
    """A context in which activation functions pass gradients back regardless of their input.

    If rectified, only positive gradients: a deconvolutional network as a backward pass (Springenberg et al.
    2015, fig. 1). Otherwise all: a pixel's gradient then shows whether it can influence the unit at all,
    even where an activation is saturated.
    """

    def __init__(self, *, is_rectified: bool) -> None:
        super().__init__()
        self._rule = _Rectified if is_rectified else _Passed

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(function, "__name__", "") in _ACTIVATIONS and isinstance(args[0], torch.Tensor):
            with torch._C.DisableTorchFunction():
                plain = function(args[0].detach().clone(), *args[1:], **(kwargs or {}))
                return self._rule.apply(args[0], plain)
        return function(*args, **(kwargs or {}))


class _Passed(torch.autograd.Function):
    @staticmethod
    def forward(_context: Any, _value: torch.Tensor, plain: torch.Tensor) -> torch.Tensor:
        return plain

    @staticmethod
    def backward(_context: Any, *gradients: torch.Tensor) -> Any:
        return gradients[0], None


class _Rectified(_Passed):
    @staticmethod
    def backward(_context: Any, *gradients: torch.Tensor) -> Any:
        return gradients[0].clamp_min(0), None


def _felt_box(influence: Floats) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the square around all influential pixels, at least 8 pixels wide."""
    rows, columns = np.nonzero(influence > _FELT * max(float(influence.max()), 1e-12))
    if not len(rows):
        return 0, 0, influence.shape[1], influence.shape[0]
    size = influence.shape[0]
    side = min(size, max(8, int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1))
    top = min(max(0, (int(rows.min()) + int(rows.max()) + 1 - side) // 2), size - side)
    left = min(max(0, (int(columns.min()) + int(columns.max()) + 1 - side) // 2), size - side)
    return left, top, left + side, top + side


def _stretched(values: Floats) -> Floats:
    low, high = float(values.min()), float(values.max())
    return np.asarray((values - low) / max(high - low, 1e-12), dtype=np.float32)
