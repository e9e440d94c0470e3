"""Search for the training boxes that look most similar to a box, in the detector's maps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.data.findings.image_set import Images
from regraft.detection.detectors.detector import Detector
from regraft.detection.detectors.run_files import DetectorFiles
from regraft.detection.detectors.run_tables import BoxRow, PictureRow, corners_of
from regraft.detection.evidence.descriptors import box_rows
from regraft.detection.maps.cached_maps import CachedMaps
from regraft.detection.maps.canvas import Placement
from regraft.features.runtimes import Runtime
from regraft.progress import Reporter
from regraft.records import ImageItem, MapLevel
from regraft.storage.rows import Rows

Floats = npt.NDArray[Any]
MOST_PICTURES = 1_000
"""The largest number of training pictures that are searched, spread evenly over all of them."""


@dataclass(frozen=True)
class AlikeBox:
    """A training box and its similarity."""

    box: BoxRow
    similarity: float
    """Cosine similarity, in [-1, 1]."""


@dataclass(frozen=True)
class BoxGallery:
    """Training boxes of a run as a searchable index.

    Each channel is standardised over the training boxes, and each level of the maps counts the same. The
    similarity of two boxes is the cosine of the angle between their rows.
    """

    levels: tuple[MapLevel, ...]
    boxes: tuple[BoxRow, ...]
    hashes: tuple[str, ...]
    """SHA-256 of the picture of each box."""
    directions: Floats
    """`(N, C) float32`, unit vectors of the boxes."""
    mean: Floats
    """Mean of each channel over the boxes, `(C,)`."""
    scale: Floats
    """What the difference from it is multiplied by, `(C,)`."""
    remark: str = ""
    """Which training pictures were not searched; empty if all were."""

    @classmethod
    def of(
        cls, levels: tuple[MapLevel, ...], boxes: Sequence[BoxRow], hashes: Sequence[str], rows: Floats,
        remark: str = "",
    ) -> BoxGallery:  # fmt: skip
        """An index of boxes from their rows of `box_rows`, `(N, C)`."""
        mean, spread = (
            (rows.mean(axis=0), rows.std(axis=0)) if len(rows) else np.zeros((2, rows.shape[1]), np.float32)
        )
        shares = np.concatenate([np.full(one.channels, one.channels**-0.5) for one in levels])
        scale = shares / np.maximum(spread, 1e-3 * max(float(spread.max()), 1e-6))
        return cls(
            levels, tuple(boxes), tuple(hashes), _directions(rows, mean, scale), mean, scale, remark
        )  # fmt: skip

    def nearest(
        self, row: Floats, corners: Floats, *, count: int, besides: str = "", not_of: str | None = None
    ) -> list[AlikeBox]:
        """The most similar training boxes, the most similar first.

        Args:
            row: the maps of the picture, `(F,)`.
            corners: the box, `(4,)` in pixels of the canvas.
            count: number of boxes to return.
            besides: hash of a picture whose boxes don't count: the picture itself, which may have trained.
            not_of: a class whose boxes don't count; None if all do.
        """
        own = _directions(box_rows(row, self.levels, np.reshape(corners, (1, 4))), self.mean, self.scale)[0]
        counts = np.array(
            [
                sha != besides and box.label != not_of
                for sha, box in zip(self.hashes, self.boxes, strict=True)
            ],
            dtype=bool,
        )
        places = np.flatnonzero(counts)
        alike = self.directions[places] @ own
        order = np.argsort(-alike, kind="stable")[:count]
        return [AlikeBox(self.boxes[places[one]], float(alike[one])) for one in order]


def _directions(rows: Floats, mean: Floats, scale: Floats) -> Floats:
    moved = (rows - mean) * scale
    length = np.linalg.norm(moved, axis=1, keepdims=True)
    return np.asarray(moved / np.maximum(length, 1e-12), dtype=np.float32)


def open_box_gallery(
    files: DetectorFiles, detector: Detector, runtime: Runtime, reporter: Reporter
) -> BoxGallery:
    """The training boxes whose pictures' maps are in the cache, or whose pictures can be read; perhaps none.

    Args:
        files: the run.
        detector: its detector.
        runtime: computes the maps of its network, at the precision of the fit.
        reporter: receives the progress of computing maps that are not in the cache.
    """
    boxes: dict[str, list[BoxRow]] = defaultdict(list)
    for box in files.boxes:
        if box.side == "train" and not box.is_crowd:
            boxes[box.path].append(box)
    training = [row for row in files.pictures if row.side == "train" and boxes[row.path]]
    pictures = training[:: max(1, -(-len(training) // MOST_PICTURES))]
    rows, levels = _maps(files, detector, runtime, pictures, reporter)
    known = [row for row in pictures if row.sha256 in rows]
    parts, kept, hashes = [], [], []
    for picture in known:
        own = boxes[picture.path]
        height, width, _ = detector.weights.input_spec.shape
        placement = Placement(picture.width, picture.height, width, height)
        parts.append(box_rows(rows.gather([picture.sha256])[0], levels, placement.onto(corners_of(own))))
        kept += own
        hashes += [picture.sha256] * len(own)
    width = sum(level.channels for level in levels)
    values = np.concatenate([np.zeros((0, width), np.float32), *parts])
    return BoxGallery.of(
        levels, kept, hashes, values, _remark(files, len(training), len(pictures), len(known))
    )


def _maps(
    files: DetectorFiles,
    detector: Detector,
    runtime: Runtime,
    pictures: Sequence[PictureRow],
    reporter: Reporter,
) -> tuple[Rows, tuple[MapLevel, ...]]:
    """Rows of maps by the hashes of pictures; a file that was changed has another hash, so no row."""
    items = []
    for one in pictures:
        place = files.file(one.path) or files.place(one.path)
        if place is not None:
            items.append(ImageItem(str(place.relative_to(files.root)), "", one.sha256))
    maps = CachedMaps(Images(str(files.root), tuple(items)), detector.weights.input_spec, runtime)
    return maps.available([item.sha256 for item in items], reporter=reporter), maps.levels


def _remark(files: DetectorFiles, training: int, searched: int, known: int) -> str:
    """What is missing from the search, as a sentence without its end."""
    if known < searched:
        advice = "" if files.data else "; if they were moved, --data FOLDER says where they are now"
        return (
            f"{searched - known:,} of {searched:,} training pictures are not searched for similar boxes: "
            f"their maps are not in the cache, and they can't be read below {files.root} or have been "
            f"changed since the run{advice}"
        )
    if searched < training:
        return f"similar boxes are searched in {searched:,} of {training:,} training pictures"
    return ""
