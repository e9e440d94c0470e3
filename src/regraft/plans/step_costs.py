"""The time of a training step after a cut: from counts and this machine's rates, and from one timed step.

The estimate is a roofline (Williams et al. 2009, "Roofline: an insightful visual performance model"), with
its two terms added because layers alternate between them: multiply-adds at the rate of a matrix product, for
dense layers; and values moved through memory, for depthwise layers, normalisations and activations. How many
times longer a real step takes is learned for every network.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from regraft.networks.weights.finding import Weights
from regraft.networks.zoo.cards import StageCard, card_of
from regraft.plans.cost_book import CostBook
from regraft.records import Record, Statistic
from regraft.settings import TrainSettings

if TYPE_CHECKING:
    from regraft.networks.network import Network

_BATCH = 16  # images in a timed training step
_FIRST = (
    2  # images in the step before it, which prepares kernels and shows whether a whole one can be afforded
)
_PASSES = (
    18  # times that a value is read or written: three passes of a layer, its normalisation, its activation
)
_UPDATE = 12  # numbers read or written for every parameter by gradients and an optimizer step
_BYTES_PER_S = 8e9  # of memory; the learned factor corrects it
_SIDE = 768  # of the matrices that are multiplied to measure the machine
_FORWARD = 0.3  # share of a step that the forward pass takes: a third of the multiply-adds, and less memory
_KEPT = 6  # bytes kept for the backward pass, for every value: in half of the layers it is kept twice


class StepCost(Record):
    """The cost of one image in a training step after a cut."""

    step_s: float
    """Seconds of the forward pass, the backward pass and the image's share of the optimizer step."""
    forward_s: float
    disk_bytes: int
    """Size of the image's activation at the cut."""
    memory_bytes: int
    """Bytes that the forward pass keeps for the backward pass."""


class TailCost(Record):
    """The parts that the time of a training after a cut consists of, as measured on this machine."""

    step: StepCost
    has_prefix: bool
    prefix_share: float = 1.0
    """Share of the network's work that lies before the cut; 0 where its activations are in the cache."""
    open_s: float
    """Seconds to load a network for training."""
    convert_s: float
    """Seconds to convert a network for the inference runtime."""
    extract_s: float
    """Seconds that one image takes from file to features."""


@dataclass(frozen=True)
class TailWork:
    """What one image costs in a training step after a cut, as counts."""

    multiply_adds: float
    """Multiply-adds of one forward pass of the tail."""
    values: float
    """Numbers that the tail's layers put out."""
    parameters: float
    activation: float
    """Numbers in the activation at the cut; at cut 0, the bytes of the image."""
    prefix_share: float
    """Share of the network's multiply-adds that lie before the cut."""

    def seconds(self, matrix_s: float, *, batch: int = 32) -> float:
        """The roofline of a training step for one image, on an idle machine.

        Args:
            matrix_s: seconds of a thousand million multiply-adds in a matrix product.
            batch: images of an optimizer step, which share the update of the parameters.
        """
        computed = 3 * self.multiply_adds * matrix_s / 1e9
        moved = 4 * (_PASSES * self.values + _UPDATE * self.parameters / batch) / _BYTES_PER_S
        return computed + moved


def tail_work(weights: Weights, count: int) -> TailWork:
    """The work after a cut, from the network's card; a network without one is counted, which takes a second.

    Args:
        weights: the network.
        count: number of stages before the cut.
    """
    stages = _stages(weights)
    depths = [0, *(stage.depth for stage in stages)]
    layers = [max(1, after - before) for before, after in pairwise(depths)]
    sizes = [float(math.prod(stage.shape)) for stage in stages]
    every = sum(stage.multiply_adds for stage in stages)
    spec = weights.input_spec
    return TailWork(
        multiply_adds=float(sum(stage.multiply_adds for stage in stages[count:])),
        values=sum(size * number for size, number in zip(sizes[count:], layers[count:], strict=True)),
        parameters=float(sum(stage.parameters for stage in stages[count:])),
        activation=sizes[count - 1] if count else float(spec.size_px**2 * spec.channels),
        prefix_share=sum(stage.multiply_adds for stage in stages[:count]) / max(1, every),
    )


def _stages(weights: Weights) -> tuple[StageCard, ...]:
    known = card_of(weights.recipe)
    spec = weights.input_spec
    if known and weights.recipe.stages in ("default", known.recipe.stages):
        own = known.input_spec
        if (own.size_px, own.channels) == (spec.size_px, spec.channels):
            return known.stages
    from regraft.networks.counting import describe_network

    return describe_network(weights.network, recipe=weights.recipe, input_spec=spec).stages


