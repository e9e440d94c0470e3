"""Regraft as a scikit-learn classifier, for cross-validation, grid searches and pipelines."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from regraft import storage
from regraft.errors import DataError
from regraft.prediction.model import Model
from regraft.workflow import fit

ImageLike = str | Path | bytes | npt.NDArray[np.uint8]


class ImageClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A pretrained network transferred to labelled images, with scikit-learn's interface.

    Images are given as a list of paths, of whole files as bytes, or of arrays `(H, W)` or `(H, W, 3)` of
    `uint8`; or as one array `(N, H, W[, 3])`. Features are cached by the images' content, so folds and grids
    share them. No test images are set aside, because cross-validation does that.

    Args:
        network: see `FitSettings.network`.
        strategy: see `FitSettings.strategy`.
        budget: time limit of the ladder (`auto`), for example `2m`; None means the default.
        weights: see `FitSettings.weights`.
        head: see `FitSettings.head`.
        cut: see `FitSettings.cut`.
        seed: random seed of every draw.
        settings: further settings of `FitSettings` or `TrainSettings`, by name.

    Attributes:
        classes_: the labels, sorted.
        model_: the fitted `regraft.Model`.

    >>> from sklearn.base import clone
    >>> clone(ImageClassifier(network="lenet5", strategy="svm")).get_params()["strategy"]
    'svm'
    """

    def __init__(
        self,
        network: str | None = None,
        strategy: str = "auto",
        budget: str | None = None,
        weights: str | None = None,
        head: str | None = None,
        cut: str | None = None,
        seed: int = 0,
        settings: dict[str, Any] | None = None,
    ) -> None:
        self.network = network
        self.strategy = strategy
        self.budget = budget
        self.weights = weights
        self.head = head
        self.cut = cut
        self.seed = seed
        self.settings = settings

    def fit(self, X: Sequence[ImageLike] | npt.NDArray[Any], y: Sequence[Any]) -> ImageClassifier:  # noqa: N803
        """Fit a model to images and their labels.

        Raises:
            DataError: the numbers of images and labels differ, there are fewer than two different labels, or
                too many images can't be read.
        """
        images, labels = list(X), np.asarray(y)
        if len(images) != len(labels):
            raise DataError(
                f"{len(images)} images and {len(labels)} labels were given; give one label for each image"
            )
        classes, numbers = np.unique(labels, return_inverse=True)
        if len(classes) < 2:
            raise DataError(
                f"all {len(labels)} labels are {classes.tolist()}; at least two different labels are needed"
            )
        with tempfile.TemporaryDirectory() as folder:
            table = Path(folder, "images.csv")
            with table.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(["path", "label"])
                for place, (image, number) in enumerate(zip(images, numbers, strict=True)):
                    writer.writerow([_file_of(image, Path(folder), place), f"{number:06d}"])
            how = {"network": self.network, "strategy": self.strategy, "budget": self.budget}
            how |= {"weights": self.weights, "head": self.head, "cut": self.cut}
            chosen = {name: value for name, value in how.items() if value is not None}
            self.model_: Model = fit(
                table, data=_anywhere(), test_share=0.0, seed=self.seed, **{**chosen, **(self.settings or {})}
            )
        self.classes_ = classes
        return self

    def predict_proba(self, X: Sequence[ImageLike] | npt.NDArray[Any]) -> npt.NDArray[np.float64]:  # noqa: N803
        """Probabilities `(N, K)`, with columns in the order of `classes_`.

        Raises:
            DataError: an image can't be read; the message names the first.
        """
        check_is_fitted(self)
        files = [image if isinstance(image, str | Path | bytes) else _png(image) for image in X]
        found = self.model_.predict(files)
        if found.skipped:
            first = found.skipped[0]
            raise DataError(
                f"{len(found.skipped)} of {len(files)} images can't be used; the first is "
                f"{storage.printable(first.path)}: {first.reason}. Leave them out, or call `Model.predict`, "
                "which skips them"
            )
        chances = np.zeros((len(files), len(self.classes_)))
        places = [int(label) for label in self.model_.labels]
        chances[:, places] = np.stack([row.probabilities for row in found.rows])
        return chances

    def predict(self, X: Sequence[ImageLike] | npt.NDArray[Any]) -> npt.NDArray[Any]:  # noqa: N803
        """Predicted labels `(N,)`, as they were given to `fit`."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])


def _anywhere() -> Any:
    from regraft.settings import DataSettings

    return DataSettings(root="/")


def _file_of(image: ImageLike, folder: Path, place: int) -> str:
    """The image's path relative to the file system's root; arrays and bytes are written to a file first."""
    if isinstance(image, str | Path):
        path = Path(image).absolute()
    else:
        path = folder / f"{place:08d}.png"
        path.write_bytes(image if isinstance(image, bytes) else _png(image))
    return str(path.relative_to(path.anchor))


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """An array as the bytes of a PNG file, which loses nothing.

    Raises:
        DataError: the array is not `(H, W) uint8` or `(H, W, 1 or 3) uint8`.
    """
    values = np.asarray(pixels)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.dtype != np.uint8 or values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] != 3):
        raise DataError(
            f"an array of shape {values.shape} and type {values.dtype} is not an image; accepted are (H, W), "
            "(H, W, 1) and (H, W, 3) of uint8"
        )
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(values)).save(file, "PNG", compress_level=1)
    return file.getvalue()
