"""Depth profiles in closed form against the profile of SVMs: agreement of the stages, and processor seconds.

For each data set and network, heads in closed form and SVMs are cross-validated at every stage, on the same
folds of at most 1,000 training images. Three things are compared: the order of the stages (Spearman
correlation), the stage at which the smoothed accuracy peaks, and what the SVM loses if it reads that stage
instead of its own peak. SVMs on other folds show how far two profiles differ by chance. A cache named by
$REGRAFT_CACHE is used, so that features are computed once.

Run: python benchmarks/profile_agreement.py [summary]   (summary only computes the means again)
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from common import earlier, save, shared
from few_images import drawn
from scipy.stats import spearmanr

import regraft
from regraft.advice.profile import read_by_probe
from regraft.data.findings.image_set import Images
from regraft.data.splits import split_images
from regraft.features.extraction import extract
from regraft.features.opening import open_runtime
from regraft.heads.dataset import Dataset
from regraft.heads.head import squared_distances
from regraft.heads.kernel import cross_validated_least_squares, cross_validated_svm
from regraft.heads.linear import cross_validated_logistic
from regraft.heads.ridge_regression import ColumnRidge, GramRidge, RowRidge
from regraft.heads.rows import Candidate, Floats, TrainingRows, accuracy, standardised
from regraft.networks.weights.finding import find_weights
from regraft.progress import Silent
from regraft.records import columns_of, stages_of

NETWORKS = ("mobilenetv1_100", "mobilenetv2_100")
DATA = ("clothing", "trash6", "brain_mri", "omniglot_small1", "cherry_hemlock")
UNTOLD = ("omniglot_small1", "cherry_hemlock")
"""Not in the means: SVMs of 136 classes are least-squares SVMs, and 16 images are right at most stages."""
MOST = 1_000
REFERENCE, OTHER_FOLDS = "SVM", "SVM, other folds"
Measure = Callable[[TrainingRows, Candidate], Floats]


def ridge(data: TrainingRows, columns: Candidate, *, strength: float, is_unit: bool = False) -> Floats:
    """Out-of-fold scores of a ridge regression on the columns themselves."""
    rows = standardised(data, columns)[1]
    if is_unit:
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    facts = (data.targets, data.num_outputs, data.folds)
    if len(rows) <= rows.shape[1]:
        return RowRidge(rows, *facts).out_of_fold(strength)
    return ColumnRidge(rows.__getitem__, *facts).out_of_fold(strength)


def kernel_ridge(data: TrainingRows, columns: Candidate, *, strength: float, width: float = 1.0) -> Floats:
    """Out-of-fold scores of a ridge regression with the SVM's Gaussian kernel."""
    rows = standardised(data, columns)[1]
    distances = squared_distances(rows, rows)
    distances *= -width / max(float(np.median(distances[::7])), 1e-12)
    gram = GramRidge(np.exp(distances, out=distances), data.targets, data.num_outputs, data.folds)
    return gram.out_of_fold(strength)


WAYS: dict[str, Measure] = {
    REFERENCE: cross_validated_svm,
    OTHER_FOLDS: lambda data, columns: cross_validated_svm(replace(data, seed=data.seed + 1), columns),
    "logistic, means": lambda data, columns: cross_validated_logistic(data, read_by_probe(columns)),
    "ridge, means": lambda data, columns: ridge(data, read_by_probe(columns), strength=1.0),
    "ridge": lambda data, columns: ridge(data, columns, strength=1.0),
    "ridge, C = 10": lambda data, columns: ridge(data, columns, strength=10.0),
    "ridge, rows of unit length": lambda data, columns: ridge(data, columns, strength=1.0, is_unit=True),
    "kernel ridge, C = 3": lambda data, columns: kernel_ridge(data, columns, strength=3.0),
    "kernel ridge, C = 10, as in the profile": cross_validated_least_squares,
    "kernel ridge, C = 30": lambda data, columns: kernel_ridge(data, columns, strength=30.0),
    "kernel ridge, C = 100": lambda data, columns: kernel_ridge(data, columns, strength=100.0),
    "kernel ridge, C = 10, wide": lambda data, columns: kernel_ridge(data, columns, strength=10.0, width=0.5),
}


