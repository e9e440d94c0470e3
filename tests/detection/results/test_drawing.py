from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from regraft.detection.annotations.boxes import Box
from regraft.detection.results.colours import PALETTE, styles_of
from regraft.detection.results.drawing import draw_boxes, tags_of
from regraft.detection.results.marked import MarkedBox

STYLES = styles_of(["cat", *(f"class {number}" for number in range(1, 24))])
GREEN = (0, 204, 0)


def mark(
    left: float, top: float, right: float, bottom: float, label: str = "cat", score: float = 0.9
) -> MarkedBox:
    return MarkedBox(Box(label, left, top, right, bottom), score)


def drawn(size: tuple[int, int], *marks: MarkedBox, ground: str = "white") -> np.ndarray:
    return np.asarray(draw_boxes(Image.new("RGB", size, ground), marks, STYLES))


def test_the_outline_is_inside_the_box_and_its_black_edge_around() -> None:
    pixels = drawn((500, 500), mark(100, 200, 400, 450))
    row = pixels[400]  # below the tag: black edge, two pixels of colour, black edge
    assert [tuple(row[x]) for x in (98, 99, 100, 101, 102, 103)] == [
        (255, 255, 255), (0, 0, 0), GREEN, GREEN, (0, 0, 0), (255, 255, 255),
    ]  # fmt: skip
    assert [tuple(row[x]) for x in (398, 399, 400)] == [GREEN, GREEN, (0, 0, 0)]
    assert [tuple(pixels[y, 300]) for y in (449, 450)] == [GREEN, (0, 0, 0)]


def test_the_original_is_not_changed() -> None:
    image = Image.new("RGB", (50, 50), "white")
    draw_boxes(image, [mark(5, 5, 40, 40)], STYLES)
    assert image.getcolors() == [(2500, (255, 255, 255))]


def test_lines_and_letters_grow_with_the_picture() -> None:
    small, large = (tags_of(size, [mark(9, 90, 300, 300)])[0] for size in ((400, 400), (4000, 4000)))
    assert small is not None
    assert large is not None
    heights = [tag.frame[3] - tag.frame[1] for tag in (small, large)]
    assert 5 < heights[1] / heights[0] < 10
    assert tuple(drawn((4000, 4000), mark(1000, 1000, 3000, 3000))[2000, 1015]) == GREEN


def test_a_small_box_is_not_filled_by_its_line() -> None:
    pixels = drawn((4000, 3000), mark(2000, 2000, 2012, 2012))
    assert tuple(pixels[2006, 2006]) == (255, 255, 255)


def test_the_most_certain_box_is_on_top() -> None:
    pixels = drawn((500, 500), mark(100, 200, 400, 450), mark(100, 200, 400, 450, "class 1", 0.2))
    assert tuple(pixels[400, 100]) == GREEN


def test_a_broken_line_shows_both_colour_and_edge() -> None:
    column = {tuple(pixel) for pixel in drawn((500, 500), mark(100, 100, 400, 480, "class 8"))[200:450, 100]}
    assert column == {GREEN, (0, 0, 0)}
    assert STYLES["class 8"].colour == PALETTE[0]


@given(
    width=st.integers(1, 300),
    height=st.integers(1, 300),
    frames=st.lists(st.tuples(*[st.floats(0, 1)] * 4), min_size=1, max_size=6),
    label=st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=60),
)
@settings(max_examples=150, deadline=None)
def test_tags_never_leave_the_picture(
    width: int, height: int, frames: list[tuple[float, float, float, float]], label: str
) -> None:
    marks = [
        mark(min(a, c) * width, min(b, d) * height, max(a, c) * width, max(b, d) * height, label)
        for a, b, c, d in frames
    ]
    for tag in tags_of((width, height), marks):
        assert tag is None or (
            0 <= tag.frame[0] < tag.frame[2] <= width and 0 <= tag.frame[1] < tag.frame[3] <= height
        )
        assert tag is None or tag.font.getlength(tag.text) <= tag.frame[2] - tag.frame[0]


def test_a_text_that_is_too_long_is_shortened_and_keeps_its_score() -> None:
    (tag,) = tags_of((80, 60), [mark(5, 5, 60, 50, "a label that is far too long")])
    assert tag is not None
    assert tag.text.startswith("a lab")
    assert tag.text.endswith("… 90%")


def test_a_picture_that_is_too_small_gets_no_tag() -> None:
    assert tags_of((6, 6), [mark(1, 1, 5, 5)]) == [None]


def test_tags_of_neighbours_do_not_hide_each_other() -> None:
    tags = tags_of((400, 400), [mark(100, 100, 130, 200), mark(110, 100, 140, 200), mark(120, 100, 150, 200)])
    frames = [tag.frame for tag in tags if tag is not None]
    for number, one in enumerate(frames):
        for other in frames[number + 1 :]:
            assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK"])
def test_pictures_of_other_modes_are_drawn_on(mode: str) -> None:
    assert draw_boxes(Image.new(mode, (50, 50)), [mark(5, 5, 40, 40)], STYLES).mode == "RGB"
