"""What `regraft predict` does with a detector: boxes as a file or folder, drawings, and counts."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from regraft.cli.terminal.boxes import counted as number_of
from regraft.data.pictures.loading import LoadLimits
from regraft.detection.annotations.classes import check_class, named_classes
from regraft.detection.detectors.detector import Detector
from regraft.detection.detectors.onnx_detector import OnnxDetector
from regraft.detection.results.counting import count_boxes
from regraft.detection.results.drawings import drawing_places, write_drawings
from regraft.detection.results.marked import found_boxes
from regraft.detection.results.table import found_table
from regraft.detection.results.writing import BoxesTarget, boxes_place, write_boxes
from regraft.errors import SettingsError
from regraft.features.runtimes import RuntimeName
from regraft.outputs.files import SKIPPED, OutputKind, output_file
from regraft.progress import Reporter
from regraft.records import Precision
from regraft.storage.files import write_atomically
from regraft.storage.tables import csv_bytes, printable

if TYPE_CHECKING:
    from regraft.detection.detectors.detector import DetectedPictures

_COUNTS = OutputKind("counts of boxes", "counts.csv", lambda data: data.startswith(b"path,boxes,"))
_TILES = re.compile(r"([1-9]\d?)x([1-9]\d?)")


@dataclass(frozen=True)
class Wishes:
    """What the user wants of found boxes."""

    out: str | None = None
    to: BoxesTarget | None = None
    draw: str | None = None
    count: str | None = None
    threshold: Sequence[str] | None = None
    tiles: str | None = None
    classes: str | None = None

    @property
    def named(self) -> list[str]:
        """The flags that only detectors have."""
        names = ("to", "draw", "count", "threshold", "tiles", "classes")
        return [f"--{name}" for name in names if getattr(self, name) is not None]

    def thresholds(self, labels: Sequence[str]) -> float | dict[str, float] | None:
        """The threshold of all classes, or that of each class that has one of its own.

        Raises:
            SettingsError: a text is neither a probability nor CLASS=PROBABILITY, or a class has two.
        """
        shared: float | None = None
        named: dict[str, float] = {}
        for text in self.threshold or ():
            label, sign, number = text.rpartition("=")
            value = _probability(text, number)
            if sign:
                check_class("--threshold", label, labels)
            if (label in named) if sign else shared is not None:
                whose = f"class {label}" if sign else "all other classes"
                raise SettingsError(f"--threshold {text} is the second one for {whose}; give one")
            if sign:
                named[label] = value
            else:
                shared = value
        if not named:
            return shared
        return named if shared is None else {**dict.fromkeys(labels, shared), **named}

    @property
    def tiling(self) -> tuple[int, int] | None:
        """The number of columns and rows of tiles.

        Raises:
            SettingsError: it is not written as 3x2.
        """
        if self.tiles is None:
            return None
        found = _TILES.fullmatch(self.tiles.lower())
        if found is None:
            raise SettingsError(
                f"--tiles {self.tiles} is not a number of columns and rows from 1 to 99, such as 3x2"
            )
        return int(found[1]), int(found[2])

    @property
    def target(self) -> BoxesTarget:
        """The format of the boxes."""
        if self.to is not None:
            return self.to
        return "coco" if (self.out or "").lower().endswith(".json") else "csv"


def _probability(text: str, number: str) -> float:
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise SettingsError(
            f"--threshold {text} is not a probability from 0 to 1, such as 0.6, or 0.4 for one class: WBC=0.4"
        )
    return value


def find_in(
    detector: Detector | OnnxDetector,
    model: str,
    paths: Sequence[str],
    wishes: Wishes,
    *,
    precision: Precision,
    runtime: RuntimeName,
    limits: LoadLimits,
    overwrite: bool,
    reporter: Reporter,
) -> int:
    """Find boxes, and write what the user wants of them; returns the exit code.

    Raises:
        RegraftError: an output can't be written, or a value is not accepted.
    """
    thresholds, tiling = wishes.thresholds(detector.labels), wishes.tiling
    inputs, target = (model, *paths), wishes.target
    classes = None if wishes.classes is None else named_classes([wishes.classes], detector.labels)
    if tiling is not None and isinstance(detector, OnnxDetector):
        raise SettingsError(
            f"--tiles has no effect on .onnx files; remove it, or give a run folder instead of {model}"
        )
    place = None
    if wishes.out is not None:
        place = boxes_place(wishes.out, target, inputs=inputs, overwrite=overwrite)
        output_file(f"{wishes.out}.skipped.csv", SKIPPED, inputs=inputs, overwrite=overwrite)
    elif target != "csv":
        raise SettingsError(f"--to {target} needs a place: name a file or folder with --out")
    if wishes.count is not None:
        output_file(wishes.count, _COUNTS, inputs=inputs, overwrite=overwrite)
    if wishes.draw is not None:
        drawing_places(
            [Path(one) for one in paths], paths, Path(wishes.draw), inputs=[model], overwrite=overwrite
        )
    if isinstance(detector, OnnxDetector):
        found = detector.predict(
            paths, threshold=thresholds, classes=classes, limits=limits, reporter=reporter
        )
    else:
        found = detector.predict(
            paths,
            threshold=thresholds,
            classes=classes,
            tiles=tiling,
            precision=precision,
            runtime=runtime,
            limits=limits,
            reporter=reporter,
        )
    _write(
        found,
        wishes,
        place,
        target,
        model,
        counted=classes or detector.labels,
        limits=limits,
        overwrite=overwrite,
        reporter=reporter,
    )
    for file in found.skipped[:20]:
        reporter.warn(f"skipped {printable(file.path)}: {file.reason}")
    if len(found.skipped) > 20:
        reporter.warn(f"skipped {len(found.skipped) - 20:,} more files")
    if found.skipped and wishes.out is not None:
        rows = [(file.path, file.reason) for file in found.skipped]
        write_atomically(Path(f"{wishes.out}.skipped.csv"), csv_bytes(("path", "reason"), rows))
    return 0 if len(found) else 1


def _write(
    found: DetectedPictures,
    wishes: Wishes,
    place: Path | None,
    target: BoxesTarget,
    model: str,
    *,
    counted: tuple[str, ...],
    limits: LoadLimits,
    overwrite: bool,
    reporter: Reporter,
) -> None:
    rows = [(one.path, one.width, one.height, one.shown) for one in found]
    marked = found_boxes(rows, found.labels)
    boxes = sum(len(one.shown) for one in found)
    pictures = number_of(len(found), "picture", "pictures")
    if place is not None:
        written = write_boxes(marked, place, to=target, reporter=reporter)
        reporter.note(f"wrote {number_of(boxes, 'box', 'boxes')} in {pictures} to {written.place}")
        for remark in written.remarks:
            reporter.note(remark)
    elif wishes.count is None and wishes.draw is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(found_table(marked.pictures))
    if wishes.count is not None:
        write_atomically(Path(wishes.count), count_boxes(replace(marked, labels=counted)).table())
        reporter.note(f"wrote the counts of {pictures} to {wishes.count}")
    if wishes.draw is not None:
        drawn = write_drawings(
            marked,
            Path(wishes.draw),
            inputs=[model],
            overwrite=overwrite,
            limits=limits,
            reporter=reporter,
        )
        reporter.note(f"drew {number_of(len(drawn.files), 'picture', 'pictures')} in {wishes.draw}")
