"""The folder of a training in the cache: its checkpoint, and the network that it has trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from regraft.data.pictures.loading import LOADER_VERSION
from regraft.heads.rows import measure_of
from regraft.machine.devices import find_device
from regraft.machine.processor import cpu_kernels
from regraft.networks.network import Network
from regraft.networks.weights.finding import Weights
from regraft.networks.weights.states import save_state
from regraft.progress import Reporter
from regraft.records import WeightsSource
from regraft.storage.files import key_of, make_folder, sha256_of_file
from regraft.storage.locks import working_lock
from regraft.storage.places import cache_folder
from regraft.training.start.setup import Order

_NOT_TRAINED_WITH: Any = {"vote": True, "refit": True, "training": {"stop_after"}}
"""Parts of a plan on which the steps of its training don't depend."""


@contextmanager
def workspace(order: Order, reporter: Reporter) -> Iterator[Path]:
    """The folder of a training, named after all that it depends on and locked by one process."""
    folder = cache_folder() / "training" / key_of(_facts(order))[:24]
    make_folder(folder)
    lock = folder.parent / f".{folder.name}.lock"
    with working_lock(lock, wait=False) as is_free:
        if is_free:
            yield folder
            return
    reporter.note("another process is running the same training; waiting for it to finish")
    with working_lock(lock, wait=True):
        yield folder


def _facts(order: Order) -> dict[str, Any]:
    device, is_continued = find_device(order.compute.device), order.settings.head_start == "previous"
    measure, group = measure_of(order.dataset.task), order.group
    return {
        **({} if measure == "accuracy" else {"measure": measure}),
        "version": 3,
        "plan": order.plan.model_dump(mode="json", exclude=_NOT_TRAINED_WITH),
        "split": order.dataset.split.sha256,
        "images": key_of([row.sha256 for row in order.dataset.split.rows]),
        "weights": order.weights.sha256,
        "earlier": order.earlier.facts() if order.earlier and is_continued else None,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_kernels(),
        "loader_version": LOADER_VERSION,
        "versions": {name: metadata.version(name) for name in _libraries(order.plan.runtime)},
        **({"processes": [group.size, group.sharing, group.threads]} if group and group.size > 1 else {}),
    }


def _libraries(runtime: str) -> tuple[str, ...]:
    """Libraries that the result's bits depend on; numpy and scipy solve the head to start from."""
    inference = ("openvino",) if runtime == "openvino" else ()
    return ("torch", "timm", "torchvision", "numpy", "scipy", *inference)


def trained_weights(order: Order, network: Network, folder: Path) -> Weights:
    """The weights of the whole network after training, saved in a folder like any other weights file."""
    path = folder / "network.safetensors"
    save_state(network.module.state_dict(), path)
    sha256, start = sha256_of_file(path), order.weights.source
    where = f"{order.plan.strategy} on {Path(order.dataset.images.root).name}, from {start.where}"
    source = WeightsSource(where=where, sha256=sha256, licence=start.licence)
    return replace(order.weights, path=path, sha256=sha256, source=source)
