from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path

import torch

from regraft.data.findings.scan import ScanSettings
from regraft.detection.annotations.reading import read_boxes
from regraft.detection.dataset import boxed_dataset
from regraft.detection.ladder import DetectionInputs, DetectionLadder
from regraft.detection.maps.cached_maps import CachedMaps
from regraft.detection.trained.detector import TrainedDetector
from regraft.detection.trained_rungs import trained_on
from regraft.detection.training_cost import division
from regraft.features.opening import Compute
from regraft.ladder.ledger import Ledger
from regraft.ladder.stopwatch import Stopwatch
from regraft.networks.weights.finding import find_weights
from regraft.plans.cost_book import CostBook
from regraft.progress import Silent
from regraft.settings import FitSettings, TrainSettings
from regraft.storage.places import cache_folder

RUNG = "one-stage, many epochs"


class Warnings(Silent):
    """Keeps what is warned of."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def warn(self, text: str) -> None:
        self.texts.append(text)


def trained(data: Path, ledger: Ledger, *, budget_s: float, epochs: int) -> tuple[TrainedDetector, list[str]]:
    """A one-stage detector of the shapes, trained with what is left of a budget, and the warnings."""
    weights = find_weights("test_efficientnet", weights="random", offline=True, reporter=Silent())
    shape = {"size_px": 96, "width_px": 96, "framing": "crop"}
    weights = replace(weights, input_spec=weights.input_spec.model_copy(update=shape))
    dataset = boxed_dataset(read_boxes(data), ScanSettings(), seed=0, test_share=0.2)
    runtime = Compute(runtime="torch").open(weights, Silent(), cut="maps")
    inputs = DetectionInputs(
        dataset,
        CachedMaps(dataset.images, weights.input_spec, runtime),
        FitSettings(),
        TrainSettings(epochs=epochs),
        budget_s,
        0.0,
        weights,
        Compute(),
    )
    told = Warnings()
    ladder = DetectionLadder(inputs, Stopwatch(ledger), CostBook(), told, lambda *_: None)
    return trained_on(ladder, division(ladder), "one-stage", epochs, rung=RUNG)[0], told.texts


def test_a_training_ends_with_the_budget_and_again_after_as_many_steps(shapes: Path) -> None:
    ledger = Ledger("a training that is cut short")
    first, told = trained(shapes, ledger, budget_s=8.0, epochs=5_000)  # of which 4 are kept for the end
    assert first.position is not None
    assert 0 < first.position.taken < 5_000
    assert ledger.recall(RUNG, "stop_after") == first.position.cut_short == first.position.taken
    assert [text.startswith("training ended early: the budget ") for text in told] == [True]
    shutil.rmtree(cache_folder() / "training")
    ledger.note(RUNG, limit_s=first.position.elapsed_s / 4)  # as on a machine that is four times slower
    second, _ = trained(shapes, ledger, budget_s=3_600.0, epochs=5_000)
    assert second.position is not None
    assert second.position.taken == first.position.taken
    for one, other in zip(first.head.parameters(), second.head.parameters(), strict=True):
        assert torch.equal(one, other)


def test_without_a_budget_a_training_is_whole(shapes: Path) -> None:
    ledger = Ledger("a training that is whole")
    whole, told = trained(shapes, ledger, budget_s=math.inf, epochs=1)
    assert whole.position is not None
    assert (whole.position.finished, whole.position.cut_short, told) == (True, 0, [])
    assert ledger.recall(RUNG, "limit_s") is None
