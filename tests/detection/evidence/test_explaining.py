from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from regraft.detection.detectors.bundle import load_detector
from regraft.detection.detectors.calibration import Calibration
from regraft.detection.detectors.detector import Detector
from regraft.detection.detectors.finders import GridFinder, RegionsFinder
from regraft.detection.detectors.run_tables import BOXES, PICTURES
from regraft.detection.evidence.explaining import DetectorExplanation, explain_detector
from regraft.detection.evidence.looking import Looking
from regraft.detection.solved.regions import Pass, Regions, row_width
from regraft.detection.trained.detector import TrainedDetector
from regraft.detection.trained.finder import TrainedFinder
from regraft.detection.trained.record import TrainedRecord
from regraft.errors import SettingsError
from regraft.features.opening import open_runtime
from regraft.progress import Silent


def explained(run: Path, *images: Path, **changes: Any) -> DetectorExplanation:
    usual: dict[str, Any] = {"label": None, "boxes": 6, "neighbours": 4, "data": None, "reporter": Silent()}
    return explain_detector(run, images, **{**usual, **changes})


def of_kind(kind: str, detector: Detector) -> Detector:
    """A detector of the same maps; what is trained has random weights."""
    finder: Any = detector.finder
    if kind in ("one-stage", "two-stage"):
        canvas = (detector.weights.input_spec.shape[1], detector.weights.input_spec.shape[0])
        record = TrainedRecord(kind=kind, levels=finder.levels, canvas=canvas, classes=2, width=8, regions=16)
        trained = TrainedDetector.new(record, None)
        head: Any = trained.head
        with torch.no_grad():  # every cell may hold an object, so that there is something to be found
            head.dense.says.bias[: head.dense.classes] = 0
        return replace(detector, finder=TrainedFinder(trained), calibration=Calibration(intercepts=(0, 0)))
    grid = finder.grid if isinstance(finder, GridFinder) else finder.regions.grid
    if kind == "grid":
        return replace(detector, finder=GridFinder(finder.projection, grid))
    width = row_width(finder.projection) + 1
    one = Pass(np.full((width, 2), 1e-3), np.zeros((width, 4)))
    return replace(detector, finder=RegionsFinder(finder.projection, Regions(grid, (one,))))


@pytest.mark.parametrize("kind", ["grid", "regions", "one-stage", "two-stage"])
def test_what_is_explained_is_what_is_predicted(kind: str, shapes: Path, shapes_detector: Detector) -> None:
    detector = of_kind(kind, shapes_detector)
    runtime = open_runtime(detector.weights, name="torch", cut="maps", reporter=Silent())
    look = Looking(detector, runtime).look(shapes / "images" / "05.png")
    [said] = detector.predict(shapes / "images" / "05.png", runtime="torch")
    assert len(look.found) > 0
    assert look.found.corners == pytest.approx(said.found.corners, abs=1e-3)
    assert look.found.scores == pytest.approx(said.found.scores, abs=1e-5)
    assert len(look.shown) == len(said.shown)
    [again] = Looking(detector, runtime).found(look.pixels[None], look.placement)
    assert again.above(0.01).scores == pytest.approx(look.found.scores, abs=1e-5)


@pytest.fixture(scope="module")
def explanation(shapes: Path, shapes_run: Path) -> DetectorExplanation:
    tested = [row.path for row in PICTURES.read(shapes_run) if row.side == "test"]
    training = [row.path for row in BOXES.read(shapes_run) if row.side == "train"][:1]
    return explained(shapes_run, *(shapes / path for path in (*tested, *training)))


def test_pictures_of_the_run_are_recognised_by_their_content(
    explanation: DetectorExplanation, shapes_run: Path, shapes: Path, tmp_path: Path
) -> None:
    for one in explanation.pictures:
        assert one.annotated is not None
        assert one.path.endswith(one.annotated.picture.path)
    copy = shutil.copy(shapes / "images" / "05.png", tmp_path / "new name.png")
    [one] = explained(shapes_run, Path(copy), neighbours=0).pictures
    assert one.annotated is not None
    assert one.annotated.picture.path == "images/05.png"


