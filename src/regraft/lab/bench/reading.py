"""What a linear classifier reads off features."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

Floats = npt.NDArray[Any]
_STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0)


def read_off(rows: Floats, labels: Floats, train: Floats, test: Floats) -> float:
    """The test accuracy of a linear least-squares SVM, whose strength is chosen by leave-one-out in training.

    Source: Suykens & Vandewalle 1999, Least squares support vector machine classifiers; with a linear kernel
    it is a ridge regression on the classes.

    Args:
        rows: features of all images, `(N, D)`.
        labels: numbers of their classes, `(N,)`.
        train: places of the training images.
        test: places of the test images.
    """
    from sklearn.linear_model import RidgeClassifierCV

    mean, spread = rows[train].mean(axis=0), np.maximum(rows[train].std(axis=0), 1e-6)
    standard = (rows - mean) / spread
    with threadpool_limits(1, user_api="blas"):
        machine = RidgeClassifierCV(alphas=_STRENGTHS).fit(standard[train], labels[train])
        return float(machine.score(standard[test], labels[test]))
