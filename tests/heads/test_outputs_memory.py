"""The outputs of many images and classes exist once, and what is computed of them takes little besides."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from regraft.evaluation import scores
from regraft.features.extraction import Features
from regraft.heads import rows
from regraft.heads.dataset import Dataset, Outputs, on_average
from regraft.heads.head import Head
from regraft.heads.rows import best_temperature
from regraft.records import Column, HeadRecord
from regraft.storage.rows import Rows
from regraft.tasks.classification import Classification

TEST, CLASSES, WIDTH = 30_000, 500, 8
WHOLE = 4 * TEST * CLASSES  # bytes of all outputs in single precision: 60 MB
BESIDES = 56_000_000  # blocks of 4,096 rows in double precision are 16 MB, of which there are three


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bootstrap's memory does not grow with its draws, but its time does."""
    monkeypatch.setattr(scores, "_RESAMPLES", 20)
    monkeypatch.setattr(scores, "_CALIBRATION_RESAMPLES", 20)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """Images with features, of which nothing but sides, labels and groups is known."""
    sides = ["train"] * (2 * CLASSES) + ["test"] * TEST
    keys = [f"{number:064x}" for number in range(len(sides))]
    listed = [
        SimpleNamespace(sha256=key, side=side, label=str(number % CLASSES), group=key)
        for number, (key, side) in enumerate(zip(keys, sides, strict=True))
    ]
    stored = np.random.default_rng(0).normal(size=(len(listed), WIDTH)).astype(np.float16)
    store = Rows([stored], {key: number for number, key in enumerate(keys)})
    task = Classification(outputs=tuple(map(str, range(CLASSES))))
    images, split = cast("Any", SimpleNamespace(task=task)), cast("Any", SimpleNamespace(rows=listed))
    return Dataset(
        images, split, Features(store, (Column(stage="s", statistic="mean", start=0, stop=WIDTH),), ()), 0
    )


@pytest.fixture(scope="module")
def head(dataset: Dataset) -> Head:
    record = HeadRecord(
        kind="logistic", columns=dataset.features.layout, hyperparameters={"C": 1.0}, temperature=2.0
    )
    weights = np.random.default_rng(1).normal(size=(WIDTH, CLASSES)).astype(np.float32)
    ones = np.ones(WIDTH, dtype=np.float32)
    return Head(
        record, {"mean": 0 * ones, "scale": ones, "weights": weights, "intercepts": np.zeros(CLASSES)}
    )


@pytest.fixture
def peak_of() -> Iterator[Callable[[Callable[[], object]], int]]:
    """Measures the most bytes that a call holds at once; what it returns is not kept."""

    def measured(call: Callable[[], object]) -> int:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        call()
        return tracemalloc.get_traced_memory()[1] - before

    tracemalloc.start()
    yield measured
    tracemalloc.stop()


Peak = Callable[[Callable[[], object]], int]


def predicted(dataset: Dataset, head: Head) -> Outputs:
    return dataset.predicted(head, dataset.rows("test"), "held-out test images")


def test_predictions_of_many_images_are_held_once(dataset: Dataset, head: Head, peak_of: Peak) -> None:
    assert WHOLE < peak_of(lambda: predicted(dataset, head)) < WHOLE + BESIDES


def test_they_are_the_probabilities_to_single_precision(dataset: Dataset, head: Head) -> None:
    outputs = predicted(dataset, head)
    matrix = dataset.features.matrix(dataset.keys(outputs.rows[-100:]), head.record.columns)
    assert outputs.values.dtype == np.float32
    assert np.allclose(outputs.values[-100:], head.probabilities(matrix), rtol=1e-6, atol=0)


def test_many_rows_are_read_in_the_order_of_the_store(dataset: Dataset, head: Head) -> None:
    numbers = dataset.rows("test")
    mixed = np.random.default_rng(2).permutation(numbers).tolist()
    read: list[str] = []

    class Watched(Features):
        def matrix(self, keys: Sequence[str], columns: Sequence[Column]) -> np.ndarray:
            read.extend(keys)
            return super().matrix(keys, columns)

    features = Watched(dataset.features.rows, dataset.features.layout, ())
    outputs = replace(dataset, features=features).predicted(head, mixed, "")
    assert read == sorted(dataset.keys(mixed))
    place = np.argsort(mixed)
    assert np.array_equal(outputs.values[place], dataset.predicted(head, numbers, "").values)


def test_scores_and_the_baseline_take_little_besides(dataset: Dataset, head: Head, peak_of: Peak) -> None:
    outputs = predicted(dataset, head)
    assert peak_of(lambda: dataset.evaluate(None, outputs)) < WHOLE / 2 + BESIDES


def test_a_single_vote_is_not_copied_and_three_take_one_more(
    dataset: Dataset, head: Head, peak_of: Peak
) -> None:
    outputs = predicted(dataset, head)
    assert on_average([outputs]) is outputs
    assert peak_of(lambda: on_average([outputs] * 3)) < WHOLE + BESIDES


def test_a_temperature_is_found_in_blocks(monkeypatch: pytest.MonkeyPatch, peak_of: Peak) -> None:
    draws = np.random.default_rng(0)
    logits, labels = draws.normal(size=(6_000, CLASSES)), draws.integers(0, CLASSES, 6_000)
    expected = best_temperature(logits, labels)
    monkeypatch.setattr(rows, "MANY_ROWS", 5_000)
    monkeypatch.setattr(rows, "CHUNK_ROWS", 512)
    found = []
    assert peak_of(lambda: found.append(best_temperature(logits, labels))) < logits.nbytes / 2
    assert found == [pytest.approx(expected)]
