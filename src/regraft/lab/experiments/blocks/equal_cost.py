"""Designs at equal multiply-adds: each gets the width that costs as much as the others, and is trained."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from regraft.lab.bench.networks import head, small
from regraft.lab.bench.sets import Labelled, chosen, resized
from regraft.lab.bench.subject import Bench, value
from regraft.lab.bench.training import Small, evaluated, settings, trained
from regraft.lab.results.experiment import Choices
from regraft.lab.results.figures import Figure, interval_bars, written
from regraft.lab.results.results import Results
from regraft.lab.results.rows import Value
from regraft.networks.anatomy import count_parts
from regraft.progress import Reporter
from regraft.records import Estimate

ACCURACY, COST, TIME, SIZE = "accuracy", "multiply-adds", "time of an image", "parameters"
_TIMED = 64
_WIDEST = 200


@dataclass(frozen=True)
class Design:
    """A kind of network."""

    blocks: Callable[[int], Sequence[nn.Module]]
    """The stages at a width, which end with `outputs(width)` channels."""
    outputs: Callable[[int], int] = lambda width: width
    step: int = 4
    """Widths are multiples of this."""
    finer: float = 1.0
    """Side of the images, as a multiple of their own."""
    factor: float = 1.0
    """Multiply-adds, as a multiple of the budget."""

    def side_px(self, own_px: int) -> int:
        """Side of its images, from that of the data."""
        return round(self.finer * own_px)

    def at(self, width: int, classes: int, *, seed: int) -> Small:
        """The network of a width."""
        return small(self.blocks(width), head(self.outputs(width), classes), seed=seed, names="block")


def multiply_adds(network: Small, size_px: int) -> tuple[int, int]:
    """Multiply-adds of an image, and parameters, as the layers themselves have them."""
    counts = count_parts([network.whole.to("meta")], (1, size_px, size_px))
    return counts[0].multiply_adds, counts[0].parameters


def width_for(design: Design, budget: int, *, classes: int, size_px: int) -> int:
    """The width whose multiply-adds are nearest to a budget."""
    wanted, costs = budget * design.factor, dict[int, int]()
    for width in range(design.step, _WIDEST, design.step):
        costs[width] = multiply_adds(design.at(width, classes, seed=0), design.side_px(size_px))[0]
        if costs[width] > wanted:
            break
    return min(costs, key=lambda width: abs(costs[width] - wanted))


def bench(designs: Mapping[str, Design], choices: Choices, reporter: Reporter, *, version: str) -> Bench:
    """The images, and a network of each design at the budget."""
    per_class, epochs, budget = (25, 20, 150_000) if choices.is_quick else (50, 30, 600_000)
    data = chosen(choices.data, per_class=per_class, reporter=reporter)
    own_px = data.images.shape[-1]
    budget = budget * own_px**2 // 64
    widths = {
        name: width_for(one, budget, classes=data.classes, size_px=own_px) for name, one in designs.items()
    }
    facts = {
        "data": data.key, "designs": version, "images of a class": per_class, "test images": 500,
        "epochs": epochs, "multiply-adds": budget, "widths": widths, "batch": 25, "learning rate": 0.003,
    }  # fmt: skip

    def measured(arm: str, seed: int, reporter: Reporter) -> tuple[Value, ...]:
        del reporter
        design = designs[arm]
        size_px = design.side_px(own_px)
        parts = data.sample(seed, per_class=per_class, test=500)
        train, test = (Labelled(resized(one.images, size_px), one.targets) for one in parts)
        network = design.at(widths[arm], data.classes, seed=seed)
        trained(network, train, settings(epochs=epochs, effective_batch=25), seed=seed)
        found = evaluated([network.whole], test)[1]
        spent = seconds_of(network, test.images[:_TIMED])
        cost, parameters = multiply_adds(network, size_px)
        return (
            value(ACCURACY, found), value(TIME, 1e6 * spent, "us"), value(COST, cost, "multiply-adds"),
            value(SIZE, parameters, "parameters"), value("channels", widths[arm], "channels"),
        )  # fmt: skip

    about = f"{data.about}; about {budget:,} multiply-adds an image"
    return Bench(about, facts, measured)


@torch.no_grad()
def seconds_of(network: Small, images: torch.Tensor) -> float:
    """Processor seconds of one image in a forward pass with one thread: the fastest of several passes."""
    whole, threads = network.whole.eval(), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        spent = []
        for _ in range(12):
            started = time.process_time()
            whole(images)
            spent.append(time.process_time() - started)
    finally:
        torch.set_num_threads(threads)
    return min(spent) / len(images)


def figures(results: Results) -> tuple[Figure, ...]:
    """Accuracy, measured time and cost of all designs."""
    rows = {
        name: [(arm, results.estimate(arm, name)) for arm in results.arms] for name in (ACCURACY, TIME, COST)
    }

    def most(name: str) -> float:
        return max(one.high or one.value for _, one in rows[name]) * 1.02

    def counted(one: Estimate) -> str:
        return f"{one.value:,.0f}"

    return (
        interval_bars("accuracy", "Test accuracy", "accuracy, %", rows[ACCURACY]),
        interval_bars(
            "time", "Measured time of an image", "processor microseconds", rows[TIME],
            top=most(TIME), form=written,
            note="A forward pass of 64 images with one thread, the fastest of twelve.",
        ),
        interval_bars(
            "cost", "Multiply-adds of an image, counted from the layers", "multiply-adds", rows[COST],
            top=most(COST), form=counted, note="Widths are whole numbers, so costs are only about equal.",
        ),
    )  # fmt: skip
