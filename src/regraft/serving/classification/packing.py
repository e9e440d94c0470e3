"""A classifier's package, made from its run or bundle."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.data.pictures.loading import decode, read_file
from regraft.errors import ImageError
from regraft.explanation.gallery import Space, open_gallery
from regraft.export.graphs import core_graph
from regraft.prediction.onnx_graph import saved
from regraft.prediction.onnx_model import saved_task
from regraft.progress import Silent
from regraft.records import Intensity
from regraft.runs.model_files import ModelFiles, open_files
from regraft.serving.classification.package import MOST_NEIGHBOURS, THUMBNAIL_PX, write_classifier
from regraft.storage.tables import printable
from regraft.tasks.classification import Classification
from regraft.tasks.multilabel import Multilabel
from regraft.tasks.score_sheet import measures
from regraft.tasks.task import Measure


def pack_classifier(run: Path, folder: Path, data: Path | None = None) -> None:
    """Write the package of a model; without its run, there are no images to compare with."""
    files = open_files(run, data)
    places, near, thumbnails = _neighbours(files)
    record = {
        **saved_task(files.model.task),
        "input_spec": files.model.weights.input_spec.model_dump(mode="json"),
        "neighbours": near,
        "facts": {**_facts(files), "neighbours": len(near)},
    }
    graph = saved(core_graph(files.model))
    write_classifier(folder, graph=graph, record=record, places=places, thumbnails=thumbnails)


def _neighbours(files: ModelFiles) -> tuple[npt.NDArray[np.float32], list[tuple[str, str]], list[bytes]]:
    """Places in feature space, paths with labels, and pictures of training images."""
    if files.run is None:
        width = len(Space.of(files.model).mean)
        return np.zeros((0, width), np.float32), [], []
    gallery = open_gallery(files.run, files.model, Silent())
    chosen = range(0, len(gallery.paths), max(1, -(-len(gallery.paths) // MOST_NEIGHBOURS)))
    near = [(printable(gallery.paths[n]), printable(gallery.labels[n])) for n in chosen]
    intensity = files.model.weights.input_spec.intensity
    thumbnails = [_thumbnail(files.image(gallery.paths[number]), intensity) for number in chosen]
    return np.ascontiguousarray(gallery.directions[list(chosen)]), near, thumbnails


def _facts(files: ModelFiles) -> dict[str, Any]:
    """The answer of `/model`; None stands for what is not known."""
    model, best, plan, sheet = files.model, files.best, files.plan, files.scores
    task = model.task
    about = _about_classes(task) if isinstance(task, Classification) else {}
    headline = measures(best)[0] if best else None
    trivial = measures(sheet.baseline)[0] if sheet and sheet.baseline else None
    return {
        "task": model.task.name,
        "labels": [printable(label) for label in model.labels],
        "thresholds": list(model.task.thresholds) if isinstance(model.task, Multilabel) else None,
        "network": model.weights.network,
        "strategy": plan.strategy if plan else None,
        "head": model.head.record.kind,
        **_scored(headline, trivial),
        "judged_on": f"{best.images} images, {best.method}" if best else None,
        "licence": model.weights.source.licence,
        "lineage": [printable(one) for one in model.lineage],
        "regraft_version": files.regraft_version,
        **about,
    }


def _about_classes(task: Classification) -> dict[str, Any]:
    """What decides besides the largest probability, where something does."""
    found: dict[str, Any] = {}
    if task.threshold is not None and task.positive is not None:
        found = {"positive": printable(task.positive), "threshold": task.threshold, "goal": task.goal}
    return {**found, **({} if task.reject_below is None else {"reject_below": task.reject_below})}


def _scored(best: Measure | None, trivial: Measure | None) -> dict[str, Any]:
    """The most important score, by its name, and in words for people."""
    estimate = best.estimate if best else None
    return {
        best.name if best else "accuracy": estimate.model_dump(mode="json") if estimate else None,
        "baseline": trivial.value if trivial else None,
        "score": f"{best.title} is {best.text}" if best else None,
    }


def _thumbnail(place: Path | None, intensity: Intensity | None) -> bytes:
    try:
        if place is None:
            return b""
        image = decode(read_file(place), min_side_px=THUMBNAIL_PX, intensity=intensity).image
    except ImageError:
        return b""
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=70)
    return file.getvalue()
