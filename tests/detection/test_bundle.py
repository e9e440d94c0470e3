from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import regraft
from regraft.detection.detectors.bundle import load_detector, save_detector
from regraft.detection.detectors.detector import Detector
from regraft.detection.detectors.finders import solved_finder
from regraft.detection.detectors.run_tables import DETECTIONS, PICTURES
from regraft.errors import BundleError, DataError, SettingsError


@pytest.fixture
def bundle(shapes_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shapes_run / "bundle", tmp_path / "bundle"))


def test_a_bundle_finds_the_same_boxes_to_the_bit(
    shapes: Path, shapes_detector: Detector, tmp_path: Path
) -> None:
    again = load_detector(save_detector(shapes_detector, tmp_path / "again"))
    one, other = (each.predict(shapes / "images", runtime="torch") for each in (shapes_detector, again))
    assert len(one) == 18
    for first, second in zip(one, other, strict=True):
        assert np.array_equal(first.found.corners, second.found.corners)
        assert np.array_equal(first.found.scores, second.found.scores)


def test_saving_again_gives_the_same_bytes(
    shapes_run: Path, shapes_detector: Detector, tmp_path: Path
) -> None:
    save_detector(shapes_detector, tmp_path / "again")
    for path in (shapes_run / "bundle").iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_a_detector_finds_what_its_run_says(
    shapes: Path, shapes_run: Path, shapes_detector: Detector
) -> None:
    rows = DETECTIONS.read(shapes_run)
    tested = [row.path for row in PICTURES.read(shapes_run) if row.side == "test"]
    assert {row.path for row in rows} <= set(tested)
    found = shapes_detector.predict([shapes / path for path in tested], runtime="torch")
    for path, picture in zip(tested, found, strict=True):
        own = [row for row in rows if row.path == path]
        assert [row.label for row in own] == [shapes_detector.labels[n] for n in picture.found.classes]
        assert np.array([row.corners for row in own]) == pytest.approx(picture.found.corners, abs=0.01)
        assert [row.score for row in own] == pytest.approx(picture.found.scores, abs=1e-4)


def test_one_picture_alone_gives_what_it_gives_among_others(shapes: Path, shapes_detector: Detector) -> None:
    together = shapes_detector.predict(shapes / "images", runtime="torch")
    [alone] = shapes_detector.predict(shapes / "images" / "05.png", runtime="torch")
    among = together.pictures[5]
    assert alone.found.corners == pytest.approx(among.found.corners, abs=1e-2)
    assert alone.found.scores == pytest.approx(among.found.scores, abs=1e-4)


def test_the_solved_regions_are_rebuilt_from_their_arrays(shapes_detector: Detector) -> None:
    finder = shapes_detector.finder
    again = solved_finder(finder.kind, finder.levels, finder.arrays())
    assert type(again) is type(finder)
    assert all(np.array_equal(value, again.arrays()[name]) for name, value in finder.arrays().items())


def test_what_is_listed_is_probable_and_what_is_shown_more_so(
    shapes: Path, shapes_detector: Detector
) -> None:
    [picture] = shapes_detector.predict(shapes / "images" / "05.png", threshold=0.5, runtime="torch")
    assert (picture.found.scores >= 0.01).all()
    assert (picture.shown.scores >= 0.5).all()
    assert len(picture.shown) < len(picture.found)
    assert (picture.width, picture.height) == (96, 64)


@pytest.mark.parametrize("threshold", [1.5, -0.1, "high", True, float("nan")], ids=repr)
def test_a_threshold_is_a_probability(shapes: Path, shapes_detector: Detector, threshold: Any) -> None:
    with pytest.raises(SettingsError, match=r"threshold is .*; expected a probability from 0 to 1"):
        shapes_detector.predict(shapes / "images" / "05.png", threshold=threshold)


def test_files_that_are_no_pictures_are_skipped_and_others_refused(
    shapes: Path, shapes_detector: Detector
) -> None:
    given = [shapes / "images" / "05.png", b"no picture", shapes / "images" / "06.png"]
    found = shapes_detector.predict(given, runtime="torch")
    assert [Path(one.path).name for one in found] == ["05.png", "06.png"]
    assert len(found.skipped) == 1
    with pytest.raises(DataError):
        shapes_detector.predict([3])  # type: ignore[list-item]


def changed(**changes: object) -> Callable[[Path], None]:
    def change(bundle: Path) -> None:
        record = json.loads((bundle / "bundle.json").read_text())
        (bundle / "bundle.json").write_text(json.dumps({**record, **changes}))

    return change


def truncated(name: str) -> Callable[[Path], None]:
    return lambda bundle: (bundle / name).write_bytes((bundle / name).read_bytes()[:-9]) and None


def flipped(bundle: Path) -> None:
    data = bytearray((bundle / "detector.safetensors").read_bytes())
    data[-1] ^= 1
    (bundle / "detector.safetensors").write_bytes(data)


DAMAGES = {
    "truncated arrays": (truncated("detector.safetensors"), "detector.safetensors is missing or damaged"),
    "truncated network": (truncated("network.safetensors"), "network.safetensors is missing or damaged"),
    "truncated record": (truncated("bundle.json"), "is not a detector of this version|damaged|bundle.json"),
    "a flipped bit": (flipped, "detector.safetensors is missing or damaged"),
    "too many labels": (
        changed(labels=["a", "b", "c"]),
        "the number of thresholds is not that of the labels",
    ),
    "unknown kind": (changed(kind="oracle"), "is not a detector of this version"),
    "another loader": (changed(loader_version=0), "was made with loader version 0"),
    "missing hash": (changed(files={}), "detector.safetensors is missing or damaged"),
    "other rung": (changed(kind="one-stage"), "detector.safetensors doesn't fit bundle.json"),
}


@pytest.mark.parametrize(("damage", "text"), DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_bundle_is_refused(bundle: Path, damage: Callable[[Path], None], text: str) -> None:
    damage(bundle)
    with pytest.raises(BundleError, match=text):
        load_detector(bundle)


def test_labels_of_another_number_than_the_arrays_are_refused(bundle: Path) -> None:
    record = json.loads((bundle / "bundle.json").read_text())
    calibration = {**record["calibration"], "intercepts": [0.0] * 3}
    changed(labels=["a", "b", "c"], thresholds=[0.5] * 3, calibration=calibration)(bundle)
    with pytest.raises(BundleError, match="it has arrays for 2 classes, but 3 labels"):
        load_detector(bundle)


def test_no_file_of_a_bundle_is_code(bundle: Path) -> None:
    assert sorted(path.name for path in bundle.iterdir()) == [
        "bundle.json", "detector.safetensors", "network.safetensors",
    ]  # fmt: skip
    for path in bundle.glob("*.safetensors"):
        length = int.from_bytes(path.read_bytes()[:8], "little")
        json.loads(path.read_bytes()[8 : 8 + length])


def test_any_model_is_loaded_by_one_function(shapes_run: Path, tmp_path: Path) -> None:
    detector = regraft.load_model(shapes_run)
    assert isinstance(detector, Detector)
    assert detector.scores is not None
    assert detector.run_folder == shapes_run
    assert isinstance(regraft.load_model(shapes_run / "bundle"), Detector)
    with pytest.raises(BundleError):
        regraft.load_model(tmp_path)
