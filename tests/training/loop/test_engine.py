from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from regraft.progress import Silent
from regraft.settings import TrainSettings
from regraft.training.loop import checkpoint, engine
from regraft.training.loop.batches import Places, TensorSource
from regraft.training.loop.engine import Trainer
from regraft.training.loop.objective import SoftmaxObjective
from regraft.training.loop.steps import Stepper
from tests.training.examples import small_tail, small_training

EVERYTHING = {
    "epochs": 4, "phases": 2, "ema": 0.9, "mixup": 0.4, "cutmix": 1.0, "dropout": 0.3, "label_smoothing": 0.1,
    "gradient_noise": 0.01, "input_noise": 0.1, "activation_flip": True, "l1": 1e-4, "l2_sp": 0.1,
    "class_weights": True, "balanced": True, "schedule": "plateau", "micro_batch": 3,
}  # fmt: skip


def weights_of(training: object) -> dict[str, torch.Tensor]:
    return training.tail.snapshot()  # type: ignore[attr-defined, no-any-return]


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


class Notes(Silent):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)

    def warn(self, text: str) -> None:
        self.lines.append(text)

    def decided(self, what: str, because: str, override: str) -> None:
        self.lines.append(f"{what} because {because}")


def test_training_learns_and_keeps_the_best_epoch() -> None:
    training = small_training(epochs=20)
    position = Trainer(training, Silent()).run()
    assert position.best is not None
    assert position.best.goodness > 0.7
    rows = [row["validation_accuracy"] for row in position.history]
    assert position.best.goodness == max(rows)
    assert len(rows) == 20
    assert not training.tail.training


def test_equal_seeds_give_equal_bits_and_others_do_not() -> None:
    trainings = [replace(small_training(), seed=seed) for seed in (0, 0, 1)]
    for training in trainings:
        Trainer(training, Silent()).run()
    one, same, other = map(weights_of, trainings)
    assert equal(one, same)
    assert not equal(one, other)


class StopError(Exception):
    pass


class Interrupted(TensorSource):
    """Stops the process, as it were, when its batch number `at` is wanted."""

    def __init__(self, source: TensorSource, at: int) -> None:
        super().__init__(source._values)
        self._left = at

    def prepare(self, raw: torch.Tensor, places: Places) -> torch.Tensor:
        if self._left == 0:
            raise StopError
        self._left -= 1
        return super().prepare(raw, places)


@pytest.mark.slow
@pytest.mark.parametrize("at", [0, 1, 2, 5, 8, 9, 13, 16])
def test_a_training_that_was_killed_ends_in_the_same_bits(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "CHECKPOINT_EVERY_S", 0.0)
    whole = small_training(small_tail(batchnorm=True, stage_dropout=0.2), **EVERYTHING)
    story = Trainer(whole, Silent()).run()
    path = tmp_path / "checkpoint.safetensors"
    victim = small_training(small_tail(batchnorm=True, stage_dropout=0.2), path=path, **EVERYTHING)
    with pytest.raises(StopError):
        Trainer(replace(victim, train=Interrupted(victim.train, at)), Silent()).run()  # type: ignore[arg-type]
    again = small_training(small_tail(batchnorm=True, stage_dropout=0.2), path=path, **EVERYTHING)
    retold = Trainer(again, Silent()).run()
    assert equal(weights_of(whole), weights_of(again))
    for one, other in zip(story.history, retold.history, strict=True):
        timed = ("elapsed_s", "images_per_s")
        assert {k: v for k, v in one.items() if k not in timed} == {
            k: v for k, v in other.items() if k not in timed
        }


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_a_signal_waits_for_the_step_and_leaves_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, raised: type[BaseException]
) -> None:
    path, whole = tmp_path / "checkpoint.safetensors", Stepper.step

    def step(self: Stepper, *batch: Any) -> None:
        if self.position.step == 5:
            signal.raise_signal(number)
        whole(self, *batch)

    monkeypatch.setattr(Stepper, "step", step)
    with pytest.raises(raised) as caught:
        Trainer(small_training(path=path), Silent()).run()
    assert getattr(caught.value, "code", 143) == 143  # 128 + 15, as shells say it of SIGTERM
    found = checkpoint.load(path, "example")
    assert found is not None
    assert found[0].step == 6
    assert found[0].batch == 2  # four batches an epoch


