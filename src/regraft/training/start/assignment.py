"""What the other processes of a group need to know in order to take part in a training, as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from regraft.data.findings.image_set import Images
from regraft.data.pictures.loading import LoadLimits, Pixels
from regraft.errors import DataError, WeightsError
from regraft.features.activations import Activations
from regraft.features.runtimes import Row, Runtime, RuntimeSource
from regraft.heads.rows import measure_of
from regraft.networks.network import load_network
from regraft.networks.weights.finding import Weights
from regraft.plans.plan import Plan
from regraft.records import ClassMeasure, Column, ImageItem, Link, MapLevel, Precision, Record
from regraft.storage.files import sha256_of_file
from regraft.storage.places import cache_folder
from regraft.training.group.processes import ProcessGroup
from regraft.training.loop.objective import OBJECTIVES
from regraft.training.loop.steps import Training
from regraft.training.start.setup import Order, Setup, build_sources, build_tail, view_policy
from regraft.training.start.trained_head import HeadStart, LinearHead
from regraft.training.start.view_source import ViewSource

Key = TypeVar("Key")


class Aims(Record):
    """What the outputs for some images are compared with, by place."""

    keys: tuple[str, ...]
    """SHA-256 of each image."""
    dtype: str
    values: list[Any]
    """An entry or row for each image."""

    @classmethod
    def of(cls, keys: Iterable[str], targets: npt.NDArray[Any]) -> Aims:
        """The targets of images."""
        return cls(keys=tuple(keys), dtype=str(targets.dtype), values=targets.tolist())

    @property
    def targets(self) -> npt.NDArray[Any]:
        """The targets as an array of the original type."""
        return np.array(self.values, dtype=self.dtype)


class Prefix(Record):
    """The frozen stages as those know them who only read what they have computed."""

    width: int
    facts: dict[str, Any]
    precision: Precision


class Assignment(Record):
    """A training, as the first process describes it to the others, which begin with its weights."""

    plan: Plan
    weights: Weights
    outputs: int
    """Number of outputs."""
    head_width: int
    """Number of features that the head reads."""
    link: Link
    measure: ClassMeasure
    cut: int
    """Number of frozen stages."""
    root: str
    paths: dict[str, str]
    """Path of each image by its SHA-256."""
    train: Aims
    held: Aims | None
    limits: LoadLimits
    workers: int
    kept_views: int
    shape: tuple[int, ...]
    """Shape of the tail's input for one image."""
    prefix: Prefix | None
    key: str
    limit_s: float | None


def assignment_of(order: Order, setup: Setup, training: Training) -> Assignment:
    """The assignment that makes other processes take part in a training."""
    dataset, activations = order.dataset, setup.activations
    runtime = activations.runtime
    rows = [*setup.train, *setup.held]
    own = set(dataset.keys(rows))
    return Assignment(
        plan=order.plan,
        weights=order.weights,
        outputs=len(dataset.task.outputs),
        head_width=setup.head.linear.in_features,
        link=dataset.task.link,
        measure=measure_of(dataset.task),
        cut=len(setup.network.stages) - len(setup.tail.stages),
        root=dataset.images.root,
        paths={item.sha256: item.path for item in dataset.images.items if item.sha256 in own},
        train=Aims.of(dataset.keys(setup.train), dataset.truth(setup.train)),
        held=Aims.of(dataset.keys(setup.held), dataset.truth(setup.held)) if setup.held else None,
        limits=activations.limits,
        workers=activations.workers,
        kept_views=setup.kept_views,
        shape=setup.sources[0].shape,
        prefix=_prefix(runtime) if runtime is not None else None,
        key=training.key,
        limit_s=training.limit_s,
    )


def _prefix(runtime: Runtime) -> Prefix:
    return Prefix(width=runtime.width, facts=dict(runtime.facts), precision=runtime.precision)


class _Absent:
    """Stands for the runtime of the first process, which has computed all rows before others read them."""

    layout: tuple[Column, ...] = ()
    maps: tuple[MapLevel, ...] = ()
    source: RuntimeSource | None = None

    def __init__(self, prefix: Prefix) -> None:
        self.width, self.precision = prefix.width, prefix.precision
        self.facts: Mapping[str, Any] = prefix.facts

    def run(self, images: Iterable[tuple[Key, Pixels]]) -> Iterator[tuple[Key, Row]]:
        """Refuse to compute.

        Raises:
            DataError: always.
        """
        del images
        raise DataError(
            f"activations that the first process has computed are not in the cache of this one, "
            f"{cache_folder()}. Processes on several machines need one cache: set REGRAFT_CACHE to a folder "
            "that all of them reach, or keep no activations (--cache never)"
        )


def taken_on(assignment: Assignment, group: ProcessGroup) -> Training:
    """The training of an assignment in this process, with the sources of its batches and some weights.

    Raises:
        WeightsError: the weights file is missing here, or is another one.
    """
    plan, weights = assignment.plan, assignment.weights
    settings = plan.training
    assert settings is not None
    if not weights.path.is_file() or sha256_of_file(weights.path) != weights.sha256:
        raise WeightsError(
            f"{weights.path} is missing on this machine, or is not the file that the first process uses. Put "
            "the weights into a folder that all machines reach, or into the same place on each of them"
        )
    network = load_network(weights, drop_path=settings.drop_path)
    start = HeadStart.zero(assignment.head_width, assignment.outputs)
    head = LinearHead(start, plan.statistics[0], dropout=settings.dropout)
    targets = assignment.train.targets
    sides = [assignment.train.keys, assignment.held.keys if assignment.held else ()]
    sources: tuple[ViewSource, ...] = build_sources(
        network,
        assignment.cut,
        _activations(assignment),
        sides,
        settings,
        kept=assignment.kept_views,
        device=group.device,
        workers=group.workers,
    )
    tail = build_tail(network, assignment.cut, head, plan, outputs=assignment.outputs)
    objective = OBJECTIVES[assignment.link].of(targets, assignment.outputs, settings, assignment.measure)
    return Training(
        tail=tail.to(group.device),
        train=sources[0],
        targets=targets,
        objective=objective,
        settings=settings,
        validation=sources[1] if assignment.held else None,
        validation_targets=assignment.held.targets if assignment.held else None,
        seed=plan.seed,
        device=group.device,
        key=assignment.key,
        limit_s=assignment.limit_s,
        group=group,
    )


def _activations(assignment: Assignment) -> Activations:
    plan = assignment.plan
    assert plan.training is not None
    items = [ImageItem(path, "", sha256) for sha256, path in assignment.paths.items()]
    return Activations(
        Images(assignment.root, tuple(items)),
        assignment.weights.input_spec,
        view_policy(plan.training, plan.seed),
        _Absent(assignment.prefix) if assignment.prefix else None,
        assignment.limits,
        assignment.workers,
    )
