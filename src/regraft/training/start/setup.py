"""Everything that a training needs, prepared: the network as stages, the tail with its head, the batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from regraft.data.pictures.views import ViewPolicy
from regraft.errors import SettingsError
from regraft.features.activations import Activations
from regraft.features.opening import Compute
from regraft.features.pooling import activation_shape
from regraft.heads.dataset import Dataset
from regraft.heads.fitting import fit_head
from regraft.heads.rows import measure_of
from regraft.machine.devices import find_device
from regraft.machine.processor import count_cores
from regraft.networks.architectures.auxiliaries import with_classes
from regraft.networks.architectures.strided_depthwise import quicken
from regraft.networks.network import Network, load_network
from regraft.networks.weights.finding import Weights
from regraft.plans.plan import TRAINED_HEADS, Plan
from regraft.plans.restrictions import check_training
from regraft.progress import Reporter
from regraft.records import Column, Link, columns_of, width_of
from regraft.settings import TrainSettings
from regraft.training.group.processes import ProcessGroup
from regraft.training.loop.objective import OBJECTIVES, LabelObjective, Unit
from regraft.training.loop.tail import Tail, channels_last
from regraft.training.start.cached_views import kept_views
from regraft.training.start.trained_head import EarlierHead, HeadStart, LinearHead
from regraft.training.start.view_source import ViewSource

_OUTPUTS: dict[Link, str] = {"softmax": "classes", "sigmoid": "several labels", "identity": "numbers"}


@dataclass(frozen=True)
class Order:
    """A data set and a plan that trains, with what is needed to carry it out.

    Args:
        dataset: the data set, with the features of the network before training.
        plan: the plan, with its training settings.
        weights: the weights to start from.
        compute: how features are computed, and the device of the training.
        earlier: the head of the run that the weights come from, to start from.
        limit_s: seconds after which training ends, counted from the call; None for no limit.
        group: the processes that train together, of which this is the first; None for this one alone.
    """

    dataset: Dataset
    plan: Plan
    weights: Weights
    compute: Compute = field(default_factory=Compute)
    earlier: EarlierHead | None = None
    limit_s: float | None = None
    group: ProcessGroup | None = None

    @property
    def settings(self) -> TrainSettings:
        """The plan's training settings."""
        assert self.plan.training is not None
        return self.plan.training


@dataclass(frozen=True)
class Setup:
    """A prepared training."""

    network: Network
    tail: Tail
    head: LinearHead
    """The head of the tail."""
    objective: LabelObjective
    sources: tuple[ViewSource, ...]
    """Sources of the training batches and of the validation batches."""
    train: tuple[int, ...]
    """Rows of the split to train on; `held` are those to validate on."""
    held: tuple[int, ...]
    method: str
    """How the validation images were chosen."""
    device: torch.device
    activations: Activations
    """What the batches are made of."""
    kept_views: int
    """Number of views whose activations are kept on disk."""


def set_up(order: Order, reporter: Reporter) -> Setup:
    """Load the network, solve the head to start from, and open the sources of batches.

    Raises:
        SettingsError: settings of the training don't suit the data, the network or an earlier run.
    """
    settings, dataset = order.settings, order.dataset
    check_training(dataset.task.link, settings)
    network = load_network(order.weights, drop_path=settings.drop_path)
    count = len(network.stages) - len(order.plan.stages)
    train, held, method = dataset.held_out(settings.validation_share)
    for line in describe_cut(network, count):
        reporter.note(line)
    device = find_device(order.compute.device)
    objective = objective_of(dataset, train, settings)
    head = LinearHead(
        _start(order, train, objective.unit, reporter), order.plan.statistics[0], dropout=settings.dropout
    )
    outputs = len(dataset.task.outputs)
    tail = build_tail(network, count, head, order.plan, outputs=outputs).to(device)
    activations = _activations(order, count, reporter)
    where = f"after {network.stage_names[count - 1]}" if count else "at the input (decoded images)"
    kept = kept_views(settings, activations, images=len(train) + len(held), where=where, reporter=reporter)
    sources = build_sources(
        network,
        count,
        activations,
        [dataset.keys(train), dataset.keys(held)],
        settings,
        kept=kept,
        device=device,
        workers=order.group.workers if order.group else None,
    )
    return Setup(
        network, tail, head, objective, sources, tuple(train), tuple(held), method, device, activations, kept
    )


def objective_of(dataset: Dataset, rows: Sequence[int], settings: TrainSettings) -> LabelObjective:
    """The objective of a training on some rows of a data set."""
    task = dataset.task
    return OBJECTIVES[task.link].of(dataset.truth(rows), len(task.outputs), settings, measure_of(task))


def head_columns(order: Order, layout: Sequence[Column]) -> tuple[Column, ...]:
    """The columns of feature rows that the trained head reads: one statistic of the last stage."""
    last, statistic = layout[-1].stage, order.plan.statistics[0]
    return columns_of(layout, [last], [statistic])


