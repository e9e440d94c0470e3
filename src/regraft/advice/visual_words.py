"""Bags of visual words (Csurka et al. 2004): an image's local descriptors, counted by their nearest word."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.features.descriptors import SIFT_POINTS, SIFT_WIDTH
from regraft.heads.head import squared_distances

Floats = npt.NDArray[Any]
_WORDS = 200


def word_histograms(descriptors: Floats, *, seed: int, words: int = _WORDS) -> Floats:
    """Square roots (Hellinger) of the share of each visual word, `(N, words) float32`.

    The vocabulary is found by k-means over the descriptors, without their labels.

    Args:
        descriptors: descriptors `(N, 48 * 128)` from `DescriptorRuntime`; missing points are zeros.
        seed: random seed of k-means.
        words: size of the vocabulary, which is smaller if there are fewer descriptors.
    """
    from sklearn.cluster import MiniBatchKMeans

    points = descriptors.reshape(-1, SIFT_POINTS, SIFT_WIDTH).astype(np.float32)
    is_point = points.any(axis=2)
    known = np.sqrt(points[is_point] / 255)  # RootSIFT without its L1 norm (Arandjelovic & Zisserman 2012)
    result = np.zeros((len(points), words), dtype=np.float32)
    if len(known) <= 1:
        return result
    means = MiniBatchKMeans(
        n_clusters=min(words, len(known)), random_state=seed, n_init=1, batch_size=2048, max_iter=20
    ).fit(known)
    nearest = squared_distances(known, means.cluster_centers_).argmin(axis=1)
    images = np.nonzero(is_point)[0]
    np.add.at(result, (images, nearest), 1)
    shares: Floats = np.sqrt(result / np.maximum(result.sum(axis=1, keepdims=True), 1))
    return shares