def test_similar_boxes_are_training_boxes_of_other_pictures(explanation: DetectorExplanation) -> None:
    boxes = [(one, box) for one in explanation.pictures for box in one.boxes]
    assert boxes
    for one, box in boxes:
        assert len(box.alike) == 4
        assert {near.box.side for near in box.alike} == {"train"}
        assert not {near.box.path for near in box.alike} & {Path("images", Path(one.path).name).as_posix()}
        assert box.label not in {near.box.label for near in box.others}


def test_most_similar_boxes_have_the_colour_of_the_object(
    explanation: DetectorExplanation, shapes_run: Path
) -> None:
    """Discs are red and squares are blue, which is all that a network of random weights must tell."""
    right = [box for one in explanation.pictures for box in one.boxes if box.kind == "right"]
    assert right
    same = [near.box.label == box.label for box in right for near in box.alike[:1]]
    assert np.mean(same) > 0.8


def test_every_object_is_found_or_missed(explanation: DetectorExplanation) -> None:
    for one in explanation.pictures:
        assert one.annotated is not None
        right = sum(kind == "right" for kind in one.annotated.kinds)
        assert right + len(one.missed) == one.annotated.objects


def test_only_boxes_of_a_class_are_explained(shapes: Path, shapes_run: Path) -> None:
    [one] = explained(shapes_run, shapes / "images" / "05.png", label="disc", boxes=1).pictures
    assert [box.label for box in one.boxes] == ["disc"]
    assert {miss.missed.box.label for miss in one.missed} <= {"disc"}


def test_nothing_from_the_thresholds_on_explains_the_nearest_box(
    shapes: Path, shapes_run: Path, tmp_path: Path
) -> None:
    import json

    run = Path(shutil.copytree(shapes_run, tmp_path / "run"))
    record = json.loads((run / "bundle" / "bundle.json").read_text())
    record["thresholds"] = [1.0, 1.0]
    (run / "bundle" / "bundle.json").write_text(json.dumps(record))
    [one] = explained(run, shapes / "images" / "05.png", neighbours=0).pictures
    found = load_detector(run).predict(shapes / "images" / "05.png").pictures[0].found
    assert (one.shown, len(one.boxes), one.boxes[0].is_shown) == (0, 1, False)
    assert one.boxes[0].score == pytest.approx(found.scores.max(), abs=1e-5)
    assert one.boxes[0].kind is None


def test_a_bundle_by_itself_knows_no_training_boxes(shapes: Path, shapes_run: Path) -> None:
    found = explained(shapes_run / "bundle", shapes / "images" / "05.png")
    assert found.files is None
    assert found.pictures[0].annotated is None
    assert all(box.alike == () for box in found.pictures[0].boxes)


def test_pictures_that_changed_since_the_run_are_not_searched(
    shapes: Path, shapes_run: Path, tmp_path: Path, own_cache: Path
) -> None:
    moved = Path(shutil.copytree(shapes, tmp_path / "moved"))
    training = [row.path for row in BOXES.read(shapes_run) if row.side == "train"]
    changed = training[0]
    shutil.copy(moved / training[-1], moved / changed)
    found = explained(shapes_run, shapes / "images" / "05.png", data=moved)
    assert found.remark.startswith("1 of ")
    assert "have been changed since the run" in found.remark
    alike = [near.box.path for box in found.pictures[0].boxes for near in (*box.alike, *box.others)]
    assert changed not in alike


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"label": "cat"}, "the detector has no class 'cat'; it has disc, square"),
        ({"boxes": 0}, "boxes is 0; expected a whole number from 1 on"),
        ({"neighbours": -1}, "neighbours is -1; expected a whole number from 0 on"),
    ],
    ids=["label", "boxes", "neighbours"],
)
def test_wrong_wishes_are_refused(shapes: Path, shapes_run: Path, changes: Any, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        explained(shapes_run, shapes / "images" / "05.png", **changes)
