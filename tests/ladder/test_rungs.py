from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import norm

from regraft.ladder.ledger import Ledger
from regraft.ladder.rungs import KEEP_AT, chance_better
from regraft.plans.cost_book import CostBook
from regraft.plans.costs import Amounts, training_cost
from regraft.plans.step_costs import StepCost, TailCost


def gains_of(won: int, lost: int, images: int) -> npt.NDArray[np.float64]:
    return np.array([1.0] * won + [-1.0] * lost + [0.0] * (images - won - lost))


@pytest.mark.parametrize(("won", "lost", "images"), [(6, 2, 50), (30, 12, 400), (12, 30, 400)])
def test_the_chance_is_that_of_the_posterior_by_integration(won: int, lost: int, images: int) -> None:
    """Prior times likelihood on a grid, summed: another way to the same number."""
    noise = (won + lost - (won - lost) ** 2 / images) ** 0.5 / images * 100
    true = np.linspace(-60, 60, 200_001)
    weight = norm.pdf(true, 0, 2.0) * norm.pdf(100 * (won - lost) / images, true, noise)
    expected = weight[true > 0].sum() / weight.sum()
    assert chance_better(gains_of(won, lost, images), 2.0) == pytest.approx(expected, abs=1e-4)


def test_few_images_are_no_reason_to_keep_a_dearer_rung_and_many_are() -> None:
    assert chance_better(gains_of(8, 3, 50), 2.0) < KEEP_AT  # ten points, of fifty images
    assert chance_better(gains_of(120, 80, 2000), 2.0) > KEEP_AT  # two points, of two thousand
    assert chance_better(gains_of(0, 0, 50), 2.0) == 0.5


def test_the_chance_does_not_depend_on_the_unit_of_a_number() -> None:
    """Errors in metres or in centimetres: the gain is a share of the baseline's error."""
    gains = np.random.default_rng(0).normal(0.02, 0.3, 200)
    assert chance_better(1.0 * gains, 2.0) == pytest.approx(chance_better(100 * gains / 100, 2.0))
    assert 0.5 < chance_better(gains, 2.0) < 1.0


def test_one_image_is_no_evidence_however_much_it_gains() -> None:
    assert chance_better(np.array([5.0, *[0.0] * 99]), 2.0) < KEEP_AT


def test_a_ledger_remembers_what_the_clock_said(tmp_path: Path) -> None:
    Ledger("key", tmp_path).note("rung", took_s=1.5)
    again = Ledger("key", tmp_path)
    again.note("rung", predicted_s=2.0)
    assert Ledger("key", tmp_path).recall("rung", "took_s") == 1.5
    assert Ledger("key", tmp_path).recall("rung", "predicted_s") == 2.0
    assert Ledger("other", tmp_path).recall("rung", "took_s") is None


def book_in(folder: Path, *, slow: float = 1.0, now: float = 0.0) -> CostBook:
    """A cost book that is told the load and the time."""
    return CostBook(folder, load=lambda: slow, now=lambda: now)


def test_a_cost_book_takes_the_first_measurement_whole_and_later_ones_half(tmp_path: Path) -> None:
    book = book_in(tmp_path)
    book.learn("step", 4.0)
    assert book_in(tmp_path).seconds("step") == 4.0
    book.learn("step", 1.0)
    assert book_in(tmp_path).seconds("step") == 2.0
    assert "other" not in book


def test_a_rate_that_was_measured_on_a_busy_machine_is_not_slow_on_an_idle_one(tmp_path: Path) -> None:
    """Three programs share the cores: the same work takes three times as long, not as much processor time."""
    book_in(tmp_path, slow=3.0).learn("work", 6.0, processor_s=4.0)
    assert book_in(tmp_path).seconds("work") == pytest.approx(2.0)
    assert book_in(tmp_path, slow=2.0).seconds("work") == pytest.approx(4.0)


def test_what_was_known_long_ago_counts_for_little(tmp_path: Path) -> None:
    book_in(tmp_path, now=0.0).learn("work", 100.0)
    book_in(tmp_path, now=20 * 86_400.0).learn("work", 1.0)
    assert book_in(tmp_path).seconds("work") == pytest.approx(1.0, rel=1e-4)


def test_the_cost_of_a_training_adds_up() -> None:
    amounts = Amounts(train=1000, held=100, classes=3, folds=5)
    step = StepCost(step_s=0.02, forward_s=0.005, disk_bytes=1000, memory_bytes=10)
    tail = TailCost(step=step, has_prefix=True, open_s=2, convert_s=4, extract_s=0.01)
    cost = training_cost(amounts, tail, epochs=8)
    # open, convert and run the prefix, eight epochs, convert and judge the trained network
    assert cost.seconds == pytest.approx(2 + 4 + 10 + 8 * (900 * 0.02 + 100 * 0.005) + 4 + 1)
    assert cost.disk_bytes == 1_000_000
    whole = tail.model_copy(update={"has_prefix": False})
    trial = training_cost(amounts, whole, epochs=2, is_trial=True)
    assert trial.seconds == pytest.approx(2 + 2 * 18.5)


def test_a_patient_with_many_images_is_little_evidence() -> None:
    gains = np.array([1.0] * 24 + [0.0] * 176)
    patients = np.arange(200) // 12
    assert chance_better(gains, 2.0) > KEEP_AT
    assert chance_better(gains, 2.0, patients) < KEEP_AT  # two patients of seventeen
    assert chance_better(gains, 2.0, np.arange(200)) == chance_better(gains, 2.0)
