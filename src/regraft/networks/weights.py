"""Where a network's weights are, and where they came from. Imports neither torch nor timm until it must.

Looked at in this order: `--weights` (a file or folder), `$REGRAFT_WEIGHTS`, the package's own, the
hub's cache on disk, a download. A JSON recipe beside a weights file is data: it may name a library
out of three, a registered network and allow-listed arguments, and nothing else of it is obeyed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from regraft import storage
from regraft.errors import WeightsError, WeightsNotFoundError, close_names
from regraft.networks.hubs import Found, download, from_hub_cache, hub_home, torch_home
from regraft.networks.zoo import PREFERRED, card, cards
from regraft.records import InputSpec, Recipe, WeightsSource

_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
_PACKAGED = Path(__file__).parent / "pretrained"


@dataclass(frozen=True)
class Weights:
    """Weights that were found, and the network that they are for."""

    network: str
    path: Path
    """A safetensors file."""
    sha256: str
    """Of that file's bytes, computed, never taken from a record: it keys every cache."""
    recipe: Recipe
    input_spec: InputSpec
    source: WeightsSource


def find_weights(network: str, *, weights: str | Path | None = None, offline: bool = False) -> Weights:
    """The weights of a network, from the first place that has them.

    Args:
        network: a name of the zoo, timm or torchvision.
        weights: a file, a folder that holds `NETWORK.safetensors`, or `random` (seed 0) to do without.
        offline: never download.

    Raises:
        WeightsNotFoundError: nowhere; says what was looked for and how to get it.
        WeightsError: found, but refused.
        UnknownNetworkError: no such network.
    """
    if str(weights) == "random":
        return _random(network)
    looked: list[str] = []
    found = _find(network, weights, looked)
    if found is None and weights is None:
        found = from_hub_cache(network, looked) or download(network, looked, offline=offline)
    if found is None:
        raise _not_found(network, looked)
    return _described(network, found)


def find_network(*, weights: str | Path | None = None) -> tuple[str, str]:
    """The first of the preferred networks whose weights are at hand, and why it was chosen.

    Raises:
        WeightsNotFoundError: none is at hand.
    """
    looked: list[str] = []
    if weights and Path(weights).is_file() and Path(weights).suffix in _SUFFIXES:
        return Path(weights).stem, f"the file is called {Path(weights).name}"
    for name in PREFERRED:
        found = _find(name, weights, looked) or (None if weights else from_hub_cache(name, looked))
        if found:
            return name, f"it is the first of {', '.join(PREFERRED)} whose weights are here ({found.where})"
    hubs = [str(hub_home()), str(torch_home() / "hub" / "checkpoints")]
    places = [str(weights)] if weights else [*filter(None, [os.environ.get("REGRAFT_WEIGHTS")]), *hubs]
    raise WeightsNotFoundError(
        f"no network was named and no weights are at hand for any of {', '.join(PREFERRED)}. "
        f"Looked in: {'; '.join(places)}. "
        f"{_HOW_TO_GET.format(name='NAME')}"
    )


_HOW_TO_GET = (
    "Give a file or folder with --weights, set $REGRAFT_WEIGHTS to a folder that holds {name}.safetensors, "
    "name a network with --network while online (without --offline) to download it once, "
    "or start from random weights with --weights random"
)


def at_hand(network: str, weights: str | Path | None = None) -> str | None:
    """Where a network's weights are on this machine, or None."""
    found = _find(network, weights, []) or from_hub_cache(network, [])
    return found.where if found else None


@dataclass(frozen=True)
class WeightsHere:
    """Weights that are on this machine."""

    network: str
    path: Path
    where: str
    licence: str


def weights_here(weights: str | Path | None = None) -> list[WeightsHere]:
    """All weights on this machine: of a folder, `$REGRAFT_WEIGHTS`, the package and the hubs' caches."""
    folders = [Path(place) for place in (weights, os.environ.get("REGRAFT_WEIGHTS")) if place]
    files = [path for folder in folders for path in sorted(folder.glob("*"))]
    named = [path.stem for path in files if path.suffix in _SUFFIXES]
    result = []
    for network in dict.fromkeys([*named, *cards()]):
        found = _find(network, weights, []) or _find(network, None, [])
        found = found or (from_hub_cache(network, []) if network in cards() else None)
        if found:
            beside = found.path.with_suffix(".json")
            stated = _licence(storage.read_json(beside)) if beside.is_file() else found.licence
            result.append(WeightsHere(network, found.path, found.where, stated or "unknown"))
    return result


