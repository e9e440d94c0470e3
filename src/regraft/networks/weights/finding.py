"""Where a network's weights are, and where they came from. Imports neither torch nor timm until it must.

Places are tried in this order: `--weights` (a file or folder), `$REGRAFT_WEIGHTS`, the package itself,
installed packages that carry weights, the hubs' caches on this machine, a download. A JSON recipe next to
a weights file is data: it may name a library out of three, a registered network and allow-listed
arguments, and nothing else in it is used.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from regraft.errors import DownloadError, WeightsError, WeightsNotFoundError, close_names
from regraft.networks.weights import hubs
from regraft.networks.weights.distributions import CARRIED, converted, installed
from regraft.networks.weights.hubs import Found, from_hub_cache
from regraft.networks.weights.recipes import licence_in, read_recipe
from regraft.networks.zoo.cards import card, cards
from regraft.progress import Reporter, Silent
from regraft.records import AverageChoice, FramingChoice, InputSpec, Intensity, Recipe, WeightsSource
from regraft.storage.files import key_of, read_json, sha256_of_file
from regraft.storage.places import cache_folder

WEIGHTS_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
_PACKAGED = Path(__file__).parent / "pretrained"


@dataclass(frozen=True)
class Weights:
    """Weights that were found, and the network that they are for."""

    network: str
    path: Path
    """A safetensors file."""
    sha256: str
    """SHA-256 of that file's bytes, computed and never taken from a record: it is part of every cache key."""
    recipe: Recipe
    input_spec: InputSpec
    source: WeightsSource

    def seeing(self, intensity: Intensity | None) -> Weights:
        """The same weights, whose input has the range of a data set's images of more than 8 bits."""
        return replace(self, input_spec=self.input_spec.model_copy(update={"intensity": intensity}))

    def framed(self, framing: FramingChoice) -> Weights:
        """The same weights, whose input shows images in this framing; `auto` leaves it as it is."""
        if framing == "auto":
            return self
        return replace(self, input_spec=self.input_spec.model_copy(update={"framing": framing}))

    def averaged(self, average: AverageChoice) -> Weights:
        """The same weights, whose features are averaged over such views; `auto` leaves it as it is."""
        if average == "auto":
            return self
        return replace(self, input_spec=self.input_spec.model_copy(update={"average": average}))


def find_weights(
    network: str,
    *,
    weights: str | Path | None = None,
    offline: bool = False,
    reporter: Reporter | None = None,
) -> Weights:
    """The weights of a network, from the first place that has them; downloaded if none does.

    Args:
        network: a name of the zoo, timm or torchvision.
        weights: a file, a folder that holds `NETWORK.safetensors`, or `random` (seed 0) for untrained ones.
        offline: never download.
        reporter: receives the size, licence and progress of a download.

    Raises:
        WeightsNotFoundError: no place has them; says how to get them.
        DownloadError: the download failed; says why and what to do.
        WeightsError: found, but refused.
        UnknownNetworkError: no such network.
    """
    if str(weights) == "random":
        return _random(network)
    found = _find(network, weights)
    if found is None and weights is not None:
        raise _not_in(Path(weights), network)
    found = found or from_hub_cache(network) or _downloaded(network, offline, reporter or Silent())
    return _described(network, found)


def _downloaded(network: str, offline: bool, reporter: Reporter) -> Found:
    forbidden = hubs.offline_because(offline)
    if forbidden or not hubs.is_published(network):
        raise _not_here(network, forbidden)
    try:
        return hubs.download(network, reporter)
    except DownloadError as error:
        raise DownloadError(f"can't download {network}: {error}. {_BY_HAND.format(name=network)}") from error


_BY_HAND = "Or put {name}.safetensors into a folder by hand and pass --weights FOLDER"


def at_hand(network: str, weights: str | Path | None = None) -> str | None:
    """Where a network's weights are on this machine, or None."""
    found = _find(network, weights) or from_hub_cache(network)
    return found.where if found else None


@dataclass(frozen=True)
class WeightsHere:
    """Weights that are on this machine."""

    network: str
    path: Path
    where: str
    licence: str


def weights_here(weights: str | Path | None = None) -> list[WeightsHere]:
    """All weights here: in a folder, in `$REGRAFT_WEIGHTS`, in installed packages and in the hubs' caches."""
    folders = [Path(place) for place in (weights, os.environ.get("REGRAFT_WEIGHTS")) if place]
    files = [path for folder in folders for path in sorted(folder.glob("*"))]
    named = [path.stem for path in files if path.suffix in WEIGHTS_SUFFIXES]
    result = []
    for network in dict.fromkeys([*named, *cards(), *CARRIED]):
        found = _find(network, weights) or _find(network, None)
        found = found or (from_hub_cache(network) if network in cards() else None)
        if found:
            beside = found.path.with_suffix(".json")
            stated = licence_in(read_json(beside)) if beside.is_file() else found.licence
            result.append(WeightsHere(network, found.path, found.where, stated or "unknown"))
    return result


def usable_here(weights: str | Path | None = None) -> list[WeightsHere]:
    """The weights that `find_weights` would find with the same `weights`: a folder is then the only place."""
    return [one for one in weights_here(weights) if weights is None or one.path.parent == Path(weights)]


