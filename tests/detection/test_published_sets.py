"""The two published data sets of boxes, with numbers that were counted by other means."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from regraft.detection.annotations.reading import read_boxes
from regraft.workflow.check import load_boxes, load_images
from tests.detection.examples import Drawn, by_kind, sides, written


def test_blood_cells(shared: Callable[[str], Path]) -> None:
    folder = shared("data/det_bccd")
    boxes = read_boxes(folder)
    texts = [path.read_text() for path in (folder / "BCCD" / "Annotations").glob("*.xml")]
    counted = Counter(name for text in texts for name in re.findall(r"<name>(.*?)</name>", text))
    assert counted.total() == 4888
    found = Counter(box.label for picture in boxes.pictures for box in picture.boxes)
    assert counted - found == Counter(RBC=2)
    assert Counter(sides(boxes).values()) == {"train": 205, "validation": 87, "test": 72}
    assert boxes.skipped == ()


def test_blood_cells_without_area(shared: Callable[[str], Path]) -> None:
    boxes = read_boxes(shared("data/det_bccd"))
    files = [finding.paths[1] for finding in boxes.findings if finding.kind == "zero-area"]
    assert files == [f"BCCD/Annotations/BloodImage_00{number}.xml" for number in (338, 343)]
    assert set(by_kind(boxes)) == {"zero-area", "ignored"}


def test_forks_and_scissors(shared: Callable[[str], Path]) -> None:
    boxes = read_boxes(shared("data/det_forkscissors"))
    assert boxes.counts() == {("fork", None): 20, ("scissors", None): 20}
    assert len(boxes.pictures) == 40
    assert by_kind(boxes)["unlabelled"] == [
        "1 picture without usable annotations, set aside: it is not known whether it has boxes"
    ]
    for picture in boxes.pictures:
        assert Path(picture.path).stem.startswith(picture.boxes[0].label)


def test_blood_cells_are_the_same_from_another_format(shared: Callable[[str], Path], tmp_path: Path) -> None:
    pictures = read_boxes(shared("data/det_bccd")).pictures[:40]
    copies = [
        Drawn(f"{number}.png", picture.width, picture.height, picture.boxes)
        for number, picture in enumerate(pictures)
    ]
    again = read_boxes(written(tmp_path, "yolo", copies)).pictures
    expected = {f"images/{copy.name}": sorted(copy.boxes) for copy in copies}
    assert {picture.path: sorted(picture.boxes) for picture in again} == expected


def test_folders_of_classes_stay_classes_whatever_annotation_files_are_there(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for number in range(3):
            Image.new("RGB", (40, 30), (60 * number, 0, 0)).save(tmp_path / label / f"{number}.png")
    voc = "<annotation><filename>0.png</filename><object><name>cat</name><bndbox><xmin>1</xmin><ymin>1</ymin>"
    (tmp_path / "cat" / "0.xml").write_text(
        f"{voc}<xmax>20</xmax><ymax>20</ymax></bndbox></object></annotation>"
    )
    assert load_boxes(tmp_path) is None
    assert load_images(tmp_path).labels == ("cat", "dog")
    boxes = load_boxes(tmp_path, boxes_format="voc")
    assert boxes is not None
    assert boxes.labels == ("cat",)
