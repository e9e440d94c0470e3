"""Trainings that a limit ends, on a clock that advances by one second for each batch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from regraft.progress import Silent
from regraft.training.loop import engine
from regraft.training.loop.batches import Places, TensorSource
from regraft.training.loop.checkpoint import Position
from regraft.training.loop.engine import Trainer
from regraft.training.loop.steps import Training
from regraft.training.timing import timed
from tests.training.examples import small_tail, small_training
from tests.training.loop.test_engine import StopError, equal, weights_of


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Batches(TensorSource):
    """Every batch takes a second; batch number `fails_at` is interrupted."""

    def __init__(self, source: TensorSource, clock: Clock, fails_at: int = -1) -> None:
        super().__init__(source._values)
        self._clock, self._left = clock, fails_at

    def prepare(self, raw: torch.Tensor, places: Places) -> torch.Tensor:
        if self._left == 0:
            raise StopError
        self._left -= 1
        self._clock.now += 1
        return super().prepare(raw, places)


def trained(training: Training, *, fails_at: int = -1) -> Position:
    """The end of a training of four epochs of four batches; one batch more measures the memory first."""
    clock = Clock()
    source = Batches(training.train, clock, fails_at)  # type: ignore[arg-type]
    return Trainer(replace(training, train=source), Silent(), clock=clock).run()


@pytest.mark.parametrize(
    ("limit_s", "steps", "epochs"), [(3.5, 3, 1), (7.0, 4, 1), (10.0, 8, 2), (100.0, 0, 4), (None, 0, 4)]
)
def test_a_limit_ends_a_training_after_the_epoch_that_fits(
    limit_s: float | None, steps: int, epochs: int
) -> None:
    position = trained(replace(small_training(), limit_s=limit_s))
    assert position.cut_short == steps
    assert len(position.history) == epochs


@pytest.mark.parametrize("limit_s", [3.5, 10.0])
def test_a_plan_that_says_where_it_ended_gives_the_same_bits(limit_s: float) -> None:
    cut, again = replace(small_training(), limit_s=limit_s), small_training()
    steps = trained(cut).cut_short
    again = replace(again, settings=replace(again.settings, stop_after=steps))
    trained(again)
    assert equal(weights_of(cut), weights_of(again))


@pytest.mark.parametrize("at", [1, 3, 5, 7])
def test_a_limited_training_that_was_interrupted_ends_where_it_would_have(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "CHECKPOINT_EVERY_S", 0.0)
    whole = replace(small_training(), limit_s=10.0)
    expected = trained(whole)
    victim = replace(small_training(small_tail(), path=tmp_path / "checkpoint"), limit_s=10.0)
    with pytest.raises(StopError):
        trained(victim, fails_at=at)
    again = replace(small_training(small_tail(), path=tmp_path / "checkpoint"), limit_s=10.0)
    assert trained(again).cut_short == expected.cut_short
    assert equal(weights_of(whole), weights_of(again))


def test_what_a_limit_ended_is_not_taken_for_the_whole_training(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    assert trained(replace(small_training(path=path), limit_s=10.0)).cut_short == 8
    assert trained(replace(small_training(path=path), limit_s=20.0)).cut_short == 8
    whole = trained(small_training(small_tail(), path=path))
    assert (whole.cut_short, len(whole.history)) == (0, 4)


@pytest.mark.parametrize(("each_s", "limit_s", "images"), [(0.01, 1.0, 36), (0.05, 1.0, 4), (2.0, 1.0, 2)])
def test_timing_a_step_keeps_to_its_limit(each_s: float, limit_s: float, images: int) -> None:
    """A whole step is taken twice if both fit, two images twice if only these do, else two images once."""
    clock, taken = Clock(), []

    def step(count: int) -> None:
        taken.append(count)
        clock.now += each_s * count

    found = timed(step, limit_s, clock=clock, processor=clock)
    assert found == pytest.approx((taken[-1], each_s, each_s))
    assert sum(taken) == images
