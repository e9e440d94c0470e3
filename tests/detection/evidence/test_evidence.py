from __future__ import annotations

import numpy as np
import pytest

from regraft.detection.evidence.evidence import GRID, Claim, apart, evidence, runs_for
from tests.detection.evidence.examples import BOX, PROBABILITY, spotted

INSIDE, NEAR, FAR = np.s_[56:64, 80:88], np.s_[56:64, 140:148], np.s_[140:148, 230:238]


def test_the_largest_fall_is_where_the_spot_is() -> None:
    looking, look, claim = spotted(INSIDE)
    [found] = evidence(looking, look, [claim])
    rows, columns = found.around
    assert (rows, columns) == (slice(16, 112), slice(32, 160))  # the box and half of it around
    y, x = np.unravel_index(found.heat.argmax(), found.heat.shape)
    # rectangles overlap by half, so that the maximum is at most half a rectangle away
    assert abs(rows.start + y - 60) <= 96 / (GRID + 1)
    assert abs(columns.start + x - 84) <= 128 / (GRID + 1)
    assert found.heat.shape == (96, 128)
    assert found.heat.min() == 0 < found.heat.max() <= PROBABILITY + 1e-6


def test_a_spot_that_a_rectangle_covers_whole_leaves_nothing() -> None:
    looking, look, claim = spotted(INSIDE)
    [found] = evidence(looking, look, [claim])
    assert found.lowest == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("spots", "without", "alone", "ground"),
    [
        ([INSIDE], 0.0, PROBABILITY, "the box"),
        ([NEAR], PROBABILITY, 0.0, "its surroundings"),
        ([INSIDE, NEAR, FAR], 2 / 3 * PROBABILITY, PROBABILITY / 3, "its surroundings"),
        ([INSIDE, FAR], PROBABILITY / 2, PROBABILITY / 2, "either"),
    ],
    ids=["inside", "near", "mostly outside", "half"],
)
def test_what_is_left_says_on_what_a_box_rests(
    spots: list[tuple[slice, slice]], without: float, alone: float, ground: str
) -> None:
    looking, look, claim = spotted(*spots)
    [found] = evidence(looking, look, [claim])
    assert (found.without, found.alone) == pytest.approx((without, alone), abs=1e-6)
    assert found.rests_on(PROBABILITY + (1e-6 if ground != "either" else -1e-5)) == ground


def test_boxes_that_are_apart_share_their_runs() -> None:
    _, look, claim = spotted(INSIDE)
    other = Claim(np.array([200.0, 120, 220, 140]), 0, 0.5)
    touching = Claim(np.array([120.0, 60, 160, 90]), 0, 0.5)
    assert runs_for(look, [claim]) == GRID * GRID + 2
    assert runs_for(look, [claim, other]) == GRID * GRID + 4
    assert runs_for(look, [claim, touching]) == 2 * GRID * GRID + 4


def test_sharing_runs_changes_nothing_for_boxes_that_ignore_each_other() -> None:
    looking, look, claim = spotted(INSIDE)
    other = Claim(np.array([200.0, 120, 220, 140]), 1, 0.5)  # nothing of this class is found
    [alone], [among, _] = evidence(looking, look, [claim]), evidence(looking, look, [claim, other])
    assert np.allclose(alone.heat, among.heat)
    assert alone.lowest == among.lowest


def test_groups_hold_only_rectangles_that_are_apart() -> None:
    generator = np.random.default_rng(0)
    corners = generator.integers(0, 80, (40, 2))
    places = [np.s_[int(y) : int(y) + 12, int(x) : int(x) + 9] for y, x in corners]
    groups = apart(places)
    assert sorted(number for group in groups for number in group) == list(range(40))
    for group in groups:
        canvas = np.zeros((100, 100), int)
        for number in group:
            canvas[places[number]] += 1
        assert canvas.max() == 1


def test_a_box_at_the_corner_is_covered_inside_the_picture() -> None:
    looking, look, _ = spotted(INSIDE)
    [found] = evidence(looking, look, [Claim(np.array([250.0, 0, 256, 4]), 0, PROBABILITY)])
    assert found.around == (slice(0, 20), slice(234, 256))


def test_a_box_that_moves_away_is_supported_less() -> None:
    from regraft.detection.evidence.support import support
    from regraft.detection.maps.found import Found

    half = (BOX[0], BOX[1], (BOX[0] + BOX[2]) / 2, BOX[3])
    several = [Found.of([half], [0], [0.8]), Found.of([BOX], [1], [0.8]), Found.of([], [], [])]
    assert support(several, BOX, 0).tolist() == pytest.approx([0.4, 0, 0])
