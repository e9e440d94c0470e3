"""Training on drawn pictures: it learns, its gradients add up, and it resumes to the same bits."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from regraft.detection.trained.detector import TrainedDetector
from regraft.detection.trained.finder import TrainedFinder
from regraft.detection.trained.objective import DetectionObjective
from regraft.detection.trained.record import TrainedKind
from regraft.progress import Silent
from tests.detection.trained.examples import some_boxes, toy_training

KINDS = get_args(TrainedKind)


def states_of(detector: TrainedDetector) -> dict[str, torch.Tensor]:
    return dict(detector.head.state_dict())


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_learns_the_pictures_that_it_sees(kind: TrainedKind) -> None:
    trained = toy_training(kind, epochs=25, lr=1e-2 if kind == "one-stage" else 4e-3, effective_batch=1).run(
        Silent()
    )
    assert trained.position is not None
    assert trained.position.best is not None
    assert trained.position.best.goodness > 0.5
    assert trained.position.history[0]["train_loss"] > 2 * trained.position.history[-1]["train_loss"]


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_pictures_add_up(kind: TrainedKind) -> None:
    training = toy_training(kind)
    training.train.begin(0, Silent())
    detector = TrainedDetector.new(training.record, training.spread, objects=training.targets.objects)
    objective, head = DetectionObjective(detector.head), detector.head.train()

    def gradients(parts: list[list[int]]) -> torch.Tensor:
        head.zero_grad()
        for part in parts:
            places = np.array(part)
            torch.manual_seed(0)
            output = head(training.train.prepare(training.train.fetch(places), places))
            aims = objective.aims(torch.from_numpy(training.targets[places]))
            objective.losses(output, aims).sum().backward()  # type: ignore[no-untyped-call]
        return torch.cat([one.grad.flatten() for one in head.parameters() if one.grad is not None])

    whole, halves = gradients([[0, 1, 2, 3]]), gradients([[0, 1], [2, 3]])
    if kind == "one-stage":  # the other one draws regions, other ones in other batches
        torch.testing.assert_close(whole, halves, rtol=1e-4, atol=1e-5)
    assert whole.isfinite().all()
    assert halves.abs().sum() > 0


class Stopping(Silent):
    """Interrupts at the end of an epoch, as Ctrl-C does."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def note(self, text: str) -> None:
        if text.startswith(f"epoch {self.epoch} "):
            raise KeyboardInterrupt


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_training_ends_with_the_same_bits(kind: TrainedKind, tmp_path: Path) -> None:
    whole = states_of(toy_training(kind).run(Silent()))
    with pytest.raises(KeyboardInterrupt):
        toy_training(kind, path=tmp_path / "checkpoint").run(Stopping(2))
    resumed = states_of(toy_training(kind, path=tmp_path / "checkpoint").run(Silent()))
    assert whole.keys() == resumed.keys()
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name


@pytest.mark.parametrize("kind", KINDS)
def test_backgrounds_and_odd_boxes_give_finite_losses(kind: TrainedKind) -> None:
    pictures = [*some_boxes(2), [], [[0, -50.0, -50.0, 900.0, 900.0]], [[-2, 3.0, 3.0, 30.0, 30.0]]]
    trained = toy_training(kind, pictures, epochs=2).run(Silent())
    assert trained.position is not None
    assert all(np.isfinite(row["train_loss"]) for row in trained.position.history)


@pytest.mark.parametrize("kind", KINDS)
def test_a_detector_built_from_its_arrays_finds_the_same(kind: TrainedKind) -> None:
    training = toy_training(kind, epochs=1)
    finder = TrainedFinder(training.run(Silent()))
    again = TrainedFinder.load(finder.record, finder.arrays())
    training.train.begin(0, Silent())
    rows = training.train.fetch(np.arange(3))
    for one, other in zip(finder.trained.detect(rows), again.trained.detect(rows), strict=True):
        assert all(np.array_equal(mine, theirs) for mine, theirs in zip(one, other, strict=True))


def test_arrays_of_another_detector_are_refused() -> None:
    arrays = TrainedFinder(toy_training("one-stage", epochs=1).run(Silent())).arrays()
    with pytest.raises(ValueError, match="Missing key"):
        TrainedFinder.load(toy_training("two-stage").record, arrays)
