"""Design choices of network papers, compared by building the layers and counting their work.

Each row is counted from real layers on the meta device. If the paper gives a formula, its value is shown
next to the count.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import nn

from regraft.networks.anatomy import count_parts
from regraft.networks.architectures.building import build
from regraft.records import Recipe, Record


class Row(Record):
    """The counts of one design."""

    design: str
    parameters: int
    multiply_adds: int
    formula: str | None = None
    """The paper's formula for the multiply-adds, if there is one."""
    predicted: float | None = None
    """The value of the formula."""


class Comparison(Record):
    """Several designs side by side, and the conclusion."""

    name: str
    title: str
    source: str
    rows: tuple[Row, ...]
    finding: str


def compare_designs(name: str | None = None) -> list[Comparison]:
    """One comparison by its name, or all: depthwise, bottleneck, small-filters, inception, scaling.

    >>> compare_designs("small-filters")[0].rows[1].parameters
    73728
    """
    return [make() for key, make in COMPARISONS.items() if name in (None, key)]


def _depthwise() -> Comparison:
    side, inputs, outputs, kernel = 14, 512, 512, 3
    standard = nn.Conv2d(inputs, outputs, kernel, padding=1, bias=False)
    separable = nn.Sequential(
        nn.Conv2d(inputs, inputs, kernel, padding=1, groups=inputs, bias=False),
        nn.Conv2d(inputs, outputs, 1, bias=False),
    )
    whole = kernel**2 * inputs * outputs * side**2
    parts = kernel**2 * inputs * side**2 + inputs * outputs * side**2
    rows = (
        _row("standard 3x3", standard, (inputs, side, side), "Dk² M N Df²", whole),
        _row("depthwise 3x3, then 1x1", separable, (inputs, side, side), "Dk² M Df² + M N Df²", parts),
    )
    share = rows[1].multiply_adds / rows[0].multiply_adds
    return Comparison(
        name="depthwise",
        title=f"Depthwise-separable convolution: {inputs} to {outputs} channels, {side} x {side} positions",
        source="Howard et al. 2017, arXiv:1704.04861, section 3.1",
        rows=rows,
        finding=f"The separable one needs {share:.3f} of the work; the paper's formula 1/N + 1/Dk² gives "
        f"{1 / outputs + 1 / kernel**2:.3f}",
    )


def _bottleneck() -> Comparison:
    side, narrow, wide = 56, 64, 256
    basic = _chain(_conv(narrow, narrow, 3), _conv(narrow, narrow, 3))
    basic_wide = _chain(_conv(wide, wide, 3), _conv(wide, wide, 3))
    bottleneck = _chain(_conv(wide, narrow, 1), _conv(narrow, narrow, 3), _conv(narrow, wide, 1))
    rows = (
        _row(f"basic: two 3x3 of {narrow}", basic, (narrow, side, side)),
        _row(f"bottleneck: 1x1 to {narrow}, 3x3, 1x1 to {wide}", bottleneck, (wide, side, side)),
        _row(f"basic: two 3x3 of {wide}", basic_wide, (wide, side, side)),
    )
    return Comparison(
        name="bottleneck",
        title=f"Residual blocks at {side} x {side} positions",
        source='He et al. 2015, arXiv:1512.03385, figure 5: "similar time complexity"',
        rows=rows,
        finding=f"With {rows[1].multiply_adds / rows[0].multiply_adds:.2f} of the basic block's work, a "
        f"bottleneck has four times the channels; two 3x3 convolutions of that width would need "
        f"{rows[2].multiply_adds / rows[1].multiply_adds:.0f} times the bottleneck's work",
    )


