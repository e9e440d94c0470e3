"""The rates of this machine for training, measured: a matrix product, and one step after a cut."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from regraft.networks.weights.finding import Weights
from regraft.plans.cost_book import CostBook
from regraft.records import Statistic
from regraft.settings import TrainSettings

if TYPE_CHECKING:
    from regraft.networks.network import Network
from regraft.plans.step_costs import step_name, tail_work

_BATCH = 16  # images in a timed training step
_FIRST = (
    2  # images in the step before it, which prepares kernels and shows whether a whole one can be afforded
)
_SIDE = 768  # of the matrices that are multiplied to measure the machine


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
    from regraft.machine.devices import find_device
    from regraft.networks.architectures.strided_depthwise import quicken
    from regraft.training.loop.tail import Tail, autocast, channels_last
    from regraft.training.start.trained_head import HeadStart, LinearHead

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
