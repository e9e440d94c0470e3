from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from regraft.ladder.costs.affordable import LEAST_IMAGES, affordable
from regraft.ladder.costs.solve_cost import solve_cost
from regraft.plans.cost_book import CostBook
from regraft.plans.costs import Amounts
from regraft.records import HeadKind

MILLION = Amounts(1_000_000, 150_000, 100, 5)
KINDS: list[HeadKind] = ["ridge", "logistic"]


def idle(folder: Path) -> CostBook:
    return CostBook(folder, load=lambda: 1.0)


def test_fewer_than_twenty_thousand_images_are_used_whole(tmp_path: Path) -> None:
    few = replace(MILLION, train=19_999)
    found = affordable("ridge", few, 1_024, idle(tmp_path), seconds=0.0, memory_bytes=0.0)
    assert (found.images, found.reason) == (19_999, "")


@pytest.mark.parametrize("kind", KINDS)
def test_the_sample_is_as_large_as_the_time_allows(tmp_path: Path, kind: HeadKind) -> None:
    book = idle(tmp_path)
    found = affordable(kind, MILLION, 1_024, book, seconds=30.0, memory_bytes=1e12)
    assert LEAST_IMAGES < found.images < 1_000_000
    assert solve_cost(kind, replace(MILLION, train=found.images), 1_024, book).cost.seconds <= 30
    larger = replace(MILLION, train=int(1.3 * found.images))
    assert solve_cost(kind, larger, 1_024, book).cost.seconds > 30
    assert found.reason.endswith("30 s left of the budget")


@pytest.mark.parametrize("kind", KINDS)
def test_the_sample_fits_the_memory(tmp_path: Path, kind: HeadKind) -> None:
    book = idle(tmp_path)
    found = affordable(kind, MILLION, 1_024, book, seconds=1e9, memory_bytes=1.5e9)
    assert found.images < 1_000_000
    assert solve_cost(kind, replace(MILLION, train=found.images), 1_024, book).cost.memory_bytes <= 1.5e9
    assert found.reason.endswith("GB of memory, and a head may take 1.5")


def test_a_surprise_makes_the_sample_smaller(tmp_path: Path) -> None:
    limits = {"seconds": 30.0, "memory_bytes": 1e12}
    usual = affordable("ridge", MILLION, 1_024, idle(tmp_path), **limits)
    slower = affordable("ridge", MILLION, 1_024, idle(tmp_path), times=3.0, **limits)
    assert slower.images < usual.images


def test_there_is_a_model_whatever_the_budget(tmp_path: Path) -> None:
    found = affordable("ridge", MILLION, 1_024, idle(tmp_path), seconds=0.0, memory_bytes=0.0)
    assert found.images == LEAST_IMAGES


@pytest.mark.parametrize("kind", [*KINDS, "rbf-svm"])
def test_a_million_images_take_at_most_in_proportion_to_a_tenth_of_them(
    tmp_path: Path, kind: HeadKind
) -> None:
    tenth, all_of_them = (
        solve_cost(kind, replace(MILLION, train=count), 1_024, idle(tmp_path)).cost
        for count in (100_000, 1_000_000)
    )
    assert tenth.seconds < all_of_them.seconds <= 10 * tenth.seconds
    assert all_of_them.memory_bytes < 8e9
