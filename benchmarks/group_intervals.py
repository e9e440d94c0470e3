"""Intervals of an accuracy where images belong to groups: how often they contain the true accuracy.

Groups of images are drawn whose probabilities of being right differ, so that the images of a group are
correlated: by a beta distribution, or as two kinds of groups, hard and easy ones. A 95 % interval should
contain the true accuracy 95 times in 100. The same is measured for the difference between two models.

Run: python benchmarks/group_intervals.py
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from common import save

from regraft.evaluation.intervals.groups import Z, student, tail_share
from regraft.evaluation.intervals.shares import share_estimate, wilson
from regraft.evaluation.paired import compare_goodness

CASES = 200
PAIRED_CASES = 150
DRAWS = 400
GROUPS = (8, 14, 30, 100)
SIZES = ("5", "20", "1-20")
CORRELATIONS = (0.0, 0.1, 0.3, 0.5)
ACCURACIES = (0.6, 0.8, 0.9, 0.95)
CHOSEN = "score interval, correlation averaged (used)"
Floats = np.ndarray
Bounds = tuple[float, float]


def group_rates(rng: np.random.Generator, count: int, mean: float, correlation: float, law: str) -> Floats:
    """The probability of a right image in each group."""
    if correlation == 0:
        return np.full(count, mean)
    if law == "beta":
        total = 1 / correlation - 1
        return rng.beta(mean * total, (1 - mean) * total, count)
    hard, spread = 0.2, (correlation * mean * (1 - mean) / 0.16) ** 0.5
    easy = mean + hard * spread
    low = easy - spread
    if easy > 1:  # easy groups are always right; more groups are hard
        easy, hard = 1.0, 1 / (1 + correlation * mean / (1 - mean))
        low = 1 - (1 - mean) / hard
    elif low < 0:  # hard groups are always wrong
        hard = 1 / (1 + mean / (correlation * (1 - mean)))
        easy, low = mean / (1 - hard), 0.0
    return np.where(rng.random(count) < hard, low, easy)


def drawn(
    rng: np.random.Generator, count: int, sizes: str, mean: float, correlation: float, law: str
) -> tuple[Floats, Floats]:
    """Right images and images of each group."""
    low, _, high = sizes.partition("-")
    images = rng.integers(int(low), int(high or low) + 1, count)
    return rng.binomial(images, group_rates(rng, count, mean, correlation, law)), images


def by_image(right: Floats, images: Floats, draws: Floats) -> Bounds:
    del draws
    return bounds(wilson(int(right.sum()), int(images.sum())))


def averaged(right: Floats, images: Floats, draws: Floats) -> Bounds:
    del draws
    rights = np.concatenate([np.arange(n) < r for r, n in zip(right, images, strict=True)])
    return bounds(share_estimate(rights, np.repeat(np.arange(len(images)), images)))


def percentile(right: Floats, images: Floats, draws: Floats) -> Bounds:
    low, high = np.quantile(draws @ right / (draws @ images), [0.025, 0.975])
    return float(low), float(high)


def expanded(right: Floats, images: Floats, draws: Floats) -> Bounds:
    tail = tail_share(len(images))
    low, high = np.quantile(draws @ right / (draws @ images), [tail, 1 - tail])
    return float(low), float(high)


def studentised(right: Floats, images: Floats, draws: Floats) -> Bounds:
    """The bootstrap-t; draws without spread are left out."""
    value = right.sum() / images.sum()
    own = linear_variance(right, images, np.ones((1, len(images))))[0] ** 0.5
    spread = linear_variance(right, images, draws) ** 0.5
    known = spread > 0
    if own == 0 or not known.any():
        return float(value), float(value)
    values = (draws[known] @ right) / (draws[known] @ images)
    low, high = np.quantile((values - value) / spread[known], [0.025, 0.975])
    return float(value - high * own), float(value - low * own)


def linear_variance(right: Floats, images: Floats, counts: Floats) -> Floats:
    """The variance of a share of images by the differences between groups, of each draw."""
    total = counts @ images
    values = (counts @ right) / total
    squares = np.square(right - values[:, None] * images)
    return (counts * squares).sum(axis=1) * len(images) / (len(images) - 1) / total**2


def linearised(right: Floats, images: Floats, draws: Floats) -> Bounds:
    """Wilson's interval of as many independent images as have the same variance; by Student's t."""
    del draws
    count = images.sum()
    value = right.sum() / count
    variance = linear_variance(right, images, np.ones((1, len(images))))[0]
    effective = min(count, value * (1 - value) / variance) if variance > 0 else len(images)
    factor = (Z / student(len(images) - 1)) ** 2
    return bounds(wilson(value * effective * factor, effective * factor))


def by_anova(right: Floats, images: Floats, draws: Floats) -> Bounds:
    """Wilson's interval with the design effect of the correlation by analysis of variance."""
    del draws
    count, groups = images.sum(), len(images)
    value = right.sum() / count
    between = (images * (right / images - value) ** 2).sum() / (groups - 1)
    within = (right - right**2 / images).sum() / max(count - groups, 1)
    usual = (count - np.square(images).sum() / count) / (groups - 1)
    whole = between + (usual - 1) * within
    correlation = np.clip((between - within) / whole, 0, 1) if whole > 0 else 1.0
    effective = count / (1 + (np.square(images).sum() / count - 1) * correlation)
    return bounds(wilson(value * effective, effective))


