"""A detector in an exported ONNX file: the same boxes, without torch and the network's library."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from regraft.data.image_like import ImageLike, read_image_likes
from regraft.data.pictures.loading import LoadLimits, decode, read_file
from regraft.detection.detectors.detector import DetectedPicture, DetectedPictures, check_threshold
from regraft.detection.maps.canvas import upright_size
from regraft.detection.maps.found import Found
from regraft.errors import BundleError, ImageError
from regraft.prediction.model import check_prediction, skipped_source
from regraft.prediction.onnx_model import exported_facts, open_session
from regraft.progress import Reporter, Silent
from regraft.records import InputSpec, SkippedFile


class OnnxDetector:
    """An exported detector, from whole decoded pictures to boxes; ONNX Runtime computes it.

    Args:
        path: the `.onnx` file that `regraft export` has written.
        session: the file's session, if it is open already.

    Raises:
        BundleError: the file is not a detector that `regraft export` has written, or ONNX Runtime is not
            installed.
    """

    task: ClassVar[str] = "detection"

    def __init__(self, path: str | Path, *, session: Any = None) -> None:
        self.path = Path(path)
        self._session = open_session(self.path) if session is None else session
        self.facts = exported_facts(self.path, self._session)
        try:
            if self.facts.get("task") != "detection":
                raise ValueError("it is not a detector")
            self.labels = tuple(str(label) for label in self.facts["labels"])
            self.thresholds = tuple(float(one) for one in self.facts["thresholds"])
            self.input_spec = InputSpec.model_validate(self.facts["input_spec"])
            if len(self.thresholds) != len(self.labels):
                raise ValueError("the number of thresholds is not that of the labels")
        except (ValueError, KeyError, TypeError) as error:
            raise BundleError(
                f"the metadata of {self.path} can't be read: {error}. Export it again"
            ) from error

    def predict(
        self,
        images: Iterable[ImageLike] | ImageLike,
        *,
        threshold: float | None = None,
        limits: LoadLimits | None = None,
        reporter: Reporter | None = None,
    ) -> DetectedPictures:
        """Find objects in pictures; files that can't be used are in `skipped`.

        Args:
            images: one or several pictures, as in `Detector.predict`.
            threshold: the probability from which on boxes are shown, instead of those in the file.
            limits: limits of the loader.
            reporter: receives the progress.

        Raises:
            DataError: something is not an image; the message names its kind and position.
            SettingsError: another argument has a value that is not accepted.
        """
        several = read_image_likes(images)
        check_threshold(threshold)
        check_prediction(limits=limits, reporter=reporter)
        least = np.asarray(self.thresholds if threshold is None else [threshold] * len(self.labels))
        rows: list[DetectedPicture] = []
        skipped: list[SkippedFile] = []
        with (reporter or Silent()).phase("finding objects", len(several)) as meter:
            for one in several:
                try:
                    pixels, size = self.decoded(one.file(), limits)
                except ImageError as error:
                    skipped.append(skipped_source(one, str(error)))
                    continue
                found = self.found(pixels, size)
                rows.append(DetectedPicture(one.name, *size, found, found.above(least)))
                meter.advance()
        return DetectedPictures(self.labels, tuple(rows), tuple(skipped))

    def decoded(
        self, source: str | Path | bytes, limits: LoadLimits | None = None
    ) -> tuple[npt.NDArray[np.uint8], tuple[int, int]]:
        """The whole upright picture, `(H, W, C) uint8`, as the graph takes it, and its own width and height.

        Large pictures may have been reduced while they were decoded, as the detector decodes them.
        """
        data = source if isinstance(source, bytes) else read_file(source, limits)
        height, width, channels = self.input_spec.shape
        picture = decode(data, min_side_px=min(height, width), limits=limits, channels=channels)
        bands = [np.asarray(band) for band in picture.bands]
        pixels = np.stack(bands, axis=-1) if bands else np.asarray(picture.image)
        return np.ascontiguousarray(pixels), upright_size(picture)

    def found(self, pixels: npt.NDArray[np.uint8], size: tuple[int, int] | None = None) -> Found:
        """The boxes in decoded pixels `(H, W, C) uint8`, for a picture of this width and height."""
        return as_found(self._session.run(["boxes", "labels", "scores"], {"pixels": pixels}), pixels, size)


def as_found(
    outputs: Iterable[npt.ArrayLike], pixels: npt.NDArray[np.uint8], size: tuple[int, int] | None = None
) -> Found:
    """What a graph has put out for some pixels, as boxes in a picture of this width and height."""
    boxes, labels, scores = (np.asarray(one) for one in outputs)
    own = pixels.shape[1::-1]
    scales = np.array([*(size or own)] * 2) / np.array([*own] * 2)
    return Found.of(boxes.reshape(-1, 4) * scales, labels, scores)
