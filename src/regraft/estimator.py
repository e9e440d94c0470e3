"""Regraft as scikit-learn estimators, for cross-validation, grid searches and pipelines."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from regraft.arguments import described
from regraft.data.findings.image_set import Images
from regraft.data.image_like import ImageLike, ImageSource, read_image_likes
from regraft.data.pictures.loading import decode, read_file
from regraft.data.sources.candidates import Candidate, Found
from regraft.data.sources.label_arrays import is_label_matrix, label_lists, read_labels, read_numbers
from regraft.errors import DataError, ImageError, SettingsError
from regraft.prediction.model import Model
from regraft.records import TaskName
from regraft.settings import DataSettings
from regraft.storage.files import key_of
from regraft.storage.tables import printable
from regraft.tasks.classification import Classification
from regraft.tasks.multilabel import Multilabel
from regraft.tasks.regression import Regression
from regraft.workflow.fit import fit
from regraft.workflow.preparation import scanned
from regraft.workflow.request import make_request


class _ImageEstimator(BaseEstimator):  # type: ignore[misc]
    """What the estimators share: their parameters, and how images are fitted and predicted."""

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

    def _fit_model(
        self,
        sources: Sequence[ImageSource],
        labels: Sequence[str],
        task: TaskName,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        """Fit `model_` to images and their labels as texts, with some settings replaced by `more`."""
        if len(sources) != len(labels):
            raise DataError(
                f"{len(sources)} images and {len(labels)} labels were given; give one label for each image"
            )
        request = make_request(None, None, None, {**self._chosen(), **(more or {})})
        with tempfile.TemporaryDirectory() as folder:
            found = replace(_found(sources, labels, Path(folder)), task=task)
            images = _all_usable(found, [source.name for source in sources])
            model = fit(images, request.fit, training=request.training)
            assert isinstance(model, Model)
            self.model_ = model

    def _chosen(self) -> dict[str, Any]:
        """The settings of the fit by name; those in `settings` win."""
        more = {} if self.settings is None else self.settings
        if not isinstance(more, Mapping) or not all(isinstance(name, str) for name in more):
            raise SettingsError(
                f"settings is {described(more)}; accepted are None and a dictionary of settings by name"
            )
        how: dict[str, Any] = {"network": self.network, "strategy": self.strategy, "budget": self.budget}
        how |= {"weights": self.weights, "head": self.head, "cut": self.cut, "seed": self.seed}
        chosen = {name: value for name, value in how.items() if value is not None}
        return {"test_share": 0.0, **chosen, **more}

    def _outputs(self, X: Any) -> npt.NDArray[np.float64]:  # noqa: N803
        """The model's outputs `(N, K)`, in the order of its labels.

        Raises:
            DataError: something is not an image, or an image can't be read; the message names the first.
        """
        check_is_fitted(self)
        sources = _several(X)
        found = self.model_.predict(sources)
        if found.skipped:
            first = found.skipped[0]
            raise DataError(
                f"{len(found.skipped)} of {len(sources)} images can't be used; the first is "
                f"{printable(first.path)}: {first.reason}. Leave them out, or call `Model.predict`, "
                "which skips them"
            )
        if not sources:
            return np.zeros((0, len(self.model_.labels)))
        return np.stack([row.probabilities for row in found.rows])


class ImageClassifier(ClassifierMixin, _ImageEstimator):  # type: ignore[misc]
    """A pretrained network transferred to labelled images, with scikit-learn's interface.

    Images are given as a list of whatever `Model.predict` accepts except folders (paths, whole files as
    bytes, arrays, PIL images, tensors), or as one array `(N, H, W[, 3])`. Labels are whole numbers, texts or
    booleans, or, for several labels an image, a matrix `(N, K)` of 1, 0 and NaN where a label is not known.
    Features are cached by the images' content, so folds and grids share them. No test images are set aside,
    because cross-validation does that.

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
        classes_: the labels, sorted; for several labels an image, the numbers of the columns.
        model_: the fitted `regraft.Model`.

    >>> from sklearn.base import clone
    >>> clone(ImageClassifier(network="lenet5", strategy="svm")).get_params()["strategy"]
    'svm'
    """

    def fit(self, X: Sequence[ImageLike] | npt.NDArray[Any], y: Any) -> ImageClassifier:  # noqa: N803
        """Fit a model to images and their labels.

        An image that occurs several times, as in a bootstrap or a balanced sample, counts as often as it
        occurs, and all its copies are on the same side of every fold.

        Raises:
            DataError: the numbers of images and labels differ, a label is missing, there are fewer than two
                different labels, something is not an image, or an image can't be read.
            SettingsError: a parameter has a value that is not accepted.
        """
        sources = _several(X)
        if is_label_matrix(y):
            matrix = np.asarray(y, dtype=np.float64)
            self._fit_model(sources, label_lists(matrix), "multilabel")
            self.classes_ = np.arange(matrix.shape[1])
            return self
        labels = read_labels(y)
        classes, numbers = np.unique(labels, return_inverse=True)
        if len(sources) == len(labels) and len(classes) < 2:
            raise DataError(
                f"all {len(labels)} labels are {classes.tolist()}; at least two different labels are needed"
            )
        names = [f"{number:06d}" for number in numbers]
        self._fit_model(sources, names, "classification", self._about_classes(classes))
        self.classes_ = classes
        return self

    def _about_classes(self, classes: npt.NDArray[Any]) -> dict[str, Any]:
        """The settings that name classes, with the names that the model has for them.

        Raises:
            SettingsError: something is not a label, or answers are to be rejected, which `predict` can't do.
        """
        chosen = self._chosen()
        found: dict[str, Any] = {}
        if chosen.get("reject_below") is not None:
            raise SettingsError(
                "reject_below has no effect on ImageClassifier, whose predict answers every image. Remove "
                "it, and compare the largest of predict_proba with your limit"
            )
        names = {str(label): f"{number:06d}" for number, label in enumerate(classes.tolist())}
        for setting in ("positive", "ordered"):
            given = chosen.get(setting)
            if given is None or (setting == "ordered" and given in ("sorted", ("sorted",), ["sorted"])):
                continue
            several = given if isinstance(given, Sequence) and not isinstance(given, str) else [given]
            if unknown := [one for one in several if str(one) not in names]:
                raise SettingsError(
                    f"{setting} is {described(unknown[0])}, which is not a label; accepted are "
                    f"{', '.join(list(names)[:20])}"
                )
            found[setting] = tuple(names[str(one)] for one in several)
        return {name: value[0] if name == "positive" else value for name, value in found.items()}

    def predict_proba(self, X: Sequence[ImageLike] | npt.NDArray[Any]) -> npt.NDArray[np.float64]:  # noqa: N803
        """Probabilities `(N, K)`, with columns in the order of `classes_`.

        Raises:
            DataError: something is not an image, or an image can't be read; the message names the first.
        """
        outputs = self._outputs(X)
        chances = np.zeros((len(outputs), len(self.classes_)))
        chances[:, [int(label) for label in self.model_.labels]] = outputs
        return chances

    def predict(self, X: Sequence[ImageLike] | npt.NDArray[Any]) -> npt.NDArray[Any]:  # noqa: N803
        """Predicted labels `(N,)`, as they were given to `fit`, or a matrix `(N, K)` of 0 and 1.

        With the setting `goal`, the positive one of two labels is predicted from its threshold on. One of
        several labels is predicted from the threshold on that was best for its F1 in cross-validation.
        """
        chances = self.predict_proba(X)
        task = self.model_.task
        if isinstance(task, Classification) and task.threshold is not None:  # its labels are all classes_
            return np.asarray(self.classes_[task.chosen(chances)])
        if not isinstance(task, Multilabel):
            return np.asarray(self.classes_[chances.argmax(axis=1)])
        limits = np.full(len(self.classes_), np.inf)
        limits[[int(label) for label in task.outputs]] = task.limits
        return (chances >= limits).astype(np.int64)


class ImageRegressor(RegressorMixin, _ImageEstimator):  # type: ignore[misc]
    """A pretrained network transferred to images with numbers, with scikit-learn's interface.

    Images and parameters are those of `ImageClassifier`; the strategies are `auto`, `probe` and
    `many-stages`.

    Attributes:
        model_: the fitted `regraft.Model`, whose predictions have 90 % prediction intervals.
    """

    def fit(self, X: Sequence[ImageLike] | npt.NDArray[Any], y: Any) -> ImageRegressor:  # noqa: N803
        """Fit a model to images and their numbers `(N,)`.

        Raises:
            DataError: there is not one finite number for each image, all of them are the same, something is
                not an image, or an image can't be read.
            SettingsError: a parameter has a value that is not accepted.
        """
        labels = [Regression.read(repr(value)) for value in read_numbers(y).tolist()]
        self._fit_model(_several(X), labels, "regression")
        return self

    def predict(self, X: Sequence[ImageLike] | npt.NDArray[Any]) -> npt.NDArray[np.float64]:  # noqa: N803
        """Predicted numbers `(N,)`.

        Raises:
            DataError: something is not an image, or an image can't be read; the message names the first.
        """
        return self._outputs(X)[:, 0]


def _several(images: Any) -> list[ImageSource]:
    """The images, one for each row of `X`.

    Raises:
        DataError: `X` is a single path or a table of numbers, or something in it is not an image.
    """
    shape = getattr(images, "shape", ())
    if isinstance(shape, tuple) and len(shape) == 2 and not hasattr(images, "columns"):
        raise DataError(
            f"X is an array of shape {shape}; rows of numbers are not images. Give images as (N, H, W) or "
            "(N, H, W, 3), for example X.reshape(len(X), height, width)"
        )
    if isinstance(images, str | Path | bytes):
        raise DataError(f"X is {described(images)}; give a list of images, also for a single one")
    return read_image_likes(images, "X", opens_folders=False)


def _found(sources: Sequence[ImageSource], labels: Sequence[str], folder: Path) -> Found:
    """The images as files: those in memory are written below `folder`, and so are links to repeated files."""
    seen: set[str] = set()
    candidates = []
    for place, (source, label) in enumerate(zip(sources, labels, strict=True)):
        content = _file_of(source)
        if isinstance(content, bytes):
            path = folder / f"{place:08d}.png"
            path.write_bytes(content)
        else:
            path = Path(content).absolute()
            if str(path) in seen:
                link = folder / f"{place:08d}{path.suffix}"
                link.symlink_to(path)
                path = link
            seen.add(str(path))
        name = str(path.relative_to(path.anchor))
        candidates.append(Candidate(name, str(path), label))
    return Found(Path("/"), tuple(candidates))


def _file_of(source: ImageSource) -> str | Path | bytes:
    try:
        return source.file()
    except ImageError as error:
        raise DataError(f"{source.name} {error}. Leave it out") from error


def _all_usable(found: Found, names: Sequence[str]) -> Images:
    """The scanned images, if every one of them can be used.

    Raises:
        DataError: an image can't be read; the message names the first.
    """
    problem: DataError | None = None
    try:
        images = scanned(found, DataSettings(max_bad_share=1.0), None)
        if len(images) == len(found.candidates):
            facts = [[item.sha256, item.label] for item in images.items]
            return replace(images, source=key_of(facts))  # only the same data share a saved split
    except DataError as error:  # no two classes are left
        problem = error
    looked_at = zip(names, found.candidates, strict=True)
    reasons = {name: reason for name, one in looked_at if (reason := _reason(one.file))}
    if not reasons:
        raise problem or DataError(f"only {len(images)} of {len(found.candidates)} images can be used")
    first, reason = next(iter(reasons.items()))
    raise DataError(
        f"{len(reasons)} of {len(found.candidates)} images can't be used; the first is "
        f"{printable(first)}: {reason}. Leave them out, with their labels"
    )


def _reason(file: str) -> str:
    """Why an image can't be used; empty if it can."""
    try:
        decode(read_file(file))
    except ImageError as error:
        return str(error)
    return ""
