"""Depthwise-separable convolutions against whole ones, at equal multiply-adds, with the time they take."""

from __future__ import annotations

from torch import nn

from regraft.lab.bench.networks import conv, linear_conv, three_blocks
from regraft.lab.bench.subject import Bench, steps_of
from regraft.lab.experiments.blocks.bottleneck import Residual
from regraft.lab.experiments.blocks.equal_cost import ACCURACY, COST, TIME, Design, bench, figures
from regraft.lab.results.claims import compared, said
from regraft.lab.results.experiment import Arm, Choices, Experiment, Paper, Step
from regraft.lab.results.results import Results
from regraft.lab.results.verdicts import factor
from regraft.progress import Reporter

STANDARD, SEPARABLE, INVERTED = "standard", "separable", "inverted residual"
_EXPANSION = 4


def _depthwise(width: int) -> list[nn.Module]:
    convolution = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
    return [convolution, nn.BatchNorm2d(width), nn.ReLU()]


def _separable(width: int) -> nn.Module:
    return nn.Sequential(*_depthwise(width), conv(width, width, 1))


def _inverted(width: int) -> nn.Module:
    wide = _EXPANSION * width
    return Residual(conv(width, wide, 1), *_depthwise(wide), *linear_conv(wide, width, 1))


DESIGNS = {
    STANDARD: Design(three_blocks(lambda width: conv(width, width))),
    SEPARABLE: Design(three_blocks(_separable)),
    INVERTED: Design(three_blocks(_inverted)),
}


def prepare(choices: Choices, reporter: Reporter) -> Bench:
    """The images, and a network of each kind of convolution."""
    return bench(DESIGNS, choices, reporter, version="depthwise 1")


def findings(results: Results) -> tuple[str, ...]:
    """What separating space from channels buys, in accuracy and in time."""
    wide = results.ratio(SEPARABLE, STANDARD, "channels").value
    slow = results.ratio(SEPARABLE, STANDARD, TIME)
    cost = results.ratio(SEPARABLE, STANDARD, COST).value
    return (
        f"At about equal multiply-adds, separable convolutions have {wide:.1f} times the channels of "
        "standard ones.",
        compared(
            results, (SEPARABLE, STANDARD), ACCURACY,
            more="At equal multiply-adds, separable convolutions classify better",
            less="At equal multiply-adds, separable convolutions classify worse",
            whether="separable convolutions classify better at equal multiply-adds",
        ),
        said(
            slow,
            f"an image takes {factor(slow)} times as long as with standard ones, "
            f"at {cost:.2f} times the count",
            more="Separable convolutions take longer than their multiply-adds say",
            less="Separable convolutions are faster than their multiply-adds say",
            whether="separable convolutions take longer than their multiply-adds say", reference=cost,
        ),
        compared(
            results, (INVERTED, SEPARABLE), ACCURACY,
            more="Inverted residuals classify better than separable convolutions",
            less="Inverted residuals classify worse than separable convolutions",
            whether="inverted residuals classify better than separable convolutions",
        ),
    )  # fmt: skip


DEPTHWISE = Experiment(
    name="depthwise",
    title="Space and channels apart",
    question="What do depthwise-separable convolutions save, and what do they cost?",
    topic="building blocks: depthwise convolutions",
    minutes=3,
    seeds=5,
    version=1,
    arms=(
        Arm(STANDARD, "3 x 3 convolutions over all channels"),
        Arm(SEPARABLE, "3 x 3 within each channel, then 1 x 1 over channels, as in MobileNet"),
        Arm(
            INVERTED,
            "1 x 1 to four times the channels, 3 x 3 within each, 1 x 1 back, and a shortcut, as in "
            "MobileNetV2",
        ),
    ),
    papers=(
        Paper(
            "With depthwise-separable instead of whole convolutions, MobileNet loses one point on "
            "ImageNet (70.6 % instead of 71.7 %) and needs 569 instead of 4,866 million multiply-adds.",
            "Howard et al. 2017, MobileNets, table 4",
        ),
        Paper(
            "The count of operations is no measure of speed: memory access and parallelism decide, too, "
            "and depthwise convolutions are limited by memory.",
            "Ma, Zhang, Zheng & Sun 2018, ShuffleNet V2, section 1",
        ),
    ),
    prepare=prepare,
    figures=figures,
    findings=findings,
    next_steps=steps_of("depthwise", Step("the paper's formula against the layers", "zoo compare depthwise")),
)