METHODS: dict[str, Callable[[Floats, Floats, Floats], Bounds]] = {
    "Wilson by image (before)": by_image,
    "percentile bootstrap of groups": percentile,
    "expanded percentile bootstrap of groups": expanded,
    "bootstrap-t of groups": studentised,
    "Wilson, linearised variance, Student's t": linearised,
    "Wilson, correlation by analysis of variance": by_anova,
    CHOSEN: averaged,
}


def bounds(estimate: Any) -> Bounds:
    return float(estimate.low), float(estimate.high)


def measured(law: str, count: int, sizes: str, correlation: float, mean: float) -> dict[str, Any]:
    """The share of intervals that contain the true accuracy, and their mean width, by method."""
    rng = np.random.default_rng([count, len(sizes), int(sizes[0]), int(10 * correlation), int(100 * mean)])
    inside = dict.fromkeys(METHODS, 0)
    width = dict.fromkeys(METHODS, 0.0)
    draws = rng.multinomial(count, np.full(count, 1 / count), DRAWS).astype(float)
    for _ in range(CASES):
        right, images = drawn(rng, count, sizes, mean, correlation, law)
        for name, method in METHODS.items():
            low, high = method(right, images, draws)
            inside[name] += low <= mean <= high
            width[name] += (high - low) / CASES
    return {
        "law": law, "groups": count, "images_of_a_group": sizes, "correlation": correlation, "accuracy": mean,
        "coverage": {name: round(number / CASES, 4) for name, number in inside.items()},
        "width": {name: round(value, 4) for name, value in width.items()},
    }  # fmt: skip


def paired(count: int, sizes: str, correlation: float) -> dict[str, Any]:
    """The same for the difference of two models, and how often equal models are said to differ."""
    rng = np.random.default_rng([count, len(sizes), int(10 * correlation)])
    names = ("by image (before)", "by group (used)")
    inside, apart = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for number in range(PAIRED_CASES):
        low, _, high = sizes.partition("-")
        images = rng.integers(int(low), int(high or low) + 1, count)
        groups = np.repeat(np.arange(count), images)
        rates = [group_rates(rng, count, 0.8, correlation, "beta")[groups] for _ in range(2)]
        first, second = ((rng.random(len(groups)) < rate).astype(float) for rate in rates)
        for name, own in zip(names, (None, groups), strict=True):
            found = compare_goodness(first, second, groups=own, seed=number)
            assert found.difference.low is not None
            assert found.difference.high is not None
            inside[name] += found.difference.low <= 0 <= found.difference.high
            apart[name] += found.differs
    return {
        "groups": count, "images_of_a_group": sizes, "correlation": correlation,
        "coverage": {name: round(value / PAIRED_CASES, 4) for name, value in inside.items()},
        "equal_models_differ": {name: round(value / PAIRED_CASES, 4) for name, value in apart.items()},
    }  # fmt: skip


def summary(rows: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """Lowest, mean and highest coverage of each method, the share between 92 and 97 %, and the mean width."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for law in dict.fromkeys(row["law"] for row in rows):
        own = [row for row in rows if row["law"] == law]
        for name in METHODS:
            values = np.array([row["coverage"][name] for row in own])
            found.setdefault(law, {})[name] = {
                "lowest": float(values.min()),
                "fifth_percentile": round(float(np.quantile(values, 0.05)), 4),
                "mean": round(float(values.mean()), 4),
                "highest": float(values.max()),
                "between_92_and_97": round(float(((values >= 0.92) & (values <= 0.97)).mean()), 3),
                "below_92": round(float((values < 0.92).mean()), 3),
                "width": round(float(np.mean([row["width"][name] for row in own])), 4),
            }
    return found


if __name__ == "__main__":
    rows = [
        measured(law, *case)
        for law, sizes, correlations in (
            ("beta", SIZES, CORRELATIONS),
            ("two kinds", SIZES[2:], CORRELATIONS[1:]),
        )
        for case in itertools.product(GROUPS, sizes, correlations, ACCURACIES)
    ]
    pairs = [paired(*case) for case in itertools.product((8, 30, 100), ("1-20",), (0.0, 0.3))]
    save("group_intervals", {"summary": summary(rows), "cases": CASES, "paired": pairs, "rows": rows})
    for law, methods in summary(rows).items():
        for name, values in methods.items():
            print(f"{law:<10} {name:<46} {values}")
