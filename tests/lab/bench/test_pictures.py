from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regraft.lab.bench.pictures import PICTURE_PX, write_digit_pictures, write_faces

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("write", "counts"),
    [
        (write_digit_pictures, {str(digit): 100 for digit in range(10)}),
        (write_faces, {"face": 100, "other": 100}),
    ],
    ids=["digits", "faces"],
)
def test_each_class_has_a_folder_of_a_hundred_pictures(
    write: Callable[[Path], None], counts: dict[str, int], tmp_path: Path
) -> None:
    write(tmp_path)
    assert {path.name: len(list(path.glob("*.png"))) for path in tmp_path.iterdir()} == counts


def test_writing_again_leaves_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_digit_pictures(tmp_path / name)
    for path in sorted((tmp_path / "one").glob("7/*.png")):
        assert path.read_bytes() == (tmp_path / "two" / "7" / path.name).read_bytes()


def test_no_ink_reaches_the_margin_that_a_central_crop_leaves_out(tmp_path: Path) -> None:
    write_digit_pictures(tmp_path)
    for path in (tmp_path / "8").glob("*.png"):
        pixels = np.asarray(Image.open(path)).astype(int)
        assert pixels.shape == (PICTURE_PX, PICTURE_PX)
        border = np.concatenate([pixels[:6].ravel(), pixels[-6:].ravel(), pixels[:, :6].ravel()])
        assert border.min() == border.max() < pixels.max() - 100
