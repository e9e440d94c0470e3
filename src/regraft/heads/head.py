"""Heads, which map feature rows to probabilities; using one needs only numpy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.records import HeadRecord, Link, width_of

Floats = npt.NDArray[Any]
_CHUNK = 1024


@dataclass(frozen=True)
class Head:
    """A head with its arrays; `record.columns` says which feature columns it reads.

    Every kind standardises first: `z = (x - mean) * scale`. Then

    - `ridge`, `logistic`, `linear-svm`, `head2toe`: scores `z @ weights + intercepts`;
    - `rbf-svm`: `exp(-gamma |z - v|^2)` with its vectors v, then either one-against-one votes
      (Knerr et al. 1990, as in libsvm) and by how many votes each class is behind, or, for many classes,
      linear scores of these, or, for many images, of Nystroem features (Williams & Seeger 2001);
    - `centroid`: minus half the squared distance to each class's mean (Rocchio).

    The link of the record turns scores into outputs: for classes, they are the softmax of the scores over a
    temperature.
    """

    record: HeadRecord
    arrays: Mapping[str, Floats]

    def probabilities(self, rows: Floats) -> npt.NDArray[np.float64]:
        """Outputs `(N, K) float64` from feature rows `(N, width of the columns)`; see `LINKS`."""
        return LINKS[self.record.link](self.scores(rows) / self.record.temperature)

    def scores(self, rows: Floats) -> npt.NDArray[np.float64]:
        """Uncalibrated scores `(N, K) float64`, N at least 1; the largest score is the prediction."""
        first = self._scores(rows[:_CHUNK])
        scores = np.empty((len(rows), first.shape[1]))
        scores[:_CHUNK] = first
        for start in range(_CHUNK, len(rows), _CHUNK):
            scores[start : start + _CHUNK] = self._scores(rows[start : start + _CHUNK])
        return scores

    def check(self, num_classes: int) -> None:
        """Compare the arrays with the record.

        Raises:
            ValueError: an array is missing or has another shape than its record implies.
        """
        width = width_of(self.record.columns)
        for name, shape in self._shapes(width, num_classes).items():
            if name not in self.arrays:
                raise ValueError(f"{name} is missing")
            if self.arrays[name].shape != shape:
                raise ValueError(f"{name} has shape {self.arrays[name].shape}, expected {shape}")

    def _shapes(self, width: int, classes: int) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {"mean": (width,), "scale": (width,)}
        linear: dict[str, tuple[int, ...]] = {"weights": (width, classes), "intercepts": (classes,)}
        if self.record.kind == "centroid":
            return {**shapes, "centroids": (classes, width)}
        if self.record.kind != "rbf-svm":
            return {**shapes, **linear}
        if "vectors" not in self.arrays:
            raise ValueError("vectors is missing")
        vectors = len(self.arrays["vectors"])
        shapes["vectors"] = (vectors, width)
        if "map" in self.arrays:
            rank = self.arrays["map"].shape[-1]
            linear["weights"] = (rank, classes)
            return {**shapes, "map": (vectors, rank), **linear}
        if "counts" not in self.arrays:
            return {**shapes, "weights": (vectors, classes), "intercepts": (classes,)}
        present = len(self.arrays["counts"])
        pairs = present * (present - 1) // 2
        return {**shapes, "dual": (present - 1, vectors), "intercepts": (pairs,), "counts": (classes,)}

    def _scores(self, rows: Floats) -> npt.NDArray[np.float64]:
        standard = (rows.astype(np.float64) - self.arrays["mean"]) * self.arrays["scale"]
        arrays = self.arrays
        if self.record.kind == "centroid":
            nearness: npt.NDArray[np.float64] = -0.5 * squared_distances(standard, arrays["centroids"])
            return nearness
        if self.record.kind == "rbf-svm":
            vectors = (arrays["vectors"].astype(np.float64) - arrays["mean"]) * arrays["scale"]
            standard = np.exp(-self.record.hyperparameters["gamma"] * squared_distances(standard, vectors))
            if "counts" in arrays:
                return lag(vote(standard, arrays["dual"], arrays["intercepts"], arrays["counts"]))
            standard = standard @ arrays["map"] if "map" in arrays else standard
        scores: npt.NDArray[np.float64] = standard @ arrays["weights"] + arrays["intercepts"]
        return scores


def softmax(scores: Floats) -> npt.NDArray[np.float64]:
    """The softmax of each row, which then sums to one."""
    result: npt.NDArray[np.float64] = scores - scores.max(axis=1, keepdims=True)
    np.exp(result, out=result)  # in place: of many images and classes this is a gigabyte
    result /= result.sum(axis=1, keepdims=True)
    return result


def logistic(scores: Floats) -> npt.NDArray[np.float64]:
    """The logistic function of each score, without overflow.

    >>> logistic(np.array([0.0, -800.0])).tolist()
    [0.5, 0.0]
    """
    result: npt.NDArray[np.float64] = 0.5 * (1 + np.tanh(0.5 * scores))
    return result


def unchanged(scores: Floats) -> npt.NDArray[np.float64]:
    """The scores themselves."""
    return np.asarray(scores, dtype=np.float64)


LINKS: dict[Link, Callable[[Floats], npt.NDArray[np.float64]]] = {
    "softmax": softmax,
    "sigmoid": logistic,
    "identity": unchanged,
}
"""How scores `(N, K)` become outputs."""


def squared_distances(a: Floats, b: Floats) -> Floats:
    """Squared Euclidean distances between the rows of `a` and of `b`, `(N, M)`."""
    products: Floats = a @ b.T
    products *= -2
    products += np.einsum("nd,nd->n", a, a)[:, None]
    products += np.einsum("md,md->m", b, b)[None]
    np.maximum(products, 0, out=products)  # rounding can give values slightly below zero
    return products


def vote(kernel: Floats, dual: Floats, intercepts: Floats, counts: Floats) -> npt.NDArray[np.float64]:
    """Turn one-against-one decisions into votes for each class, `(N, K)`.

    With two classes, the votes are plus and minus half the decision. With more, a class has the number of
    pairs that it wins plus its summed margins, squeezed into (-1/3, 1/3), which break ties; this is
    scikit-learn's `decision_function_shape="ovr"`.

    Args:
        kernel: kernel `(N, V)` between rows and support vectors, with the vectors ordered by class.
        dual: coefficients `(K - 1, V)` in libsvm's layout.
        intercepts: intercepts of the pairs, `(K (K - 1) / 2,)`.
        counts: number of support vectors of each class, `(K,)`.
    """
    classes = len(counts)
    ends = np.cumsum(counts)
    blocks = [
        kernel[:, end - count : end] @ dual[:, end - count : end].T
        for end, count in zip(ends, counts, strict=True)
    ]
    if classes == 2:
        decision = blocks[0][:, 0] + blocks[1][:, 0] + intercepts[0]
        return np.stack([decision / 2, -decision / 2], axis=1)
    votes = np.zeros((len(kernel), classes))
    margins = np.zeros((len(kernel), classes))
    for pair, (i, j) in enumerate(combinations(range(classes), 2)):
        decision = blocks[i][:, j - 1] + blocks[j][:, i] + intercepts[pair]
        margins[:, i] += decision
        margins[:, j] -= decision
        votes[:, i] += decision >= 0
        votes[:, j] += decision < 0
    result: npt.NDArray[np.float64] = votes + margins / (3 * (np.abs(margins) + 1))
    return result


def lag(votes: Floats) -> npt.NDArray[np.float64]:
    """Turn votes `(N, K)` into scores: minus the logarithm of 1 + the votes by which a class is behind.

    Votes range from 0 to K - 1, and the true class is sometimes forty votes behind. An exponential of the
    votes can't both be confident in the winner and leave some probability to such a class. A power can: the
    softmax of these scores over a temperature T is `(1 + votes behind) ** (-1 / T)`, normalised. With two
    classes the decision itself is the score, as in Platt 1999.

    >>> lag(np.array([[2.0, 1.0, 0.0]])).round(3)
    array([[-0.   , -0.693, -1.099]])
    """
    if votes.shape[1] == 2:
        return votes
    behind: npt.NDArray[np.float64] = votes.max(axis=1, keepdims=True) - votes
    return -np.log1p(behind)
