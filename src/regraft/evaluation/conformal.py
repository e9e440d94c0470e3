"""Prediction intervals of numbers, from errors on images that the model did not see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[Any]

COVERAGE = 0.9
"""The share of new images whose true number a prediction interval is to contain."""


def half_width(
    residuals: Floats, groups: Sequence[str] | None = None, *, coverage: float = COVERAGE
) -> float | None:
    """Half the width of the prediction interval: predictions plus and minus this contain the true number.

    Of n images, it is the `ceil(coverage (n + 1))`-th smallest error: a new image is equally probable at each
    rank among them, so the true number is inside with at least this probability, whatever the errors'
    distribution is. Images of a group are not independent, so a group of m counts as one, each of its images
    as 1/m.

    What is guaranteed depends on the residuals. If the model was fitted without these images, it is the
    coverage itself (split conformal: Vovk, Gammerman & Shafer 2005, section 4.1; groups: Lee, Barber &
    Willett 2023). If each residual is of a fit without its own image, this is the jackknife, which has that
    coverage if leaving out one image hardly changes a fit (Barber et al. 2021, section 5), as in ridge
    regression. Their jackknife+ promises less (1 - 2 x 10 %) without that condition, and would need all n
    fits to predict.

    Args:
        residuals: `(N,)`, true number minus prediction, for images that the model did not see; N at least 1.
        groups: the group of each image; None means that every image is a group.
        coverage: probability that the interval contains the true number, in (0, 1).

    Returns:
        Half the width in the unit of the residuals; None if there are too few groups for any finite interval
        (9 are needed for 90 %).

    >>> half_width(np.array([0.3, -0.1, 0.2, 0.4, -0.5, 0.6, 0.7, -0.8, 0.9]))
    0.9
    """
    errors = np.abs(np.asarray(residuals, dtype=np.float64))
    names = np.arange(len(errors)) if groups is None else np.asarray(groups)
    _, own, sizes = np.unique(names, return_inverse=True, return_counts=True)
    order = np.argsort(errors, kind="stable")
    below = np.cumsum(1 / sizes[own[order]])
    needed = coverage * (len(sizes) + 1)
    enough = np.flatnonzero(below >= needed - 1e-9)  # sums of 1/m are not exact
    return float(errors[order[enough[0]]]) if len(enough) else None