def test_a_checkpoint_of_another_training_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    Trainer(small_training(path=path), Silent()).run()
    assert checkpoint.load(path, "example") is not None
    assert checkpoint.load(path, "another") is None
    path.write_bytes(path.read_bytes()[:-7])
    assert checkpoint.load(path, "example") is None


def test_a_finished_training_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoint.safetensors"
    first = small_training(path=path)
    Trainer(first, Silent()).run()
    monkeypatch.setattr(Stepper, "step", None)
    second = small_training(path=path)
    Trainer(second, Silent()).run()
    assert equal(weights_of(first), weights_of(second))


def gradients(micro: int, **changes: object) -> dict[str, torch.Tensor]:
    """The gradients of one batch of 24, in pieces of `micro`."""
    tail = small_tail()
    training = small_training(tail, effective_batch=24, micro_batch=micro, **changes)
    trainer = Trainer(training, Silent())
    trainer.position.micro_batch = micro
    stepper = trainer._stepper
    stepper.open_phase(0, {})
    tail.train()
    places = np.arange(24)
    stepper._gradients(places, training.train.fetch(places))
    return {name: p.grad.clone() for name, p in tail.named_parameters() if p.grad is not None}


def test_losses_of_auxiliary_classifiers_count_by_their_weight() -> None:
    tail = small_tail()
    side = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(6 * 5 * 5, 3))
    tail.auxiliaries["0"] = side
    training = small_training(tail, effective_batch=24, micro_batch=5, auxiliary_weight=0.3)
    trainer = Trainer(training, Silent())
    trainer.position.micro_batch = 5
    trainer._stepper.open_phase(0, {})
    places = np.arange(24)
    tail.train()
    trainer._stepper._gradients(places, training.train.fetch(places))
    found = {name: parameter.grad for name, parameter in tail.named_parameters()}
    tail.zero_grad()
    values = training.train.fetch(places)
    labels = torch.from_numpy(training.targets[:24])
    activation = tail.stages[0](values)
    loss = torch.nn.functional.cross_entropy(tail.head(tail.stages[1](activation)), labels)
    (loss + 0.3 * torch.nn.functional.cross_entropy(side(activation), labels)).backward()
    for name, parameter in tail.named_parameters():
        assert torch.allclose(found[name], parameter.grad, atol=1e-6), name  # type: ignore[arg-type]


@pytest.mark.parametrize("micro", [1, 5, 8, 23])
@pytest.mark.parametrize(
    "changes", [{}, {"class_weights": True, "label_smoothing": 0.1}, {"mixup": 0.3}], ids=str
)
def test_micro_batches_add_up_to_the_batchs_gradient(micro: int, changes: dict[str, object]) -> None:
    whole, parts = gradients(24, **changes), gradients(micro, **changes)
    assert whole
    for name, gradient in whole.items():
        assert torch.allclose(gradient, parts[name], rtol=0, atol=1e-6), name


def test_out_of_memory_halves_the_micro_batch_and_changes_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = Stepper.scores

    def scores(self: Stepper, values: torch.Tensor) -> list[torch.Tensor]:
        if len(values) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return before(self, values)

    steady = small_training(micro_batch=2)
    Trainer(steady, Silent()).run()
    monkeypatch.setattr(Stepper, "scores", scores)
    notes, squeezed = Notes(), small_training(micro_batch=8)
    position = Trainer(squeezed, notes).run()
    assert position.micro_batch == 2
    assert equal(weights_of(steady), weights_of(squeezed))
    said = [line for line in notes.lines if "memory was full" in line]
    assert said == [
        f"micro-batches of {n} because memory was full; the effective batch stays 8" for n in (4, 2)
    ]


