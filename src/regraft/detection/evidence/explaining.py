"""Explain what a detector found in pictures: evidence, similar training boxes, and what it missed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.data.pictures.loading import Pixels
from regraft.detection.detectors.bundle import load_detector
from regraft.detection.detectors.detector import Detector
from regraft.detection.detectors.run_files import DetectorFiles
from regraft.detection.detectors.run_tables import corners_of
from regraft.detection.evidence.annotated import Annotated, Missed, annotated
from regraft.detection.evidence.box_gallery import AlikeBox, BoxGallery, open_box_gallery
from regraft.detection.evidence.evidence import Claim, Evidence, evidence, runs_for
from regraft.detection.evidence.looking import Look, Looking
from regraft.detection.maps.canvas import Placement
from regraft.detection.maps.found import Found
from regraft.errors import ImageError, SettingsError
from regraft.evaluation.detection_errors import Kind
from regraft.features.opening import open_runtime
from regraft.progress import Reporter
from regraft.records import SkippedFile
from regraft.storage.tables import printable

Floats = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]

_OTHERS = 3
"""Number of similar boxes of other classes."""
_MOST_MISSED = 12
"""Missed boxes of a picture for which similar training boxes are searched; all are listed."""


@dataclass(frozen=True)
class ExplainedBox:
    """A found box, and why it was found."""

    label: str
    corners: tuple[float, float, float, float]
    """Left, top, right and bottom edge in pixels of the upright picture."""
    score: float
    """The probability that there is an object of this class."""
    threshold: float
    """The probability from which on boxes of this class are shown."""
    kind: Kind | None
    """What it is by the annotations of its picture; None if the picture is not one of the run's."""
    evidence: Evidence
    alike: tuple[AlikeBox, ...]
    """The most similar training boxes."""
    others: tuple[AlikeBox, ...]
    """The most similar training boxes of other classes."""

    @property
    def is_shown(self) -> bool:
        """Whether its probability reaches the threshold of its class."""
        return self.score >= self.threshold


@dataclass(frozen=True)
class ExplainedMiss:
    """An annotated box that was missed, and what the detector takes for similar."""

    missed: Missed
    threshold: float
    """The probability from which on boxes of its class are shown."""
    alike: tuple[AlikeBox, ...]
    """The most similar training boxes."""


@dataclass(frozen=True)
class ExplainedPicture:
    """One picture with the boxes that are explained."""

    path: str
    """The name of the picture, as it was given."""
    pixels: Pixels
    """The canvas, `(H, W, C) uint8`."""
    placement: Placement
    """Where the picture lies on it."""
    boxes: tuple[ExplainedBox, ...]
    """The most probable boxes from the thresholds on; if there is none, the one that comes nearest to it."""
    shown: int
    """Number of boxes from the thresholds on (of the wanted class), also of those that are not explained."""
    annotated: Annotated | None
    """What the run's annotations say; None if the picture is not one of the run's."""
    missed: tuple[ExplainedMiss, ...]


@dataclass(frozen=True)
class DetectorExplanation:
    """What a detector found in some pictures, explained."""

    detector: Detector
    files: DetectorFiles | None
    """The run that made the detector; None for a bundle by itself."""
    pictures: tuple[ExplainedPicture, ...]
    skipped: tuple[SkippedFile, ...]
    remark: str
    """Which training pictures were not searched for similar boxes; empty if all were."""


def explain_detector(
    place: Path,
    images: Sequence[str | Path],
    *,
    label: str | None,
    boxes: int,
    neighbours: int,
    data: Path | None,
    reporter: Reporter,
) -> DetectorExplanation:
    """Explain what a detector finds in pictures.

    Args:
        place: a run folder, or a saved detector, which has no training boxes to show.
        images: the files of the pictures.
        label: the class whose boxes are explained; None means all.
        boxes: the largest number of boxes that are explained in a picture.
        neighbours: number of similar training boxes for each of them; 0 skips the search.
        data: the folder in which the run's pictures are now; None means that they were not moved.
        reporter: receives the progress.

    Raises:
        BundleError: the detector is missing or damaged.
        SettingsError: there is no such class, or a number is too small.
    """
    detector = load_detector(place)
    _check(detector, label, boxes, neighbours)
    files = DetectorFiles(place, data) if (place / "run.json").is_file() else None
    runtime = open_runtime(detector.weights, cut="maps", reporter=reporter)
    gallery = None
    if neighbours and files is not None:
        own = runtime if detector.fitted_precision == runtime.precision else open_runtime(
            detector.weights, precision=detector.fitted_precision, cut="maps", reporter=reporter
        )  # fmt: skip
        gallery = open_box_gallery(files, detector, own, reporter)
    number = None if label is None else detector.labels.index(label)
    job = _Explaining(Looking(detector, runtime), files, gallery, number, boxes, neighbours)
    done, skipped = [], []
    for image in images:
        try:
            look = job.looking.look(image)
        except ImageError as error:
            skipped.append(SkippedFile(str(image), str(error)))
            continue
        done.append(job.explained(look, reporter))
    return DetectorExplanation(
        detector, files, tuple(done), tuple(skipped), gallery.remark if gallery else ""
    )


