"""The recipe and the state of a network for images with another number of channels or another size."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn

from regraft.errors import NetworkError, SettingsError
from regraft.networks.architectures.building import build
from regraft.networks.counting import accepts, smallest_px
from regraft.networks.weights.finding import Weights
from regraft.networks.weights.states import load_state
from regraft.networks.zoo.catalogues import sized
from regraft.records import InputSpec, Recipe


def adapted_recipe(
    recipe: Recipe, spec: InputSpec, *, channels: int | None = None, size_px: int | None = None
) -> tuple[Recipe, InputSpec]:
    """The recipe and the input of a network for other images; unchanged if nothing differs.

    Raises:
        NetworkError: the network can't process such images; the message says which it can.
    """
    wanted = _spec(
        spec,
        spec.channels if channels is None else channels,
        spec.size_px if size_px is None else size_px,
    )
    changed = sized(recipe, wanted.size_px) if wanted.size_px != spec.size_px else recipe
    if wanted.channels != spec.channels:
        changed = changed.model_copy(update={"kwargs": {**changed.kwargs, "in_chans": wanted.channels}})
    if wanted != spec and not accepts(changed, wanted.channels, wanted.size_px):
        smallest = smallest_px(recipe, spec)
        raise NetworkError(
            f"{recipe.name} can't process images of {wanted.size_px} px with {wanted.channels} channels; its "
            f"smallest size is {smallest} px, its usual size {spec.size_px} px"
        )
    return changed, wanted


def _spec(old: InputSpec, channels: int, size_px: int) -> InputSpec:
    if channels == old.channels or channels < 1:
        mean, std = old.mean, old.std
    elif channels == 1:
        mean, std = (sum(old.mean) / len(old.mean),), (sum(old.std) / len(old.std),)
    else:
        mean = tuple(old.mean[number % len(old.mean)] for number in range(channels))
        std = tuple(old.std[number % len(old.std)] for number in range(channels))
    changes = {"channels": channels, "size_px": size_px, "mean": mean, "std": std}
    try:
        return InputSpec.model_validate({**old.model_dump(), **changes})
    except ValidationError as error:
        problems = "; ".join(f"{e['loc'][0]} {e['input']}: {e['msg']}" for e in error.errors())
        raise SettingsError(f"invalid image format: {problems}") from error


def adapted_state(weights: Weights, recipe: Recipe, spec: InputSpec) -> dict[str, torch.Tensor]:
    """The state of a network for the recipe and the input that `adapted_recipe` returns.

    The first layer's filters are summed for one channel. For other numbers of channels they are repeated in
    turn, and scaled so that an image with equal channels has the same output as before. Position embeddings
    are interpolated.

    Raises:
        NetworkError: the shapes of some tensors would not fit.
    """
    network = build(weights.recipe)
    load_state(network, weights.path)
    state = _resized(network, weights.recipe, spec.size_px)
    wanted = build(recipe).state_dict()
    for name, value in state.items():
        want = wanted[name].shape if name in wanted else value.shape
        if value.shape != want and value.ndim == 4 and _differ_in_channels(value.shape, want):
            state[name] = with_channels(value, spec.channels)
    problems = [name for name in wanted if name not in state or state[name].shape != wanted[name].shape]
    if problems:
        raise NetworkError(
            f"{weights.network} can't be adapted to {spec.size_px} px and {spec.channels} channels: "
            f"the shapes of {', '.join(problems[:4])} would not fit"
        )
    return {name: state[name] for name in wanted}


def _differ_in_channels(one: torch.Size, other: torch.Size) -> bool:
    return len(one) == len(other) and one[0] == other[0] and one[2:] == other[2:]


def _resized(network: nn.Module, recipe: Recipe, side: int) -> dict[str, torch.Tensor]:
    """The state of a network for another input size, its position embeddings interpolated."""
    if recipe.library == "torchvision" and recipe.name.startswith("vit_"):
        from torchvision.models.vision_transformer import interpolate_embeddings

        patch = getattr(network, "patch_size")  # noqa: B009  (torch types attributes as tensors)
        return dict(interpolate_embeddings(side, patch, network.state_dict()))
    resize: Any = getattr(network, "set_input_size", None)
    if resize is not None and sized(recipe, side) != recipe:
        with warnings.catch_warnings():  # warnings about copies while tables are interpolated
            warnings.simplefilter("ignore", UserWarning)
            # Windows keep their size, because the recipe builds them so when only the image size is given.
            windows = getattr(network, "_ref_window_sizes", None)
            resize(img_size=(side, side), **({"window_size": windows} if windows else {}))
    return dict(network.state_dict())


def with_channels(filters: torch.Tensor, channels: int) -> torch.Tensor:
    """First-layer filters `(F, C, H, W)` for another number of channels: summed, or repeated in turn.

    >>> with_channels(torch.ones(1, 3, 1, 1), 1).flatten().tolist()
    [3.0]
    >>> with_channels(torch.ones(1, 3, 1, 1), 4).flatten().tolist()
    [0.75, 0.75, 0.75, 0.75]
    """
    old = filters.shape[1]
    if channels == 1:
        return filters.sum(dim=1, keepdim=True)
    repeated = filters[:, [number % old for number in range(channels)]]
    return repeated * (old / channels)
