"""Adapt weights to images with another number of channels or another size, once."""

from __future__ import annotations

from dataclasses import replace
from importlib import metadata
from typing import Any

from pydantic import ValidationError

from regraft.errors import StorageError
from regraft.networks.weights.finding import Weights
from regraft.records import InputSpec, Recipe
from regraft.storage.files import key_of, make_folder, read_json, sha256_of_file, write_json
from regraft.storage.places import cache_folder

_VERSION = 1  # version of the arithmetic in reshaping.py; part of the cache keys


def adapted(weights: Weights, *, channels: int | None = None, size_px: int | None = None) -> Weights:
    """The weights for images with another number of channels or another size, kept in the cache.

    What the network needs for such images is kept as well: finding out imports torch and builds the network.

    Args:
        weights: weights of a network.
        channels: number of channels, 1 to 16; None means the network's own.
        size_px: side of the input; None means the network's own.

    Raises:
        NetworkError: the network can't process such images; the message says which it can.
    """
    recipe, spec = _needed(weights, channels, size_px)
    if recipe == weights.recipe:  # convolutions accept any size
        return replace(weights, input_spec=spec)
    facts = {"weights": weights.sha256, "recipe": recipe.model_dump(), "version": _VERSION}
    path = cache_folder() / "weights" / f"adapted-{key_of(facts)[:24]}.safetensors"
    if not path.exists():
        from regraft.networks.reshaping import adapted_state
        from regraft.networks.weights.states import save_state

        save_state(adapted_state(weights, recipe, spec), path)
    sha256 = sha256_of_file(path)
    what = f"{spec.channels} channels, {spec.size_px} px"
    where = f"{weights.source.where}, adapted to {what}"
    source = weights.source.model_copy(update={"where": where, "sha256": sha256})
    return Weights(weights.network, path, sha256, recipe, spec, source)


def _needed(weights: Weights, channels: int | None, size_px: int | None) -> tuple[Recipe, InputSpec]:
    """The recipe and the input of the network for such images, from the cache where it is known."""
    facts: dict[str, Any] = {
        "recipe": weights.recipe.model_dump(),
        "input": weights.input_spec.model_dump(),
        "channels": channels,
        "size_px": size_px,
        "version": _VERSION,
        "versions": {name: metadata.version(name) for name in ("regraft", "torch", "timm", "torchvision")},
    }
    path = cache_folder() / "weights" / f"adapted-{key_of(facts)[:24]}.json"
    try:
        known = read_json(path)
        return Recipe.model_validate(known["recipe"]), InputSpec.model_validate(known["input"])
    except (StorageError, ValidationError, KeyError, TypeError):
        from regraft.networks.reshaping import adapted_recipe

        recipe, spec = adapted_recipe(weights.recipe, weights.input_spec, channels=channels, size_px=size_px)
        make_folder(path.parent)
        write_json(path, {"recipe": recipe.model_dump(), "input": spec.model_dump()})
        return recipe, spec
