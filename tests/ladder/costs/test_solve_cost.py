from __future__ import annotations

from pathlib import Path

import pytest

from regraft.ladder.costs.solve_cost import solve_cost
from regraft.plans.cost_book import CostBook
from regraft.plans.costs import Amounts
from regraft.records import HeadKind

KINDS: list[HeadKind] = ["ridge", "logistic", "rbf-svm"]


@pytest.mark.parametrize("kind", KINDS)
def test_more_images_and_columns_take_longer(tmp_path: Path, kind: HeadKind) -> None:
    book = CostBook(tmp_path)
    costs = [
        solve_cost(kind, Amounts(images, 0, 10, 5), width, book).cost
        for images, width in ((200, 1_000), (2_000, 1_000), (2_000, 4_000))
    ]
    assert [cost.seconds for cost in costs] == sorted(cost.seconds for cost in costs)
    assert all(cost.memory_bytes > 0 for cost in costs)


@pytest.mark.parametrize("kind", KINDS)
def test_a_measured_unit_of_work_takes_the_place_of_the_guess(tmp_path: Path, kind: HeadKind) -> None:
    book, amounts = CostBook(tmp_path), Amounts(1_000, 0, 10, 5)
    effort = solve_cost(kind, amounts, 1_000, book)
    book.learn(effort.unit, 50 / effort.work)
    assert solve_cost(kind, amounts, 1_000, book).cost.seconds == pytest.approx(50, abs=0.2)


def test_ridge_regression_is_predicted_to_be_the_fastest(tmp_path: Path) -> None:
    ridge, logistic, _ = (
        solve_cost(kind, Amounts(1_000, 0, 10, 5), 1_024, CostBook(tmp_path, load=lambda: 1.0)).cost.seconds
        for kind in KINDS
    )
    assert ridge < 1 < logistic
