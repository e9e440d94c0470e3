"""Three times the multiply-adds, spent on depth, on width, on resolution, or on all three."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from regraft.lab.bench.networks import conv
from regraft.lab.bench.subject import Bench, steps_of
from regraft.lab.experiments.blocks.bottleneck import basic
from regraft.lab.experiments.blocks.equal_cost import ACCURACY, Design, bench, figures
from regraft.lab.results.claims import best, compared
from regraft.lab.results.experiment import Arm, Choices, Experiment, Paper, Step
from regraft.lab.results.results import Results
from regraft.progress import Reporter

BASE, DEEP, WIDE, FINE, ALL = "base", "deeper", "wider", "finer", "all three"
_MORE = 3.0
"""How many times the multiply-adds of the base the others may have."""


def _network(count: int) -> Callable[[int], list[nn.Module]]:
    def blocks(width: int) -> list[nn.Module]:
        first = [basic(width) for _ in range(count)]
        later = [basic(width) for _ in range(count - 1)]
        return [conv(1, width), *first, nn.Sequential(nn.MaxPool2d(2), basic(width)), *later]

    return blocks


DESIGNS = {
    BASE: Design(_network(1), step=1),
    DEEP: Design(_network(3), step=1, factor=_MORE),
    WIDE: Design(_network(1), step=1, factor=_MORE),
    FINE: Design(_network(1), step=1, finer=1.75, factor=_MORE),
    ALL: Design(_network(2), step=1, finer=1.25, factor=_MORE),
}


def prepare(choices: Choices, reporter: Reporter) -> Bench:
    """The images, and networks of the base's cost and of three times as much."""
    return bench(DESIGNS, choices, reporter, version="scaling 1")


def findings(results: Results) -> tuple[str, ...]:
    """Whether more work pays, and where it is spent best."""
    each = [
        compared(
            results, (arm, BASE), ACCURACY,
            more=f"Three times the multiply-adds pay when the network becomes {how}",
            less=f"Three times the multiply-adds hurt when the network becomes {how}",
            whether=f"three times the multiply-adds pay when the network becomes {how}",
        )
        for arm, how in ((DEEP, "deeper"), (WIDE, "wider"), (FINE, "finer"), (ALL, "deeper, wider and finer"))
    ]  # fmt: skip
    return (*each, best(results, [DEEP, WIDE, FINE, ALL], ACCURACY, what="accuracy at three times the cost"))


SCALING = Experiment(
    name="scaling",
    title="What to do with more work",
    question="Should a network with more to spend become deeper, wider or finer?",
    topic="building blocks: compound scaling",
    minutes=5,
    seeds=5,
    version=1,
    arms=(
        Arm(BASE, "two residual blocks"),
        Arm(DEEP, "six residual blocks at three times the cost, about as wide"),
        Arm(WIDE, "two blocks with more channels at three times the cost"),
        Arm(FINE, "two blocks on images enlarged to 1.75 times the side, at three times the cost"),
        Arm(ALL, "four blocks on images enlarged to 1.25 times the side, at three times the cost"),
    ),
    papers=(
        Paper(
            "Scaling depth, width and resolution together is better than any alone: at 1.8 thousand "
            "million multiply-adds, 81.1 % on ImageNet together, 79.0 % by depth, 78.9 % by width and "
            "79.1 % by resolution.",
            "Tan & Le 2019, EfficientNet: rethinking model scaling for convolutional neural networks, "
            "table 7",
        ),
    ),
    prepare=prepare,
    figures=figures,
    findings=findings,
    next_steps=steps_of("scaling", Step("the counts of EfficientNet B0 to B7", "zoo compare scaling")),
)
