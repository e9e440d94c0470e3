from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from regraft.heads import many_rows
from regraft.heads.rows import TrainingRows
from regraft.ladder.costs import timed_sample as module
from regraft.ladder.costs.solve_cost import solve_cost
from regraft.ladder.costs.timed_sample import sample_size, timed_sample
from regraft.plans.cost_book import CostBook
from regraft.plans.costs import Amounts
from regraft.records import HeadKind
from tests.heads.test_heads import columns, data
from tests.ladder.ladders import Clock

MILLION = Amounts(1_000_000, 150_000, 100, 5)
KINDS: list[HeadKind] = ["ridge", "logistic"]


def idle(folder: Path) -> CostBook:
    return CostBook(folder, load=lambda: 1.0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_takes_a_twelfth_of_the_time_at_most(tmp_path: Path, kind: HeadKind) -> None:
    book = idle(tmp_path)
    whole = solve_cost(kind, MILLION, 1_024, book).cost.seconds
    images = sample_size(kind, MILLION, 1_024, book, seconds=whole)
    assert images is not None
    part = solve_cost(kind, replace(MILLION, train=images, is_part_of_many=True), 1_024, book).cost.seconds
    assert part <= whole / 12


def test_less_time_has_a_smaller_sample_or_none(tmp_path: Path) -> None:
    book = idle(tmp_path)
    sizes = [sample_size("logistic", MILLION, 1_024, book, seconds=s) for s in (800.0, 200.0, 1.0)]
    assert sizes[0] is not None
    assert sizes[1] is not None
    assert sizes[0] > sizes[1]
    assert sizes[2] is None


def test_no_sample_is_timed_where_there_is_time_in_plenty(tmp_path: Path) -> None:
    book = idle(tmp_path)
    whole = solve_cost("logistic", MILLION, 1_024, book).cost.seconds
    assert sample_size("logistic", MILLION, 1_024, book, seconds=3.01 * whole) is None
    assert sample_size("logistic", MILLION, 1_024, book, seconds=2.99 * whole) is not None


@pytest.mark.parametrize(
    ("kind", "train"), [("logistic", 19_999), ("ridge", 20_000), ("rbf-svm", 1_000_000)], ids=lambda x: str(x)
)
def test_what_is_short_or_of_fixed_size_is_not_timed(tmp_path: Path, kind: HeadKind, train: int) -> None:
    amounts = replace(MILLION, train=train, classes=10)
    assert sample_size(kind, amounts, 256, idle(tmp_path), seconds=10.0) is None


@pytest.fixture
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many_rows, "MANY_ROWS", 2_000)
    monkeypatch.setattr(module, "_LEAST_IMAGES", 500)
    monkeypatch.setattr(module, "_WORTH_S", 1e-3)
    monkeypatch.setattr(module, "_SAFE_TIMES", 1e9)
    monkeypatch.setattr(module, "_SHARE", 1.0)


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize("slower", [3.0, 100.0, 0.5])
def test_a_slow_sample_makes_the_prediction_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slower: float
) -> None:
    clock, book, solved = Clock(), idle(tmp_path), []
    rows, _ = data(tmp_path / "rows", count=3_000)
    amounts = Amounts(3_000, 450, 3, 5)

    def fit(sample: TrainingRows, kind: HeadKind, candidates: Any) -> None:
        solved.append(sample)
        part = replace(amounts, train=len(sample.keys), is_part_of_many=True)
        clock.wait(slower * solve_cost(kind, part, 6, book).cost.seconds)

    monkeypatch.setattr(module, "fit_head", fit)
    found = timed_sample(rows, "ridge", columns("signal"), amounts, book, seconds=100.0, clock=clock)
    assert found is not None
    assert found.times == pytest.approx(min(slower, 8.0))
    assert found.images == len(solved[0].keys) < 3_000
    assert solved[0].is_part_of_many


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_is_solved_as_all_images_would_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: HeadKind
) -> None:
    samples = []
    held_sample = many_rows.held_sample
    where = {"ridge": "regraft.heads.ridge.held_sample", "logistic": "regraft.heads.linear.held_sample"}
    monkeypatch.setattr(where[kind], lambda rows: samples.append(held_sample(rows)) or samples[-1])
    rows, _ = data(tmp_path / "rows", count=3_000)
    found = timed_sample(
        rows, kind, columns("signal"), Amounts(3_000, 450, 3, 5), idle(tmp_path), seconds=100.0
    )
    assert found is not None
    assert found.took_s > 0
    (sample,) = samples
    assert sample is not None
    assert len(sample.others) < found.images
