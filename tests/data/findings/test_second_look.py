from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from regraft.data.findings.duplicates import connected
from regraft.data.findings.look_alikes import compared
from regraft.data.findings.second_look import LOOK_PX, differ_in_one_place
from tests.cases.scenes import scene, scratched, shot


def look(image: Image.Image) -> np.ndarray:
    small = image.convert("L").resize((LOOK_PX, LOOK_PX), Image.Resampling.BOX)
    return np.asarray(small).reshape(1, -1)


def compressed(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=40)
    return Image.open(file)


@pytest.mark.parametrize("number", range(4))
def test_copies_differ_everywhere(number: int) -> None:
    original = scene(number)
    for copy in (
        compressed(original),
        original.resize((70, 70)),
        original.point(lambda value: round(0.8 * value + 20)),
        shot(original, (number, 0)),
    ):
        assert not differ_in_one_place(look(original), look(copy))[0]


@pytest.mark.parametrize("number", range(4))
def test_a_scratch_is_in_one_place(number: int) -> None:
    original = scene(number)
    other = compressed(scratched(shot(original, (number, 1)), (number, 1)))
    assert differ_in_one_place(look(original), look(other))[0]


def test_pairs_are_counted_even_where_not_all_are_kept() -> None:
    """200 equal thumbnails of two labels in turn: 2 x 100 x 99 / 2 pairs within, 100 x 100 across."""
    one = np.random.default_rng(0).integers(0, 256, 256, dtype=np.uint8)
    found = compared(np.tile(one, (200, 1)), ["a", "b"] * 100)
    assert found.counts == (9_900, 10_000)
    assert len(found.within) + len(found.across) <= 200 * 100
    assert len(set(connected(200, found.within).tolist())) == 2
