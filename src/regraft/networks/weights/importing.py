"""Import weights: match a file's tensors to a network by name and shape, write safetensors and a card.

A tensor is matched by its name, without a prefix that all names share. A tensor with an unknown name is
matched by its shape if it is the only one left with that shape, in the file and in the network. Anything
less certain is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from regraft.errors import WeightsError
from regraft.networks.architectures.building import build
from regraft.networks.weights.recipes import recipe_record
from regraft.networks.weights.states import read_state, save_state
from regraft.networks.zoo.catalogues import find_recipe
from regraft.records import Recipe
from regraft.storage.files import make_folder, sha256_of_file, write_json

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Matches:
    """The assignment of a file's tensors to a network's."""

    by_name: dict[str, str]
    """The file's name of a tensor for each of the network's names."""
    by_shape: dict[str, str]
    unused: tuple[str, ...]
    """Names of the file's tensors that were not used."""
    prefix: str
    """The prefix that the file's names have and the network's don't."""


@dataclass(frozen=True)
class Imported:
    """The files that an import wrote."""

    weights: Path
    card: Path
    recipe: Recipe
    matches: Matches


def import_weights(
    source: str | Path,
    network: str,
    *,
    out: str | Path,
    licence: str = "unknown",
    origin: str = "",
    labels: tuple[str, ...] = (),
) -> Imported:
    """Write `OUT/NETWORK.safetensors` and its card from a state dictionary or an ONNX file's initialisers.

    Args:
        source: `.safetensors`, `.pth`, `.pt`, `.bin` or `.onnx`.
        network: name of their network in the zoo, timm or torchvision. The number of classes may differ.
        out: the folder to write into, for use with `--weights`.
        licence: licence of the weights, as stated by their source.
        origin: source of the weights, in words or as an address.
        labels: names of the classes, in the order of the classifier's rows.

    Raises:
        WeightsError: a tensor is missing, fits nowhere or fits in several places; nothing is written.
    """
    source, out = Path(source), Path(out)
    found = read_state(source)
    recipe, spec = find_recipe(network)
    shapes = {name: tuple(value.shape) for name, value in found.items()}
    recipe, own = _with_classes(recipe, shapes)
    matches = match(own, shapes)
    taken = {**matches.by_name, **matches.by_shape}
    module = build(recipe)
    state = module.state_dict()
    for name, theirs in taken.items():
        state[name] = found[theirs].to(state[name].dtype)
    rows = [value for value in state.values() if value.ndim > 1][-1].shape[0]
    if labels and len(labels) != rows:
        raise WeightsError(f"{len(labels)} labels were given, but the classifier in {source} has {rows} rows")
    target = out / f"{network}.safetensors"
    make_folder(out)
    save_state(state, target)
    card = target.with_suffix(".json")
    stated = {
        "file": source.name,
        "sha256": sha256_of_file(source),
        "licence": licence,
        "origin": origin,
    }
    matched = {
        "by_name": len(matches.by_name),
        "by_shape": matches.by_shape,
        "unused": list(matches.unused),
        "prefix": matches.prefix,
    }
    described = recipe_record(recipe, spec, target, source=stated, labels=labels)
    write_json(card, {**described, "matched": matched})
    return Imported(target, card, recipe, matches)


def match(own: Mapping[str, Shape], found: Mapping[str, Shape]) -> Matches:
    """Assign the tensors of a file to those of a network, by name and shape, or by a unique shape.

    Raises:
        WeightsError: no tensor, a tensor of another shape, or several tensors fit one of the network's.

    >>> match({"fc.weight": (2, 3)}, {"module.fc.weight": (2, 3)}).by_name
    {'fc.weight': 'module.fc.weight'}
    >>> match({"fc.weight": (2, 3)}, {"onnx::7": (2, 3)}).by_shape
    {'fc.weight': 'onnx::7'}
    """
    prefix = _common_prefix(own, found)
    names = {name.removeprefix(prefix): name for name in found}
    by_name = {name: names[name] for name in own if name in names and found[names[name]] == own[name]}
    problems = [
        f"{name} has shape {found[names[name]]}, expected {own[name]}"
        for name in own
        if name in names and name not in by_name
    ]
    places = [name for name in own if name not in names and not _can_be_absent(name)]
    spare = [name for name in found if name not in set(by_name.values())]
    by_shape = {}
    places_of = Counter(own[name] for name in places)
    spare_of = Counter(found[name] for name in spare)
    for name in places:
        shape = own[name]
        if spare_of[shape] == 0:
            problems.append(f"{name} {shape} is missing")
        elif spare_of[shape] > 1 or places_of[shape] > 1:
            candidates = [one for one in spare if found[one] == shape]
            problems.append(f"{name} {shape} could be any of {', '.join(candidates[:3])}")
        else:
            by_shape[name] = next(one for one in spare if found[one] == shape)
    if problems:
        more = f" and {len(problems) - 6} more" if len(problems) > 6 else ""
        raise WeightsError(
            f"{len(by_name)} of {len(own)} tensors were found by name; {'; '.join(problems[:6])}{more}. "
            "Rename the tensors in the file to the network's names, or choose the network that they belong to"
        )
    used = {*by_name.values(), *by_shape.values()}
    return Matches(by_name, by_shape, tuple(name for name in found if name not in used), prefix)


def _can_be_absent(name: str) -> bool:
    """Whether a tensor is BatchNorm's counter of batches, which is in few files and has no effect."""
    return name.endswith("num_batches_tracked")


def _common_prefix(own: Mapping[str, Shape], found: Mapping[str, Shape]) -> str:
    """The prefix whose removal gives the largest number of the network's names."""
    prefixes = {""}
    for name in found:
        parts = name.split(".")
        prefixes |= {".".join(parts[:count]) + "." for count in range(1, min(4, len(parts)))}
    return max(sorted(prefixes), key=lambda prefix: sum(name.removeprefix(prefix) in own for name in found))


def _with_classes(recipe: Recipe, found: Mapping[str, Shape]) -> tuple[Recipe, dict[str, Shape]]:
    """The recipe with the number of classes of the file's classifier, and the shapes of its tensors."""
    own = _shapes(recipe)
    prefix = _common_prefix(own, found)
    theirs = {name.removeprefix(prefix): shape for name, shape in found.items()}
    differ = [name for name in own if name in theirs and own[name] != theirs[name]]
    counts = {theirs[name][0] for name in differ if own[name][1:] == theirs[name][1:]}
    if not differ or len(counts) != 1:
        return recipe, own
    changed = recipe.model_copy(update={"kwargs": {**recipe.kwargs, "num_classes": counts.pop()}})
    shapes = _shapes(changed)
    return (changed, shapes) if all(shapes[name] == theirs[name] for name in differ) else (recipe, own)


def _shapes(recipe: Recipe) -> dict[str, Shape]:
    with torch.device("meta"):
        module = build(recipe)
    return {name: tuple(value.shape) for name, value in module.state_dict().items()}
