"""The main job in small: a network that learned the digits 0-4 is transferred to the digits 5-9.

The images are scikit-learn's 1,797 handwritten digits of 8 x 8 pixels (Alpaydin & Kaynak 1998, UCI
Optical Recognition of Handwritten Digits, test part), which come with the library: nothing is downloaded.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from regraft import storage
from regraft.evaluation.scores import mean_interval
from regraft.plans import TRAINED
from regraft.prediction.model import Model
from regraft.progress import Reporter, Silent
from regraft.records import Estimate, Strategy
from regraft.settings import DataSettings, TrainSettings
from regraft.workflow import fit

SOURCE_DIGITS = (0, 1, 2, 3, 4)
TARGET_DIGITS = (5, 6, 7, 8, 9)
_STRATEGIES: dict[str, Strategy] = {
    "transfer: probe, last stage": "probe",
    "transfer: SVM, best stage": "svm",
    "transfer: SVM, many stages": "many-stages",
    "transfer: whole network": "full",
    "from scratch": "scratch",
}


def write_digits(folder: Path, digits: Sequence[int]) -> list[tuple[str, str]]:
    """Write scikit-learn's digits as PNG files, a folder per class; returns `(path, label)` pairs."""
    from sklearn.datasets import load_digits

    data = load_digits()
    written = []
    for number, (pixels, digit) in enumerate(zip(data.images, data.target, strict=True)):
        if digit not in digits:
            continue
        path = folder / str(digit) / f"{number:04d}.png"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            # 0 is paper and 16 is ink in the original; ink is bright here, as in LeNet's own data
            Image.fromarray((pixels * (255 / 16)).round().astype(np.uint8)).save(path)
        written.append((path.relative_to(folder).as_posix(), str(digit)))
    return written


@dataclass(frozen=True)
class Contender:
    """One way to get a classifier, and how it did over all draws."""

    name: str
    accuracy: Estimate
    """Mean test accuracy over the draws, with its interval."""
    wins: int
    """Draws in which it was at least as good as training from scratch."""
    seconds: float
    """Median time of a draw."""


@dataclass(frozen=True)
class DigitsResult:
    """What the demonstration found."""

    contenders: tuple[Contender, ...]
    draws: int
    train_images: int
    test_images: int
    run_folder: Path


def compare(
    folder: Path, *, draws: int = 10, per_class: int = 10, reporter: Reporter | None = None
) -> DigitsResult:
    """Transfer beside training from scratch, over several draws of the labelled images.

    Args:
        folder: where the images, one table per draw, and the run of the first draw go.
        draws: how many times the labelled images are drawn anew.
        per_class: labelled images of each class.
        reporter: is told how far it is.
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
                out = folder / "run" if draw == 0 and strategy == "many-stages" else None
                model = _fitted(table, strategy, draw, out)
                seconds[name].append(time.perf_counter() - started)
                assert model.scores is not None
                assert model.scores.test is not None
                assert model.scores.baseline is not None
                accuracies[name].append(model.scores.test.accuracy.value)
                if strategy == "probe":
                    accuracies["majority class"].append(model.scores.baseline.accuracy.value)
            meter.advance()
    scratch = np.array(accuracies["from scratch"])
    contenders = tuple(
        Contender(
            name,
            mean_interval(accuracies[name]),
            int((np.array(accuracies[name]) >= scratch).sum()),
            float(np.median(seconds[name] or [0.0])),
        )
        for name in names
    )
    return DigitsResult(
        contenders, draws, int(is_train.sum()), len(pairs) - int(is_train.sum()), folder / "run"
    )


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
    storage.write_atomically(table, storage.csv_bytes(("path", "label", "split"), rows))
    return table, is_train


def _fitted(table: Path, strategy: Strategy, draw: int, out: Path | None) -> Model:
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
    return fit(
        table, data=data, network="lenet5", strategy=strategy, seed=draw, training=training, out=out,
        overwrite=True, runtime="torch" if strategy in TRAINED else "auto",
    )  # fmt: skip
