from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from regraft.data.findings.scan import ScanSettings
from regraft.detection import trained_rungs
from regraft.detection.annotations.reading import read_boxes
from regraft.detection.dataset import boxed_dataset
from regraft.detection.ladder import DetectionInputs, DetectionLadder
from regraft.detection.maps.cached_maps import CachedMaps
from regraft.detection.trained.detector import TrainedDetector
from regraft.detection.trained_rungs import trained_on
from regraft.detection.training_cost import SURE, division
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


def planned(monkeypatch: pytest.MonkeyPatch, left_s: float, stages_s: float) -> tuple[str | None, int]:
    """What is said of the kind, and the epochs, if an epoch of one stage takes 10 s and of two 13 s."""
    each = {"one-stage": 10.0, "two-stage": 13.0}
    module = "regraft.detection.trained_rungs"
    monkeypatch.setattr(f"{module}.epoch_s", lambda _, kind, __: each[kind])
    monkeypatch.setattr("regraft.detection.training_cost.epoch_s", lambda _, kind, __: each[kind])
    for name in (module, "regraft.detection.training_cost"):
        monkeypatch.setattr(f"{name}.views_s", lambda _, __, epochs: 5.0 if epochs >= 6 else 0.0)
    inputs = SimpleNamespace(training=TrainSettings())
    said: list[str] = []
    reporter = SimpleNamespace(decided=lambda _, why, __: said.append(why))
    ladder: Any = SimpleNamespace(time_left_s=left_s / SURE, inputs=inputs, reporter=reporter)
    parts: Any = None
    without_trial = trained_rungs.kind_without_trial(ladder, parts, lambda _: stages_s)
    assert without_trial in ("one-stage", None)
    assert bool(said) == bool(without_trial)
    return (said or [None])[0], trained_rungs.fitting_epochs(ladder, parts, "one-stage", lambda _: stages_s)


@pytest.mark.parametrize(
    ("left_s", "stages_s", "why", "epochs"),
    [
        (70.0, 50.0, "too short", 6),  # 5 s of mirrored pictures and 6 epochs
        (110.0, 50.0, "too short", 10),  # 60 s are left beside the last stages: too few epochs
        (116.0, 50.0, "too short", 6),
        (130.0, 50.0, "last stages", 7),
        (146.0, 50.0, "last stages", 9),
        (175.0, 50.0, "last stages", 12),
        (179.0, 50.0, None, 12),  # 46 s of trials, then 6 epochs of two stages and the last stages
        (400.0, 50.0, None, 24),
        (200.0, math.inf, None, 19),
        (math.inf, 50.0, None, 24),
    ],
)
def test_time_is_kept_for_the_last_stages(
    monkeypatch: pytest.MonkeyPatch, left_s: float, stages_s: float, why: str | None, epochs: int
) -> None:
    said, fitting = planned(monkeypatch, left_s, stages_s)
    assert fitting == epochs
    assert (said is None) == (why is None)
    assert (why or "") in (said or "")
