"""A page about single images: what the model says, where it looks, and which training images are alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from regraft.data.loading import LoadLimits, Pixels, decode, load_input, read_file
from regraft.errors import ImageError, NoImagesError, SettingsError
from regraft.explanation.gallery import Gallery, Neighbour, open_gallery
from regraft.explanation.maps import HeatMap, Method, heat_map
from regraft.explanation.overlays import data_uri, overlaid, picture
from regraft.prediction.bundle import load_model
from regraft.prediction.graph import ModelGraph
from regraft.prediction.model import Model
from regraft.progress import Reporter, Silent
from regraft.records import SkippedFile
from regraft.reports.pages import write_page
from regraft.run_files import RunFiles

_SIDE_PX = 320
_NEIGHBOUR_PX = 128
_TOP = 5


@dataclass(frozen=True)
class Explained:
    """One image, explained."""

    path: str
    label: str
    """That the maps are for."""
    chances: tuple[tuple[str, float], ...]
    """The most probable labels."""
    maps: tuple[HeatMap, ...]
    neighbours: tuple[Neighbour, ...]
    pixels: Pixels
    """What the network saw."""

    @property
    def image(self) -> str:
        """What the network saw, as a `data:` address."""
        return data_uri(picture(self.pixels), side_px=_SIDE_PX, quality=85)

    @property
    def overlays(self) -> list[tuple[HeatMap, str]]:
        """Each map over the image."""
        return [
            (one, data_uri(overlaid(self.pixels, one.values), side_px=_SIDE_PX, quality=85))
            for one in self.maps
        ]


@dataclass(frozen=True)
class Explanations:
    """What `explain_images` found."""

    rows: tuple[Explained, ...]
    skipped: tuple[SkippedFile, ...]
    files: RunFiles
    model: Model

    def write(self, path: str | Path) -> Path:
        """Write the page; returns its path."""
        thumbnails = {near.path: self._thumbnail(near.path) for row in self.rows for near in row.neighbours}
        return write_page(
            Path(path), "explanation.html", rows=self.rows, skipped=self.skipped, thumbnails=thumbnails,
            model=self.model, run=self.files.run, methods=[one.method for one in self.rows[0].maps],
        )  # fmt: skip

    def _thumbnail(self, path: str) -> str:
        place = self.files.image(path)
        try:
            if place is None:
                return ""
            return data_uri(decode(read_file(place), min_side_px=_NEIGHBOUR_PX).image, side_px=_NEIGHBOUR_PX)
        except ImageError:
            return ""


def explain_images(
    run: str | Path,
    images: Sequence[str | Path],
    *,
    methods: Sequence[Method] = ("grad-cam", "occlusion"),
    label: str | None = None,
    stage: str | None = None,
    neighbours: int = 6,
    reporter: Reporter | None = None,
) -> Explanations:
    """Why a run's model says what it says of some images.

    Args:
        run: a folder that `regraft fit` left behind.
        images: files.
        methods: of `METHODS`, in this order.
        label: explain this one instead of the predicted one.
        stage: whose activations Grad-CAM weighs; None means the last that is a map.
        neighbours: how many training images to show; 0 leaves the search out.
        reporter: is told how far it is.

    Raises:
        SettingsError: a label, stage or method that this model does not have.
        NoImagesError: none of the images could be read; the first reason is in the message.
    """
    files, reporter = RunFiles(Path(run)), reporter or Silent()
    model = load_model(files.folder)
    if label is not None and label not in model.labels:
        raise SettingsError(f"label {label!r} is not one of the model's: {', '.join(model.labels[:20])}")
    gallery = open_gallery(files, model, reporter) if neighbours else None
    explainer = _Explainer(model, ModelGraph(model).eval(), gallery, methods, label, stage, neighbours)
    rows, skipped = [], []
    with reporter.phase("explaining", len(images)) as meter:
        for image in images:
            meter.advance()
            try:
                pixels = load_input(image, model.weights.input_spec, LoadLimits())
            except ImageError as error:
                skipped.append(SkippedFile(str(image), str(error)))
                continue
            rows.append(explainer.explained(str(image), pixels))
    if not rows:
        reason = skipped[0].reason if skipped else "none were given"
        raise NoImagesError(f"no image to explain: {reason}")
    return Explanations(tuple(rows), tuple(skipped), files, model)


@dataclass(frozen=True)
class _Explainer:
    """A model, and what is to be said of each image."""

    model: Model
    graph: ModelGraph
    gallery: Gallery | None
    methods: Sequence[Method]
    label: str | None
    stage: str | None
    neighbours: int

    def explained(self, path: str, pixels: Pixels) -> Explained:
        labels = self.model.labels
        chances, row = self.model.looked_at(pixels)
        order = sorted(range(len(chances)), key=lambda place: -chances[place])
        target = labels.index(self.label) if self.label is not None else order[0]
        return Explained(
            path,
            labels[target],
            tuple((labels[place], float(chances[place])) for place in order[:_TOP]),
            tuple(heat_map(self.graph, pixels, target, one, stage=self.stage) for one in self.methods),
            tuple(self.gallery.nearest(row, self.neighbours)) if self.gallery else (),
            pixels,
        )
