from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, log_loss, roc_auc_score

from regraft.tasks.classes.goodness import class_goodness, placements


def predicted(classes: int, count: int = 200, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that know a little, with ties, and class numbers of which some are rare."""
    draws = np.random.default_rng(seed)
    targets = np.minimum(draws.geometric(0.6, count) - 1, classes - 1)
    scores = np.round(draws.normal(size=(count, classes)) + np.eye(classes)[targets], 1)
    return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True), targets


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("seed", range(5))
def test_the_mean_goodness_is_scikit_learns_score(classes: int, seed: int) -> None:
    outputs, targets = predicted(classes, seed=seed)
    means = {one: class_goodness(one, outputs, targets).mean() for one in ("balanced", "auroc", "log-loss")}
    area = roc_auc_score(targets, outputs[:, 1] if classes == 2 else outputs, multi_class="ovr")
    balanced = balanced_accuracy_score(targets, outputs.argmax(axis=1))
    expected = {"balanced": balanced, "auroc": area, "log-loss": -log_loss(targets, outputs)}
    assert means == pytest.approx(expected, abs=1e-12)


def test_the_spread_of_rankings_is_delongs() -> None:
    """DeLong's variance of an AUROC, from its placements, written out."""
    outputs, targets = predicted(2)
    goodness, shares = class_goodness("auroc", outputs, targets), placements(outputs[:, 1], targets == 1)
    parts = [np.var(shares[targets == side]) / np.sum(targets == side) for side in (0, 1)]
    within = sum(np.sum((own - own.mean()) ** 2) for own in (goodness[targets == 0], goodness[targets == 1]))
    assert within / len(targets) ** 2 == pytest.approx(sum(parts), abs=1e-15)


def test_placements_count_pairs_and_half_of_ties() -> None:
    draws = np.random.default_rng(1)
    scores, present = draws.integers(0, 6, 40) / 6, draws.random(40) < 0.3
    higher = (scores[:, None] > scores) + 0.5 * (scores[:, None] == scores)
    expected = np.where(present, higher[:, ~present].mean(axis=1), 1 - higher[:, present].mean(axis=1))
    assert placements(scores, present) == pytest.approx(expected, abs=1e-12)


def test_a_single_class_can_not_be_ranked() -> None:
    assert (
        class_goodness("auroc", np.array([[0.2, 0.8]] * 3), np.ones(3, dtype=np.int64)).tolist() == [0.5] * 3
    )