def _small_filters() -> Comparison:
    side, channels = 28, 64
    designs: list[tuple[str, list[int]]] = [
        ("one 5x5", [5]),
        ("two 3x3", [3, 3]),
        ("one 7x7", [7]),
        ("three 3x3", [3, 3, 3]),
        ("1x7, then 7x1", []),
    ]
    rows = []
    for design, kernels in designs:
        layers = [nn.Conv2d(channels, channels, k, padding=k // 2, bias=False) for k in kernels]
        layers = layers or [
            nn.Conv2d(channels, channels, (1, 7), padding=(0, 3), bias=False),
            nn.Conv2d(channels, channels, (7, 1), padding=(3, 0), bias=False),
        ]
        taps = sum(k * k for k in kernels) or 14
        formula = f"{taps} C² Df²"
        rows.append(
            _row(design, _chain(*layers), (channels, side, side), formula, taps * channels**2 * side**2)
        )
    return Comparison(
        name="small-filters",
        title=f"One large filter or small ones with the same field: {channels} channels, {side} x {side}",
        source="Szegedy et al. 2015, arXiv:1512.00567, section 3.1; Simonyan & Zisserman 2014, section 2.3",
        rows=tuple(rows),
        finding=f"Two 3x3 cover 5 x 5 pixels with {rows[1].multiply_adds / rows[0].multiply_adds:.2f} "
        f"of the work (18/25), three cover 7 x 7 with {rows[3].multiply_adds / rows[2].multiply_adds:.2f} "
        "(27/49), with more non-linearities in between",
    )


class _Inception(nn.Module):
    """Parallel branches whose outputs are concatenated along the channels."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def _inception() -> Comparison:
    side, inputs = 28, 192
    pool = nn.MaxPool2d(3, stride=1, padding=1)
    naive = _Inception(_conv(inputs, 64, 1), _conv(inputs, 128, 3), _conv(inputs, 32, 5), pool)
    reduced = _Inception(
        _conv(inputs, 64, 1),
        _chain(_conv(inputs, 96, 1), _conv(96, 128, 3)),
        _chain(_conv(inputs, 16, 1), _conv(16, 32, 5)),
        _chain(pool, _conv(inputs, 32, 1)),
    )
    rows = (
        _row("naive: 1x1, 3x3, 5x5, pool", naive, (inputs, side, side)),
        _row("reduced: 1x1 before 3x3 and 5x5, after the pool", reduced, (inputs, side, side)),
    )
    return Comparison(
        name="inception",
        title=f"Inception 3a: {inputs} channels, {side} x {side} positions",
        source="Szegedy et al. 2014, arXiv:1409.4842, figure 2 and table 1",
        rows=rows,
        finding=f"Reductions need {rows[1].multiply_adds / rows[0].multiply_adds:.2f} of the work, and "
        "output 256 channels instead of 416, so that the next module is not even wider",
    )


# Width, depth and input size of B0 to B7, as published with the paper's code; multiply-adds of table 2 (1e9).
_SCALED = (
    (1.0, 1.0, 224, 0.39), (1.0, 1.1, 240, 0.70), (1.1, 1.2, 260, 1.0), (1.2, 1.4, 300, 1.8),
    (1.4, 1.8, 380, 4.2), (1.6, 2.2, 456, 9.9), (1.8, 2.6, 528, 19.0), (2.0, 3.1, 600, 37.0),
)  # fmt: skip


def _scaling() -> Comparison:
    rows: list[Row] = []
    for number, (width, depth, side, published) in enumerate(_SCALED):
        with torch.device("meta"):
            network = build(Recipe(library="timm", name=f"tf_efficientnet_b{number}"))
        design = f"B{number} at {side} px (paper: {published:g} G)"
        growth = depth * width**2 * (side / 224) ** 2
        base = rows[0].multiply_adds if rows else published * 1e9
        rows.append(_row(design, network, (3, side, side), "d w² r² of B0", growth * base))
    last = rows[-1].multiply_adds / rows[0].multiply_adds
    return Comparison(
        name="scaling",
        title="EfficientNet B0 to B7: depth, width and resolution scaled together",
        source="Tan & Le 2019, arXiv:1905.11946, section 3.3 and table 2",
        rows=tuple(rows),
        finding=f"B7 is {_SCALED[-1][1]:g} times as deep, {_SCALED[-1][0]:g} times as wide and has "
        f"{600 / 224:.1f} times the resolution, which is {last:.0f} times the work. Blocks and channels are "
        "rounded up, so the counts are higher than the formula",
    )


COMPARISONS: dict[str, Callable[[], Comparison]] = {
    "depthwise": _depthwise,
    "bottleneck": _bottleneck,
    "small-filters": _small_filters,
    "inception": _inception,
    "scaling": _scaling,
}


def _row(
    design: str,
    module: nn.Module,
    shape: tuple[int, ...],
    formula: str | None = None,
    predicted: float | None = None,
) -> Row:
    count = count_parts([module.to("meta").eval()], shape)[0]
    return Row(
        design=design,
        parameters=count.parameters,
        multiply_adds=count.multiply_adds,
        formula=formula,
        predicted=predicted,
    )


def _conv(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)


def _chain(*modules: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict((str(number), module) for number, module in enumerate(modules)))
