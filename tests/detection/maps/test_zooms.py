"""Zoomed pictures and their boxes: what is painted lies where its box says."""

from __future__ import annotations

import numpy as np
import pytest

from regraft.detection.maps.cached_maps import AS_IT_IS, MIRRORED, ZOOMED, ZOOMED_MIRRORED, in_view
from regraft.detection.maps.canvas import Placement, on_canvas
from regraft.detection.maps.scenes import Scene
from regraft.detection.maps.zooms import MOST, zoom_window
from regraft.detection.training.map_views import IGNORED, clipped, view_rows
from regraft.evaluation.boxes import overlaps
from regraft.records import InputSpec
from tests.detection.maps.test_canvas import bounds, draws, file_of, painted

SPEC = InputSpec(size_px=64, width_px=96, interpolation="bilinear", mean=(0, 0, 0), std=(1, 1, 1))


def test_a_painted_rectangle_lies_in_a_zoomed_view_where_its_box_says() -> None:
    wrong, seen = [], 0
    for number, (width, height, box, orientation, is_mirrored) in enumerate(draws()):
        key = f"{number:064x}"
        data = file_of(painted(width, height, box), orientation)
        canvas, placement = on_canvas(
            data,
            SPEC,
            is_mirrored=is_mirrored,
            window=lambda wide, high, key=key: zoom_window(wide, high, key, 2),  # type: ignore[misc]
            times=MOST,
        )
        inside, shares = clipped(placement.onto(box), placement.covered)
        if shares[0] == 0 or (inside[0, 2:] - inside[0, :2] < 12).any():
            continue
        seen += 1
        share = overlaps(bounds(canvas, placement), inside)[0, 0]
        if share < 0.92:  # at the edges, a window of few pixels is rounded to whole ones
            wrong.append((width, height, box.tolist(), orientation, is_mirrored, share))
    assert wrong == []
    assert seen > 80


@pytest.mark.parametrize("view", [AS_IT_IS, MIRRORED, ZOOMED, ZOOMED_MIRRORED])
def test_back_undoes_onto_in_every_view(view: int) -> None:
    for number, (width, height, box, _, _) in enumerate(draws()):
        placement = in_view(Placement(width, height, 96, 64), f"{number:064x}", view)
        assert placement.back(placement.onto(box)) == pytest.approx(box[None], abs=1e-6)


def test_zooms_are_as_large_as_they_may_be_and_hold_or_are_held_by_the_picture() -> None:
    zooms = []
    for number in range(300):
        left, top, right, bottom = zoom_window(640, 480, f"{number:064x}", 2)
        zooms.append(640 / (right - left))
        assert (right - left) / 640 == pytest.approx((bottom - top) / 480, abs=0.003)
        is_part = left >= 0 and top >= 0 and right <= 640 and bottom <= 480
        is_whole = left <= 0 and top <= 0 and right >= 640 and bottom >= 480
        assert is_part or is_whole
    assert 1 / MOST - 0.01 < min(zooms) < 0.7
    assert 1.5 < max(zooms) < MOST + 0.01
    assert 0.9 < float(np.exp(np.mean(np.log(zooms)))) < 1.1


def test_views_are_functions_of_the_picture_and_the_view() -> None:
    assert zoom_window(640, 480, "a", 2) == zoom_window(640, 480, "a", 2)
    assert len({zoom_window(640, 480, key, view) for key in ("a", "b") for view in (2, 3)}) == 4


def test_boxes_of_which_little_is_seen_are_ignored_and_others_follow() -> None:
    corners = np.array([[0.0, 0, 640, 480], [1, 1, 2, 2], [638, 478, 639, 479]])
    none = np.zeros(3, bool)
    for number in range(50):
        place = Placement(640, 480, 512, 384)
        scene = Scene(f"{number:064x}", "", place, corners, np.arange(3), none, none)
        rows = view_rows(scene, ZOOMED)
        window = in_view(place, scene.key, ZOOMED).window
        assert window is not None
        share = (window[2] - window[0]) * (window[3] - window[1]) / (640 * 480)
        assert rows[0, 0] == (IGNORED if share < 0.4 else 0)
        if share < 0.95:
            assert len(rows) < 3  # two opposite corners can't both be seen
        assert (rows[:, 1:] >= 0).all()
        assert (rows[:, 1:] <= [512, 384, 512, 384]).all()