def verify_weights(here: WeightsHere) -> str:
    """What was found when the weights were read back, loaded strictly and looked at.

    Raises:
        WeightsError: they are damaged, don't fit the network, or hold values that are no numbers.
    """
    import torch

    from regraft.networks.building import build
    from regraft.networks.states import load_state

    beside = here.path.with_suffix(".json")
    stated = storage.read_json(beside).get("sha256") if beside.is_file() else None
    sha256 = storage.sha256_of_file(here.path)
    if stated and stated != sha256:
        raise WeightsError(f"{here.path} has sha256 {sha256}, its card says {stated}: import it again")
    found = _described(here.network, Found(here.path, here.where, here.licence))
    module = build(found.recipe)
    load_state(module, found.path)
    bad = [name for name, value in module.state_dict().items() if not bool(torch.isfinite(value).all())]
    if bad:
        raise WeightsError(f"{here.path} holds values that are no numbers in {', '.join(bad[:3])}")
    count = sum(parameter.numel() for parameter in module.parameters())
    same = "as its card says" if stated else "no hash to compare with"
    return f"{count:,} parameters fit, all finite; sha256 {sha256[:16]}… ({same}); {here.path}"


def _find(network: str, weights: str | Path | None, looked: list[str]) -> Found | None:
    if weights is not None:
        return _in_place(Path(weights), network, looked)
    chosen = os.environ.get("REGRAFT_WEIGHTS")
    if chosen:
        found = _in_place(Path(chosen), network, looked)
        if found:
            return found
    own = card(network)
    if own and own.hub is None:
        path = _PACKAGED / f"{network}.safetensors"
        looked.append(str(path))
        if path.exists():
            return Found(path, f"regraft package, {path.name}", own.licence)
    return None


def _in_place(place: Path, network: str, looked: list[str]) -> Found | None:
    if place.is_file():
        if place.suffix not in _SUFFIXES:
            raise WeightsError(f"{place} is no weights file; accepted are {', '.join(_SUFFIXES)}")
        return Found(place, str(place))
    looked.append(str(place / f"{network}.safetensors"))
    for suffix in _SUFFIXES:
        path = place / f"{network}{suffix}"
        if path.is_file():
            return Found(path, str(path))
    return None


def _not_found(network: str, looked: list[str]) -> WeightsNotFoundError:
    near = ""
    folders = {Path(place).parent for place in looked if place.endswith(".safetensors")}
    names = [path.stem for folder in folders for path in folder.glob("*.safetensors")]
    if names:
        near = f" There are weights for {', '.join(sorted(names))}{close_names(network, names)}."
    return WeightsNotFoundError(
        f"no weights for {network}. Looked for: {'; '.join(looked) or 'nothing to look for'}.{near} "
        f"{_HOW_TO_GET.format(name=network)}"
    )


def _described(network: str, found: Found) -> Weights:
    beside = found.path.with_suffix(".json")
    if beside.is_file():
        recipe, spec, stated = _read_recipe(beside)
        licence: str | None = stated
    else:
        from_card = card(network)
        if from_card:
            recipe, spec, licence = from_card.recipe, from_card.input_spec, found.licence
        else:
            from regraft.networks.catalogues import find_recipe

            (recipe, spec), licence = find_recipe(network), found.licence
    sha256 = storage.sha256_of_file(found.path)
    source = WeightsSource(where=found.where, sha256=sha256, licence=licence or "unknown")
    if found.path.suffix == ".safetensors":
        return Weights(network, found.path, sha256, recipe, spec, source)
    path = _converted(found.path, sha256)
    return Weights(network, path, storage.sha256_of_file(path), recipe, spec, source)


def _converted(path: Path, sha256: str) -> Path:
    target = storage.cache_folder() / "weights" / f"{sha256[:24]}.safetensors"
    if not target.exists():
        from regraft.networks.states import to_safetensors

        to_safetensors(path, target)
    return target


def _read_recipe(path: Path) -> tuple[Recipe, InputSpec, str]:
    """A recipe file: `library`, `args` (the registered name), `kwargs`, and the input it was trained on."""
    record = storage.read_json(path)
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
    return recipe, spec, _licence(record)


def _licence(record: dict[str, Any]) -> str:
    source = record.get("source")
    stated = source.get("licence") if isinstance(source, dict) else record.get("licence")
    return str(stated or "unknown")[:200]


def _random(network: str) -> Weights:
    """Random weights of seed 0, kept in the cache like any others."""
    from regraft.networks.catalogues import find_recipe

    recipe, spec = find_recipe(network)
    target = (
        storage.cache_folder() / "weights" / f"random-{storage.key_of(recipe.model_dump())[:24]}.safetensors"
    )
    if not target.exists():
        import torch

        from regraft.networks.building import build
        from regraft.networks.states import save_state

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            save_state(build(recipe).state_dict(), target)
    sha256 = storage.sha256_of_file(target)
    source = WeightsSource(where="random, seed 0", sha256=sha256, licence="none needed")
    return Weights(network, target, sha256, recipe, spec, source)
