"""What a ladder decides by time, on clocks and cost books that the tests hold."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from regraft.ladder import training_choice
from regraft.ladder.costs.predictions import Predictions
from regraft.ladder.outlook import outlook
from regraft.ladder.rungs import Untried
from regraft.ladder.state import State
from regraft.ladder.training_choice import choose_training
from regraft.ladder.variants import gain_share
from regraft.networks.zoo.cards import cards
from regraft.plans.cost_book import CostBook
from regraft.plans.step_costs import tail_work
from regraft.tasks.regression import Regression
from tests.ladder.ladders import GARMENTS, Clock, mobilenet, state_of


def test_time_between_rungs_is_spent_too(tmp_path: Path) -> None:
    clock = Clock()
    state = state_of(tmp_path, spent_s=30.0, clock=clock)
    clock.wait(4.0)  # a model is saved
    with state.timed("rung") as timing:
        clock.wait(10.0)
    assert (timing.took_s, state.elapsed_s) == (10.0, 44.0)
    assert timing.is_new


def test_test_images_whose_features_are_in_the_cache_take_no_time(tmp_path: Path) -> None:
    state = state_of(tmp_path, test_images=372)
    every = state.reserve_s
    weights = state.inputs.weights
    state.inputs = replace(state.inputs, tests_known=(weights, 300))
    assert every - state.reserve_s == pytest.approx(300 * state.extract_s)
    state.inputs = replace(state.inputs, tests_known=(weights, 372))
    assert every - state.reserve_s == pytest.approx(300 * state.extract_s)  # the same command plans the same

    other = replace(weights, input_spec=weights.input_spec.model_copy(update={"framing": "pad"}))
    state.inputs = replace(state.inputs, weights=other)
    assert state.reserve_s == every


def test_the_test_images_are_planned_for(tmp_path: Path) -> None:
    """372 images at 20 ms, and a second for the scores."""
    state = state_of(tmp_path, spent_s=50.0, test_images=372)
    assert state.time_left_s == pytest.approx(120 - 50 - 372 * 0.02 - 1)


def test_an_interrupted_fit_counts_what_it_took_the_first_time(tmp_path: Path) -> None:
    clock = Clock()
    with state_of(tmp_path, clock=clock, spent_s=30.0).timed("rung"):
        clock.wait(10.0)
    again = state_of(tmp_path, spent_s=2.0)
    with again.timed("rung") as timing:
        pass
    assert (again.elapsed_s, timing.took_s, timing.is_new) == (40.0, 10.0, False)


def test_work_that_failed_is_not_recorded(tmp_path: Path) -> None:
    state = state_of(tmp_path, spent_s=30.0)
    with pytest.raises(ValueError, match="broken"), state.timed("rung"):
        raise ValueError("broken")
    assert state.ledger.recall("rung", "took_s") is None


class Timings:
    """Replaces the timing of a step: real steps take so many times as long as the roofline."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, times: float = 1.0) -> None:
        self.cuts: list[int] = []
        self.limits: list[float] = []
        self._times = times
        monkeypatch.setattr(training_choice, "measure_step", self._measure)
        monkeypatch.setattr(training_choice, "open_s", lambda state: 2.0 * state.book.slow)

    def _measure(self, weights: object, count: int, settings: object, book: CostBook, **how: object) -> None:
        self.cuts.append(count)
        self.limits.append(float(str(how["limit_s"])))
        book.learn("step mobilenetv1_100@224/fp32/cpu", self._times * book.slow, is_final=True)


@pytest.mark.parametrize(("budget_s", "epochs"), [(100.0, 4), (130.0, 6), (1_000.0, 8)])
def test_a_short_budget_trains_shorter_and_a_single_step_is_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget_s: float, epochs: int
) -> None:
    timings = Timings(monkeypatch)
    choice = choose_training(state_of(tmp_path, budget_s=budget_s))
    assert choice.rounds[-1] == epochs
    assert choice.seconds <= budget_s
    assert len(timings.cuts) == 1
    assert timings.limits[0] <= 0.1 * budget_s


def test_a_training_far_above_the_budget_is_never_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timings = Timings(monkeypatch)
    assert choose_training(state_of(tmp_path, budget_s=10.0)).variants == ()
    assert timings.cuts == []


