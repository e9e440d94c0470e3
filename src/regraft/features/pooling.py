"""Pooled features of every stage, from one forward pass."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from regraft.errors import NoMapsError
from regraft.networks.network import Network
from regraft.records import Averaged, Column, InputSpec, MapLevel, Statistic

_MAX_PREFIX_TOKENS = 8
_STRIDES = (8, 16, 32)
_WHOLE_MAP_MAX = 2_048  # values: LeNet's maps are this small, and positions in them matter


class PooledStages(nn.Module):
    """A module from pixels to one row of features: the statistics of every stage's activation, side by side.

    Input `(N, H, W, C) uint8`, output `(N, F) float32`. The module also normalises, so that a runtime
    takes plain pixels. A map `(N, C, H, W)` gives the mean and the standard deviation of each channel over
    all positions, and the whole map if it is small (at most 2,048 values); a token sequence `(N, L, C)` gives
    the mean and standard deviation over the patches, and the class token; a vector `(N, C)` is its own mean.

    If the input asks for it, mirror images go through the network as further images of the batch, and each
    row is the mean of the image's and its mirror image's.
    """

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.stages = nn.ModuleList([stage.module for stage in network.stages])
        self.average = network.input_spec.average
        for name, values in normalisation(network.input_spec).items():
            self.register_buffer(name, values)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return mean_over_views(self.with_last(images)[0], self.average)

    def with_last(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The row of each view, and the last stage's activation, which the network's own classifier reads."""
        images = with_views(images, self.average)
        value = images.permute(0, 3, 1, 2).to(self.scale.dtype) * self.scale + self.shift
        parts = []
        for stage in self.stages:
            value = stage(value)
            parts += [statistic for _, statistic in summarise(value)]
        return torch.cat(parts, dim=1), value


def with_views(images: torch.Tensor, average: Averaged) -> torch.Tensor:
    """Images `(N, H, W, C)`, followed by their mirror images if features are averaged over these."""
    return torch.cat([images, images.flip(2)]) if average == "mirror" else images


def mean_over_views(rows: torch.Tensor, average: Averaged) -> torch.Tensor:
    """The mean `(N, F)` over the views of each image, from the rows of `with_views`."""
    return rows.reshape(2, -1, rows.shape[1]).mean(dim=0) if average == "mirror" else rows


class PrefixActivation(nn.Module):
    """A module from pixels `(N, H, W, C) uint8` to the activation at a cut, as one row `(N, F) float32`.

    Maps have their channels last, `(H, W, C)`, because tails are trained fastest so; other activations keep
    their order.
    """

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, network: Network, count: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList([stage.module for stage in network.stages[:count]])
        for name, values in normalisation(network.input_spec).items():
            self.register_buffer(name, values)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        value = images.permute(0, 3, 1, 2).to(self.scale.dtype) * self.scale + self.shift
        for stage in self.stages:
            value = stage(value)
        return (value.permute(0, 2, 3, 1) if value.ndim == 4 else value).flatten(1)


class StageMaps(nn.Module):
    """A module from pixels `(N, H, W, C) uint8` to the maps of `map_levels` side by side, `(N, F) float32`.

    Each map has its channels last, `(height, width, channels)`.
    """

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, network: Network) -> None:
        super().__init__()
        names = [stage.name for stage in network.stages]
        self.wanted = [names.index(level.stage) for level in map_levels(network)]
        self.stages = nn.ModuleList([stage.module for stage in network.stages[: max(self.wanted) + 1]])
        for name, values in normalisation(network.input_spec).items():
            self.register_buffer(name, values)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        value = images.permute(0, 3, 1, 2).to(self.scale.dtype) * self.scale + self.shift
        maps = {}
        for number, stage in enumerate(self.stages):
            value = stage(value)
            if number in self.wanted:
                maps[number] = value.permute(0, 2, 3, 1).flatten(1)
        return torch.cat([maps[number] for number in self.wanted], dim=1)


