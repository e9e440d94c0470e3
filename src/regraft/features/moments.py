"""Channel moments at each BatchNorm of a network: which columns they are in, and what the source's were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from regraft.networks.weights.finding import Weights
from regraft.networks.weights.tensors import read_arrays
from regraft.records import Record

CLASSIFIER = "classifier"
"""Name of the columns with the logits of the network's own classifier."""


class Norm(Record):
    """A BatchNorm, and where its running statistics are in a file of weights."""

    stage: str
    mean: str
    """Name of the tensor with the means."""
    variance: str
    """Name of the tensor with the variances."""


@dataclass(frozen=True)
class SourceStatistics:
    """Running statistics of one BatchNorm: the moments of its input on the images of the pretraining."""

    stage: str
    mean: npt.NDArray[np.float32]
    """Mean of each channel, `(C,)`."""
    variance: npt.NDArray[np.float32]
    """Variance of each channel, `(C,)`."""


def source_statistics(weights: Weights, norms: Sequence[Norm]) -> list[SourceStatistics]:
    """The moments on the images of the pretraining, for each BatchNorm in order.

    Raises:
        WeightsError: the weights can't be read.
    """
    arrays = read_arrays(weights.path)
    return [SourceStatistics(norm.stage, arrays[norm.mean], arrays[norm.variance]) for norm in norms]