def verify_weights(here: WeightsHere) -> str:
    """What was found when the weights were read back, loaded strictly and looked at.

    Raises:
        WeightsError: they are damaged, don't fit the network, or contain NaN or infinite values.
    """
    import torch

    from regraft.networks.architectures.building import build
    from regraft.networks.weights.states import load_state

    stated = _stated_sha256(here)
    sha256 = sha256_of_file(here.path)
    if stated and stated != sha256:
        raise WeightsError(f"{here.path} has sha256 {sha256}, expected {stated}: delete it and get it again")
    found = _described(here.network, Found(here.path, here.where, here.licence))
    module = build(found.recipe)
    load_state(module, found.path)
    bad = [name for name, value in module.state_dict().items() if not bool(torch.isfinite(value).all())]
    if bad:
        raise WeightsError(f"{here.path} contains NaN or infinite values in {', '.join(bad[:3])}")
    count = sum(parameter.numel() for parameter in module.parameters())
    same = "as expected" if stated else "no hash to compare with"
    return f"{count:,} parameters fit, all finite; sha256 {sha256[:16]}… ({same}); {here.path}"


def _stated_sha256(here: WeightsHere) -> str | None:
    """What the card, the table of installed packages or the hub's cache says of a file; None if none does."""
    beside = here.path.with_suffix(".json")
    if beside.is_file():
        stated = read_json(beside).get("sha256")
        return None if stated is None else str(stated)
    carried = installed(here.network)
    if carried is not None and carried.path == here.path:
        return carried.carried.sha256
    return hubs.expected_sha256(here.path)


def _find(network: str, weights: str | Path | None) -> Found | None:
    if weights is not None:
        return _in_place(Path(weights), network)
    chosen = os.environ.get("REGRAFT_WEIGHTS")
    if chosen:
        found = _in_place(Path(chosen), network)
        if found:
            return found
    own = card(network)
    path = _PACKAGED / f"{network}.safetensors"
    if own and own.hub is None and path.exists():
        return Found(path, f"regraft package, {path.name}", own.licence)
    carried = installed(network)
    return Found(carried.path, carried.where, carried.carried.licence) if carried else None


def _in_place(place: Path, network: str) -> Found | None:
    if place.is_file():
        if place.suffix not in WEIGHTS_SUFFIXES:
            raise WeightsError(
                f"{place} is not a weights file; accepted endings are {', '.join(WEIGHTS_SUFFIXES)}"
            )
        return Found(place, str(place))
    for suffix in WEIGHTS_SUFFIXES:
        path = place / f"{network}{suffix}"
        if path.is_file():
            return Found(path, str(path))
    return None


def _not_in(place: Path, network: str) -> WeightsNotFoundError:
    if not place.exists():
        return WeightsNotFoundError(
            f"--weights {place} does not exist; accepted are a weights file and a folder that holds "
            f"{network}.safetensors"
        )
    names = sorted({path.stem for path in place.glob("*") if path.suffix in WEIGHTS_SUFFIXES})
    holds = f"weights for {', '.join(names)}{close_names(network, names)}" if names else "no weights"
    return WeightsNotFoundError(
        f"no weights for {network} in {place}, which holds {holds}. Put {network}.safetensors there, or "
        "leave --weights out to use the published ones"
    )


def _not_here(network: str, forbidden: str | None) -> WeightsNotFoundError:
    text = f"no pretrained weights for {network} on this machine"
    if not hubs.is_published(network):
        return WeightsNotFoundError(
            f"{text}, and none are published. Train it with --strategy scratch, try --weights random, or put "
            f"{network}.safetensors into a folder and pass --weights FOLDER"
        )
    size = hubs.published_mb(network)
    about = "once" if size is None else f"about {size} MB, once"
    return WeightsNotFoundError(
        f"{text}, and {forbidden} forbids a download. Download them while online ({about}): regraft weights "
        f"fetch {network}. {_BY_HAND.format(name=network)}"
    )


def _described(network: str, found: Found) -> Weights:
    carried = installed(network)
    if carried is not None and carried.path == found.path:
        found = Found(converted(carried), found.where, found.licence)
    beside = found.path.with_suffix(".json")
    if beside.is_file():
        recipe, spec, stated = read_recipe(beside)
        licence: str | None = stated
    else:
        from_card = card(network)
        if from_card:
            recipe, spec, licence = from_card.recipe, from_card.input_spec, found.licence
        else:
            from regraft.networks.zoo.catalogues import find_recipe

            (recipe, spec), licence = find_recipe(network), found.licence
    sha256 = sha256_of_file(found.path)
    stated_sha256 = hubs.expected_sha256(found.path)
    if stated_sha256 not in (None, sha256):
        raise WeightsError(
            f"{found.path} has sha256 {sha256}, expected {stated_sha256}: the download was damaged later. "
            f"Delete {found.path.resolve()} and run the same command again"
        )
    source = WeightsSource(where=found.where, sha256=sha256, licence=licence or "unknown")
    if found.path.suffix == ".safetensors":
        return Weights(network, found.path, sha256, recipe, spec, source)
    path = _converted(found.path, sha256)
    return Weights(network, path, sha256_of_file(path), recipe, spec, source)


def _converted(path: Path, sha256: str) -> Path:
    target = cache_folder() / "weights" / f"{sha256[:24]}.safetensors"
    if not target.exists():
        from regraft.networks.weights.states import to_safetensors

        to_safetensors(path, target)
    return target


def _random(network: str) -> Weights:
    """Random weights of seed 0, kept in the cache like any others."""
    from regraft.networks.zoo.catalogues import find_recipe

    recipe, spec = find_recipe(network)
    target = cache_folder() / "weights" / f"random-{key_of(recipe.model_dump())[:24]}.safetensors"
    if not target.exists():
        import torch

        from regraft.networks.architectures.building import build
        from regraft.networks.weights.states import save_state

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            save_state(build(recipe).state_dict(), target)
    sha256 = sha256_of_file(target)
    source = WeightsSource(where="random, seed 0", sha256=sha256, licence="none needed")
    return Weights(network, target, sha256, recipe, spec, source)