def _start(order: Order, rows: Sequence[int], unit: Unit | None, reporter: Reporter) -> HeadStart:
    """Where the head starts: a solved head, an earlier run's head, or zero."""
    settings, dataset = order.settings, order.dataset
    columns = head_columns(order, dataset.features.layout)
    width, outputs = width_of(columns), len(dataset.task.outputs)
    if order.plan.strategy == "scratch":
        return HeadStart.zero(width, outputs)
    with reporter.phase("solving the head to start from", 1, "heads") as meter:
        fitted = fit_head(dataset.training_rows(rows), TRAINED_HEADS[dataset.task.link], [columns])
        meter.advance()
    solved = HeadStart.from_solved(fitted.head)
    if settings.head_start == "zero":
        return HeadStart.zero(width, outputs, like=solved)
    if settings.head_start == "previous":
        solved = HeadStart.remapped(_earlier(order, columns), dataset.task.outputs, solved)
    return solved.counted_in(unit)


def _earlier(order: Order, columns: Sequence[Column]) -> EarlierHead:
    """The earlier run's head, if it reads the same features as the new one.

    Raises:
        SettingsError: there is no earlier run, or its head reads other features.
    """
    if order.earlier is None:
        raise SettingsError("--head-start previous needs --from with an earlier run that has the head")
    record, link = order.earlier.head.record, order.dataset.task.link
    reads = [(column.stage, column.statistic) for column in record.columns]
    wanted = [(column.stage, column.statistic) for column in columns]
    if record.link != link:
        raise SettingsError(
            f"--head-start previous needs an earlier run of the same task; the outputs of its head are "
            f"{_OUTPUTS[record.link]}, but {_OUTPUTS[link]} are needed. Use --head-start solved"
        )
    head = TRAINED_HEADS[link]
    if record.kind != head or reads != wanted:
        raise SettingsError(
            f"--head-start previous needs an earlier run with a {head} head on the last stage; the head "
            f"of this run is {record.kind} on {', '.join(dict.fromkeys(stage for stage, _ in reads))}"
        )
    return order.earlier


def build_tail(network: Network, count: int, head: LinearHead, plan: Plan, *, outputs: int) -> Tail:
    """The stages after the first `count`, with a new head for some number of outputs, ready to be trained."""
    assert plan.training is not None
    network.module.requires_grad_(False)
    tail = Tail(
        network.stages[count:],
        head,
        trains_batchnorm=plan.training.batchnorm == "trained",
        auxiliaries=_auxiliaries(network, count, plan, outputs),
    )
    channels_last(tail)
    quicken(tail)
    return tail


def _auxiliaries(network: Network, count: int, plan: Plan, outputs: int) -> dict[int, nn.Module]:
    """Auxiliary classifiers after the cut, with the outputs of the task; none if their weight is zero."""
    if plan.training is None or not plan.training.auxiliary_weight:
        return {}
    places = {network.stage_names.index(stage): module for stage, module in network.auxiliaries}
    return {
        at - count: with_classes(module, outputs, seed=plan.seed)
        for at, module in places.items()
        if at >= count
    }


def _activations(order: Order, count: int, reporter: Reporter) -> Activations:
    compute = order.compute
    return Activations(
        order.dataset.images,
        order.weights.input_spec,
        view_policy(order.settings, order.plan.seed),
        compute.open(order.weights, reporter, cut=count) if count else None,
        compute.limits,
        compute.workers or count_cores(),
        compute.executor,
    )


def view_policy(settings: TrainSettings, seed: int) -> ViewPolicy:
    """How the views of training images are made."""
    return ViewPolicy(settings.augment or "none", settings.min_crop, settings.erasing, seed)


def build_sources(
    network: Network,
    count: int,
    activations: Activations,
    sides: Sequence[Sequence[str]],
    settings: TrainSettings,
    *,
    kept: int,
    device: torch.device,
    workers: int | None = None,
) -> tuple[ViewSource, ...]:
    """Sources of the batches of two sides, given by the hashes of their images: training and validation.

    Args:
        network: the network, whose first `count` stages are frozen.
        count: number of frozen stages.
        activations: the images with their views and cached activations.
        sides: the hashes of the training images, then of the validation images.
        settings: settings of the training.
        kept: number of views that are kept on disk.
        device: the device of the tail.
        workers: number of threads that decode the images of a batch; None means one for each core.
    """
    prefix = nn.Sequential(*(stage.module for stage in network.stages[:count])) if count else None
    if prefix is not None and kept == 0:
        prefix.to(device).eval()
        channels_last(prefix)
    return tuple(
        ViewSource(
            activations,
            keys,
            shape=activation_shape(network, count),
            prefix=prefix if kept == 0 else None,
            device=device,
            precision=settings.train_precision,
            views=views,
            kept_views=kept,
            workers=workers,
        )
        for keys, views in zip(sides, (settings.views or 0, 1), strict=True)  # validation: the centre
    )


def describe_cut(network: Network, count: int) -> list[str]:
    """The lines of a tree of the network that shows which parts are frozen, trained or new."""
    lines = [f"{network.name}"]
    for number, stage in enumerate(network.stages):
        size = sum(parameter.numel() for parameter in stage.module.parameters())
        state = "frozen " if number < count else "trained"
        lines.append(f"├─ {stage.name:<16} {state} {size / 1e3:>12,.1f} k parameters")
    lines.append(f"└─ {'head':<16} new")
    return lines
