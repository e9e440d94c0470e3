"""A page about single images: predictions, heat maps, and the most similar training images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from regraft.data.pictures.loading import LoadLimits, Pixels, load_input
from regraft.detection.detectors.bundle import is_detector
from regraft.errors import ImageError, SettingsError
from regraft.explanation.gallery import Gallery, Neighbour, open_gallery
from regraft.explanation.maps import HeatMap, Method, heat_map
from regraft.explanation.overlays import data_uri, overlaid, picture
from regraft.explanation.pictures import Pictures
from regraft.prediction.graph import ModelGraph
from regraft.prediction.model import Model
from regraft.prediction.onnx_model import OUTPUTS
from regraft.progress import Reporter, Silent
from regraft.records import SkippedFile
from regraft.reports.evidence_page import BoxExplanations, explain_boxes, nothing_to_explain
from regraft.reports.pages import write_page
from regraft.runs.model_files import ModelFiles, open_files
from regraft.storage.tables import printable
from regraft.tasks.classification import Classification
from regraft.tasks.task import Answer

_METHODS: tuple[Method, ...] = ("grad-cam", "occlusion")
_SIDE_PX = 320
_NEIGHBOUR_PX = 128
_TOP = 5


@dataclass(frozen=True)
class Explained:
    """One image with its predictions, heat maps and similar training images."""

    path: str
    label: str
    """The label that the heat maps explain."""
    chances: tuple[tuple[str, float], ...]
    """The most probable labels, with their probabilities; empty for a number."""
    answer: Answer
    """What the model says about the image."""
    maps: tuple[HeatMap, ...]
    neighbours: tuple[Neighbour, ...]
    pixels: Pixels
    """The network's input."""

    @property
    def image(self) -> str:
        """The network's input as a `data:` address."""
        return data_uri(picture(self.pixels), side_px=_SIDE_PX, quality=85)

    @property
    def overlays(self) -> list[tuple[HeatMap, str]]:
        """Each heat map, and its picture over the image."""
        return [
            (one, data_uri(overlaid(self.pixels, one.values), side_px=_SIDE_PX, quality=85))
            for one in self.maps
        ]


@dataclass(frozen=True)
class Explanations:
    """The result of `explain_images`."""

    rows: tuple[Explained, ...]
    skipped: tuple[SkippedFile, ...]
    files: ModelFiles
    remark: str = ""
    """Why no similar training images are shown, or not all of their pictures; empty if nothing is missing."""
    thumbnails: dict[str, str] = field(default_factory=dict, repr=False)
    """Pictures of the similar training images by path, as `data:` addresses; empty for missing files."""

    @property
    def model(self) -> Model:
        """The model whose predictions are explained."""
        return self.files.model

    @property
    def lines(self) -> list[str]:
        """What was predicted, in words: one line for each image, and one for its similar training images."""
        lines = []
        for row in self.rows:
            chances = [f"{printable(name)} {chance:.1%}" for name, chance in row.chances[:3]]
            lines.append(f"{printable(row.path)}: {', '.join(chances) or printable(row.answer.text)}")
            if row.neighbours:
                alike = ", ".join(printable(near.label) for near in row.neighbours)
                lines.append(f"  labels of the most similar training images: {alike}")
        return lines

    def write(self, path: str | Path) -> Path:
        """Write the page; returns its path."""
        return write_page(
            Path(path), "explanation.html", rows=self.rows, skipped=self.skipped, remark=self.remark,
            thumbnails=self.thumbnails, model=self.model, plan=self.files.plan,
            methods=[one.method for one in self.rows[0].maps],
        )  # fmt: skip


def explain_images(
    run: str | Path,
    images: Sequence[str | Path],
    *,
    methods: Sequence[Method] | None = None,
    label: str | None = None,
    stage: str | None = None,
    boxes: int | None = None,
    neighbours: int = 6,
    data: str | Path | None = None,
    reporter: Reporter | None = None,
) -> Explanations | BoxExplanations:
    """Explain the predictions of a model for some images, or the boxes that a detector finds there.

    Args:
        run: a folder that `regraft fit` or `Model.save` has written; a model without its run has no training
            images to show.
        images: image files.
        methods: methods from `METHODS`, in the order in which they are shown; None means grad-cam and
            occlusion. Boxes are always explained by occlusion.
        label: the label to explain; None means the predicted one. Of a detector, the class whose boxes are
            explained; None means all.
        stage: the stage whose activations Grad-CAM weights; None means the last with a spatial map. Not for
            detectors.
        boxes: the largest number of boxes that are explained in an image, the most probable first; None means
            6. Only for detectors.
        neighbours: number of similar training images, or boxes, to show; 0 skips the search.
        data: the folder in which the run's images are now; None means that they were not moved.
        reporter: receives progress.

    Raises:
        SettingsError: the model has no such label, stage or method, or an argument is for the other kind of
            model.
        NoImagesError: none of the images could be read; the message has the first reason.
    """
    place, moved, reporter = Path(run), Path(data) if data is not None else None, reporter or Silent()
    if is_detector(place):
        _refuse(place, "finds boxes", methods=methods, stage=stage)
        return explain_boxes(
            place, images, label=label, boxes=boxes, neighbours=neighbours, data=moved, reporter=reporter
        )
    _refuse(place, "predicts labels of whole images", boxes=boxes)
    files, methods = open_files(place, moved), _METHODS if methods is None else methods
    model = files.model
    if label is not None and label not in model.labels:
        raise SettingsError(f"the model has no label {label!r}; it has {', '.join(model.labels[:20])}")
    gallery = open_gallery(files.run, model, reporter) if neighbours and files.run else None
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
        raise nothing_to_explain(skipped)
    near = [one.path for row in rows for one in row.neighbours]
    thumbnails, remark = _thumbnails(files, near) if near or not neighbours else ({}, _unknown(files))
    return Explanations(tuple(rows), tuple(skipped), files, remark, thumbnails)


def _refuse(place: Path, what: str, **settings: object) -> None:
    """Refuse settings that have no meaning for a kind of model, unless they were not given."""
    given = [name for name, value in settings.items() if value is not None]
    if given:
        flags = ", ".join(f"--{name}" for name in given)
        raise SettingsError(
            f"{flags}: no effect on {place}, which {what}. Remove {'it' if len(given) == 1 else 'them'}"
        )


def _thumbnails(files: ModelFiles, paths: Sequence[str]) -> tuple[dict[str, str], str]:
    """Pictures of training images by path, and a remark about those that are missing."""
    if files.run is None:
        return {}, ""
    pictures = Pictures(files.run)
    return {path: pictures.thumbnail(path, _NEIGHBOUR_PX) for path in paths}, pictures.remark


def _unknown(files: ModelFiles) -> str:
    return f"no similar training images are shown: {files.whereabouts}"


@dataclass(frozen=True)
class _Explainer:
    """A model, and the parts of each image's explanation."""

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
        has_chances = OUTPUTS[self.model.task.link] == "probabilities"
        task = self.model.task
        answered = int(task.chosen(chances[None])[0]) if isinstance(task, Classification) else order[0]
        target = labels.index(self.label) if self.label is not None else answered
        return Explained(
            path,
            labels[target],
            tuple((labels[place], float(chances[place])) for place in order[:_TOP] if has_chances),
            self.model.task.answer(chances, top=_TOP),
            tuple(heat_map(self.graph, pixels, target, one, stage=self.stage) for one in self.methods),
            tuple(self.gallery.nearest(row, self.neighbours)) if self.gallery else (),
            pixels,
        )
