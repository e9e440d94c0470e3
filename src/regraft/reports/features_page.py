"""A page about what a network has learned: filters, maps, patches, and images that excite single units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from regraft.data.pictures.loading import Pixels, load_input
from regraft.errors import SettingsError
from regraft.explanation.filters import first_filters
from regraft.explanation.maps import maps_of
from regraft.explanation.maximisation import SIDE_PX, STEPS, maximised
from regraft.explanation.overlays import coloured, data_uri, enlarged, picture
from regraft.explanation.pictures import Pictures
from regraft.explanation.units import Unit, exciting_patches, stage_maps
from regraft.prediction.graph import ModelGraph, NetworkPart
from regraft.progress import Reporter, Silent
from regraft.reports.pages import write_page
from regraft.runs.model_files import ModelFiles, open_files

_IMAGES = 240
_FILTERS = 64
_TILE_PX = 96
_LEVELS = ("low", "middle", "high")


@dataclass(frozen=True)
class ShownUnit:
    """A unit with its pictures, as `data:` addresses."""

    channel: int
    patches: list[tuple[str, str]]
    """Each patch with its deconvolution."""
    made: str
    """The image made to excite the unit; empty if there is none."""


@dataclass(frozen=True)
class Level:
    """The shown units of one stage."""

    name: str
    stage: str
    field_px: int
    """Side of the largest patch."""
    units: list[ShownUnit]


def write_features(
    run: str | Path,
    image: str | Path | None = None,
    out: str | Path = "features.html",
    *,
    units: int = 6,
    steps: int = STEPS,
    data: str | Path | None = None,
    reporter: Reporter | None = None,
) -> Path:
    """Write the page; returns its path.

    Args:
        run: a folder that `regraft fit` or `Model.save` has written.
        image: image whose feature maps are shown; None means the first training image that can be read.
        out: path of the page.
        units: number of units of each level.
        steps: steps of gradient ascent for the images that excite units; 0 for no such images.
        data: the folder in which the run's images are now; None means that they were not moved.
        reporter: receives progress.

    Raises:
        SettingsError: there is no model, no image to show, or no stage of the network with a spatial map.
    """
    files, reporter = open_files(run, data), reporter or Silent()
    model = files.model
    part = ModelGraph(model).eval().first
    images, remark = _training_images(files)
    shown = load_input(image, model.weights.input_spec) if image else next(iter(images), None)
    if shown is None:
        raise SettingsError(f"there is no image to show: {files.whereabouts}. Name an image after the run")
    if remark:
        reporter.warn(remark)
    stages = _levels(maps_of(part, shown))
    found = exciting_patches(part, images or [shown], stages, units=units, reporter=reporter)
    levels = []
    for number, stage in enumerate(stages):
        own = [unit for unit in found if unit.stage == stage]
        made = _made(part, stage, own, steps, reporter)
        fields = [patch.box[2] - patch.box[0] for unit in own for patch in unit.patches]
        name = _LEVELS[min(number + 3 - len(stages), 2)]
        pictures = [_shown(unit, image) for unit, image in zip(own, made, strict=True)]
        levels.append(Level(name, stage, max(fields, default=0), pictures))
    return write_page(
        Path(out),
        "features.html",
        network=model.weights.network,
        remark=remark,
        filters=[_tile(picture(one)) for one in first_filters(part)[:_FILTERS]],
        maps=[
            (one, [_tile(Image.fromarray(coloured(values))) for values in one.maps])
            for one in stage_maps(part, shown)
        ],
        levels=levels,
        images=len(images),
        image=data_uri(picture(shown), side_px=224),
        image_name=str(image) if image else "",
    )


def _tile(image: Image.Image) -> str:
    return data_uri(enlarged(image, _TILE_PX), side_px=_TILE_PX)


def _levels(stages: Sequence[str]) -> list[str]:
    """Three stages, from early to late; fewer if the network has fewer."""
    places = dict.fromkeys(round(share * (len(stages) - 1)) for share in (0.15, 0.55, 1.0))
    return [stages[place] for place in places]


def _training_images(files: ModelFiles) -> tuple[list[Pixels], str]:
    """A sample of the training images, spread evenly over the list, and a remark about missing ones."""
    if files.run is None:
        return [], ""
    listed, pictures = files.training_images, Pictures(files.run)
    spread = listed[:: max(1, len(listed) // _IMAGES)][:_IMAGES]
    found = [pictures.pixels(item.path, files.model.weights.input_spec) for item in spread]
    return [pixels for pixels in found if pixels is not None], pictures.remark


def _made(part: NetworkPart, stage: str, units: Sequence[Unit], steps: int, reporter: Reporter) -> list[str]:
    """Images made to excite units, at the network's own size if it accepts no other."""
    if not steps or not units:
        return [""] * len(units)
    channels = [unit.channel for unit in units]
    own = units[0].patches[0].size_px
    try:
        pictures = maximised(part, stage, channels, steps=steps, side_px=min(SIDE_PX, own), reporter=reporter)
    except (RuntimeError, AssertionError):
        pictures = maximised(part, stage, channels, steps=steps, side_px=own, reporter=reporter)
    return [data_uri(picture(one), side_px=SIDE_PX, quality=85) for one in pictures]


def _shown(unit: Unit, made: str) -> ShownUnit:
    pairs = [(_tile(picture(patch.pixels)), _tile(picture(patch.deconvolved))) for patch in unit.patches]
    return ShownUnit(unit.channel, pairs, made)
