"""The JSON file next to a weights file: which network the weights are for, its input, and their origin.

It is data: it may name a library out of three, a registered network (`args`) and allow-listed arguments
(`kwargs`), and nothing else in it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from regraft.errors import WeightsError
from regraft.records import InputSpec, Recipe
from regraft.storage.files import read_json, sha256_of_file


def read_recipe(path: Path) -> tuple[Recipe, InputSpec, str]:
    """The network, its input and the licence that a recipe file states.

    Raises:
        WeightsError: a field is missing or has a value that is not accepted.
    """
    record = read_json(path)
    try:
        names = record["args"] or [str(record["constructor"]).rpartition(".")[2]]
        recipe = Recipe(library=record["library"], name=names[0], kwargs=record.get("kwargs", {}))
        channels, size = record["input_size"][0], record["input_size"][1]
        spec = InputSpec(
            size_px=size,
            channels=channels,
            mean=record["mean"],
            std=record["std"],
            interpolation=record["interpolation"],
            crop_share=record["crop_pct"],
        )
    except (ValidationError, KeyError, TypeError, IndexError) as error:
        raise WeightsError(f"the recipe {path} can't be used: {error}") from error
    return recipe, spec, licence_in(record)


def licence_in(record: dict[str, Any]) -> str:
    """The licence that a recipe file states."""
    source = record.get("source")
    stated = source.get("licence") if isinstance(source, dict) else record.get("licence")
    return str(stated or "unknown")[:200]


def recipe_record(
    recipe: Recipe, spec: InputSpec, target: Path, *, source: Mapping[str, str], labels: tuple[str, ...] = ()
) -> dict[str, Any]:
    """What is written next to a weights file, for `read_recipe`."""
    return {
        "library": recipe.library,
        "args": [recipe.name],
        "kwargs": dict(recipe.kwargs),
        "input_size": [spec.channels, spec.size_px, spec.size_px],
        "mean": list(spec.mean),
        "std": list(spec.std),
        "interpolation": spec.interpolation,
        "crop_pct": spec.crop_share,
        "classes": list(labels),
        "source": dict(source),
        "sha256": sha256_of_file(target),
    }