def test_out_of_memory_with_a_single_image_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def scores(self: Stepper, values: torch.Tensor) -> list[torch.Tensor]:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(Stepper, "scores", scores)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        Trainer(small_training(), Silent()).run()


def test_a_loss_that_is_no_number_stops_with_a_diagnosis_and_good_weights() -> None:
    training = small_training(epochs=3)
    assert isinstance(training.train, TensorSource)
    training.train._values[17] = float("nan")
    notes = Notes()
    position = Trainer(training, notes).run()
    assert "first value that was not finite: the input of the tail" in position.stopped
    assert "a smaller --lr (it was 0.01)" in position.stopped
    assert all(bool(value.isfinite().all()) for value in weights_of(training).values())


def test_the_diagnosis_names_the_stage() -> None:
    training = small_training(lr=0.5, clip_norm=0.0)
    assert isinstance(training.train, TensorSource)
    training.train._values[17] = 3e38
    position = Trainer(training, Silent()).run()
    assert "first value that was not finite: the output of stage one" in position.stopped
    assert "a smaller --lr (it was 0.5), --clip-norm 1" in position.stopped


def test_patience_ends_training_early() -> None:
    position = Trainer(small_training(lr=1e-30, epochs=30, patience=3), Silent()).run()
    assert len(position.history) == position.best_epoch + 3 < 30


def test_the_time_limit_ends_training_with_what_there_is() -> None:
    position = Trainer(small_training(time_limit="0s", epochs=30), Silent()).run()
    assert position.stopped == "the time limit of 0s was reached"
    assert len(position.history) == 1


def test_phases_unfreeze_from_the_head_down() -> None:
    training = small_training(phases=2, epochs=2)
    start = weights_of(training)
    trainer = Trainer(training, Silent())
    trainer._begin()
    trainer._run_phase()
    halfway = weights_of(training)
    assert torch.equal(start["stages.0.0.weight"], halfway["stages.0.0.weight"])
    assert not torch.equal(start["stages.1.0.weight"], halfway["stages.1.0.weight"])
    trainer._run_phase()
    assert [list(row["learning_rates"]) for row in trainer.position.history] == [
        ["two", "head"], ["one", "two", "head"],
    ]  # fmt: skip


def test_frozen_batchnorm_keeps_every_bit_and_trained_does_not() -> None:
    for trains in (False, True):
        tail = small_tail(batchnorm=True)
        tail.trains_batchnorm = trains
        start = tail.snapshot()
        Trainer(small_training(tail, validation_share=0.0), Silent()).run()
        names = [name for name in start if "running" in name]
        assert all(torch.equal(start[n], tail.state_dict()[n]) for n in names) == (not trains)


def test_without_validation_the_last_weights_are_kept() -> None:
    training = replace(small_training(), validation=None, validation_targets=None)
    position = Trainer(training, Silent()).run()
    assert position.best is None
    assert position.best_epoch == 4


def test_balanced_batches_draw_classes_alike() -> None:
    labels = np.array([0] * 90 + [1] * 10, dtype=np.int64)
    training = small_training(count=100)
    objective = SoftmaxObjective.of(labels, 2, TrainSettings(balanced=True))
    training = replace(training, targets=labels, objective=objective)
    drawn = np.concatenate(Trainer(training, Silent())._batches())
    assert 0.35 < np.mean(labels[drawn] == 1) < 0.65


def test_the_whole_data_set_is_seen_once_an_epoch() -> None:
    batches = Trainer(small_training(count=33), Silent())._batches()
    assert sorted(np.concatenate(batches)) == list(range(33))
    assert {len(batch) for batch in batches} == {6, 7}
