"""Tiles cover a picture; what is found in them is put together by hand-checked rules."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regraft.detection.maps.found import Found
from regraft.detection.results.tiles import Tile, merged, tiles
from regraft.errors import SettingsError

LEFT, RIGHT = Tile(0, 0, 60, 50), Tile(40, 0, 60, 50)
"""A picture of 100 x 50 pixels in two tiles that share 20 columns."""


def found(*boxes: tuple[float, ...], classes: list[int] | None = None) -> Found:
    """Boxes `(left, top, right, bottom, score)`."""
    rows = np.array(boxes).reshape(-1, 5)
    return Found.of(rows[:, :4], classes or [0] * len(rows), rows[:, 4])


def test_tiles_by_hand() -> None:
    assert tiles(100, 50, columns=1, rows=1) == (Tile(0, 0, 100, 50),)
    assert tiles(100, 60, columns=2, rows=2, overlap_share=0.0) == (
        Tile(0, 0, 50, 30), Tile(50, 0, 50, 30), Tile(0, 30, 50, 30), Tile(50, 30, 50, 30),
    )  # fmt: skip
    # Three tiles of 50 pixels with a fifth in common: 50 + 40 + 40 = 130.
    assert [tile.left for tile in tiles(130, 9, columns=3, rows=1, overlap_share=0.2)] == [0, 40, 80]


@given(
    side=st.integers(1, 400),
    count=st.integers(1, 9),
    overlap=st.floats(0, 0.9),
)
@settings(max_examples=300, deadline=None)
def test_tiles_cover_the_picture_and_overlap_enough(side: int, count: int, overlap: float) -> None:
    count = min(count, side)
    row = tiles(side, 1, columns=count, rows=1, overlap_share=overlap)
    assert len(row) == count
    assert (row[0].left, row[-1].right) == (0, side)
    assert len({tile.width for tile in row}) == 1
    for one, other in pairwise(row):
        assert one.right - other.left >= overlap * one.width - 1e-6


@pytest.mark.parametrize(
    ("columns", "rows", "overlap", "text"),
    [
        (0, 1, 0.2, "0 columns of tiles are outside of 1 to 100"),
        (1, 51, 0.2, "51 rows of tiles are outside of 1 to 50"),
        (2, 2, 0.95, "an overlap of 0.95 is outside of 0 to 0.9"),
        (2, 2, float("nan"), "an overlap of nan"),
    ],
)
def test_numbers_out_of_range_are_refused(columns: int, rows: int, overlap: float, text: str) -> None:
    with pytest.raises(SettingsError, match=text):
        tiles(100, 50, columns=columns, rows=rows, overlap_share=overlap)


def test_boxes_come_back_to_the_picture() -> None:
    whole = merged([(LEFT, found((5, 5, 15, 15, 0.3))), (RIGHT, found((30, 5, 40, 15, 0.9)))])
    assert whole.corners.tolist() == [[70, 5, 80, 15], [5, 5, 15, 15]]
    assert whole.scores.tolist() == [0.9, 0.3]


def test_an_object_in_the_overlap_is_there_once() -> None:
    whole = merged([(LEFT, found((43, 5, 55, 15, 0.8))), (RIGHT, found((3, 5, 15, 15, 0.9)))])
    assert (whole.corners.tolist(), whole.scores.tolist()) == ([[43, 5, 55, 15]], [0.9])


def test_a_piece_vanishes_in_the_whole_object_even_if_it_is_more_certain() -> None:
    # The object has the columns 45 to 70. The left tile ends at 60: its piece has three fifths of it.
    whole = merged([(LEFT, found((45, 5, 60, 15, 0.95))), (RIGHT, found((5, 5, 30, 15, 0.6)))])
    assert whole.corners.tolist() == [[45, 5, 70, 15]]


def test_a_piece_stays_where_nothing_larger_is_found() -> None:
    whole = merged([(LEFT, found((45, 5, 60, 15, 0.95))), (RIGHT, found())])
    assert whole.corners.tolist() == [[45, 5, 60, 15]]


def test_a_piece_stays_in_a_box_of_another_class_or_of_its_own_tile() -> None:
    piece, around = (45, 5, 60, 15, 0.9), (41, 1, 60, 20, 0.8)
    assert len(merged([(LEFT, found(piece, around)), (RIGHT, found())])) == 2
    assert len(merged([(LEFT, found(piece)), (RIGHT, Found.of([[2, 1, 40, 20]], [1], [0.8]))])) == 2


@pytest.mark.parametrize(("right", "count"), [(54, 1), (51, 2)], ids=["12 of 20 columns", "9 of 20 columns"])
def test_a_piece_vanishes_if_three_fifths_of_it_are_inside(right: int, count: int) -> None:
    larger = (42 - 40, 0, right - 40, 40, 0.5)  # from the right tile, above the same rows
    assert len(merged([(LEFT, found((40, 10, 60, 20, 0.9))), (RIGHT, found(larger))])) == count


def test_of_two_alike_the_more_certain_one_is_kept() -> None:
    # 10 and 11 columns wide, both at an inner border.
    whole = merged([(LEFT, found((48, 5, 58, 15, 0.9))), (RIGHT, found((8, 5, 19, 15, 0.6)))])
    assert (whole.corners.tolist(), whole.scores.tolist()) == ([[48, 5, 58, 15]], [0.9])


def test_the_border_of_the_picture_cuts_nothing() -> None:
    # Both touch the upper border of the picture, and only the lower right tile's box is at an inner border.
    small = merged([(LEFT, found((5, 0, 12, 8, 0.9))), (RIGHT, found())])
    assert len(small) == 1
    inside = merged([(LEFT, found((0, 0, 9, 9, 0.5), (0, 0, 59, 49, 0.4))), (RIGHT, found())])
    assert len(inside) == 2


def test_an_object_that_no_tile_shows_whole_needs_the_whole_picture() -> None:
    pieces = [(LEFT, found((20, 5, 60, 45, 0.9))), (RIGHT, found((0, 5, 50, 45, 0.8)))]
    assert len(merged(pieces)) == 2
    whole = merged([*pieces, (Tile(0, 0, 100, 50), found((20, 5, 90, 45, 0.7)))])
    assert whole.corners.tolist() == [[20, 5, 90, 45]]


def test_two_pieces_that_are_inside_each_other_do_not_both_vanish() -> None:
    # Columns 38 to 62: each tile misses two of them, and each piece is mostly inside the other.
    whole = merged([(LEFT, found((38, 5, 60, 15, 0.5))), (RIGHT, found((0, 5, 22, 15, 0.5)))])
    assert len(whole) == 1


def test_nothing_found_is_nothing() -> None:
    assert len(merged([])) == len(merged([(LEFT, found()), (RIGHT, found())])) == 0


def detected(tile: Tile, truth: np.ndarray) -> Found:
    """What a perfect detector finds in a tile: the visible part of each object, one class for each."""
    low, high = np.array([tile.left, tile.top] * 2), np.array([tile.right, tile.bottom] * 2)
    seen = np.clip(truth, low, high) - low
    is_seen = (seen[:, 2] > seen[:, 0]) & (seen[:, 3] > seen[:, 1])
    shares = (seen[:, 2] - seen[:, 0]) * (seen[:, 3] - seen[:, 1])
    scores = shares / ((truth[:, 2] - truth[:, 0]) * (truth[:, 3] - truth[:, 1]))
    return Found.of(seen[is_seen], np.flatnonzero(is_seen), scores[is_seen])


@given(
    seed=st.integers(0, 10**6),
    columns=st.integers(1, 4),
    rows=st.integers(1, 3),
    overlap=st.sampled_from([0.0, 0.1, 0.25, 0.5]),
)
@settings(max_examples=150, deadline=None)
def test_every_object_that_a_tile_shows_whole_is_found_once(
    seed: int, columns: int, rows: int, overlap: float
) -> None:
    generator = np.random.default_rng(seed)
    corners = generator.integers(0, (180, 120), (12, 2))
    sides = generator.integers(4, 60, (12, 2))
    truth = np.concatenate([corners, np.minimum(corners + sides, (200, 140))], axis=1).astype(float)
    parts = tiles(200, 140, columns=columns, rows=rows, overlap_share=overlap)
    whole = merged([(tile, detected(tile, truth)) for tile in parts])
    for number, box in enumerate(truth):
        own = whole.corners[whole.classes == number]
        is_whole = any(
            tile.left <= box[0] and tile.top <= box[1] and box[2] <= tile.right and box[3] <= tile.bottom
            for tile in parts
        )
        if is_whole:
            assert own.tolist() == [box.tolist()]
        else:  # pieces: nothing is lost, nothing is larger than the object
            assert len(own)
            assert (own[:, :2] >= box[:2]).all()
            assert (own[:, 2:] <= box[2:]).all()


@given(seed=st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_objects_smaller_than_the_overlap_are_found_as_in_the_whole_picture(seed: int) -> None:
    generator = np.random.default_rng(seed)
    # Objects of 12 x 12 pixels at most, in cells of 20 x 20: none overlaps with another one of its class.
    cells = generator.permutation(70)[:40]
    corners = np.stack([cells % 10, cells // 10], axis=1) * 20 + generator.integers(0, 8, (40, 2))
    truth = np.concatenate([corners, corners + generator.integers(3, 13, (40, 2))], axis=1).astype(float)
    parts = tiles(200, 140, columns=3, rows=2, overlap_share=0.2)
    found_in = []
    for tile in parts:
        one = detected(tile, truth)
        found_in.append((tile, Found.of(one.corners, np.zeros(len(one), int), one.scores)))
    assert sorted(merged(found_in).corners.tolist()) == sorted(truth.tolist())
