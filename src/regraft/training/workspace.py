"""The folder of a training in the cache: named after all that its result depends on, used by one process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import filelock
import torch

from regraft.data.pictures.loading import LOADER_VERSION
from regraft.heads.dataset import Job
from regraft.machine.processor import cpu_kernels
from regraft.networks.weights.finding import Weights
from regraft.plans.plan import Plan
from regraft.progress import Reporter
from regraft.storage.files import key_of, make_folder
from regraft.storage.places import cache_folder
from regraft.training.head_start import EarlierHead

_NOT_TRAINED_WITH: Any = {"vote": True, "refit": True, "training": {"stop_after"}}
"""Parts of a plan on which the steps of its training don't depend."""


@contextmanager
def workspace(facts: Mapping[str, Any], reporter: Reporter) -> Iterator[Path]:
    """The training's folder in the cache, named after `facts` and locked by one process."""
    folder = cache_folder() / "training" / key_of(facts)[:24]
    make_folder(folder)
    lock = filelock.FileLock(folder.parent / f".{folder.name}.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        reporter.note("another process is running the same training; waiting for it to finish")
        lock.acquire()
    try:
        yield folder
    finally:
        lock.release()


def facts_of(
    job: Job, plan: Plan, weights: Weights, *, earlier: EarlierHead | None, device: torch.device
) -> dict[str, Any]:
    """Everything that the result of a training depends on.

    Args:
        job: the images with their split.
        plan: the plan to carry out.
        weights: where the network starts.
        earlier: the head that the training starts from, if it is that of an earlier run.
        device: where it is trained.
    """
    return {
        "version": 2,
        "plan": plan.model_dump(mode="json", exclude=_NOT_TRAINED_WITH),
        "split": job.split.sha256,
        "images": key_of([row.sha256 for row in job.split.rows]),
        "weights": weights.sha256,
        "earlier": earlier.facts() if earlier else None,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_kernels(),
        "loader_version": LOADER_VERSION,
        "versions": {name: metadata.version(name) for name in _libraries(plan.runtime)},
    }


def _libraries(runtime: str) -> tuple[str, ...]:
    """Libraries that the result's bits depend on; numpy and scipy solve the head to start from."""
    inference = ("openvino",) if runtime == "openvino" else ()
    return ("torch", "timm", "torchvision", "numpy", "scipy", *inference)
