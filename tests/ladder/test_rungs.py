from __future__ import annotations

import pytest
from scipy.stats import beta

from regraft.ladder.ledger import Ledger
from regraft.ladder.rungs import chance_better
from regraft.training.costs import Amounts, CostBook, StepCost, training_cost


@pytest.mark.parametrize(("won", "lost"), [(0, 0), (3, 1), (1, 3), (20, 11), (700, 640)])
def test_the_chance_is_that_of_a_beta_distribution(won: int, lost: int) -> None:
    expected = beta.sf(0.5, won + 1, lost + 1)
    assert chance_better(won, lost) == pytest.approx(expected, abs=2e-3)


def test_a_single_image_more_is_no_reason_to_keep_a_dearer_rung() -> None:
    from regraft.ladder.rungs import KEEP_AT

    assert not chance_better(1, 0) > KEEP_AT
    assert not chance_better(6, 4) > KEEP_AT
    assert chance_better(9, 3) > KEEP_AT


def test_a_ledger_remembers_what_the_clock_said(tmp_path) -> None:  # type: ignore[no-untyped-def]
    Ledger("key", tmp_path).note("rung", took_s=1.5)
    again = Ledger("key", tmp_path)
    again.note("rung", predicted_s=2.0)
    assert Ledger("key", tmp_path).recall("rung", "took_s") == 1.5
    assert Ledger("key", tmp_path).recall("rung", "predicted_s") == 2.0
    assert Ledger("other", tmp_path).recall("rung", "took_s") is None


def test_a_cost_book_takes_the_first_measurement_whole_and_later_ones_half(tmp_path) -> None:  # type: ignore[no-untyped-def]
    book = CostBook(tmp_path)
    book.learn("step", 4.0)
    assert CostBook(tmp_path).seconds("step") == 4.0
    book.learn("step", 1.0)
    assert CostBook(tmp_path).seconds("step") == 2.0
    assert "other" not in book


def test_the_cost_of_a_training_adds_up(tmp_path) -> None:  # type: ignore[no-untyped-def]
    book = CostBook(tmp_path)
    book.learn("open", 2.0)
    book.learn("convert", 4.0)
    amounts = Amounts(train=1000, held=100, classes=3, folds=5, extract_s=0.01)
    step = StepCost(step_s=0.02, forward_s=0.005, disk_bytes=1000, memory_bytes=10)
    cost = training_cost(amounts, step, book, epochs=8, has_prefix=True)
    # open, convert and run the prefix, eight epochs, convert and judge the trained network
    assert cost.seconds == pytest.approx(2 + 4 + 10 + 8 * (900 * 0.02 + 100 * 0.005) + 4 + 1)
    assert cost.disk_bytes == 1_000_000
    trial = training_cost(amounts, step, book, epochs=2, has_prefix=False, is_trial=True)
    assert trial.seconds == pytest.approx(2 + 2 * 18.5)
