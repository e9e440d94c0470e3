"""A teaching experiment: a LeNet-5 that learned the digits 0-4 is transferred to the digits 5-9.

It shows what a small network trained on a narrow task keeps for another one: see docs/lenet-transfer.md.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from regraft.evaluation.scores import mean_interval
from regraft.lab.digits import write_digits
from regraft.plans.plan import TRAINED
from regraft.prediction.model import Model
from regraft.progress import Reporter, Silent
from regraft.records import Estimate, Scores, Strategy
from regraft.settings import DataSettings, TrainSettings
from regraft.storage.files import write_atomically
from regraft.storage.tables import csv_bytes
from regraft.workflow.fit import fit

TARGET_DIGITS = (5, 6, 7, 8, 9)
_STRATEGIES: dict[str, Strategy] = {
    "transfer: probe, last stage": "probe",
    "transfer: SVM, best stage": "svm",
    "transfer: SVM, many stages": "many-stages",
    "transfer: whole network": "full",
    "from scratch": "scratch",
}


@dataclass(frozen=True)
class Contender:
    """One way to get a classifier, and how it did over all draws."""

    name: str
    accuracy: Estimate
    """Mean test accuracy over the draws, with its interval."""
    over_scratch: Estimate
    """Mean of the draws' differences to training from scratch."""
    seconds: float
    """Median time of a draw."""


@dataclass(frozen=True)
class DigitsResult:
    """What the experiment found."""

    contenders: tuple[Contender, ...]
    draws: int
    train_images: int
    test_images: int


def compare(
    folder: Path, *, draws: int = 10, per_class: int = 10, reporter: Reporter | None = None
) -> DigitsResult:
    """Compare transfer with training from scratch, over several draws of the labelled images.

    Args:
        folder: where the images and one table per draw are written.
        draws: how many times the labelled images are drawn.
        per_class: labelled images of each class.
        reporter: receives the progress.
    """
    reporter = reporter or Silent()
    pairs = write_digits(folder / "images", TARGET_DIGITS)
    names = (*_STRATEGIES, "majority class")
    accuracies: dict[str, list[float]] = {name: [] for name in names}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    with reporter.phase("draws", draws, "draws") as meter:
        for draw in range(draws):
            table, is_train = _write_draw(folder, pairs, draw, per_class)
            for name, strategy in _STRATEGIES.items():
                started = time.perf_counter()
                model = _fitted(table, strategy, draw)
                seconds[name].append(time.perf_counter() - started)
                assert model.scores is not None
                assert isinstance(model.scores.test, Scores)
                assert isinstance(model.scores.baseline, Scores)
                accuracies[name].append(model.scores.test.accuracy.value)
                if strategy == "probe":
                    accuracies["majority class"].append(model.scores.baseline.accuracy.value)
            meter.advance()
    scratch = np.array(accuracies["from scratch"])
    contenders = tuple(
        Contender(
            name,
            mean_interval(accuracies[name]),
            mean_interval((np.array(accuracies[name]) - scratch).tolist()),
            float(np.median(seconds[name] or [0.0])),
        )
        for name in names
    )
    return DigitsResult(contenders, draws, int(is_train.sum()), len(pairs) - int(is_train.sum()))


def _write_draw(
    folder: Path, pairs: Sequence[tuple[str, str]], draw: int, per_class: int
) -> tuple[Path, npt.NDArray[np.bool_]]:
    labels = np.array([label for _, label in pairs])
    generator = np.random.default_rng(draw)
    is_train = np.zeros(len(pairs), dtype=bool)
    for label in np.unique(labels):
        is_train[generator.permutation(np.flatnonzero(labels == label))[:per_class]] = True
    rows = [
        (path, label, "train" if chosen else "test")
        for (path, label), chosen in zip(pairs, is_train, strict=True)
    ]
    table = folder / f"draw{draw}.csv"
    write_atomically(table, csv_bytes(("path", "label", "split"), rows))
    return table, is_train


def _fitted(table: Path, strategy: Strategy, draw: int) -> Model:
    data = DataSettings(root=str(table.parent / "images"))
    training = None
    if strategy in TRAINED:
        # Solved heads see every labelled image; so do trained weights, for as many epochs as they gain from.
        is_scratch = strategy == "scratch"
        training = TrainSettings(
            epochs=100 if is_scratch else 30,
            lr=2e-3 if is_scratch else 5e-4,
            init="glorot",
            validation_share=0.0,
            augment="none",
        )
    model = fit(
        table, data=data, network="lenet5", strategy=strategy, seed=draw, training=training,
        runtime="torch" if strategy in TRAINED else "auto",
    )  # fmt: skip
    assert isinstance(model, Model)
    return model
