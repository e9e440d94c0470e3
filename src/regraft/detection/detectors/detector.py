"""A detector in use: from pictures to boxes with probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import ClassVar

import numpy as np

from regraft.arguments import described
from regraft.data.image_like import ImageLike, ImageSource, read_image_likes
from regraft.data.pictures.loading import LoadLimits, Pixels, decode, read_file
from regraft.detection.detectors.calibration import Calibration
from regraft.detection.detectors.finders import Finder
from regraft.detection.detectors.records import DetectionSheet
from regraft.detection.maps.canvas import Placement, bands_of, on_canvas, placed
from regraft.detection.maps.found import Found
from regraft.detection.results.tiles import Tile, merged
from regraft.detection.results.tiles import tiles as tiles_of
from regraft.errors import ImageError, SettingsError
from regraft.features.extraction import as_half
from regraft.features.opening import open_runtime
from regraft.features.runtimes import Row, Runtime, RuntimeName
from regraft.machine.processor import count_cores
from regraft.networks.weights.finding import Weights
from regraft.parallel import in_order
from regraft.prediction.model import check_prediction, skipped_source
from regraft.progress import Reporter, Silent
from regraft.records import Precision, SkippedFile

LEAST_PROBABILITY = 0.01
"""Boxes that are less probable are not listed."""
_AHEAD = 8
_BATCH = 16


@dataclass(frozen=True)
class DetectedPicture:
    """What was found in one picture."""

    path: str
    """The name of the picture, as it was given."""
    width: int
    """Width of the upright picture in pixels."""
    height: int
    found: Found
    """The boxes whose probability is at least .01; `shown` has those from the thresholds on."""
    shown: Found


@dataclass(frozen=True)
class DetectedPictures:
    """What was found in several pictures, in their order."""

    labels: tuple[str, ...]
    pictures: tuple[DetectedPicture, ...]
    skipped: tuple[SkippedFile, ...]
    """Files that could not be used, with the reasons."""

    def __len__(self) -> int:
        return len(self.pictures)

    def __iter__(self) -> Iterator[DetectedPicture]:
        return iter(self.pictures)


@dataclass(frozen=True)
class Detector:
    """A frozen network, what finds boxes on its maps, and the thresholds from which on they are shown.

    `regraft.fit` and `regraft.load_model` make detectors; they are immutable. The network is loaded at the
    first prediction.
    """

    task: ClassVar[str] = "detection"
    labels: tuple[str, ...]
    """The classes, in the order of their numbers."""
    weights: Weights
    """The network; height and width of its input are those of the canvas."""
    finder: Finder
    calibration: Calibration
    thresholds: tuple[float, ...]
    fitted_precision: Precision
    lineage: tuple[str, ...]
    scores: DetectionSheet | None = None
    run_folder: Path | None = None

    def predict(
        self,
        images: Iterable[ImageLike] | ImageLike,
        *,
        threshold: float | None = None,
        tiles: tuple[int, int] | None = None,
        precision: Precision = "fp32",
        runtime: RuntimeName = "auto",
        limits: LoadLimits | None = None,
        reporter: Reporter | None = None,
    ) -> DetectedPictures:
        """Find objects in pictures.

        Args:
            images: one or several pictures: paths, folders (all images in them), whole files as bytes, arrays
                `(H, W)` or `(H, W, 1, 3 or 4)`, PIL images, tensors `(C, H, W)` or open binary files.
            threshold: the probability from which on boxes are shown, instead of the detector's own for each
                class.
            tiles: numbers of overlapping columns and rows to cut each picture into; look at each and at the
                whole picture, and put together what was found; for objects that are small in large pictures.
            precision: arithmetic of the network.
            runtime: the library that runs the network.
            limits: limits of the loader.
            reporter: receives the progress.

        Raises:
            DataError: something is not an image; the message names its kind and position.
            SettingsError: another argument has a value that is not accepted.
        """
        several = read_image_likes(images)
        check_threshold(threshold)
        check_prediction(precision=precision, runtime=runtime, limits=limits, reporter=reporter)
        skipped: list[SkippedFile] = []
        done: dict[int, DetectedPicture] = {}
        least = np.asarray(self.thresholds if threshold is None else [threshold] * len(self.labels))
        if several:
            engine = self._engine((runtime, precision), reporter or Silent())
            looks = self._looks(several, skipped, engine, limits) if tiles is None else (
                self._tiled(several, skipped, engine, limits, tiles)
            )  # fmt: skip
            with (reporter or Silent()).phase("finding objects", len(several)) as meter:
                for place, (width, height), every in looks:
                    name, found = several[place].name, every.above(LEAST_PROBABILITY)
                    done[place] = DetectedPicture(name, width, height, found, found.above(least))
                    meter.advance()
        return DetectedPictures(self.labels, tuple(done[place] for place in sorted(done)), tuple(skipped))

    def _looks(
        self,
        images: Sequence[ImageSource],
        skipped: list[SkippedFile],
        engine: Runtime,
        limits: LoadLimits | None,
    ) -> Iterator[tuple[int, tuple[int, int], Found]]:
        placements: dict[int, Placement] = {}
        rows = engine.run(self._decoded(images, skipped, placements, limits))
        while batch := list(islice(rows, _BATCH)):
            places = [place for place, _ in batch]
            own = [placements.pop(place) for place in places]
            found = self.on_maps([row for _, row in batch], own)
            sizes = [(one.width, one.height) for one in own]
            yield from zip(places, sizes, found, strict=True)

    def _tiled(
        self,
        images: Sequence[ImageSource],
        skipped: list[SkippedFile],
        engine: Runtime,
        limits: LoadLimits | None,
        tiling: tuple[int, int],
    ) -> Iterator[tuple[int, tuple[int, int], Found]]:
        """Look at the tiles of one picture after another, and at the whole picture."""
        spec = self.weights.input_spec
        for place, image in enumerate(images):
            try:
                content = image.file()
                data = content if isinstance(content, bytes) else read_file(content, limits)
                picture = decode(data, limits=limits, channels=spec.channels)
                bands = bands_of(picture, spec.channels)
                width, height = bands[0].size
                parts = tiles_of(width, height, columns=tiling[0], rows=tiling[1])
            except ImageError as error:
                skipped.append(skipped_source(image, str(error)))
                continue
            parts = (*parts, Tile(0, 0, width, height))
            looks = [
                placed(
                    [band.crop((one.left, one.top, one.right, one.bottom)) for band in bands],
                    (one.width, one.height),
                    spec,
                )
                for one in parts
            ]
            rows = dict(engine.run(enumerate(pixels for pixels, _ in looks)))
            found = self.on_maps(
                [rows[number] for number in range(len(parts))], [where for _, where in looks]
            )
            yield place, (width, height), merged(list(zip(parts, found, strict=True)))

    def on_maps(self, rows: Sequence[Row], placements: Sequence[Placement]) -> list[Found]:
        """Boxes with probabilities, from rows of maps; the rows are rounded as they are kept."""
        halves = np.stack([as_half(row) for row in rows])
        return [self.calibration.of(one) for one in self.finder.found(halves, placements)]

    def _decoded(
        self,
        images: Sequence[ImageSource],
        skipped: list[SkippedFile],
        placements: dict[int, Placement],
        limits: LoadLimits | None,
    ) -> Iterator[tuple[int, Pixels]]:
        def load(place: int) -> tuple[int, Pixels | None, Placement | str]:
            try:
                content = images[place].file()
                data = content if isinstance(content, bytes) else read_file(content, limits)
                return place, *on_canvas(data, self.weights.input_spec, limits=limits)
            except ImageError as error:
                return place, None, str(error)

        threads = count_cores()
        numbers = range(len(images))
        for place, pixels, fact in in_order(load, numbers, workers=threads, ahead=_AHEAD * threads):
            if isinstance(fact, Placement) and pixels is not None:
                placements[place] = fact
                yield place, pixels
            else:
                skipped.append(skipped_source(images[place], str(fact)))

    def _engine(self, choice: tuple[RuntimeName, Precision], reporter: Reporter) -> Runtime:
        if choice not in self._engines:
            name, precision = choice
            self._engines[choice] = open_runtime(
                self.weights, name=name, precision=precision, cut="maps", reporter=reporter
            )
        return self._engines[choice]

    @cached_property
    def _engines(self) -> dict[tuple[RuntimeName, Precision], Runtime]:
        return {}


def check_threshold(threshold: object) -> None:
    """Refuse what is neither a probability nor None."""
    is_number = isinstance(threshold, (int, float)) and not isinstance(threshold, bool)
    if threshold is not None and not (is_number and 0 <= threshold <= 1):  # type: ignore[operator]
        raise SettingsError(
            f"threshold is {described(threshold)}; expected a probability from 0 to 1, or None for the "
            "detector's own thresholds"
        )
