"""The methods that won before 2012, beside every result: a guard against data that is too easy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from regraft.data.loading import LoadLimits
from regraft.evaluation.scores import wilson
from regraft.features.descriptors import SPEC, DescriptorRuntime
from regraft.features.extraction import extract
from regraft.features.heads import squared_distances
from regraft.features.kernel_heads import out_of_fold_scores
from regraft.features.training_rows import Candidate, Floats, TrainingRows, accuracy, standardised
from regraft.features.visual_words import word_histograms
from regraft.job import Job
from regraft.progress import Reporter
from regraft.records import Estimate, Record

MAJORITY = "majority class"
_STRENGTH = 1.0


class Baseline(Record):
    """A simple method, cross-validated on training images."""

    name: str
    accuracy: Estimate
    images: int


def majority_baseline(data: TrainingRows) -> Baseline:
    """Always the most frequent class of the other folds."""
    right = 0
    for fold in range(int(data.folds.max()) + 1):
        others = np.bincount(data.labels[data.folds != fold], minlength=data.num_classes)
        right += int((data.labels[data.folds == fold] == others.argmax()).sum())
    return Baseline(name=MAJORITY, accuracy=wilson(right, len(data.keys)), images=len(data.keys))


def classic_baselines(
    job: Job, *, most: int, with_words: bool, limits: LoadLimits, reporter: Reporter
) -> tuple[Baseline, ...]:
    """Nearest neighbour on pixels; colour histogram and HOG with a linear SVM; SIFT bags of words.

    Args:
        job: the data set; only training images are looked at.
        most: a larger training side is sampled down to so many images.
        with_words: whether SIFT is computed too, twenty times as dear as the others.
        limits: of the loader.
        reporter: is told how far it is.
    """
    names = ("pixels", "colour", "hog", "sift") if with_words else ("pixels", "colour", "hog")
    sample = job.training_rows().sample(most)
    wanted = set(sample.keys)
    images = replace(job.images, items=tuple(item for item in job.images.items if item.sha256 in wanted))
    features = extract(images, DescriptorRuntime(names), SPEC, limits=limits, reporter=reporter)
    known = np.array(
        [number for number, key in enumerate(sample.keys) if key in features.rows], dtype=np.int64
    )
    data = replace(sample.subset(known), features=features)
    column = {column.stage: column for column in features.layout}
    found: list[Baseline] = []

    def add(name: str, scores: Floats) -> None:
        right = round(accuracy(scores, data.labels) * len(data.keys))
        found.append(Baseline(name=name, accuracy=wilson(right, len(data.keys)), images=len(data.keys)))

    add("nearest neighbour on pixels", nearest_neighbour(data, (column["pixels"],)))
    add("colour histogram + HOG, linear SVM", _linear(data, (column["colour"], column["hog"])))
    if with_words:
        words = word_histograms(features.matrix(data.keys, (column["sift"],)), seed=data.seed)
        add("SIFT visual words, linear SVM", out_of_fold_scores(data, _gram(words), _STRENGTH))
    return tuple(found)


def nearest_neighbour(data: TrainingRows, columns: Candidate) -> Floats:
    """Scores `(N, K)`: minus the squared distance to the nearest image of each class in the other folds."""
    rows = data.features.matrix(data.keys, columns)
    distances = squared_distances(rows, rows)
    distances[data.folds[:, None] == data.folds[None]] = np.inf
    scores = np.full((len(rows), data.num_classes), -np.inf)
    for label in np.unique(data.labels):
        scores[:, label] = -distances[:, data.labels == label].min(axis=1)
    return scores


def _linear(data: TrainingRows, columns: Candidate) -> Floats:
    return out_of_fold_scores(data, _gram(standardised(data, columns)[1]), _STRENGTH)


def _gram(rows: Floats) -> Floats:
    """Linear kernel, scaled so that images have unit length on average."""
    products = rows @ rows.T
    kernel: Floats = products / max(float(np.trace(products)) / len(rows), 1e-12)
    return kernel
