"""A data set with boxes as detectors are fitted on it: pictures, their groups, and the side of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from regraft.data.findings.image_set import Images
from regraft.data.findings.scan import ScanSettings, scan
from regraft.data.sources.candidates import Candidate, Found
from regraft.data.splits import USUAL_FOLDS, fold_numbers, split_images
from regraft.detection.annotations.boxes import BoxedPicture, BoxSet
from regraft.detection.maps.scenes import Scene, scenes_of
from regraft.errors import DataError
from regraft.progress import Reporter
from regraft.records import Finding, InputSpec, Side, Split
from regraft.storage.tables import printable
from regraft.tasks.multilabel import SEPARATOR

HELD_FOLD = 0
"""The fold of the training pictures that is held out where a detector can't be evaluated out of fold."""


@dataclass(frozen=True)
class BoxedDataset:
    """Pictures with boxes, and the side of the split that each picture is on."""

    boxes: BoxSet
    images: Images
    """The same pictures as files with groups: copies and look-alikes are on one side, and in one fold."""
    split: Split
    seed: int = 0

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The classes that have boxes among the training pictures, ordered by name."""
        return tuple(sorted({box.label for one in self.pictures("train") for box in one.boxes}))

    def pictures(self, side: Side) -> tuple[BoxedPicture, ...]:
        """The pictures of one side, in order of their paths."""
        return tuple(self._by_side.get(side, ()))

    @cached_property
    def _by_side(self) -> dict[Side, list[BoxedPicture]]:
        sides = {row.path: row.side for row in self.split.rows}
        found: dict[Side, list[BoxedPicture]] = {}
        seen: set[str] = set()
        for picture in self.boxes.pictures:
            side = sides.get(printable(picture.path))  # as a split names files
            if side is not None and picture.sha256 not in seen:  # a copy would count twice
                seen.add(picture.sha256)
                found.setdefault(side, []).append(picture)
        return found

    @cached_property
    def folds(self) -> tuple[int, ...]:
        """The fold of each training picture; every class is spread evenly, groups stay together."""
        pictures = self.pictures("train")
        groups = self.groups(pictures)
        kinds = [{box.label for box in one.boxes} for one in pictures]
        strata = np.array(
            [[label in kind for label in self.labels] + [not kind] for kind in kinds], dtype=bool
        )
        folds = min(USUAL_FOLDS, len(set(groups)))
        numbers = fold_numbers(strata, groups, folds=max(folds, 1), seed=self.seed)
        _, dense = np.unique(numbers, return_inverse=True)
        return tuple(int(number) for number in dense)

    def groups(self, pictures: Sequence[BoxedPicture]) -> list[str]:
        """The group of copies and look-alikes that each picture is in."""
        groups = {row.path: row.group for row in self.split.rows}
        return [groups[printable(one.path)] for one in pictures]

    def scenes(self, side: Side, spec: InputSpec) -> tuple[Scene, ...]:
        """The pictures of one side on the canvas."""
        folds = self.folds if side == "train" else None
        pictures = self.pictures(side)
        return scenes_of(pictures, self.labels, spec, folds, self.groups(pictures))


def boxed_dataset(
    boxes: BoxSet, scanning: ScanSettings, *, seed: int, test_share: float, reporter: Reporter | None = None
) -> BoxedDataset:
    """Find copies and look-alikes among pictures with boxes, and divide them.

    The published sides are kept; without them, a test side is drawn, with its share of every class.

    Args:
        boxes: the checked data set.
        scanning: limits of the scan.
        seed: random seed of the split and the folds.
        test_share: share of the pictures that a drawn split sets aside.
        reporter: receives progress.

    Raises:
        DataError: there is nothing to learn from in the training pictures.
    """
    if not boxes.labels:
        raise DataError(
            f"none of the {len(boxes.pictures):,} pictures has a box, so there is nothing to learn. Run "
            "`regraft check` on the data"
        )
    root = Path(boxes.root)
    candidates = [Candidate(one.path, str(root / one.path), _kinds(one), one.side) for one in boxes.pictures]
    found = Found(
        root,
        tuple(candidates),
        layout=f"boxes around objects, {boxes.format} ({boxes.files:,} files)",
        source="boxes",
        task="multilabel",
    )
    images = scan(found, scanning, reporter=reporter)
    split = split_images(images, seed=seed, test_share=test_share)
    skipped = {file.path: file for file in (*boxes.skipped, *images.skipped)}
    kept = (*boxes.findings, *(one for one in images.findings if one.kind not in _KNOWN))
    images = replace(images, skipped=tuple(skipped.values()), findings=kept)
    dataset = BoxedDataset(boxes, images, split, seed)
    return _checked(dataset)


_KNOWN = frozenset({"duplicate", "conflict"})  # the checks of boxes report copies themselves


def _kinds(picture: BoxedPicture) -> str:
    """The classes in a picture, as a text that tells which pictures are alike for a split."""
    return SEPARATOR.join(sorted({box.label.replace(SEPARATOR, "¦") for box in picture.boxes}))


def _checked(dataset: BoxedDataset) -> BoxedDataset:
    training = dataset.pictures("train")
    with_boxes = [one for one in training if any(not (b.is_crowd or b.is_difficult) for b in one.boxes)]
    if not with_boxes:
        raise DataError(
            f"none of the {len(training):,} training pictures has a box that counts, so there is nothing to "
            "learn. Run `regraft check` on the data"
        )
    if len(with_boxes) < 2:
        raise DataError(
            "only 1 training picture has boxes; at least 2 are needed, and some dozens are better"
        )
    if len(set(dataset.groups(with_boxes))) < 2:
        raise DataError(
            f"all {len(with_boxes):,} training pictures with boxes look alike, so none can be held out to "
            "measure what is learned from the others. Add other pictures, or use --look-alikes ignore"
        )
    lost = sorted(set(dataset.boxes.labels) - set(dataset.labels))
    if not lost:
        return dataset
    found = [
        Finding("untrained-class", f"class {label} has no box among the training pictures: it is left out")
        for label in lost
    ]
    images = replace(dataset.images, findings=(*dataset.images.findings, *found))
    return replace(dataset, images=images)