def map_levels(network: Network) -> tuple[MapLevel, ...]:
    """The last stage's map at each of the strides 8, 16 and 32 that the network has, the finest first.

    Stages after one that can't work at this size, such as layers for a fixed number of tokens, are not used.

    Raises:
        NoMapsError: no stage has a map whose cells divide the input by one of these strides.
    """
    height, width, _ = network.input_spec.shape
    found: dict[int, tuple[str, int]] = {}
    value = empty_input(network.input_spec)
    with torch.inference_mode():
        for stage in network.stages:
            try:
                value = stage.module(value)
            except Exception:  # noqa: BLE001 (networks check sizes with errors of any kind)
                break
            for stride in _STRIDES if value.ndim == 4 else ():
                if tuple(value.shape[2:]) == (height // stride, width // stride):
                    found[stride] = (stage.name, int(value.shape[1]))
    levels: list[MapLevel] = []
    for stride in sorted(found):
        start = levels[-1].stop if levels else 0
        (stage_name, channels), size = found[stride], (height // stride, width // stride)
        levels.append(
            MapLevel(
                stage=stage_name,
                stride=stride,
                channels=channels,
                height=size[0],
                width=size[1],
                start=start,
                stop=start + channels * size[0] * size[1],
            )
        )
    if not levels:
        raise NoMapsError(
            f"{network.name} has no maps of stride 8, 16 or 32 for {width} x {height} pixels; a detector "
            "reads those. Choose a convolutional network, such as mobilenetv1_100 or resnet50"
        )
    return tuple(levels)


def activation_shape(network: Network, count: int) -> tuple[int, ...]:
    """Shape of one image's activation after `count` stages, channels first; 0 stages give the image's."""
    value = empty_input(network.input_spec)
    with torch.inference_mode():
        for stage in network.stages[:count]:
            value = stage.module(value)
    return tuple(value.shape[1:])


def normalisation(spec: InputSpec) -> dict[str, torch.Tensor]:
    """The normalisation as two tensors: `scale`, by which pixels are multiplied, and `shift`, then added."""
    shifts = [-m / s for m, s in zip(spec.mean, spec.std, strict=True)]
    return {"scale": _channels([1 / (255 * value) for value in spec.std]), "shift": _channels(shifts)}


def _channels(values: Sequence[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(1, -1, 1, 1)


def summarise(activation: torch.Tensor) -> list[tuple[Statistic, torch.Tensor]]:
    """The statistics of one activation, each `(N, C)`, or `(N, C H W)` for a whole map.

    Raises:
        ValueError: the activation's shape is not that of a map, a token sequence or a vector.
    """
    if activation.ndim == 2:
        return [("mean", activation)]
    if activation.ndim == 4:
        # Channels come first, except in networks that use (N, H, W, C); all maps here are square.
        last = activation.shape[1] == activation.shape[2] != activation.shape[3]
        moments = _moments(activation, (1, 2) if last else (2, 3))
        is_small = len(moments) == 2 and activation[0].numel() <= _WHOLE_MAP_MAX
        return [*moments, ("map", activation.flatten(1))] if is_small else moments
    if activation.ndim == 3:
        prefix = _prefix_tokens(int(activation.shape[1]))  # while it is traced, a size is a tensor
        tokens: list[tuple[Statistic, torch.Tensor]] = [("token", activation[:, 0])] if prefix else []
        return _moments(activation[:, prefix:], (1,)) + tokens
    raise ValueError(f"can't pool an activation of shape {tuple(activation.shape)}")


def _moments(activation: torch.Tensor, positions: tuple[int, ...]) -> list[tuple[Statistic, torch.Tensor]]:
    mean = activation.mean(dim=positions, keepdim=True)
    size = [activation.shape[axis] for axis in range(activation.ndim) if axis not in positions]
    if all(activation.shape[axis] == 1 for axis in positions):
        return [("mean", mean.reshape(size))]
    # Two passes: E[x^2] - E[x]^2 would lose most digits in half precision.
    variance = (activation - mean).square().mean(dim=positions)
    if variance.requires_grad:  # the root's slope at 0 is infinite, and 0 times infinity is NaN
        is_flat = variance <= 0
        std = torch.where(is_flat, torch.ones_like(variance), variance).sqrt().masked_fill(is_flat, 0.0)
    else:
        std = variance.sqrt()
    return [("mean", mean.reshape(size)), ("std", std)]


def _prefix_tokens(length: int) -> int:
    """How many tokens come before the patches, which form a square."""
    for count in range(min(_MAX_PREFIX_TOKENS, length)):
        if round((length - count) ** 0.5) ** 2 == length - count:
            return count
    return 0


def layout_of(network: Network) -> tuple[Column, ...]:
    """The columns of a feature row, found by a forward pass of an empty image."""
    columns: list[Column] = []
    value = empty_input(network.input_spec)
    start = 0
    with torch.inference_mode():
        for stage in network.stages:
            value = stage.module(value)
            for statistic, part in summarise(value):
                stop = start + part.shape[1]
                columns.append(Column(stage=stage.name, statistic=statistic, start=start, stop=stop))
                start = stop
    return tuple(columns)


def empty_input(spec: InputSpec) -> torch.Tensor:
    """An image of zeros at a network's input size, `(1, C, H, W) float32`."""
    height, width, channels = spec.shape
    return torch.zeros(1, channels, height, width)
