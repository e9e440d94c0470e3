from __future__ import annotations

import numpy as np

from regraft.evaluation.boxes import overlaps
from regraft.lab.regions.search import selective_search


def picture() -> np.ndarray:
    """A red square, and next to each other a green and a blue part of one object, on grey."""
    pixels = np.full((96, 128, 3), 128, dtype=np.uint8)
    pixels[20:60, 10:50] = (220, 30, 30)
    pixels[30:80, 80:100] = (30, 200, 30)
    pixels[30:80, 100:120] = (30, 60, 220)
    return pixels


def test_plain_objects_and_what_touches_are_proposed() -> None:
    found = selective_search(picture())
    objects = np.array([[10, 20, 50, 60], [80, 30, 120, 80], [80, 30, 100, 80], [0, 0, 128, 96]], float)
    assert overlaps(found, objects).max(axis=0).min() > 0.9


def test_proposals_lie_in_the_picture_and_are_different() -> None:
    found = selective_search(picture())
    assert (found >= 0).all()
    assert (found <= [128, 96, 128, 96]).all()
    assert len(np.unique(found, axis=0)) == len(found)
    assert (found[:, 2:] - found[:, :2] >= 8).all()


def test_fewer_proposals_are_the_first_ones() -> None:
    noisy = picture() + np.random.default_rng(0).integers(0, 30, (96, 128, 3), dtype=np.uint8)
    found = selective_search(noisy)
    assert len(found) > 5
    assert selective_search(noisy, most=5).tolist() == found[:5].tolist()


def test_a_picture_of_one_colour_is_one_proposal() -> None:
    assert selective_search(np.full((40, 60, 3), 9, np.uint8)).tolist() == [[0, 0, 60, 40]]
