"""A page about a detector and single pictures: what it found, on what that rests, and what it missed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from regraft.detection.detectors.run_tables import BoxRow
from regraft.detection.evidence.explaining import (
    DetectorExplanation,
    ExplainedBox,
    ExplainedMiss,
    ExplainedPicture,
    explain_detector,
)
from regraft.errors import NoImagesError, SettingsError
from regraft.explanation.pictures import Pictures
from regraft.progress import Reporter
from regraft.records import SkippedFile
from regraft.reports.detection.evidence_views import LEVELS, picture_view
from regraft.reports.detection.views import Crop, crops
from regraft.reports.pages import page
from regraft.storage.files import write_atomically
from regraft.storage.tables import printable

MOST_BYTES = 4_900_000
"""The largest size of a page."""
MOST_BOXES = 6
"""Number of boxes that are explained in a picture, unless the user says another."""


@dataclass(frozen=True)
class BoxExplanations:
    """The result of `explain_images` for a detector."""

    found: DetectorExplanation

    @property
    def pictures(self) -> tuple[ExplainedPicture, ...]:
        """The pictures with their boxes."""
        return self.found.pictures

    @property
    def skipped(self) -> tuple[SkippedFile, ...]:
        """Files that could not be read."""
        return self.found.skipped

    @property
    def remark(self) -> str:
        """Which training boxes, or pictures of them, are not shown, and why; empty if nothing is missing."""
        if self.found.files is None:
            return "no similar training boxes are shown: a saved detector without its run lists none"
        return ". ".join(filter(None, (self.found.remark, self._crops[1])))

    @property
    def lines(self) -> list[str]:
        """What was found, in words: one line for each picture, and indented ones for what is in it."""
        return [line for one in self.pictures for line in _lines(one)]

    def write(self, path: str | Path) -> Path:
        """Write the page, which has less than 5 MB; returns its path."""
        text = b""
        for level in LEVELS:
            views = [picture_view(one, self._crops[0], level) for one in self.pictures[: level.pictures]]
            filled = page(
                "evidence.html", views=views, left_out=len(self.pictures) - len(views), remark=self.remark,
                skipped=self.skipped, detector=self.found.detector, files=self.found.files,
            )  # fmt: skip
            text = filled.encode("utf-8", "replace")
            if len(text) <= MOST_BYTES:
                break
        write_atomically(Path(path), text)
        return Path(path)

    @cached_property
    def _crops(self) -> tuple[dict[BoxRow, Crop], str]:
        """The similar training boxes with their pixels, and what can't be read."""
        files = self.found.files
        if files is None:
            return {}, ""
        boxes = [box for one in self.pictures for box in one.boxes]
        lists = [
            *(box.alike for box in boxes),
            *(box.others for box in boxes),
            *(miss.alike for one in self.pictures for miss in one.missed),
        ]
        near = {alike.box for several in lists for alike in several}
        pictures = Pictures(files)
        rows = {row.path: row for row in files.pictures}
        wanted = sorted(near, key=lambda box: (box.path, box.corners, box.label))
        return {one.box: one for one in crops(wanted, rows, files.boxes, pictures)}, pictures.remark  # type: ignore[misc]


def explain_boxes(
    place: Path,
    images: Sequence[str | Path],
    *,
    label: str | None,
    boxes: int | None,
    neighbours: int,
    data: Path | None,
    reporter: Reporter,
) -> BoxExplanations:
    """Explain what a detector finds in pictures; see `explain_images`.

    Raises:
        SettingsError: the detector has no such class, or a number is too small.
        NoImagesError: none of the pictures could be read; the message has the first reason.
    """
    if data is not None and not (place / "run.json").is_file():
        raise SettingsError(
            f"--data {data} has no effect on {place}: it is a saved detector without its run, which does not "
            "say what pictures it was fitted on. Remove --data, or give the run's folder"
        )
    found = explain_detector(
        place, images, label=label, boxes=MOST_BOXES if boxes is None else boxes, neighbours=neighbours,
        data=data, reporter=reporter,
    )  # fmt: skip
    if not found.pictures:
        raise nothing_to_explain(found.skipped)
    return BoxExplanations(found)


def nothing_to_explain(skipped: Sequence[SkippedFile]) -> NoImagesError:
    """The error that no image could be read, with the first of them and its reason."""
    first = f"{printable(skipped[0].path)}: {skipped[0].reason}" if skipped else "name at least one image"
    return NoImagesError(f"no image to explain: {first}")


def _lines(one: ExplainedPicture) -> list[str]:
    lines = [f"{printable(one.path)}: {summary(one)}"]
    for number, box in enumerate(one.boxes, start=1):
        lines += _box_lines(number, box)
    return lines + [_miss_line(number, miss) for number, miss in enumerate(one.missed, 1 + len(one.boxes))]


def summary(one: ExplainedPicture) -> str:
    """How many boxes are shown and explained, in words."""
    if not one.boxes:
        return "nothing was found, not even a box with a probability of 1 %"
    if not one.shown:
        return "no box reaches the threshold of its class; the one that comes nearest is explained"
    counts = Counter(box.label for box in one.boxes)
    listed = ", ".join(f"{count} {printable(label)}" for label, count in counts.items())
    boxes = f"{one.shown:,} {'box' if one.shown == 1 else 'boxes'}"
    if len(one.boxes) < one.shown:
        return f"{boxes}, the {len(one.boxes)} most probable explained ({listed})"
    return f"{boxes} ({listed})"


def _box_lines(number: int, box: ExplainedBox) -> list[str]:
    kind = f", {box.kind}" if box.kind else ""
    below = "" if box.is_shown else f", shown from {box.threshold:.1%} on"
    found = box.evidence
    lines = [
        f"  {number} {printable(box.label)} {box.score:.1%}{below}{kind}: rests on "
        f"{found.rests_on(box.score)} ({found.without:.1%} with the box covered, {found.alone:.1%} with all "
        "else covered)"
    ]
    if box.alike:
        alike = ", ".join(printable(near.box.label) for near in box.alike)
        lines.append(f"    the most similar training boxes: {alike}")
    return lines


def _miss_line(number: int, miss: ExplainedMiss) -> str:
    box, missed = miss.missed.box, miss.missed
    edges = ", ".join(f"{edge:.0f}" for edge in box.corners)
    return f"  {number} missed: {printable(box.label)} at {edges}; {why_missed(miss)}" + (
        f", it is shown as {printable(missed.other)}" if missed.other else ""
    )


def why_missed(miss: ExplainedMiss) -> str:
    """What came nearest to finding an annotated box."""
    score, overlap = miss.missed.score, miss.missed.overlap
    if score is not None and score < miss.threshold:
        return f"the best box on it has {score:.1%}, shown from {miss.threshold:.1%} on"
    if score is not None:
        return f"the box on it ({score:.1%}) was taken for another object"
    if overlap > 0:
        return f"no box of its class overlaps by half or more (at most {overlap:.0%})"
    return "no box of its class overlaps with it"
