"""Image classification methods from before 2012, shown with every result to reveal data that is too easy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pydantic import Field

from regraft.advice.visual_words import word_histograms
from regraft.data.pictures.loading import LoadLimits
from regraft.features.descriptors import SPEC, DescriptorRuntime
from regraft.features.extraction import extract
from regraft.heads.dataset import Dataset
from regraft.heads.head import squared_distances
from regraft.heads.kernel_machines import out_of_fold_scores
from regraft.heads.rows import Candidate, Floats, TrainingRows, share_of, standardised
from regraft.progress import Reporter
from regraft.records import Estimate, Record
from regraft.tasks.task import Measure

MAJORITY = "majority class"
_STRENGTH = 10.0  # with 1, SVMs of two or three images per class reach their bounds and are useless


class Baseline(Record):
    """The cross-validated accuracy, or other measure, of a simple method on training images."""

    name: str
    accuracy: Estimate
    images: int
    measure: str = Field("accuracy", exclude_if=lambda name: name == "accuracy")
    """What `accuracy` holds, if models are compared by another measure."""


def trivial_merit(data: TrainingRows) -> Measure:
    """How good the trivial model is that knows the labels of the other folds, but no image."""
    goodness = np.empty(len(data.keys))
    for fold in range(int(data.folds.max()) + 1):
        held = data.folds == fold
        outputs = data.task.baseline(data.targets[~held], int(held.sum()))
        goodness[held] = data.task.goodness(outputs, data.targets[held])
    return data.task.merit(goodness, targets=data.targets, groups=data.groups, seed=data.seed)


def classic_baselines(
    dataset: Dataset, *, most: int, limits: LoadLimits, reporter: Reporter
) -> tuple[Baseline, ...]:
    """Two baselines: nearest neighbour on pixels, and colour histogram with HOG and a linear SVM.

    Args:
        dataset: the data set; only its training images are used.
        most: largest number of images; of a larger training set, a sample is used.
        limits: limits of the image loader.
        reporter: receives progress.
    """
    data = _described(dataset, ("pixels", "colour", "hog"), most, limits, reporter)
    pixels, colour, gradients = data.features.layout
    return (
        _judged("nearest neighbour on pixels", nearest_neighbour(data, (pixels,)), data),
        _judged("colour histogram + HOG, linear SVM", _linear(data, (colour, gradients)), data),
    )


def words_baseline(dataset: Dataset, *, most: int, limits: LoadLimits, reporter: Reporter) -> Baseline:
    """A bag of SIFT words with a linear SVM; ten times as slow as `classic_baselines`, same arguments."""
    data = _described(dataset, ("sift",), most, limits, reporter)
    words = word_histograms(data.features.matrix(data.keys, data.features.layout), seed=data.seed)
    scores = out_of_fold_scores(data, _gram(words), _STRENGTH)
    return _judged("SIFT visual words, linear SVM", scores, data)


def _described(
    dataset: Dataset, names: tuple[str, ...], most: int, limits: LoadLimits, reporter: Reporter
) -> TrainingRows:
    """A sample of the training images, with their descriptors as features."""
    sample = dataset.training_rows().sample(most)
    wanted = set(sample.keys)
    images = replace(
        dataset.images, items=tuple(item for item in dataset.images.items if item.sha256 in wanted)
    )
    spec = SPEC.model_copy(update={"intensity": images.intensity.chosen})
    features = extract(images, DescriptorRuntime(names), spec, limits=limits, reporter=reporter)
    known = [number for number, key in enumerate(sample.keys) if key in features.rows]
    return replace(sample.subset(np.array(known, dtype=np.int64)), features=features)


def _judged(name: str, scores: Floats, data: TrainingRows) -> Baseline:
    found = share_of(data, scores)
    assert found.estimate is not None
    return Baseline(name=name, accuracy=found.estimate, images=len(data.keys), measure=found.name)


def nearest_neighbour(data: TrainingRows, columns: Candidate) -> Floats:
    """Scores `(N, K)`: minus the squared distance to the nearest image of each class in the other folds."""
    rows = data.features.matrix(data.keys, columns)
    distances = squared_distances(rows, rows)
    distances[data.folds[:, None] == data.folds[None]] = np.inf
    scores = np.full((len(rows), data.num_outputs), -np.inf)
    for label in np.unique(data.targets):
        scores[:, label] = -distances[:, data.targets == label].min(axis=1)
    return scores


def _linear(data: TrainingRows, columns: Candidate) -> Floats:
    return out_of_fold_scores(data, _gram(standardised(data, columns)[1]), _STRENGTH)


def _gram(rows: Floats) -> Floats:
    """Linear kernel, scaled so that images have unit length on average."""
    products = rows @ rows.T
    kernel: Floats = products / max(float(np.trace(products)) / len(rows), 1e-12)
    return kernel
