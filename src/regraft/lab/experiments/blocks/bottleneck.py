"""Residual blocks of two 3 x 3 convolutions, and bottlenecks, at equal multiply-adds."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from regraft.lab.bench.networks import conv, linear_conv, three_blocks
from regraft.lab.bench.subject import Bench, steps_of
from regraft.lab.experiments.blocks.equal_cost import ACCURACY, COST, SIZE, TIME, Design, bench, figures
from regraft.lab.results.claims import compared, said
from regraft.lab.results.experiment import Arm, Choices, Experiment, Paper, Step
from regraft.lab.results.results import Results
from regraft.lab.results.verdicts import factor
from regraft.progress import Reporter

BASIC, BOTTLENECK, CHAIN = "basic", "bottleneck", "no shortcut"


class Residual(nn.Module):
    """`relu(x + f(x))`."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*parts)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return functional.relu(given + self.body(given))


def basic(width: int) -> nn.Module:
    """Two 3 x 3 convolutions and a shortcut."""
    return Residual(conv(width, width), *linear_conv(width, width))


def _bottleneck(width: int) -> nn.Module:
    narrow = width // 4
    return Residual(conv(width, narrow, 1), conv(narrow, narrow), *linear_conv(narrow, width, 1))


def _chain(width: int) -> nn.Module:
    return nn.Sequential(conv(width, width), *linear_conv(width, width), nn.ReLU())


DESIGNS = {
    BASIC: Design(three_blocks(basic)),
    BOTTLENECK: Design(three_blocks(_bottleneck)),
    CHAIN: Design(three_blocks(_chain)),
}


def prepare(choices: Choices, reporter: Reporter) -> Bench:
    """The images, and a network of each kind of block."""
    return bench(DESIGNS, choices, reporter, version="bottleneck 1")


def findings(results: Results) -> tuple[str, ...]:
    """What a bottleneck buys."""
    wide = results.ratio(BOTTLENECK, BASIC, "channels").value
    slow, large = (results.ratio(BOTTLENECK, BASIC, name) for name in (TIME, SIZE))
    cost = results.ratio(BOTTLENECK, BASIC, COST).value
    return (
        f"At about equal multiply-adds a bottleneck has {wide:.1f} times the channels of a basic block, and "
        f"{large.value:.2f} times the parameters.",
        compared(
            results, (BOTTLENECK, BASIC), ACCURACY,
            more="At equal cost, bottlenecks classify better",
            less="At equal cost, bottlenecks classify worse",
            whether="bottlenecks classify better at about equal cost",
        ),
        said(
            slow,
            f"an image takes {factor(slow)} times as long as with basic blocks, "
            f"at {cost:.2f} times the count",
            more="Multiply-adds understate what a bottleneck takes",
            less="A bottleneck is faster than its count says",
            whether="a bottleneck is slower than its count says", reference=cost,
        ),
        compared(
            results, (BASIC, CHAIN), ACCURACY,
            more="With this few layers, shortcuts help already", less="With this few layers, shortcuts hurt",
            whether="shortcuts help with this few layers",
        ),
    )  # fmt: skip


BOTTLENECKS = Experiment(
    name="bottleneck",
    title="Basic blocks and bottlenecks",
    question="Why do deep residual networks squeeze their channels before the 3 x 3 convolution?",
    topic="building blocks: the bottleneck",
    minutes=3,
    seeds=5,
    version=1,
    arms=(
        Arm(BASIC, "two 3 x 3 convolutions and a shortcut"),
        Arm(BOTTLENECK, "1 x 1 to a quarter of the channels, 3 x 3, 1 x 1 back, and a shortcut"),
        Arm(CHAIN, "two 3 x 3 convolutions without a shortcut"),
    ),
    papers=(
        Paper(
            "A bottleneck of 256 channels costs about as much as a basic block of 64; ResNets of 50 and "
            "more layers use it for reasons of training time.",
            "He, Zhang, Ren & Sun 2015, Deep residual learning for image recognition, figure 5 and "
            "section 4.1",
        ),
    ),
    prepare=prepare,
    figures=figures,
    findings=findings,
    next_steps=steps_of("bottleneck", Step("the counts of the paper's own blocks", "zoo compare bottleneck")),
)
