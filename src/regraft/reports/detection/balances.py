"""What other thresholds would mean: how much is found, and how much of what is shown is right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regraft.detection.detectors.evaluated import Evaluated
from regraft.evaluation.operating_points import OperatingPoint, operating_points

_THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class Balance:
    """What one threshold for all classes means."""

    threshold: float
    point: OperatingPoint


def balances(run: Evaluated) -> list[Balance]:
    """A row for each of ten thresholds, the same for all classes."""
    return [
        Balance(one, operating_points(run.matches, np.full(len(run.labels), one), run.counts)[0])
        for one in _THRESHOLDS
    ]