def images_of(data: str, folder: Path) -> Images:
    if (shared("data/splits") / f"{data}.csv").exists() or data == "clothing":
        return drawn(data, None, 0, folder)
    return regraft.load_images(shared("data") / data)


def measured(data: str, network: str, folder: Path) -> dict[str, Any]:
    """Accuracy at every stage and processor seconds of all stages, for each way."""
    images = images_of(data, folder)
    weights = find_weights(network, weights=shared("weights"))
    features = extract(images, open_runtime(weights, reporter=Silent()), weights.input_spec)
    rows = Dataset(images, split_images(images), features, 0).training_rows().sample(MOST)
    stages = stages_of(features.layout)
    row: dict[str, Any] = {"data": data, "network": network, "images": len(rows.keys), "stages": len(stages)}
    row |= {"accuracy": {}, "seconds": {}}
    assert rows.folds is not None  # drawn before the clock starts
    for name, measure in WAYS.items():
        started, shares = time.process_time(), []
        for stage in stages:
            scores = measure(rows, columns_of(features.layout, [stage]))
            shares.append(round(accuracy(scores, rows.targets), 4))
        row["accuracy"][name] = shares
        row["seconds"][name] = round(time.process_time() - started, 2)
    return row


def peak(shares: Sequence[float]) -> int:
    """The deepest stage with the largest accuracy after smoothing, as in `DepthProfile.peak`."""
    padded = np.array([shares[0], *shares, shares[-1]])
    smooth = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    return len(shares) - 1 - int(smooth[::-1].argmax())


def agreement(row: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """For each way: correlation with the SVMs, its peak, and the points that the SVM loses there.

    No correlation is given where a profile has the same accuracy at every stage. Peaks are chosen on the
    folds on which the SVM's loss is measured; on other folds, the loss is not too small for that reason.
    """
    svm, others = (row["accuracy"][name] for name in (REFERENCE, OTHER_FOLDS))
    found = {}
    for name, shares in row["accuracy"].items():
        lost = svm[peak(svm)] - svm[peak(shares)]
        spearman = float(spearmanr(svm, shares).statistic) if len({*svm}) > 1 < len({*shares}) else None
        found[name] = {
            "spearman": spearman and round(spearman, 3),
            "peak": 1 + peak(shares),
            "lost_points": round(100 * lost, 1),
            "lost_points_other_folds": round(100 * (others[peak(svm)] - others[peak(shares)]), 1),
            "seconds": row["seconds"][name],
        }
    return found


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Means over the data sets and networks that can tell profiles apart."""
    tables = [agreement(row) for row in rows if row["data"] not in UNTOLD]
    means = {}
    for name in WAYS:
        means[name] = {
            what: round(float(np.mean([one[name][what] for one in tables if one[name][what] is not None])), 3)
            for what in ("spearman", "lost_points", "lost_points_other_folds", "seconds")
        }
        means[name]["most_lost_points"] = max(one[name]["lost_points"] for one in tables)
        means[name]["same_peak"] = sum(one[name]["peak"] == one[REFERENCE]["peak"] for one in tables)
    return means


if __name__ == "__main__":
    rows = earlier("profile_agreement") if sys.argv[1:] == ["summary"] else []
    with tempfile.TemporaryDirectory() as folder:
        if rows:
            save("profile_agreement", {"summary": summary(rows), "rows": rows})
            sys.exit()
        os.environ.setdefault("REGRAFT_CACHE", folder)
        for network in NETWORKS:
            for data in DATA:
                rows.append(measured(data, network, Path(folder)))
                rows[-1]["agreement"] = agreement(rows[-1])
                print(data, network, *rows[-1]["agreement"].items(), sep="\n  ", flush=True)
                save("profile_agreement", {"summary": summary(rows), "rows": rows})
    for name, one in summary(rows).items():
        print(f"{name:<40} {one}")
