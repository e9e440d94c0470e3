"""Predicted time, disk and memory of a plan on this machine, from a short calibration kept in the cache."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from regraft import storage
from regraft.errors import StorageError
from regraft.features.kernel_heads import exact_rows
from regraft.features.kernel_machines import is_paired
from regraft.features.solver import working_bytes
from regraft.networks.weights import Weights
from regraft.records import Record, Statistic
from regraft.settings import TrainSettings

if TYPE_CHECKING:
    from regraft.networks.network import Network

# Seconds per unit where nothing has been measured yet; the first measurement replaces them.
_FIRST_GUESSES = {
    "softmax": 2.2e-6,
    "kernel": 7.5e-11,
    "convert": 4.0,
    "open": 2.0,
    "classics": 0.0025,
    "words": 0.05,
}
_SAMPLE = 16  # images in a timed training step
_BASIS = 4.5e-5  # units of logistic-regression work for each (images x images x columns) of the basis
_KERNEL_BYTES = 16  # for each pair of images: distances, their kernel, and the parts that folds copy
_SYSTEM = 0.2  # units of kernel work for each (images x images x images) of a linear system
_DUEL = 1.3e5  # units of kernel work that every pair of classes takes, even with few images


class Cost(Record):
    """Predicted cost of one plan."""

    seconds: float
    disk_bytes: int = 0
    memory_bytes: int = 0


class CostBook:
    """Seconds that each unit of work takes on this machine, measured once and corrected by every run.

    The values are kept in the cache, in one small file per processor model and number of cores.

    Args:
        folder: folder of the file; None means the cache.
    """

    def __init__(self, folder: Path | None = None) -> None:
        place = folder or storage.cache_folder() / "costs"
        self._path = place / f"{storage.key_of(machine_facts())[:16]}.json"
        try:
            self._known: dict[str, float] = dict(storage.read_json(self._path)["seconds"])
        except (StorageError, KeyError, TypeError, ValueError):
            self._known = {}

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def seconds(self, name: str) -> float:
        """Seconds that one unit takes, as last measured; a first guess before that."""
        return self._known.get(name, _FIRST_GUESSES.get(name, 0.0))

    def known(self, name: str) -> float | None:
        """Seconds that one unit takes; None if it was never measured on this machine."""
        return self._known.get(name)

    def learn(self, name: str, seconds: float) -> None:
        """Record a measurement: the first is taken as it is, later ones are averaged in (geometric mean)."""
        if seconds <= 0:
            return
        known = self._known.get(name)
        self._known[name] = seconds if known is None else (known * seconds) ** 0.5
        record = {"machine": machine_facts(), "seconds": dict(sorted(self._known.items()))}
        storage.write_json(self._path, record)


def extract_name(weights: Weights, runtime: str, precision: str) -> str:
    """The name under which a cost book keeps the seconds that one image takes from file to features."""
    return f"extract {weights.network}@{weights.input_spec.size_px}/{runtime}/{precision}"


def available_bytes() -> float:
    """Bytes of memory that are free on this machine; 4 GB where the system does not report it."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            facts = dict(line.split(":", 1) for line in file)
        return float(facts["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return 4e9


def machine_facts() -> dict[str, Any]:
    """The facts by which two machines count as the same for timings: processor and number of cores."""
    name = ""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            name = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "")
    except OSError:
        import platform

        name = platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {"processor": name, "cores": cores}


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
    open_s: float
    """Seconds to load a network for training."""
    convert_s: float
    """Seconds to convert a network for the inference runtime."""
    extract_s: float
    """Seconds that one image takes from file to features."""


def measure_step(
    weights: Weights, count: int, settings: TrainSettings, book: CostBook, *, classes: int, device: str
) -> StepCost:
    """The cost of a training step after a cut, timed on random activations unless the book has it already.

    Args:
        weights: the network.
        count: number of stages before the cut.
        settings: training settings; only the precision matters here.
        book: the cost book that keeps the times.
        classes: number of classes of the head.
        device: as in `FitSettings.device`.
    """
    from regraft.features.pooling import activation_shape
    from regraft.networks.network import load_network

    name = f"{weights.network}@{weights.input_spec.size_px}/cut {count}/{settings.train_precision}/{device}"
    names = {what: f"{what} {name}" for what in ("step", "forward", "disk", "memory")}
    if not all(known in book for known in names.values()):
        network = load_network(weights)
        shape = activation_shape(network, count)
        step, forward, memory = _timed(network, count, shape, settings, classes, device)
        plain = weights.input_spec.size_px**2 * weights.input_spec.channels
        disk = 2.0 * float(np.prod(shape)) if count else float(plain)
        for what, value in (("step", step), ("forward", forward), ("disk", disk), ("memory", memory)):
            book.learn(names[what], value)
    return StepCost(
        step_s=book.seconds(names["step"]),
        forward_s=book.seconds(names["forward"]),
        disk_bytes=round(book.seconds(names["disk"])),
        memory_bytes=round(book.seconds(names["memory"])),
    )


def _timed(
    network: Network, count: int, shape: tuple[int, ...], settings: TrainSettings, classes: int, device: str
) -> tuple[float, float, float]:
    """Seconds per image of a step and of a forward pass, and the bytes that one image keeps."""
    import torch

    from regraft.features.pooling import layout_of
    from regraft.features.torch_runtime import find_device
    from regraft.networks.strided_depthwise import quicken
    from regraft.training.memory import kept_bytes
    from regraft.training.tail import HeadStart, LinearHead, Tail, autocast, channels_last

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
    values = torch.rand(_SAMPLE, *shape, device=where)
    if values.ndim == 4:
        values = values.to(memory_format=torch.channels_last)
    labels = torch.zeros(_SAMPLE, dtype=torch.int64, device=where)

    def step() -> None:
        with autocast(where, settings.train_precision):
            loss = torch.nn.functional.cross_entropy(tail(values), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        _wait(where)

    def forward() -> None:
        with torch.no_grad(), autocast(where, settings.train_precision):
            tail(values)
        _wait(where)

    memory = kept_bytes(tail, values[:1], settings.train_precision)
    return _seconds(step) / _SAMPLE, _seconds(forward) / _SAMPLE, float(memory)


def _wait(where: Any) -> None:
    if where.type == "cuda":
        import torch

        torch.cuda.synchronize(where)


def _seconds(work: Any) -> float:
    """The time of the faster of two runs, after a warm-up run."""
    work()
    times = []
    for _ in range(2):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


@dataclass(frozen=True)
class Amounts:
    """The amount of work that every rung on one data set has: images, classes and folds."""

    train: int
    """Number of training images, including those held out for validation."""
    held: int
    classes: int
    folds: int


def training_cost(amounts: Amounts, tail: TailCost, *, epochs: int, is_trial: bool = False) -> Cost:
    """The cost of training a tail: prefix pass, epochs, and conversion and evaluation of the result."""
    step, seconds = tail.step, tail.open_s
    if tail.has_prefix:
        seconds += tail.convert_s + amounts.train * tail.extract_s
    seconds += epochs * ((amounts.train - amounts.held) * step.step_s + amounts.held * step.forward_s)
    if not is_trial:
        seconds += tail.convert_s + amounts.held * tail.extract_s
    disk = step.disk_bytes * amounts.train
    return Cost(seconds=seconds, disk_bytes=disk, memory_bytes=round(1.5 * step.memory_bytes * 32))


def logistic_cost(amounts: Amounts, width: int, book: CostBook) -> Cost:
    """The cost of cross-validating and solving a logistic regression on `width` columns."""
    seconds = 0.1 + logistic_work(amounts, width) * book.seconds("softmax")
    copies = 3 if width > amounts.train else 1  # the rows; with a basis, also a copy and the basis
    numbers = 4 * copies * amounts.train * width + 3 * 8 * amounts.train * amounts.classes
    weights = 4 * min(width, amounts.train) * amounts.classes
    return Cost(seconds=seconds, memory_bytes=numbers + working_bytes(amounts.folds, weights))


def logistic_work(amounts: Amounts, width: int) -> float:
    """Units of work: (images x coordinates)^0.79 x classes^0.45 per fold, and the basis once.

    The number of coordinates is the number of columns or, where that is smaller, the number of images; in the
    second case a basis is computed (`features/row_space.py`). The powers were fitted to processor seconds on
    10 to 2,176 images, 1,024 to 7,168 columns and 2 to 136 classes. They are less than one because small
    matrix products are less efficient than large ones.
    """
    numbers = float(amounts.train) * min(width, amounts.train)
    basis = _BASIS * float(amounts.train) ** 2 * width if width > amounts.train else 0.0
    return float(numbers**0.79 * amounts.classes**0.45 * amounts.folds + basis)


def kernel_cost(amounts: Amounts, width: int, book: CostBook, *, machines: int) -> Cost:
    """The cost of an RBF SVM: distances over `width` columns, then `machines` SVMs for each fold."""
    work = kernel_work(amounts, width, machines)
    rows, scores = min(amounts.train, exact_rows(amounts.classes)), 8 * amounts.train * amounts.classes
    return Cost(
        seconds=0.1 + work * book.seconds("kernel"), memory_bytes=_KERNEL_BYTES * rows**2 + 3 * scores
    )


def kernel_work(amounts: Amounts, width: int, machines: int) -> float:
    """Units of work: pairs of images x (columns + 40 per machine and fold, slightly more with more classes).

    libsvm solves each pair of classes separately, which takes about ten microseconds even with few images.
    With many classes a linear system is solved instead, whose work grows with the cube of the images.
    """
    if not is_paired(amounts.classes):
        rows = float(min(amounts.train, exact_rows(amounts.classes)))
        return rows**2 * (width + _SYSTEM * machines * amounts.folds * rows)
    each = 40 * amounts.folds * (1 + amounts.classes / 30)
    duels = machines * amounts.folds * amounts.classes * (amounts.classes - 1) / 2
    return float(amounts.train) ** 2 * (width + machines * each) + _DUEL * duels
