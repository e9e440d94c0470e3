"""A fitted detector as a package: the same boxes as the detector itself, without torch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from regraft.detection.detectors.bundle import load_detector
from regraft.detection.results.marked import found_boxes
from regraft.errors import BundleError, SettingsError
from regraft.progress import Silent
from regraft.serving import package as packages
from regraft.serving import packing
from regraft.serving.detection.package import DetectorPackage, detector_key, read_detector
from regraft.serving.detection.packing import facts_of
from regraft.serving.detection.served import DetectorWishes, ServedDetector
from regraft.serving.package import open_package
from tests.serving.detection.graphs import LABELS, write_package

EDGES = ("x_min", "y_min", "x_max", "y_max")
MOST_PX = 1 / 32
"""Two steps of 1/64 pixel: the graph computes in single precision."""


@pytest.fixture(scope="module")
def package(
    shared_graphs: None, shapes_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> DetectorPackage:
    folder = tmp_path_factory.mktemp("packed") / "package"
    packing.pack(shapes_run, folder)
    return read_detector(folder)


def rounded(boxes: list[dict[str, Any]]) -> list[list[Any]]:
    return [[box["label"], *(pytest.approx(box[edge], abs=MOST_PX) for edge in EDGES)] for box in boxes]


@pytest.mark.slow
@pytest.mark.children
@pytest.mark.parametrize("threshold", [None, 0.3])
def test_the_server_finds_what_the_detector_finds(
    package: DetectorPackage,
    shapes: Path,
    shapes_run: Path,
    threshold: float | None,
) -> None:
    files = sorted((shapes / "images").glob("*.png"))[:6]
    served = ServedDetector(package, workers=1)
    try:
        answers = [served.answer(path.read_bytes(), DetectorWishes(threshold)) for path in files]
    finally:
        served.close()
    found = load_detector(shapes_run).predict(files, threshold=threshold)
    assert sum(answer["counts"]["disc"] for answer in answers)
    for answer, one in zip(answers, found, strict=True):
        marked = found_boxes([(one.path, one.width, one.height, one.shown)], found.labels).pictures[0]
        boxes = [
            [mark.box.label, mark.box.x_min, mark.box.y_min, mark.box.x_max, mark.box.y_max]
            for mark in marked.boxes
        ]
        assert boxes == rounded(answer["boxes"])
        assert (answer["width"], answer["height"]) == (one.width, one.height)
        scores = [mark.score for mark in marked.boxes]
        assert [box["score"] for box in answer["boxes"]] == pytest.approx(scores, abs=1e-4)


@pytest.mark.slow
def test_the_card_has_scores_with_intervals(package: DetectorPackage, shapes_run: Path) -> None:
    sheet = json.loads((shapes_run / "scores.json").read_text())
    best = sheet["test"] or sheet["validation"]
    assert package.facts["map50"] == best["map50"]
    assert package.facts["score"].startswith("mAP50 is ")
    assert package.facts["labels"] == ["disc", "square"]
    assert package.facts["canvas"] == {"width": 96, "height": 64, "channels": 3}


@pytest.mark.slow
def test_a_saved_detector_has_no_scores(shapes_run: Path) -> None:
    facts = facts_of(load_detector(shapes_run / "bundle"))
    assert (facts["map50"], facts["score"], facts["judged_on"]) == (None, None, None)
    assert facts["thresholds"]


def run_of(folder: Path) -> Path:
    folder.mkdir()
    (folder / "bundle.json").write_text('{"task": "detection"}')
    return folder


def test_a_package_is_made_once(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []

    def make(_run: Path, folder: Path, _data: Path | None) -> None:
        made.append(folder)
        write_package(folder)

    monkeypatch.setattr(packages, "_make_apart", make)
    run = run_of(tmp_path / "run")
    first, second = (open_package(run, Silent()) for _ in range(2))
    assert first == second
    assert first.labels == LABELS
    (run / "scores.json").write_text("{}")
    open_package(run, Silent())
    assert len(made) == len(set(made)) == 2


def test_a_run_and_its_copy_have_one_package(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run")
    assert detector_key(run) == detector_key(shutil.copytree(run, tmp_path / "copy"))


def test_a_folder_of_pictures_has_no_effect_on_a_detector(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"has no effect on .*run: the answers of a detector"):
        open_package(run_of(tmp_path / "run"), Silent(), tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"thresholds": [0.5]}, "2 labels, but 1 thresholds"),
        ({"thresholds": [0.5, 7]}, "less than or equal to 1"),
        ({"surprise": 1}, "surprise"),
    ],
    ids=["too few thresholds", "no probability", "an unknown field"],
)
def test_a_damaged_package_is_named(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    write_package(tmp_path / "package")
    file = tmp_path / "package" / "package.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(BundleError, match=said) as caught:
        read_detector(tmp_path / "package")
    assert "Delete it and run the command again" in str(caught.value)
