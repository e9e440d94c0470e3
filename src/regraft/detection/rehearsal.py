"""What the fit of a detector would work on, as far as that is known without computing maps."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from regraft.arguments import seconds_in
from regraft.data.findings.scan import ScanSettings
from regraft.data.pictures.loading import LoadLimits
from regraft.detection.dataset import boxed_dataset
from regraft.detection.requests.detection_request import DetectionRequest, maps_name, on_canvas_weights
from regraft.plans.cost_book import CostBook
from regraft.records import Record, Side, SkippedFile
from regraft.runs.log import RunLog
from regraft.settings import DEFAULT_BUDGET
from regraft.storage.tables import printable

_SIDES: tuple[Side, ...] = ("train", "validation", "test")
RUNGS = ("grid", "regions", "one-stage or two-stage")
"""What a fit tries, cheapest first, as far as the budget allows."""


class DetectionRehearsal(Record):
    """The beginning of a detector's fit."""

    task: Literal["detection"] = "detection"
    network: str
    lineage: tuple[str, ...]
    canvas: tuple[int, int]
    """Width and height in pixels."""
    sides: dict[Side, int]
    """Pictures on each side of the split."""
    boxes: dict[Side, int]
    """Boxes on each side."""
    classes: dict[str, int]
    """Boxes of each class that has any among the training pictures, on all sides."""
    backgrounds: int
    """Pictures without a box."""
    split_origin: Literal["official", "drawn"]
    skipped: tuple[SkippedFile, ...]
    """Files that can't be used."""
    findings: dict[str, int]
    """How often each kind of finding occurs; `regraft check` lists them."""
    extract_s: float | None
    """Seconds for the maps of all pictures, if this machine has timed that network on this canvas."""
    budget_s: float
    rungs: tuple[str, ...] = RUNGS


def rehearse_detector(request: DetectionRequest, log: RunLog) -> DetectionRehearsal:
    """How the fit would begin; pictures are read, maps are not computed.

    Raises:
        RegraftError: what the fit would stop at before it computes maps.
    """
    fit, data = request.fit, request.data
    weights = on_canvas_weights(request, log)
    limits = LoadLimits(data.max_megapixels, data.max_file_mb)
    scanning = ScanSettings(
        limits,
        data.max_bad_share,
        data.workers,
        data.look_alikes,
        retry_failed=data.retry_failed,
        reread_files=data.reread_files,
    )
    dataset = boxed_dataset(request.boxes, scanning, seed=fit.seed, test_share=fit.test_share, reporter=log)
    pictures = {side: own for side in _SIDES if (own := dataset.pictures(side))}
    every = [one for own in pictures.values() for one in own]
    counts = Counter(box.label for one in every for box in one.boxes)
    each = CostBook().known(maps_name(request, weights))
    height, width, _ = weights.input_spec.shape
    return DetectionRehearsal(
        network=weights.network,
        lineage=request.lineage,
        canvas=(width, height),
        sides={side: len(own) for side, own in pictures.items()},
        boxes={side: sum(len(one.boxes) for one in own) for side, own in pictures.items()},
        classes={printable(label): counts[label] for label in dataset.labels},
        backgrounds=sum(not one.boxes for one in every),
        split_origin=dataset.split.origin,
        skipped=tuple(SkippedFile(printable(one.path), one.reason) for one in dataset.images.skipped),
        findings=dict(Counter(one.kind for one in dataset.images.findings)),
        extract_s=None if each is None else each * len(every),
        budget_s=seconds_in(fit.budget or DEFAULT_BUDGET),
    )
