from __future__ import annotations

from functools import cache

import pytest

from regraft.lab.designs import Row, compare_designs


@cache  # it builds all networks of the comparison
def rows(name: str) -> tuple[Row, ...]:
    return compare_designs(name)[0].rows


def test_formulas_of_convolutions_hold_exactly() -> None:
    for row in (*rows("depthwise"), *rows("small-filters")):
        assert row.multiply_adds == row.predicted


def test_a_separable_convolution_saves_what_the_paper_says() -> None:
    standard, separable = rows("depthwise")
    assert separable.multiply_adds / standard.multiply_adds == pytest.approx(1 / 512 + 1 / 9)


def test_basic_and_bottleneck_blocks_cost_alike() -> None:
    basic, bottleneck, wide = rows("bottleneck")
    assert bottleneck.parameters == 256 * 64 + 9 * 64 * 64 + 64 * 256
    assert bottleneck.multiply_adds == pytest.approx(basic.multiply_adds, rel=0.1)
    assert wide.multiply_adds > 10 * bottleneck.multiply_adds


def test_the_reduced_inception_module_has_the_parameters_of_the_papers_table() -> None:
    naive, reduced = rows("inception")
    # table 1, inception (3a): 159 K; 163 K here, as in the layers' own sizes
    assert reduced.parameters == 192 * (64 + 96 + 16 + 32) + 9 * 96 * 128 + 25 * 16 * 32
    assert reduced.multiply_adds < 0.5 * naive.multiply_adds


# Table 2 of the paper: parameters in millions, multiply-adds in billions.
TABLE_2 = [(5.3, 0.39), (7.8, 0.70), (9.2, 1.0), (12, 1.8), (19, 4.2), (30, 9.9), (43, 19), (66, 37)]


@pytest.mark.slow
@pytest.mark.parametrize("number", range(8))
def test_scaled_networks_are_those_of_the_paper(number: int) -> None:
    row, (millions, billions) = rows("scaling")[number], TABLE_2[number]
    assert row.parameters / 1e6 == pytest.approx(millions, rel=0.025)
    assert row.multiply_adds / 1e9 == pytest.approx(billions, rel=0.05)