def _check(detector: Detector, label: str | None, boxes: int, neighbours: int) -> None:
    if label is not None and label not in detector.labels:
        known = ", ".join(detector.labels[:20])
        raise SettingsError(f"the detector has no class {label!r}; it has {known}")
    for name, value, least in (("boxes", boxes, 1), ("neighbours", neighbours, 0)):
        if value < least:
            raise SettingsError(f"{name} is {value}; expected a whole number from {least} on")


@dataclass(frozen=True)
class _Explaining:
    """A detector, and the parts of the explanation of a picture."""

    looking: Looking
    files: DetectorFiles | None
    gallery: BoxGallery | None
    number: int | None
    """Number of the class whose boxes are explained; None means all."""
    most: int
    neighbours: int

    @property
    def detector(self) -> Detector:
        return self.looking.detector

    def explained(self, look: Look, reporter: Reporter) -> ExplainedPicture:
        """The explanation of one picture."""
        shown, source, chosen = self._chosen(look)
        known = None
        if self.files is not None:
            known = annotated(self.files, look.sha256, self.detector.labels, look.found, look.shown)
        claims = [
            Claim(source.corners[place], int(source.classes[place]), float(source.scores[place]))
            for place in chosen
        ]
        phase = f"covering parts of {printable(Path(look.path).name)}"
        with reporter.phase(phase, runs_for(look, claims), "runs") as meter:
            found = evidence(self.looking, look, claims, meter)
        kinds = [known.kinds[place] if known and source is look.shown else None for place in chosen]
        boxes = [self._box(look, *each) for each in zip(claims, found, kinds, strict=True)]
        lost = [one for one in known.missed if self.number in (None, one.number)] if known else []
        missed = [self._miss(look, one, is_searched=place < _MOST_MISSED) for place, one in enumerate(lost)]
        return ExplainedPicture(
            look.path, look.pixels, look.placement, tuple(boxes), shown, known, tuple(missed)
        )

    def _chosen(self, look: Look) -> tuple[int, Found, Ints]:
        """The number of boxes from the thresholds on, and which boxes of which list are explained."""
        shown = self._wanted(look.shown)
        if len(shown):
            return len(shown), look.shown, shown[: self.most]
        every = self._wanted(look.found)
        thresholds = np.maximum(np.asarray(self.detector.thresholds)[look.found.classes[every]], 1e-9)
        nearest = np.argsort(-look.found.scores[every] / thresholds, kind="stable")[:1]
        return 0, look.found, every[nearest]

    def _wanted(self, found: Found) -> Ints:
        """Places of the boxes of the wanted class, or of all."""
        if self.number is None:
            return np.arange(len(found))
        return np.flatnonzero(found.classes == self.number)

    def _box(self, look: Look, claim: Claim, found: Evidence, kind: Kind | None) -> ExplainedBox:
        label = self.detector.labels[claim.number]
        left, top, right, bottom = (float(edge) for edge in claim.corners)
        return ExplainedBox(
            label,
            (left, top, right, bottom),
            claim.score,
            self.detector.thresholds[claim.number],
            kind,
            found,
            self._alike(look, claim.corners),
            self._alike(look, claim.corners, not_of=printable(label), count=_OTHERS),
        )

    def _miss(self, look: Look, missed: Missed, *, is_searched: bool) -> ExplainedMiss:
        alike = self._alike(look, corners_of([missed.box])[0]) if is_searched else ()
        return ExplainedMiss(missed, self.detector.thresholds[missed.number], alike)

    def _alike(
        self, look: Look, corners: Floats, *, not_of: str | None = None, count: int | None = None
    ) -> tuple[AlikeBox, ...]:
        if self.gallery is None:
            return ()
        box = look.placement.onto(corners)[0]
        wanted = min(self.neighbours, count or self.neighbours)
        return tuple(self.gallery.nearest(look.row, box, count=wanted, besides=look.sha256, not_of=not_of))
