"""Where a fit may start besides networks for classes: the backbone of a detector that was trained on COCO.

torchvision publishes detectors. Of such a file only the backbone is taken, as weights of the network that it
is: everything else, the pyramid and the heads, is made for COCO's classes, and what this project solves or
trains on the maps of a frozen network takes its place. Batch normalisation in these detectors adds another
small number to the variance than in the network itself, so its scale is adapted: the maps are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from regraft.errors import WeightsError, WeightsNotFoundError
from regraft.networks.weights import hubs
from regraft.networks.weights.finding import WEIGHTS_SUFFIXES, Weights
from regraft.progress import Reporter
from regraft.records import InputSpec, Recipe, WeightsSource
from regraft.storage.files import make_folder, sha256_of_file
from regraft.storage.places import cache_folder

_LICENCE = "bsd-3-clause"
_BODY = "backbone.body."
_VERSION = 1


@dataclass(frozen=True)
class Body:
    """The backbone of a detector."""

    network: str
    """The network of torchvision that it is."""
    prefix: str
    """What the names of its tensors begin with there."""
    epsilon: float
    """What batch normalisation adds to the variance in the detector."""


BODIES: Mapping[str, Body] = {
    "fasterrcnn_mobilenet_v3_large_320_fpn": Body("mobilenet_v3_large", "features.", 1e-5),
    "fasterrcnn_mobilenet_v3_large_fpn": Body("mobilenet_v3_large", "features.", 1e-5),
    "fasterrcnn_resnet50_fpn": Body("resnet50", "", 0.0),
    "fasterrcnn_resnet50_fpn_v2": Body("resnet50", "", 1e-5),
    "fcos_resnet50_fpn": Body("resnet50", "", 1e-5),
    "retinanet_resnet50_fpn": Body("resnet50", "", 0.0),
    "retinanet_resnet50_fpn_v2": Body("resnet50", "", 1e-5),
}
"""Detectors of torchvision that were trained on COCO, by name."""


def find_body(name: str, *, weights: str | Path | None, offline: bool, reporter: Reporter) -> Weights:
    """The backbone of a detector as weights of its network; the file is downloaded if it is not here.

    Args:
        name: one of `BODIES`.
        weights: the file, or a folder that holds `NAME.pth` or `NAME.safetensors`; None means torch's cache.
        offline: never download.
        reporter: receives size, licence and progress of a download.

    Raises:
        WeightsNotFoundError: it is not here, and may not be downloaded.
        DownloadError: the download failed; says why and what to do.
        WeightsError: the file is damaged, or no such detector.
    """
    body = BODIES[name]
    found = _named(name, Path(weights)) if weights is not None else _published(name, offline, reporter)
    sha256 = sha256_of_file(found.path)
    target = cache_folder() / "weights" / f"{sha256[:24]}-body-{_VERSION}.safetensors"
    if not target.exists():
        make_folder(target.parent)
        _extract(found.path, body, target)
    return Weights(
        body.network,
        target,
        sha256_of_file(target),
        Recipe(library="torchvision", name=body.network),
        _input_of(body.network),
        WeightsSource(
            where=f"backbone of {name} (COCO), from {found.where}",
            sha256=sha256,
            licence=found.licence or "unknown",
        ),
    )


def address_of(name: str) -> str:
    """Where torchvision publishes a detector."""
    from torchvision.models import get_model_weights

    return str(get_model_weights(name).DEFAULT.url)


def _published(name: str, offline: bool, reporter: Reporter) -> hubs.Found:
    address = address_of(name)
    found = hubs.cached_address(address, _LICENCE)
    if found is None:
        if forbidden := hubs.offline_because(offline):
            raise WeightsNotFoundError(
                f"{name} is not on this machine, and {forbidden} forbids a download. Put {name}.pth into a "
                "folder and pass --weights FOLDER, or run the command online"
            )
        found = hubs.download_address(name, address, _LICENCE, reporter)
    stated = hubs.stated_hash(address)
    if stated and not (sha256 := sha256_of_file(found.path)).startswith(stated):
        raise WeightsError(
            f"{found.path} has sha256 {sha256}, expected {stated}…: delete it and run the same command again"
        )
    return found


def _named(name: str, place: Path) -> hubs.Found:
    files = [place] if place.is_file() else [place / f"{name}{suffix}" for suffix in WEIGHTS_SUFFIXES]
    for path in files:
        if path.is_file():
            return hubs.Found(path, str(path))
    raise WeightsNotFoundError(
        f"no weights of {name} in {place}. Put {name}.pth there, or leave --weights out to download them"
    )


def _input_of(network: str) -> InputSpec:
    from regraft.networks.zoo.catalogues import torchvision_input

    return torchvision_input(network)


def _extract(path: Path, body: Body, target: Path) -> None:
    """Write the backbone's tensors under the names of its network; those of the classifier are zeros."""
    import torch
    from torch import nn

    from regraft.networks.architectures.building import build
    from regraft.networks.weights.states import read_state, save_state

    state = {
        f"{body.prefix}{key.removeprefix(_BODY)}": value
        for key, value in read_state(path).items()
        if key.startswith(_BODY)
    }
    module = build(Recipe(library="torchvision", name=body.network))
    wanted = module.state_dict()
    norms = {name: one.eps for name, one in module.named_modules() if isinstance(one, nn.BatchNorm2d)}
    wrong = [key for key in state if key not in wanted or state[key].shape != wanted[key].shape]
    missing = [f"{name}.running_var" for name in norms if f"{name}.running_var" not in state]
    if not state or wrong or missing:
        first = [*wrong, *missing][:3] or [f"{_BODY}…"]
        raise WeightsError(
            f"{path} is not a detector of torchvision with the backbone {body.network}: {', '.join(first)} "
            "is missing or has another shape"
        )
    for name, epsilon in norms.items():
        variance = state[f"{name}.running_var"].double()
        times = torch.sqrt((variance + epsilon) / (variance + body.epsilon).clamp_min(1e-30))
        state[f"{name}.weight"] = (state[f"{name}.weight"].double() * times).float()
    save_state({key: state.get(key, torch.zeros_like(value)) for key, value in wanted.items()}, target)
