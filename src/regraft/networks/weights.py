"""Where a network's weights are, and where they came from. Imports neither torch nor timm until it must.

Looked at in this order: `--weights` (a file or folder), `$REGRAFT_WEIGHTS`, the package's own, the
hub's cache on disk, a download. A JSON recipe beside a weights file is data: it may name a library
out of three, a registered network and allow-listed arguments, and nothing else of it is obeyed.
"""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from regraft import storage
from regraft.errors import WeightsError, WeightsNotFoundError, close_names
from regraft.networks.zoo import PREFERRED, card
from regraft.records import InputSpec, Recipe, WeightsSource

_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
_PACKAGED = Path(__file__).parent / "pretrained"
_PROBE_S = 1.0


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


@dataclass(frozen=True)
class _Found:
    path: Path
    where: str
    licence: str | None = None


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
        found = _from_hub_cache(network, looked) or _download(network, looked, offline=offline)
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
        found = _find(name, weights, looked) or (None if weights else _from_hub_cache(name, looked))
        if found:
            return name, f"it is the first of {', '.join(PREFERRED)} whose weights are here ({found.where})"
    hubs = [str(_hub_home()), str(_torch_home() / "hub" / "checkpoints")]
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
    found = _find(network, weights, []) or _from_hub_cache(network, [])
    return found.where if found else None


def _find(network: str, weights: str | Path | None, looked: list[str]) -> _Found | None:
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
            return _Found(path, f"regraft package, {path.name}", own.licence)
    return None


def _in_place(place: Path, network: str, looked: list[str]) -> _Found | None:
    if place.is_file():
        if place.suffix not in _SUFFIXES:
            raise WeightsError(f"{place} is no weights file; accepted are {', '.join(_SUFFIXES)}")
        return _Found(place, str(place))
    looked.append(str(place / f"{network}.safetensors"))
    for suffix in _SUFFIXES:
        path = place / f"{network}{suffix}"
        if path.is_file():
            return _Found(path, str(path))
    return None


def _hub_name(network: str) -> str | None:
    known = card(network)
    if known:
        return known.hub
    from regraft.networks.catalogues import find_recipe, hub_of

    find_recipe(network)  # a name that nobody knows is an error of its own
    return hub_of(network)


def _from_hub_cache(network: str, looked: list[str]) -> _Found | None:
    hub = _hub_name(network)
    if hub is None:
        return None
    known = card(network)
    licence = known.licence if known else None
    if hub.endswith(".pth"):
        path = _torch_home() / "hub" / "checkpoints" / hub.rpartition("/")[2]
        looked.append(str(path))
        return _Found(path, hub, licence) if path.is_file() else None
    folder = _hub_home() / f"models--{hub.replace('/', '--')}" / "snapshots"
    looked.append(str(folder))
    for path in sorted(folder.glob("*/model.safetensors")):
        return _Found(path, f"{hub} at {path.parent.name}", licence)
    return None


def _hub_home() -> Path:
    home = os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface"
    return Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub")


def _torch_home() -> Path:
    return Path(os.environ.get("TORCH_HOME") or Path.home() / ".cache" / "torch")


def _download(network: str, looked: list[str], *, offline: bool) -> _Found | None:
    hub = _hub_name(network)
    if hub is None:
        return None
    host = "download.pytorch.org" if hub.endswith(".pth") else "huggingface.co"
    if offline or os.environ.get("HF_HUB_OFFLINE") == "1":
        looked.append(f"{hub} on {host} (not asked: offline)")
        return None
    if not _reachable(host):
        looked.append(f"{hub} on {host} (can't be reached from this machine)")
        return None
    try:
        if hub.endswith(".pth"):
            import torch

            torch.hub.load_state_dict_from_url(hub, map_location="cpu", check_hash=True, weights_only=True)
        else:
            import huggingface_hub

            huggingface_hub.hf_hub_download(hub, "model.safetensors", etag_timeout=_PROBE_S)
    except Exception as error:  # the hub's libraries raise their own trees and those of their HTTP stacks
        looked.append(f"{hub} on {host} (failed: {str(error).splitlines()[0][:200]})")
        return None
    return _from_hub_cache(network, looked)


def _reachable(host: str) -> bool:
    """Whether a connection opens within a second; name resolution has no time-out of its own."""
    answer = threading.Event()

    def connect() -> None:
        try:
            socket.create_connection((host, 443), timeout=_PROBE_S).close()
            answer.set()
        except OSError:
            return

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(_PROBE_S)
    return answer.is_set()


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


def _described(network: str, found: _Found) -> Weights:
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
