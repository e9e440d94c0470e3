"""A trained network as it will be used: its features, its calibrated head, and its predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from regraft.features.extraction import Features
from regraft.heads.dataset import Dataset, Unseen
from regraft.heads.head import Head
from regraft.heads.rows import best_temperature
from regraft.networks.weights.finding import Weights
from regraft.progress import Reporter
from regraft.training.history import History
from regraft.training.start.setup import Order


@dataclass(frozen=True)
class Tuned:
    """The result of a training: the trained network, its head, its predictions and its history."""

    weights: Weights
    head: Head
    unseen: Unseen
    features: Features
    """Features of the validation and test images, computed by the trained network."""
    history: History
    cut_short: int = 0
    """Steps after which the time limit ended the training; 0 if it did not."""
    has_improved: bool = True
    """Whether any epoch was better than the start; if not, the weights are those from before training."""


def with_features(order: Order, weights: Weights, rows: Sequence[int], reporter: Reporter) -> Dataset:
    """The data set with a trained network's features of some rows, by the runtime that will be used later."""
    images = order.dataset.images.of(set(order.dataset.keys(rows)))
    features = order.compute.features(images, weights, reporter)
    return replace(order.dataset, features=features)


def calibrated(dataset: Dataset, head: Head, rows: Sequence[int]) -> Head:
    """The head with the temperature that suits some rows on which it was not trained, if there are any.

    Only the probabilities of classes have a temperature.
    """
    if not rows or dataset.task.link != "softmax":
        return head
    heat = best_temperature(dataset.scores(head, rows), dataset.truth(rows))
    return Head(head.record.model_copy(update={"temperature": heat}), head.arrays)


def unseen_of(dataset: Dataset, head: Head, held: Sequence[int], method: str) -> Unseen:
    """Predictions for the rows that chose the epoch and for the test images, where there are any."""
    test = dataset.rows("test")
    return Unseen(
        dataset.predicted(head, held, method) if held else None,
        dataset.predicted(head, test, "held-out test images") if test else None,
    )
