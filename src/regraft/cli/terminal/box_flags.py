"""The parameters of commands that read boxes, and what they print about the boxes that were left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from regraft.progress import Reporter

if TYPE_CHECKING:  # it needs numpy, which --help does without
    from regraft.detection.annotations.boxes import BoxSet

BoxesFormat = Literal["voc", "coco", "yolo", "csv", "labelme", "label-studio", "cvat", "create-ml", "regions"]
_LOSSES = (
    "zero-area",
    "inverted",
    "outside",
    "unreadable-box",
    "no-picture",
    "label",
    "units",
    "duplicate-box",
)


@dataclass(frozen=True)
class BoxFlags:
    """How boxes and their pictures are found and read."""

    root: str | None = None
    """Folder of the pictures, if it is not that of the files of boxes."""
    boxes_format: BoxesFormat | None = None
    """Format of the boxes to read, where a folder has several. By default the one that describes most
    pictures is read."""
    boxes_before_rotation: bool | None = None
    """Whether boxes were drawn before the EXIF rotation of pictures. By default this is found out from sizes
    and bounds."""
    max_megapixels: float = 64.0
    """Skip pictures with more megapixels than this."""
    max_file_mb: float = 128.0
    """Skip files larger than this many megabytes."""

    def inputs(self, data: str) -> tuple[str | Path, ...]:
        """The files and folders that are read, in which a command writes no pictures."""
        return data, self.root or (data if Path(data).is_dir() else Path(data).parent)


def boxes_of(data: str, flags: BoxFlags, reporter: Reporter) -> BoxSet:
    """The boxes of a data set; those that can't be used are counted in a warning for each reason.

    Raises:
        DataError: there are no boxes, or none whose picture can be used.
    """
    from regraft.data.pictures.loading import LoadLimits
    from regraft.detection.annotations.noticed import SUMMARIES
    from regraft.detection.annotations.reading import read_boxes
    from regraft.storage.tables import printable

    boxes = read_boxes(
        data,
        root=flags.root,
        wanted=flags.boxes_format,
        before_rotation=flags.boxes_before_rotation,
        limits=LoadLimits(flags.max_megapixels, flags.max_file_mb),
        reporter=reporter,
    )
    counts = Counter(finding.kind for finding in boxes.findings)
    lines = [f"{SUMMARIES[kind]}: {counts[kind]:,}" for kind in _LOSSES if counts[kind]]
    lines += [finding.message for finding in boxes.findings if finding.kind == "unlabelled"]
    lines += [f"files that can't be used: {len(boxes.skipped):,}"] if boxes.skipped else []
    for line in lines:
        reporter.warn(line)
    if lines:
        root = f" --root {flags.root}" if flags.root else ""
        reporter.note(f"to list them: regraft check {printable(data + root)}")
    return boxes
