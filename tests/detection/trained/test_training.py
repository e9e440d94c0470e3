"""Training on drawn pictures: it learns, its gradients add up, and it resumes to the same bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

from regraft.detection.trained.detector import TrainedDetector
from regraft.detection.trained.finder import TrainedFinder
from regraft.detection.trained.record import TrainedKind
from regraft.detection.training.targets import ViewTargets
from regraft.detection.training.training import DetectorTraining
from regraft.errors import SettingsError
from regraft.evaluation.average_precision import average_precision, mean_over_classes
from regraft.evaluation.boxes import detections, true_boxes
from regraft.evaluation.matching import match
from regraft.progress import Silent
from regraft.training.loop import engine
from regraft.training.loop.batches import Places
from regraft.training.loop.engine import Trainer
from tests.detection.trained.examples import Rows, ViewsInMemory, some_boxes, toy_training
from tests.networks.sample import in_turn

KINDS: tuple[TrainedKind, ...] = get_args(TrainedKind)
RATES: dict[TrainedKind, float] = {"one-stage": 1e-2, "two-stage": 4e-3}


def new(training: DetectorTraining) -> TrainedDetector:
    return TrainedDetector.new(training.record, training.spread, objects=training.targets.objects)


def rows_of(training: DetectorTraining) -> torch.Tensor:
    training.train.begin(0, Silent())  # the view of the pictures as they are
    return training.train.fetch(np.arange(len(training.train)))


def precision(training: DetectorTraining, detector: TrainedDetector, pictures: list[Rows]) -> float:
    """AP50 on the pictures themselves."""
    found = detector.detect(rows_of(training))
    count = [len(one.scores) for one in found]
    seen = detections(
        np.repeat(np.arange(len(found)), count),
        *(np.concatenate([one[n] for one in found]) for n in (1, 0, 2)),
    )
    boxes = np.array([[n, *row] for n, rows in enumerate(pictures) for row in rows])
    truth = true_boxes(boxes[:, 0], boxes[:, 1], boxes[:, 2:])
    matches = match(truth, seen, images=len(found), classes=training.record.classes)
    return float(mean_over_classes(average_precision(matches, sizes=["all"])[0, 0])[0])


@pytest.mark.slow
@pytest.mark.parametrize("kind", in_turn(KINDS, 1))
def test_drawn_pictures_are_learned_by_heart(kind: TrainedKind) -> None:
    pictures = some_boxes(6)
    training = toy_training(kind, pictures, epochs=40, effective_batch=1, lr=RATES[kind])
    assert precision(training, new(training), pictures) < 0.3
    assert precision(training, training.run(Silent()), pictures) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("kind", in_turn(KINDS[::-1], 1))  # the kind that has no turn above
def test_one_class_and_one_picture_are_enough(kind: TrainedKind) -> None:
    pictures: list[Rows] = [[[0.0, 20, 30, 60, 70]]]
    training = toy_training(kind, pictures, classes=1, epochs=40, effective_batch=1, lr=RATES[kind])
    assert precision(training, training.run(Silent()), pictures) > 0.9


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("micro", [1, 2, 3])
def test_micro_batches_add_up_to_the_batchs_gradient(kind: TrainedKind, micro: int) -> None:
    pictures = [*some_boxes(3), []]
    found = []
    for size in (4, micro):
        training = toy_training(kind, pictures, effective_batch=4, micro_batch=size)
        trainer = Trainer(training.training(new(training)), Silent())
        trainer.position.micro_batch = size
        trainer._stepper.open_phase(0, {})
        trainer.training.tail.train()
        places = np.arange(4)
        loss, _ = trainer._stepper._gradients(places, training.train.fetch(places))
        tail = trainer.training.tail
        found.append((loss, {name: p.grad for name, p in tail.named_parameters()}))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    for name, gradient in found[0][1].items():
        assert torch.allclose(gradient, found[1][1][name], rtol=1e-4, atol=1e-6), name
        assert gradient.abs().sum() > 0, name


class StopError(Exception):
    pass


class Interrupted(ViewsInMemory):
    """Stops the process, as it were, when batch number `at` is wanted."""

    def __init__(self, source: ViewsInMemory, at: int) -> None:
        super().__init__(source._views.numpy())
        self._left = at

    def prepare(self, raw: torch.Tensor, places: Places) -> torch.Tensor:
        if self._left == 0:
            raise StopError
        self._left -= 1
        return super().prepare(raw, places)


CHANGES: dict[str, Any] = {"ema": 0.9, "gradient_noise": 0.01}


@pytest.fixture(scope="module")
def undisturbed() -> Callable[[TrainedKind], TrainedDetector]:
    """A detector of each kind from a training that nothing stopped."""
    return cache(lambda kind: toy_training(kind, **CHANGES).run(Silent()))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "at", [3, *(pytest.param(at, marks=pytest.mark.soak) for at in (0, 1, 2, 4, 5, 6, 7))]
)
def test_a_training_that_was_killed_ends_in_the_same_bits(
    kind: TrainedKind,
    at: int,
    undisturbed: Callable[[TrainedKind], TrainedDetector],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "CHECKPOINT_EVERY_S", 0.0)
    whole = undisturbed(kind)
    path = tmp_path / "checkpoint.safetensors"
    victim = toy_training(kind, path=path, **CHANGES)
    source = Interrupted(victim.train, at)  # type: ignore[arg-type]
    targets = ViewTargets(victim.targets._views, lambda: source.view)
    with pytest.raises(StopError):
        replace(victim, train=source, targets=targets).run(Silent())
    again = toy_training(kind, path=path, **CHANGES).run(Silent())
    for name, value in whole.head.state_dict().items():
        assert torch.equal(value, again.head.state_dict()[name]), name
    assert whole.position is not None
    assert again.position is not None
    for one, other in zip(whole.position.history, again.position.history, strict=True):
        timed = {"elapsed_s": None, "images_per_s": None}
        assert one | timed == other | timed


@pytest.mark.parametrize("kind", KINDS)
def test_boxes_follow_the_view_of_the_epoch(kind: TrainedKind) -> None:
    """The second view of a picture is mirrored, and so are its boxes."""
    training = toy_training(kind, epochs=2)
    seen: list[np.ndarray] = []

    class Watched(ViewTargets):
        def __getitem__(self, places: Places, /) -> np.ndarray:
            seen.append(super().__getitem__(places))
            return seen[-1]

    source = training.train
    targets = Watched(training.targets._views, lambda: source.view)  # type: ignore[attr-defined]
    replace(training, targets=targets, validation=None, validation_targets=None).run(Silent())
    views = [sorted(np.concatenate(part)[..., 1].ravel().tolist()) for part in (seen[:2], seen[2:])]
    boxes = np.array(some_boxes(6))
    assert views[0] == sorted(boxes[..., 1].ravel().tolist())
    assert views[1] == sorted((128 - boxes[..., 3]).ravel().tolist())


def test_the_history_names_the_measure_and_leaves_training_batches_out() -> None:
    detector = toy_training("one-stage", epochs=1).run(Silent())
    assert detector.position is not None
    (row,) = detector.position.history
    assert row["train_average_precision_per_picture"] is None
    assert 0 <= row["validation_average_precision_per_picture"] <= 1


def test_settings_that_mix_pictures_are_refused() -> None:
    with pytest.raises(SettingsError, match="can't be trained with mixup, class_weights"):
        toy_training("one-stage", mixup=0.2, class_weights=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_detector_built_from_its_arrays_finds_the_same(kind: TrainedKind) -> None:
    training = toy_training(kind)
    finder = TrainedFinder(new(training))
    again = TrainedFinder.load(finder.record, finder.arrays())
    rows = rows_of(training)
    for one, other in zip(finder.trained.detect(rows), again.trained.detect(rows), strict=True):
        assert len(one.scores) > 0
        assert all(np.array_equal(mine, theirs) for mine, theirs in zip(one, other, strict=True))


def test_arrays_of_another_detector_are_refused() -> None:
    arrays = TrainedFinder(new(toy_training("one-stage"))).arrays()
    with pytest.raises(ValueError, match="Missing key"):
        TrainedFinder.load(toy_training("two-stage").record, arrays)
