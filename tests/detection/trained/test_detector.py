from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from regraft.detection.trained.detector import RECORD_FILE, WEIGHTS_FILE, TrainedDetector
from regraft.detection.trained.record import TrainedKind
from regraft.errors import StorageError
from tests.detection.trained.examples import toy_training


def detector(kind: TrainedKind) -> tuple[TrainedDetector, torch.Tensor]:
    training = toy_training(kind)
    rows = training.train.fetch(np.arange(3))
    return TrainedDetector.new(training.record, training.spread, seed=3), rows


@pytest.mark.parametrize("kind", ["one-stage", "two-stage"])
def test_a_detector_is_the_same_after_saving_and_loading(kind: TrainedKind, tmp_path: Path) -> None:
    one, rows = detector(kind)
    one.save(tmp_path)
    other = TrainedDetector.load(tmp_path)
    assert other.record == one.record
    for first, second in zip(one.detect(rows), other.detect(rows), strict=True):
        assert len(first.scores) > 0
        assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_equal_seeds_give_equal_weights() -> None:
    training = toy_training("two-stage")
    states = [
        TrainedDetector.new(training.record, training.spread, seed=seed).head.state_dict()
        for seed in (1, 1, 2)
    ]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not all(torch.equal(states[0][name], states[2][name]) for name in states[0])


def test_a_new_detector_draws_nothing_from_the_callers_generator() -> None:
    torch.manual_seed(5)
    expected = torch.rand(())
    torch.manual_seed(5)
    detector("one-stage")
    assert torch.rand(()) == expected


def test_damaged_and_exchanged_files_are_refused(tmp_path: Path) -> None:
    one, _ = detector("one-stage")
    one.save(tmp_path)
    whole = (tmp_path / WEIGHTS_FILE).read_bytes()
    (tmp_path / WEIGHTS_FILE).write_bytes(whole[:-5])
    with pytest.raises(StorageError, match="can't be read"):
        TrainedDetector.load(tmp_path)
    (tmp_path / WEIGHTS_FILE).write_bytes(whole)
    record = (tmp_path / RECORD_FILE).read_text()
    (tmp_path / RECORD_FILE).write_text(record.replace("one-stage", "two-stage"))
    with pytest.raises(StorageError, match="can't be read"):
        TrainedDetector.load(tmp_path)
    (tmp_path / RECORD_FILE).unlink()
    with pytest.raises(StorageError, match="can't be read"):
        TrainedDetector.load(tmp_path)


def test_found_boxes_have_the_promised_types() -> None:
    one, rows = detector("two-stage")
    for found in one.detect(rows):
        assert found.corners.dtype == np.float32
        assert found.corners.shape == (len(found.scores), 4)
        assert found.classes.dtype == np.int64
        assert (found.scores >= 0.01).all()
        assert (np.diff(found.scores) <= 0).all()
