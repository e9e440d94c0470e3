"""Write docs/zoo.md and its plot from src/regraft/networks/zoo/zoo.json and scripts/ilsvrc.toml.

Run: python scripts/write_zoo_page.py
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

from regraft.networks.zoo.cards import Card, cards
from regraft.outputs.plots import Axes, point_plot

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"


def page() -> str:
    """The whole page."""
    return f"""# The networks

Written by `scripts/write_zoo_page.py`; counts are computed (`scripts/build_zoo.py`), facts have their source.
`regraft zoo` shows the same table, sorted and filtered; `regraft zoo show NAME` the stages of any network of
timm or torchvision; `regraft zoo compare` why they are built as they are.

## The challenge

The classification task of ILSVRC: 1,000 classes, 1.2 million training images. Error of five guesses.

{_table(("year", "entry", "top-5 error", "source"), _timeline())}

## The table

Depth counts weighted layers on the longest way from the image to the classes, gates included. A stage is
where the network can be cut; `--stages fine` divides further where blocks are grouped. Top-1 is of one
network and one crop on ImageNet-1k's validation images, for the weights and at the size that the last
column's source measured, not always those that are downloaded.

{_table(_HEADER, [_row(card) for card in cards().values()])}

## Accuracy against cost

![Top-1 accuracy against multiply-adds](zoo.svg)

Figures of torchvision's first weights where it has the network, else of its paper; costs are counted here,
at the size at which the accuracy was measured.
"""


_HEADER = ("network", "family", "year", "parameters", "multiply-adds", "input", "smallest", "depth", "stages",
           "licence of the weights", "top-1 %", "source")  # fmt: skip


def _timeline() -> list[tuple[str, ...]]:
    entries = tomllib.loads((HERE / "ilsvrc.toml").read_text(encoding="utf-8"))["entry"]
    return [(str(e["year"]), e["who"], f"{e['top5']:g} %", e["source"]) for e in entries]


def _row(card: Card) -> tuple[str, ...]:
    top1 = card.imagenet_top1
    return (
        f"`{card.name}`", card.family, str(card.year), f"{card.parameters / 1e6:.2f} M",
        f"{card.multiply_adds / 1e9:.2f} G", f"{card.input_spec.size_px} px", f"{card.smallest_px} px",
        str(card.depth), str(len(card.stages)), card.licence,
        f"{top1.value:.1f}" if top1 else "", top1.source.replace("_", "\\_") if top1 else "",
    )  # fmt: skip


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plot(path: Path) -> Path:
    """Accuracy against cost, a line for each family."""
    groups: dict[str, list[tuple[float, float, str]]] = {}
    for card in cards().values():
        if card.imagenet_top1:
            family = "VGG with BatchNorm" if card.name.endswith("_bn") else card.family
            cost = card.imagenet_top1.multiply_adds or card.multiply_adds
            groups.setdefault(family, []).append((cost / 1e9, card.imagenet_top1.value, card.name))
    title = "ImageNet accuracy of one network against its cost"
    axes = Axes(title, "multiply-adds an image, 1e9", "top-1 accuracy, %", is_log_x=True)
    return point_plot(path, axes, {family: sorted(points) for family, points in groups.items()})


if __name__ == "__main__":
    (DOCS / "zoo.md").write_text(page(), encoding="utf-8")
    print(f"wrote {DOCS / 'zoo.md'} and {plot(DOCS / 'zoo.svg')}")
