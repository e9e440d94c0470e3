"""What `regraft predict` does with a detector: boxes as a file or folder, drawings, and counts.

Pictures are looked at in blocks. What was found in them is kept on disk until all files are written, so that
memory does not grow with their number.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regraft.cli.terminal.boxes import counted
from regraft.cli.terminal.prediction_request import PredictionRequest
from regraft.detection.annotations.classes import check_class, named_classes
from regraft.detection.detectors.detector import DetectedPictures, Detector
from regraft.detection.detectors.onnx_detector import OnnxDetector
from regraft.detection.results.counting import count_chunks
from regraft.detection.results.drawings import drawing_places, write_drawings
from regraft.detection.results.marked import KeptPictures, MarkedPicture, MarkedSet, as_lines, found_boxes
from regraft.detection.results.table import found_chunks
from regraft.detection.results.writing import BoxesTarget, boxes_place, write_found
from regraft.errors import SettingsError
from regraft.outputs.blocks import Blocks
from regraft.outputs.files import SKIPPED, OutputKind, output_file
from regraft.progress import Reporter, Silent
from regraft.records import SkippedFile
from regraft.storage.files import stream_atomically

_COUNTS = OutputKind("counts of boxes", "counts.csv", lambda data: data.startswith(b"path,boxes,"))
_MOST_TOLD = 21
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


def find_in(detector: Detector | OnnxDetector, request: PredictionRequest, wishes: Wishes) -> int:
    """Find boxes, and write what the user wants of them; returns the exit code.

    Raises:
        RegraftError: an output can't be written, or a value is not accepted.
    """
    blocks = request.blocks()
    search = _Search.of(detector, request, wishes)
    outputs = _Outputs.of(request, wishes, search.classes or detector.labels)
    kept = None
    if outputs.first is not None:
        drawn = None if wishes.draw is None else os.path.abspath(wishes.draw)
        kept = Blocks(outputs.first, request.key(*search.facts, drawn))
    done = kept.done if kept is not None else 0
    request.tell_resumed(done)
    skipped: list[SkippedFile] = []
    lost = count = 0
    is_long = len(blocks) > 1
    reporter = request.reporter
    left = sum(map(len, blocks[done:]))
    with reporter.phase("finding objects", left) if is_long else nullcontext() as meter:
        for number, block in enumerate(blocks[done:], start=done):
            found = search.found(block, Silent() if is_long else reporter)
            rows = [(one.path, one.width, one.height, one.shown) for one in found]
            marked = found_boxes(rows, found.labels)
            outputs.draw(marked, number, Silent() if is_long else reporter)
            if kept is None:
                _print(marked.pictures, has_header=number == 0)
            else:
                reasons = [(file.path, file.reason) for file in found.skipped]
                kept.keep(number, as_lines(marked.pictures), reasons)
            skipped += found.skipped[: max(0, _MOST_TOLD - len(skipped))]
            lost, count = lost + len(found.skipped), count + len(found)
            if meter is not None:
                meter.advance(len(block))
    if kept is not None:
        outputs.write(kept, detector.labels)
        kept.remove()
    request.tell_skipped(skipped, lost)
    return 0 if count or done else 1


def _print(pictures: Iterable[MarkedPicture], *, has_header: bool) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.writelines(found_chunks(pictures, has_header=has_header))


@dataclass(frozen=True)
class _Search:
    """What is looked for, and by whom."""

    detector: Detector | OnnxDetector
    request: PredictionRequest
    thresholds: float | dict[str, float] | None
    classes: tuple[str, ...] | None
    tiling: tuple[int, int] | None

    @classmethod
    def of(cls, detector: Detector | OnnxDetector, request: PredictionRequest, wishes: Wishes) -> _Search:
        """What a user wants.

        Raises:
            SettingsError: a value is not accepted.
        """
        thresholds, tiling = wishes.thresholds(detector.labels), wishes.tiling
        classes = None if wishes.classes is None else named_classes([wishes.classes], detector.labels)
        if tiling is not None and isinstance(detector, OnnxDetector):
            raise SettingsError(
                "--tiles has no effect on .onnx files; remove it, or give a run folder instead of "
                f"{request.model}"
            )
        return cls(detector, request, thresholds, classes, tiling)

    @property
    def facts(self) -> list[Any]:
        """What the boxes depend on, apart from the detector and the pictures."""
        return ["boxes", self.thresholds, self.classes, self.tiling]

    def found(self, block: Sequence[str], reporter: Reporter) -> DetectedPictures:
        """What is in the pictures of a block."""
        request = self.request
        if isinstance(self.detector, OnnxDetector):
            return self.detector.predict(
                block,
                threshold=self.thresholds,
                classes=self.classes,
                limits=request.limits,
                reporter=reporter,
            )
        return self.detector.predict(
            block,
            threshold=self.thresholds,
            classes=self.classes,
            tiles=self.tiling,
            precision=request.precision,
            runtime=request.runtime,
            limits=request.limits,
            reporter=reporter,
        )


@dataclass(frozen=True)
class _Outputs:
    """The files and folders that are written, which were checked before."""

    request: PredictionRequest
    wishes: Wishes
    labels: tuple[str, ...]
    """The classes whose boxes are counted."""
    boxes: Path | None
    """The file or folder of boxes."""
    drawings: Sequence[Path]
    """The file of each picture's drawing."""

    @classmethod
    def of(cls, request: PredictionRequest, wishes: Wishes, labels: tuple[str, ...]) -> _Outputs:
        """What a user wants.

        Raises:
            SettingsError: something can't be written.
        """
        inputs, place, overwrite = (request.model, *request.paths), None, request.overwrite
        if wishes.out is not None:
            place = boxes_place(wishes.out, wishes.target, inputs=inputs, overwrite=overwrite)
            output_file(f"{wishes.out}.skipped.csv", SKIPPED, inputs=inputs, overwrite=overwrite)
        elif wishes.target != "csv":
            raise SettingsError(f"--to {wishes.target} needs a place: name a file or folder with --out")
        if wishes.count is not None:
            output_file(wishes.count, _COUNTS, inputs=inputs, overwrite=overwrite)
        drawings: Sequence[Path] = ()
        if wishes.draw is not None:
            drawings = drawing_places(
                [Path(path) for path in request.paths],
                request.paths,
                Path(wishes.draw),
                inputs=[request.model],
                overwrite=overwrite,
            )
        return cls(request, wishes, labels, place, drawings)

    @property
    def first(self) -> Path | None:
        """The file or folder next to which is kept what was found; None if all goes to standard output."""
        others = [Path(name) for name in (self.wishes.count, self.wishes.draw) if name is not None]
        return self.boxes or next(iter(others), None)

    def draw(self, marked: MarkedSet, number: int, reporter: Reporter) -> None:
        """Draw the pictures of a block by its number."""
        if self.wishes.draw is None:
            return
        start = self.request.start_of(number)
        given = zip(self.request.paths[start:], self.drawings[start:], strict=True)
        # Pictures that could not be read are missing, but the others are in their order.
        places = [next(place for path, place in given if path == one.path) for one in marked.pictures]
        write_drawings(
            marked, Path(self.wishes.draw), places=places, limits=self.request.limits, reporter=reporter
        )

    def write(self, kept: Blocks, labels: Sequence[str]) -> None:
        """Write what was found in all pictures."""
        pictures, note = KeptPictures(kept.files), self.request.reporter.note
        count = boxes = 0
        for picture in pictures:
            count, boxes = count + 1, boxes + len(picture.boxes)
        of_pictures = counted(count, "picture", "pictures")
        if self.boxes is not None:
            write_found(pictures, labels, self.boxes, to=self.wishes.target)
            note(f"wrote {counted(boxes, 'box', 'boxes')} in {of_pictures} to {self.boxes}")
            kept.write_skipped(Path(f"{self.wishes.out}.skipped.csv"))
        if self.wishes.count is not None:
            stream_atomically(Path(self.wishes.count), count_chunks(pictures, self.labels))
            note(f"wrote the counts of {of_pictures} to {self.wishes.count}")
        if self.wishes.draw is not None:
            note(f"drew {of_pictures} in {self.wishes.draw}")
