"""A page that shows a network as blocks, whose heights are map sizes and whose widths are channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from markupsafe import Markup
from PIL import Image

from regraft.data.pictures.loading import Pixels, load_input
from regraft.explanation.overlays import coloured, data_uri, enlarged, picture
from regraft.explanation.units import stage_maps
from regraft.networks.cuts import cut_count
from regraft.networks.network import load_network
from regraft.networks.weights.finding import find_weights
from regraft.networks.zoo.cards import Card, StageCard
from regraft.prediction.graph import Trunk
from regraft.reports.architecture.drawing import amount, drawn
from regraft.reports.architecture.wiring import Block as Wired
from regraft.reports.architecture.wiring import wiring
from regraft.reports.pages import write_page

State = Literal["plain", "frozen", "trained", "new"]
_TALLEST, _THICKEST, _GAP, _SLANT, _TOP = 190.0, 58.0, 30.0, 0.34, 34.0
_LABELS = 132.0  # height of the turned names below the blocks
_MAPS = 16
_MAP_PX = 84


@dataclass(frozen=True)
class Block:
    """One stage as it is drawn, with lengths in pixels."""

    stage: StageCard
    state: State
    share: float
    """The stage's share of the network's multiply-adds."""
    x: float
    y: float
    thickness: float
    side: float
    maps: tuple[tuple[int, str], ...]
    """Channel numbers and their maps, as `data:` addresses."""
    wired: tuple[Wired, ...] = ()
    """How its operations are connected; empty if the network can't be traced."""

    @property
    def inside(self) -> Markup:
        """A drawing of its operations; empty if there are none, or too many connections."""
        return drawn(self.wired, name=self.stage.name)

    @property
    def operations(self) -> int:
        """The number of its operations."""
        return sum(block.times * len(block.operations) for block in self.wired)

    @property
    def work(self) -> str:
        """Its multiply-adds, in words."""
        return amount(self.stage.multiply_adds)

    @property
    def depth(self) -> float:
        """Horizontal and vertical extent of the block's receding edges."""
        return round(self.side * _SLANT, 1)

    @property
    def top(self) -> str:
        """Corners of the upper face."""
        x, y, w, d = self.x, self.y, self.thickness, self.depth
        return f"{x},{y} {x + d:.1f},{y - d:.1f} {x + w + d:.1f},{y - d:.1f} {x + w:.1f},{y}"

    @property
    def flank(self) -> str:
        """Corners of the right face."""
        x, y, d, s = self.x + self.thickness, self.y, self.depth, self.side
        return f"{x:.1f},{y} {x + d:.1f},{y - d:.1f} {x + d:.1f},{y + s - d:.1f} {x:.1f},{y + s:.1f}"

    @property
    def shape(self) -> str:
        """The shape in words, such as `512 x 14 x 14`."""
        return " × ".join(map(str, self.stage.shape))


def write_architecture(
    card: Card,
    out: str | Path,
    *,
    cut: str | None = None,
    image: str | Path | None = None,
    weights: str | None = None,
) -> Path:
    """Write the page; returns its path.

    Args:
        card: the network's card.
        out: path of the page.
        cut: colour the stages before this cut as frozen; None for no colours.
        image: image whose activations are shown in the blocks; needs the network's weights.
        weights: an additional folder to search for weights.

    Raises:
        RegraftError: an unknown cut, an image that can't be read, or no weights.
    """
    names = [stage.name for stage in card.stages]
    frozen = cut_count(names, cut) if cut is not None else None
    pixels = load_input(image, card.input_spec) if image is not None else None
    maps = _maps(card, pixels, weights) if pixels is not None else {}
    blocks = _blocks(card, frozen, maps, wiring(card.recipe, card.input_spec))
    width = blocks[-1].x + blocks[-1].thickness + blocks[-1].depth + 110
    return write_page(
        Path(out),
        "architecture.html",
        script="architecture.js",
        card=card,
        blocks=blocks,
        frozen=frozen,
        work=amount(card.multiply_adds),
        largest=max(block.share for block in blocks),
        width=round(width),
        height=round(_TALLEST * (1 + _SLANT) + _TOP + _LABELS),
        floor=_floor(),
        image=data_uri(picture(pixels), side_px=224) if pixels is not None else "",
    )


def _floor() -> float:
    """Vertical position of the line on which blocks stand."""
    return _TOP + _TALLEST * (1 + _SLANT)


def _blocks(
    card: Card,
    frozen: int | None,
    maps: dict[str, tuple[tuple[int, str], ...]],
    wired: Sequence[tuple[Wired, ...]] = (),
) -> list[Block]:
    stages: Sequence[StageCard] = (*card.stages, card.classifier)
    tallest = max(_side_of(stage) for stage in stages)
    thickest = max(stage.channels for stage in stages)
    blocks: list[Block] = []
    x = 16.0
    for number, stage in enumerate(stages):
        side = round(max(10.0, _TALLEST * (_side_of(stage) / tallest) ** 0.6), 1)
        thickness = round(max(5.0, _THICKEST * (stage.channels / thickest) ** 0.5), 1)
        state: State = "plain"
        if frozen is not None:
            is_head = number == len(card.stages)
            state = "new" if is_head else "frozen" if number < frozen else "trained"
        share = stage.multiply_adds / max(1, card.multiply_adds)
        y = round(_floor() - side, 1)
        inside = wired[number] if wired else ()
        shown = maps.get(stage.name, ())
        blocks.append(Block(stage, state, share, round(x, 1), y, thickness, side, shown, inside))
        x += thickness + blocks[-1].depth * 0.55 + _GAP
    return blocks


def _side_of(stage: StageCard) -> float:
    """Positions along a side of the activation; 1 for a vector, the root of the length for tokens."""
    if len(stage.shape) == 3:
        return float(stage.shape[1] if stage.channels == stage.shape[0] else stage.shape[0])
    return float(stage.shape[0]) ** 0.5 if len(stage.shape) == 2 else 1.0


def _maps(card: Card, pixels: Pixels, weights: str | None) -> dict[str, tuple[tuple[int, str], ...]]:
    found = find_weights(card.name, weights=weights, offline=True)
    trunk = Trunk(load_network(found)).eval()
    return {
        one.stage: tuple(
            (channel, data_uri(enlarged(Image.fromarray(coloured(values)), _MAP_PX), side_px=_MAP_PX))
            for channel, values in zip(one.channels, one.maps, strict=True)
        )
        for one in stage_maps(trunk, pixels, count=_MAPS)
    }
