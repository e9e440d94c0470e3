from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from regraft.detection.detectors.run_files import DetectorFiles
from regraft.detection.detectors.run_tables import BoxRow, PictureRow, SuspectRow
from regraft.explanation.pictures import Pictures
from regraft.reports.detection.views import Prints, crops
from regraft.storage.files import sha256_of_file
from tests.reports.detector_runs import DetectorRunFolder


@pytest.fixture
def files(tmp_path: Path) -> DetectorFiles:
    """One grey picture with a red square at (300, 100) to (340, 140)."""
    image = Image.new("RGB", (400, 200), "grey")
    image.paste("red", (300, 100, 340, 140))
    image.save(tmp_path / "a.png")
    row = PictureRow("a.png", "test", 400, 200, sha256_of_file(tmp_path / "a.png"))
    boxes = [BoxRow("a.png", "test", "cell", 300, 100, 340, 140)]
    return DetectorFiles(DetectorRunFolder(tmp_path, [row], boxes, []).write(tmp_path / "run"))


def cropped(files: DetectorFiles, *corners: float) -> tuple[object, Image.Image]:
    suspect = SuspectRow("a.png", "test", "cell", 0.5, *corners, "forgotten")
    rows = {row.path: row for row in files.pictures}
    (crop,) = crops([suspect], rows, files.boxes, Pictures(files))
    assert crop.image is not None
    return crop, crop.image


def test_a_crop_has_its_suspect_in_the_middle(files: DetectorFiles) -> None:
    crop, image = cropped(files, 300, 100, 340, 140)
    assert (crop.x, crop.y, crop.side) == (276, 76, 88)  # type: ignore[attr-defined]
    scale = image.width / 88
    assert image.getpixel((round(44 * scale), round(44 * scale))) == (255, 0, 0)
    assert image.getpixel((round(20 * scale), round(44 * scale))) == (128, 128, 128)


def test_a_crop_at_the_edge_stays_inside(files: DetectorFiles) -> None:
    crop, image = cropped(files, 0, 180, 20, 200)
    assert (crop.x, crop.y, crop.side) == (0, 156, 44)  # type: ignore[attr-defined]
    assert image.width == image.height


def test_a_crop_larger_than_the_picture_shows_all_of_it(files: DetectorFiles) -> None:
    crop, image = cropped(files, 0, 0, 400, 200)
    assert (crop.left, crop.top, crop.width, crop.height) == (0, 0, 400, 200)  # type: ignore[attr-defined]
    assert image.width == pytest.approx(2 * image.height, abs=1)


def test_neighbours_are_drawn_but_not_the_suspect_itself(files: DetectorFiles) -> None:
    assert cropped(files, 300, 100, 340, 140)[0].others == ""  # type: ignore[attr-defined]
    assert cropped(files, 310, 90, 350, 130)[0].others == "M300 100h40v40h-40z"  # type: ignore[attr-defined]


def test_a_suspect_of_an_unknown_picture_is_left_out(files: DetectorFiles) -> None:
    suspect = SuspectRow("b.png", "test", "cell", 0.5, 0, 0, 1, 1, "forgotten")
    assert crops([suspect], {}, [], Pictures(files)) == []


def test_a_print_is_no_larger_than_asked_and_empty_without_file(files: DetectorFiles) -> None:
    prints = Prints(Pictures(files))
    assert prints.uri("a.png", 100, 60).startswith("data:image/jpeg;base64,")
    assert len(prints.uri("a.png", 100, 60)) < len(prints.uri("a.png", 400, 90))
    assert prints.uri("none.png", 100, 60) == ""
