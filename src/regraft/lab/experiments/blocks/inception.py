"""Filters of several sizes side by side, against one size, at equal multiply-adds."""

from __future__ import annotations

import torch
from torch import nn

from regraft.lab.bench.networks import conv, three_blocks
from regraft.lab.bench.subject import Bench, steps_of
from regraft.lab.experiments.blocks.equal_cost import ACCURACY, COST, TIME, Design, bench, figures
from regraft.lab.results.claims import best, compared, said
from regraft.lab.results.experiment import Arm, Choices, Experiment, Paper, Step
from regraft.lab.results.results import Results
from regraft.lab.results.verdicts import factor
from regraft.progress import Reporter

INCEPTION, NAIVE, THREE, FIVE = "inception", "naive inception", "3 x 3", "5 x 5"


class Inception(nn.Module):
    """Branches of 1 x 1, 3 x 3, 5 x 5 and pooling, a quarter of the channels each, side by side.

    Args:
        width: number of channels, before and after.
        squeezes: whether 1 x 1 convolutions lower the number of channels before 3 x 3 and 5 x 5.
    """

    def __init__(self, width: int, *, squeezes: bool) -> None:
        super().__init__()
        own, inner = width // 4, width // 4 if squeezes else width
        before = [conv(width, inner, 1) if squeezes else nn.Identity() for _ in range(2)]
        self.branches = nn.ModuleList(
            [
                conv(width, own, 1),
                nn.Sequential(before[0], conv(inner, own)),
                nn.Sequential(before[1], conv(inner, own, 5)),
                nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), conv(width, own, 1)),
            ]
        )

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(given) for branch in self.branches], dim=1)


DESIGNS = {
    INCEPTION: Design(three_blocks(lambda width: Inception(width, squeezes=True))),
    NAIVE: Design(three_blocks(lambda width: Inception(width, squeezes=False))),
    THREE: Design(three_blocks(lambda width: conv(width, width))),
    FIVE: Design(three_blocks(lambda width: conv(width, width, 5))),
}


def prepare(choices: Choices, reporter: Reporter) -> Bench:
    """The images, and a network of each kind of block."""
    return bench(DESIGNS, choices, reporter, version="inception 1")


def findings(results: Results) -> tuple[str, ...]:
    """What several sizes side by side buy."""
    wide = results.ratio(INCEPTION, NAIVE, "channels").value
    slow = results.ratio(INCEPTION, THREE, TIME)
    cost = results.ratio(INCEPTION, THREE, COST).value
    return (
        f"At about equal multiply-adds, squeezing by 1 x 1 convolutions allows {wide:.1f} times the channels "
        "of the naive module.",
        compared(
            results, (INCEPTION, THREE), ACCURACY,
            more="At equal cost, filters of several sizes classify better than 3 x 3 alone",
            less="At equal cost, filters of several sizes classify worse than 3 x 3 alone",
            whether="filters of several sizes classify better than 3 x 3 alone at about equal cost",
        ),
        compared(
            results, (THREE, FIVE), ACCURACY,
            more="At equal cost, 3 x 3 filters classify better than 5 x 5",
            less="At equal cost, 5 x 5 filters classify better than 3 x 3",
            whether="3 x 3 filters classify better than 5 x 5 at about equal cost",
        ),
        said(
            slow,
            f"an image takes {factor(slow)} times as long as with 3 x 3 alone, at {cost:.2f} times the count",
            more="Many small branches take longer than their count says",
            less="The branches are faster than their count says",
            whether="many small branches take longer than their count says", reference=cost,
        ),
        best(results, results.arms, ACCURACY, what="accuracy at about equal cost"),
    )  # fmt: skip


INCEPTIONS = Experiment(
    name="inception",
    title="Filters of several sizes",
    question="Why filters of several sizes side by side, and why 1 x 1 convolutions before them?",
    topic="building blocks: the inception module",
    minutes=3,
    seeds=5,
    version=1,
    arms=(
        Arm(
            INCEPTION,
            "1 x 1, 3 x 3, 5 x 5 and pooling side by side, after 1 x 1 convolutions that lower the channels",
        ),
        Arm(NAIVE, "the same without these 1 x 1 convolutions"),
        Arm(THREE, "3 x 3 convolutions"),
        Arm(FIVE, "5 x 5 convolutions"),
    ),
    papers=(
        Paper(
            "GoogLeNet wins the classification of ILSVRC 2014 with a top-5 error of 6.67 % and twelve "
            "times fewer parameters than AlexNet.",
            "Szegedy et al. 2014, Going deeper with convolutions, sections 1 and 7",
        ),
        Paper(
            "Two 3 x 3 convolutions see as far as one of 5 x 5 for 28 % less.",
            "Szegedy et al. 2015, Rethinking the inception architecture for computer vision, section 3.1",
        ),
    ),
    prepare=prepare,
    figures=figures,
    findings=findings,
    next_steps=steps_of("inception", Step("the counts of GoogLeNet's own module", "zoo compare inception")),
)
