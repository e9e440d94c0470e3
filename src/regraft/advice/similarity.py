"""How similar these images are to the source data of a network, measured without the source images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from regraft.features.extraction import Features
from regraft.features.moments import CLASSIFIER, SourceStatistics
from regraft.heads.head import softmax
from regraft.records import Column, Estimate, Record, columns_of

Floats = npt.NDArray[Any]
Word = Literal["similar", "middling", "dissimilar"]

IMAGES = 64
"""Number of images that are compared; with 32, one sample in four of a set near a limit got another word than
128 images did (`benchmarks/similarity_sample.py`)."""
SIMILAR_BELOW, DISSIMILAR_FROM = 0.025, 0.10
"""Limits of the BatchNorm distance, calibrated on seven data sets and two networks (docs/choosing.md)."""
SIMILAR_ENTROPY_BELOW, DISSIMILAR_ENTROPY_FROM = 0.35, 0.55
"""Limits of the source classifier's entropy, for networks without BatchNorm."""
_RESAMPLES = 200
_DEAD = 1e-3  # channels whose variance is below this share of the layer's median are left out
_CLIP = 1.0  # largest distance of one channel, so that a nearly dead channel does not decide


class StageDistance(Record):
    """The distance at the BatchNorm layers of one stage."""

    stage: str
    distance: Estimate


class Similarity(Record):
    """How these images compare with the source's statistics and classifier; 95 % intervals."""

    images: int
    distance: Estimate | None
    """Squared 2-Wasserstein distance of channel Gaussians over 4 source variances, mean over channels and
    layers; None for a network without BatchNorm."""
    stages: tuple[StageDistance, ...]
    confidence: Estimate
    """Mean largest probability of the source classifier."""
    entropy: Estimate
    """Its mean entropy, as a share of the largest possible."""
    word: Word


def similarity(
    features: Features, keys: Sequence[str], source: Sequence[SourceStatistics], *, seed: int = 0
) -> Similarity:
    """Measure how similar these images are to the source data.

    For each input channel of each BatchNorm, the source distribution is taken as the Gaussian of the
    running statistics, the target distribution as the Gaussian of its moments over images and positions. The
    squared 2-Wasserstein distance is `(mt - ms)^2 + (st - ss)^2` (Dowson & Landau 1982, one dimension);
    over `4 ss^2` it is in units of the source's own spread.

    Args:
        features: rows computed by `MomentsRuntime`.
        keys: SHA-256 of the images to compare, at least two.
        source: the network's running statistics.
        seed: random seed of the bootstrap over images.
    """
    weights = _resamples(len(keys), seed)
    layers = _layers(features.layout)
    distances = np.stack(
        [
            _distances(features.matrix(keys, (mean,)), features.matrix(keys, (std,)), own, weights)
            for (mean, std), own in zip(layers, source, strict=True)
        ]
        or [np.empty(len(weights))]
    )
    logits = features.matrix(keys, columns_of(features.layout, [CLASSIFIER]))
    chances = softmax(logits.astype(np.float64))
    entropy = -(chances * np.log(np.maximum(chances, 1e-12))).sum(axis=1) / np.log(chances.shape[1])
    names = [mean.stage for mean, _ in layers]
    by_stage = {stage: distances[[name == stage for name in names]] for stage in dict.fromkeys(names)}
    whole = _estimate(distances.mean(axis=0)) if layers else None
    spread = _estimate(weights @ entropy)
    return Similarity(
        images=len(keys),
        distance=whole,
        stages=tuple(StageDistance(stage=s, distance=_estimate(d.mean(axis=0))) for s, d in by_stage.items()),
        confidence=_estimate(weights @ chances.max(axis=1)),
        entropy=spread,
        word=word_for(whole.value if whole else None, spread.value),
    )


def word_for(distance: float | None, entropy: float) -> Word:
    """The distance in a word; without a distance, the classifier's entropy decides.

    >>> word_for(0.011, 0.3), word_for(0.046, 0.5), word_for(None, 0.7)
    ('similar', 'middling', 'dissimilar')
    """
    value, low, high = (
        (entropy, SIMILAR_ENTROPY_BELOW, DISSIMILAR_ENTROPY_FROM)
        if distance is None
        else (distance, SIMILAR_BELOW, DISSIMILAR_FROM)
    )
    return "similar" if value < low else "middling" if value < high else "dissimilar"


def _layers(layout: Sequence[Column]) -> list[tuple[Column, Column]]:
    columns = [column for column in layout if column.stage != CLASSIFIER]
    return list(zip(columns[::2], columns[1::2], strict=True))


def _resamples(count: int, seed: int) -> Floats:
    """`(1 + R, N)`: the plain mean's weights, then those of bootstrap draws."""
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=_RESAMPLES)
    return np.concatenate([np.ones((1, count)), draws]) / count


def _distances(means: Floats, stds: Floats, source: SourceStatistics, weights: Floats) -> Floats:
    """`(1 + R,)`: the mean over one layer's channels, for all images and for each resample."""
    alive = source.variance > _DEAD * np.median(source.variance)
    mean = weights @ means[:, alive].astype(np.float64)
    second = weights @ (
        np.square(stds[:, alive], dtype=np.float64) + np.square(means[:, alive], dtype=np.float64)
    )
    std = np.sqrt(np.maximum(second - mean**2, 0))
    spread = np.sqrt(source.variance[alive].astype(np.float64))
    each = ((mean - source.mean[alive]) ** 2 + (std - spread) ** 2) / (4 * spread**2)
    result: Floats = np.minimum(each, _CLIP).mean(axis=1)
    return result


def _estimate(draws: Floats) -> Estimate:
    """The first value, with the 95 % interval of the others."""
    low, high = np.quantile(draws[1:], [0.025, 0.975])
    value = float(draws[0])
    return Estimate(value=value, low=min(value, float(low)), high=max(value, float(high)))