def estimate_step(
    weights: Weights, count: int, settings: TrainSettings, book: CostBook, *, device: str
) -> StepCost:
    """The cost of a training step after a cut, without taking one.

    Args:
        weights: the network.
        count: number of stages before the cut.
        settings: training settings; only the precision matters here.
        book: the cost book, which keeps how many times the roofline a step of this network takes.
        device: as in `FitSettings.device`.
    """
    work, name = tail_work(weights, count), step_name(weights, settings, device)
    factor = book.known(name) or book.seconds("step")
    step_s = work.seconds(book.quiet("matrix")) * factor
    return StepCost(
        step_s=step_s,
        forward_s=_FORWARD * step_s,
        disk_bytes=round(work.activation * (2 if count else 1)),
        memory_bytes=round(_KEPT * work.values),
    )


def step_name(weights: Weights, settings: TrainSettings, device: str) -> str:
    """The name under which a cost book keeps how many rooflines long a step of a network is."""
    return f"step {weights.network}@{weights.input_spec.size_px}/{settings.train_precision}/{device}"


def measure_matrix(book: CostBook) -> None:
    """Learn the rate of a matrix product on this machine, which takes less than a tenth of a second."""
    values = np.ones((_SIDE, _SIDE), dtype=np.float32)
    values @ values
    times = []
    for _ in range(5):
        started, used = time.perf_counter(), time.process_time()
        values @ values
        times.append((time.perf_counter() - started, time.process_time() - used))
    wall_s, processor_s = min(times)
    amount = _SIDE**3 / 1e9
    book.learn("matrix", wall_s / amount, processor_s / amount)


def measure_step(
    weights: Weights,
    count: int,
    settings: TrainSettings,
    book: CostBook,
    *,
    classes: int,
    device: str,
    limit_s: float,
) -> None:
    """Learn how many times longer than the roofline a training step takes, from steps on random activations.

    Args:
        weights: the network.
        count: number of stages before the cut.
        settings: training settings; only the precision matters here.
        book: the cost book that keeps the factor.
        classes: number of classes of the head.
        device: as in `FitSettings.device`.
        limit_s: seconds that the steps may take; the first, on two images, is taken in any case.
    """
    from regraft.features.pooling import activation_shape
    from regraft.networks.network import load_network

    network = load_network(weights)
    step = _step(network, count, activation_shape(network, count), settings, classes, device)
    images, wall_s, processor_s = timed(step, limit_s)
    roofline = tail_work(weights, count).seconds(book.quiet("matrix"), batch=images)
    name = step_name(weights, settings, device)
    book.learn(name, wall_s / roofline, processor_s / roofline, is_final=True)


def timed(
    step: Callable[[int], None],
    limit_s: float,
    *,
    clock: Callable[[], float] = time.perf_counter,
    processor: Callable[[], float] = time.process_time,
) -> tuple[int, float, float]:
    """Images of a warm step, and its seconds and processor seconds for each of them.

    Args:
        step: takes a step on some images.
        limit_s: seconds for all steps; the first, on two images, is taken in any case.
        clock: reads seconds.
        processor: reads processor seconds.
    """

    def once(images: int) -> tuple[int, float, float]:
        started, used = clock(), processor()
        step(images)
        return images, (clock() - started) / images, (processor() - used) / images

    began, found = clock(), once(_FIRST)
    if clock() - began < limit_s:
        found = once(_FIRST)  # the first step also prepared kernels and the optimizer
        if 2 * _BATCH * found[1] <= limit_s - (clock() - began):
            once(_BATCH)
            found = once(_BATCH)
    return found


def _step(
    network: Network, count: int, shape: tuple[int, ...], settings: TrainSettings, classes: int, device: str
) -> Callable[[int], None]:
    """A function that takes a training step on some random activations."""
    import torch

    from regraft.features.pooling import layout_of
    from regraft.features.torch_runtime import find_device
    from regraft.networks.architectures.strided_depthwise import quicken
    from regraft.training.loop.tail import Tail, autocast, channels_last
    from regraft.training.trained_head import HeadStart, LinearHead

    where = find_device(device)
    columns = [column for column in layout_of(network) if column.stage == network.stage_names[-1]]
    statistic: Statistic = "token" if any(column.statistic == "token" for column in columns) else "mean"
    width = next(c.stop - c.start for c in columns if c.statistic == statistic)
    head = LinearHead(HeadStart.zero(width, classes), statistic)
    tail = Tail(network.stages[count:], head).to(where)
    channels_last(tail)
    quicken(tail)
    tail.train()
    optimizer = torch.optim.AdamW(tail.parameters(), lr=0.0)

    def step(images: int) -> None:
        values = torch.rand(images, *shape, device=where)
        if values.ndim == 4:
            values = values.to(memory_format=torch.channels_last)
        labels = torch.zeros(images, dtype=torch.int64, device=where)
        with autocast(where, settings.train_precision):
            loss = torch.nn.functional.cross_entropy(tail(values), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        _wait(where)

    return step


def _wait(where: Any) -> None:
    if where.type == "cuda":
        import torch

        torch.cuda.synchronize(where)
