"""What carrying out a plan takes on this machine, predicted from a short calibration that is kept."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from regraft import storage
from regraft.errors import StorageError
from regraft.networks.weights import Weights
from regraft.records import Record, Statistic
from regraft.settings import TrainSettings

if TYPE_CHECKING:
    from regraft.networks.network import Network

# Seconds a unit where nothing has been measured yet; the first measurement replaces them.
_FIRST_GUESSES = {
    "softmax": 2.2e-6,
    "kernel": 7.5e-11,
    "convert": 4.0,
    "open": 2.0,
    "classics": 0.0025,
    "words": 0.05,
}
_SAMPLE = 16  # images of a timed training step
_BASIS = 4.5e-5  # units of a logistic regression's work for each images x images x columns of the basis
_DUEL = 1.3e5  # units of a kernel machine's work that a pair of classes takes, however few its images


class Cost(Record):
    """Predicted for one plan."""

    seconds: float
    disk_bytes: int = 0
    memory_bytes: int = 0


class CostBook:
    """Seconds that units of work take on this machine, measured once and corrected by every run.

    Kept in the cache, one small file for each processor model and number of cores.

    Args:
        folder: where; None means the cache.
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
        """Of one unit, as last measured; a first guess before that."""
        return self._known.get(name, _FIRST_GUESSES.get(name, 0.0))

    def known(self, name: str) -> float | None:
        """Of one unit, if it was ever measured here."""
        return self._known.get(name)

    def learn(self, name: str, seconds: float) -> None:
        """Take a measurement in: the first counts whole, later ones half (geometric mean)."""
        if seconds <= 0:
            return
        known = self._known.get(name)
        self._known[name] = seconds if known is None else (known * seconds) ** 0.5
        record = {"machine": machine_facts(), "seconds": dict(sorted(self._known.items()))}
        storage.write_json(self._path, record)


def extract_name(weights: Weights, runtime: str, precision: str) -> str:
    """What a book calls the seconds for one image, from its file to features."""
    return f"extract {weights.network}@{weights.input_spec.size_px}/{runtime}/{precision}"


def available_bytes() -> float:
    """Memory that this machine has left; 4 GB where it can't be asked."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            facts = dict(line.split(":", 1) for line in file)
        return float(facts["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return 4e9


def machine_facts() -> dict[str, Any]:
    """What makes two machines alike for timings."""
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
    """One image of a training step at a cut."""

    step_s: float
    """Forward, backward and its share of the optimizer."""
    forward_s: float
    disk_bytes: int
    """Of its activation at the cut."""
    memory_bytes: int
    """Kept by the forward pass for the backward pass."""


class TailCost(Record):
    """What training after a cut is made of, as the machine was when it was reckoned."""

    step: StepCost
    has_prefix: bool
    open_s: float
    """To load a network for training."""
    convert_s: float
    """To convert one for the runtime that infers."""
    extract_s: float
    """An image, from its file to features."""


def measure_step(
    weights: Weights, count: int, settings: TrainSettings, book: CostBook, *, classes: int, device: str
) -> StepCost:
    """What a training step costs after a cut, timed on random activations unless the book knows it.

    Args:
        weights: the network.
        count: stages before the cut.
        settings: of the training; its precision decides.
        book: where times are kept.
        classes: of the head.
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
    """Seconds an image of a step and of a forward pass, and bytes that a sample keeps."""
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
    """The faster of two runs, after one to warm up."""
    work()
    times = []
    for _ in range(2):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


@dataclass(frozen=True)
class Amounts:
    """How much there is to do, for the rungs of one data set."""

    train: int
    """Training images, those held out included."""
    held: int
    classes: int
    folds: int


def training_cost(amounts: Amounts, tail: TailCost, *, epochs: int, is_trial: bool = False) -> Cost:
    """Of training a tail: the prefix pass, the epochs, and the trained network's conversion and judgement."""
    step, seconds = tail.step, tail.open_s
    if tail.has_prefix:
        seconds += tail.convert_s + amounts.train * tail.extract_s
    seconds += epochs * ((amounts.train - amounts.held) * step.step_s + amounts.held * step.forward_s)
    if not is_trial:
        seconds += tail.convert_s + amounts.held * tail.extract_s
    disk = step.disk_bytes * amounts.train
    return Cost(seconds=seconds, disk_bytes=disk, memory_bytes=round(1.5 * step.memory_bytes * 32))


def logistic_cost(amounts: Amounts, width: int, book: CostBook) -> Cost:
    """Of cross-validating and solving a logistic regression on so many columns."""
    seconds = 0.1 + logistic_work(amounts, width) * book.seconds("softmax")
    copies = 3 if width > amounts.train else 1  # the rows, and for their coordinates a copy and the basis
    return Cost(seconds=seconds, memory_bytes=4 * copies * amounts.train * width)


def logistic_work(amounts: Amounts, width: int) -> float:
    """Units of work: for each fold (images x coordinates)^0.79 x classes^0.45, and the basis once.

    Coordinates are columns, or images where those are fewer; these have a basis (`features/row_space.py`).
    The powers were fitted to processor seconds on 10 to 2,176 images, 1,024 to 7,168 columns and 2 to 136
    classes: small matrix products are less efficient than large ones, so the powers are less than one.
    """
    numbers = float(amounts.train) * min(width, amounts.train)
    basis = _BASIS * float(amounts.train) ** 2 * width if width > amounts.train else 0.0
    return float(numbers**0.79 * amounts.classes**0.45 * amounts.folds + basis)


def kernel_cost(amounts: Amounts, width: int, book: CostBook, *, machines: int) -> Cost:
    """Of an RBF SVM: distances over so many columns, then so many machines for each fold."""
    work = kernel_work(amounts, width, machines)
    return Cost(seconds=0.1 + work * book.seconds("kernel"), memory_bytes=12 * amounts.train**2)


def kernel_work(amounts: Amounts, width: int, machines: int) -> float:
    """Units of work: pairs of images x (columns + 40 a machine and fold, a little more with more classes).

    libsvm solves each pair of classes by itself, some ten microseconds however few its images are.
    """
    each = 40 * amounts.folds * (1 + amounts.classes / 30)
    duels = machines * amounts.folds * amounts.classes * (amounts.classes - 1) / 2
    return float(amounts.train) ** 2 * (width + machines * each) + _DUEL * duels
