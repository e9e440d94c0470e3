from __future__ import annotations

import pytest

from regraft.ladder.variants import (
    Variant,
    choose_tournament,
    possible_variants,
    survivors,
    tournament_seconds,
)


def cost(variant: Variant, epochs: int, is_trial: bool) -> float:
    """A second an epoch for a quarter of 14 stages, more the more is trained; five seconds to judge."""
    return epochs * (14 - variant.count) / 4 + (0 if is_trial else 5)


ARMS = possible_variants(14, 1e-3)


def test_the_usual_rate_is_tried_at_three_cuts_before_others() -> None:
    assert [(variant.count, variant.lr) for variant in ARMS[:3]] == [(7, 1e-3), (0, 1e-3), (10, 1e-3)]
    assert {round(variant.lr, 6) for variant in ARMS[3:]} == {3e-3, 3e-4}


def test_a_network_of_one_stage_is_trained_whole() -> None:
    assert {variant.count for variant in possible_variants(1, 1e-3)} == {0}


@pytest.mark.parametrize("time_left", [8, 12, 20, 40, 80, 160, 1000])
def test_what_is_chosen_fits_into_the_time(time_left: float) -> None:
    chosen = choose_tournament(ARMS, cost, time_left)
    if chosen is None:
        assert min(cost(variant, 4, False) for variant in ARMS) > time_left
    else:
        assert chosen.seconds <= time_left


def test_more_time_means_more_arms_then_fewer_epochs() -> None:
    sizes = [
        len(found.variants) for left in (20, 90, 140, 1000) if (found := choose_tournament(ARMS, cost, left))
    ]
    assert sizes == sorted(sizes)
    assert sizes[-1] == 6
    short = choose_tournament(ARMS, cost, 10)
    assert short is not None
    assert short.rounds == (5,)
    assert short.variants[0].count == 10


def test_rounds_double_and_the_dearest_are_reckoned_with() -> None:
    chosen = choose_tournament(ARMS, cost, 1000)
    assert chosen is not None
    assert chosen.rounds == (2, 4, 8)
    first = 2 * (14 + 7 + 4 + 7 + 14 + 7) / 4
    assert tournament_seconds(chosen.variants, cost) == pytest.approx(
        first + 4 * (14 + 14 + 7) / 4 + 8 * 14 / 4 + 5
    )


def test_survivors_are_the_most_accurate_then_the_surest() -> None:
    a, b, c = ARMS[:3]
    assert survivors([(a, 0.8, 0.5), (b, 0.9, 0.7), (c, 0.9, 0.4)], 2) == [c, b]