def test_too_few_held_out_images_are_no_reason_to_time_a_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timings = Timings(monkeypatch)
    choose_training(state_of(tmp_path, amounts=replace(GARMENTS, held=20)))
    assert timings.cuts == []


def test_a_stored_rate_is_measured_again_when_it_decides_against_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour ago, on a machine where nothing was as it is now, steps took four times as long."""
    timings = Timings(monkeypatch, times=0.5)
    state = state_of(tmp_path, budget_s=80.0)
    state.book.learn("step mobilenetv1_100@224/fp32/cpu", 4.0)
    assert choose_training(state).variants
    assert len(timings.cuts) == 1


def test_the_same_command_chooses_the_same_under_another_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Timings(monkeypatch)
    first = choose_training(state_of(tmp_path))
    assert choose_training(state_of(tmp_path, slow=5.0, spent_s=100.0)) == first


def test_a_busy_machine_trains_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Timings(monkeypatch)
    shares = []
    for slow in (1.0, 2.0):
        choice = choose_training(state_of(tmp_path / str(slow), slow=slow))
        variant = choice.tournament.variants[0] if choice.tournament else None
        shares.append(gain_share(variant, choice.rounds[-1], 14) if variant else 0.0)
    assert shares[0] > shares[1]


def test_epochs_that_the_user_wants_are_not_shortened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Timings(monkeypatch)
    assert choose_training(state_of(tmp_path, budget_s=100.0, epochs=30)).variants == ()


def test_the_work_after_a_cut_is_that_of_the_last_stages() -> None:
    """The last block of MobileNet: 1,024 x 1,024 at 7 x 7 positions, and its depthwise layer."""
    work = tail_work(mobilenet(), 13)
    assert work.multiply_adds == 49 * 1024 * (1024 + 9)
    assert work.activation == 1024 * 7 * 7
    assert tail_work(mobilenet(), 0).prefix_share == 0.0


def test_predictions_learn_from_what_was_off_and_single_surprises_count_less() -> None:
    seen = Predictions()
    assert seen.factor("kernel") == 1.0
    for _ in range(9):
        seen.note("kernel", 1.0, 2.0)
    seen.note("kernel", 1.0, 1_000.0)
    assert seen.factor("kernel") == pytest.approx(2.0, rel=0.02)
    seen.note("softmax", 0.001, 0.1)  # too short to say anything
    assert "softmax" not in seen.ratios


def test_the_outlook_names_the_budget_that_the_untried_training_needs(tmp_path: Path) -> None:
    state: State = state_of(tmp_path, spent_s=100.0)
    state.untried.append(Untried("train the last stages", 70.0, 5.0))
    assert "a budget of 3.5 min, for train the last stages: predicted 70 s" in outlook(state, None)


def test_the_outlook_names_a_network_that_is_expected_to_be_clearly_better(tmp_path: Path) -> None:
    """The features of 1,000 images take 20 s; half of 120 s allows three times as much work."""
    said = outlook(state_of(tmp_path), None)
    found = re.fullmatch(
        r"what would help most: another network: (\w+) is expected to classify (\d\.\d) points better "
        r"\(prior, from its ImageNet top-1\), with (\d\.\d) times the work for an image: "
        r"regraft weights fetch \1, then --network \1",
        said,
    )
    assert found is not None, said
    assert float(found[2]) >= 1.0
    assert float(found[3]) <= 3.0


def test_the_outlook_names_no_network_that_was_compared_or_that_takes_too_long(tmp_path: Path) -> None:
    assert outlook(state_of(tmp_path), None, compared=list(cards())) == ""
    assert outlook(state_of(tmp_path, budget_s=1.0), None) == ""


def test_the_outlook_of_a_number_promises_no_points(tmp_path: Path) -> None:
    """The priors were measured for the accuracy of classes."""
    state: State = state_of(tmp_path, spent_s=100.0)
    state.inputs.dataset.task = Regression()
    assert outlook(state, None) == ""
    state.untried.append(Untried("train the last stages", 70.0, 5.0))
    assert outlook(state, None).endswith("for train the last stages: predicted 70 s")
