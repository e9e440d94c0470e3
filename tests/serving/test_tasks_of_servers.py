"""What a server says about images, for models of each task that were put together by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import pytest

from regraft.export.samples import made_up
from regraft.serving.classification.package import ClassifierPackage, read_classifier
from regraft.serving.packing import pack
from tests.prediction.models import TASKS, model_of

pytest.importorskip("fastapi", reason="the extra regraft[serve] is not installed")

from regraft.serving.classification.served import ClassifierWishes
from regraft.serving.predictor import Predictor

pytestmark = pytest.mark.slow
IMAGE = made_up(1, 1)[0]


@pytest.fixture(scope="module")
def package(
    shared_graphs: None, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], ClassifierPackage]:
    def packed(link: str) -> ClassifierPackage:
        folder = tmp_path_factory.mktemp(link)
        pack(model_of(link).save(folder / "bundle"), folder / "package")
        return read_classifier(folder / "package")

    return cache(packed)


@contextmanager
def predictor(package: ClassifierPackage) -> Iterator[Predictor]:
    found = Predictor(package, workers=1)
    try:
        yield found
    finally:
        found.close()


def said(package: ClassifierPackage, **asked: Any) -> dict[str, Any]:
    with predictor(package) as found:
        return found.model.answer(IMAGE, ClassifierWishes(**{"top": 2, **asked}), place=0)


@pytest.mark.parametrize("link", TASKS)
def test_a_package_keeps_the_task(link: str, package: Callable[[str], ClassifierPackage]) -> None:
    found = package(link)
    assert found.task == TASKS[link]
    assert found.facts["task"] == TASKS[link].name
    assert found.facts["thresholds"] == ([0.3, 0.5, 0.8] if link == "sigmoid" else None)


def test_classes_are_listed_by_probability(package: Callable[[str], ClassifierPackage]) -> None:
    row = model_of("softmax").predict(IMAGE)[0]
    found = said(package("softmax"))
    assert list(found) == ["label", "probability", "top"]
    assert found["label"] == row.label == found["top"][0]["label"]
    assert found["probability"] == pytest.approx(row.probability, abs=1e-4)
    assert len(found["top"]) == 2


def test_labels_that_reach_their_thresholds_are_listed(package: Callable[[str], ClassifierPackage]) -> None:
    row = model_of("sigmoid").predict(IMAGE)[0]
    found = said(package("sigmoid"), top=3)
    assert found["labels"] == row.answer.facts["labels"]
    chances = {one["label"]: one["probability"] for one in found["top"]}
    expected = dict(zip(TASKS["sigmoid"].outputs, row.outputs, strict=True))
    assert chances == pytest.approx(expected, abs=1e-4)


def test_a_number_has_an_interval_and_is_explained(package: Callable[[str], ClassifierPackage]) -> None:
    row = model_of("identity").predict(IMAGE)[0]
    found = said(package("identity"), explain=True)
    assert found["value"] == pytest.approx(row.outputs[0], abs=0.1)
    assert found["high"] - found["low"] == pytest.approx(50)
    assert found["overlay"].startswith("data:image/")
    assert not np.isnan(found["value"])
