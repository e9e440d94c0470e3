"""Where a detector starts: the network of a classifier's run, some of the classes, a canvas of some size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import regraft
from regraft.cli.app import run
from regraft.detection.detectors.bundle import load_detector
from regraft.detection.detectors.records import DetectionRun
from regraft.detection.detectors.run_tables import BOXES, PICTURES
from regraft.detection.maps import cached_maps
from regraft.detection.maps.cached_maps import CachedMaps
from regraft.detection.rehearsal import DetectionRehearsal
from regraft.errors import SettingsError
from regraft.prediction.bundle import load_bundle
from regraft.progress import Silent
from regraft.records import InputSpec
from regraft.storage.files import read_json
from regraft.workflow.rehearsal import rehearse
from tests.detection.shapes import COLOURS, SETTINGS, drawn_anew

QUICK: dict[str, Any] = {"runtime": "torch", "budget": "1s"}


class Told(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)

    def warn(self, text: str) -> None:
        self.lines.append(f"warning: {text}")

    def decided(self, what: str, because: str, override: str) -> None:
        self.lines.append(f"{what}, because {because} ({override})")


@pytest.fixture(scope="module")
def crops_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a classifier of coloured squares, whose last stages were trained."""
    folder = tmp_path_factory.mktemp("crops")
    generator = np.random.default_rng(0)
    for label, colour in COLOURS.items():
        (folder / "data" / label).mkdir(parents=True)
        for number in range(8):
            noise = generator.integers(-30, 30, (32, 32, 3))
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "data" / label / f"{number}.png")
    regraft.fit(
        folder / "data",
        network="test_efficientnet",
        weights="random",
        runtime="torch",
        image_size=64,
        strategy="last-blocks",
        epochs=1,
        out=folder / "run",
    )
    return folder / "run"


@pytest.fixture(scope="module")
def started(
    shapes: Path, crops_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[str]]:
    """The run of a detector of discs that starts from the classifier, and what its fit told."""
    out, told = tmp_path_factory.mktemp("started") / "run", Told()
    regraft.fit(shapes, from_run=crops_run, classes=["disc"], image_size=200, out=out, reporter=told, **QUICK)
    return out, told.lines


def test_the_network_of_a_classifier_is_where_a_detector_starts(
    started: tuple[Path, list[str]], crops_run: Path
) -> None:
    detector, classifier = load_detector(started[0]), load_bundle(crops_run)
    assert detector.weights.sha256 == classifier.weights.sha256
    assert detector.lineage[:2] == classifier.lineage == ("random, seed 0", "last-blocks on data")
    record = DetectionRun.model_validate(read_json(started[0] / "run.json"))
    assert record.lineage == detector.lineage
    assert record.weights.where == "last-blocks on data, from random, seed 0"
    assert not any("not its network" in line for line in started[1])


def test_the_canvas_is_told_and_kept(started: tuple[Path, list[str]]) -> None:
    out, told = started
    assert any(line.startswith("a canvas of 192 x 128 pixels, because its sides are mult") for line in told)
    assert any(line.startswith("warning: the canvas is larger than most pictures, whose longer side has 96 p")
               for line in told)  # fmt: skip
    record = DetectionRun.model_validate(read_json(out / "run.json"))
    assert record.canvas == (192, 128)
    assert any(reason.startswith("a canvas of 192 x 128 pixels") for reason in record.reasons)


def test_only_the_classes_that_were_named_are_fitted(started: tuple[Path, list[str]]) -> None:
    out, told = started
    assert load_detector(out).labels == ("disc",)
    sentence = (
        "boxes of other classes that are left out: 12 (square); pictures that show none of disc and become "
        "backgrounds: 4"
    )
    assert sentence in told
    assert sentence in (out / "findings.csv").read_text()
    assert read_json(out / "run.json")["settings"]["classes"] == ["disc"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"network": "resnet18"},
            r"from_run .* determines the network \(test_efficientnet\) and its weights",
        ),
        ({"weights": "random"}, "Remove network and weights"),
        (
            {"classes": ["dics"]},
            r"classes names 'dics' \(did you mean disc\?\), which is no class; .* disc, squ",
        ),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_what_contradicts_is_refused(
    shapes: Path, crops_run: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        regraft.fit(shapes, from_run=crops_run, out=tmp_path / "run", **{**QUICK, **changes})
    assert not (tmp_path / "run").exists()


def test_a_detector_is_no_start(shapes: Path, shapes_run: Path, tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"is a run of a detector, whose network was not trained\. Name a run"
    ):
        regraft.fit(shapes, from_run=shapes_run, out=tmp_path / "run", **QUICK)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (
            "free_bytes",
            "4096 x 3072 pixels take 9.0 GB on disk for 90 pictures, but 1.0 GB are free in the cache",
        ),
        (
            "available_bytes",
            "take 0.6 GB in memory for one picture, but 0.1 GB are free. Choose a smaller canvas",
        ),
    ],
)
def test_a_canvas_without_room_is_refused(place: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(keys: Sequence[str], view: int) -> int:
        return len(keys) - 10

    spec = InputSpec(size_px=3072, width_px=4096)
    maps: Any = SimpleNamespace(spec=spec, row_bytes=100_000_000, missing=missing)
    monkeypatch.setattr(cached_maps, "free_bytes", lambda: 1e9 if place == "free_bytes" else 1e12)
    monkeypatch.setattr(cached_maps, "available_bytes", lambda: 1e8 if place == "available_bytes" else 1e12)
    with pytest.raises(SettingsError, match=message):
        CachedMaps.check_room(maps, ["key"] * 100)


def test_a_dry_run_says_how_the_fit_would_begin(
    shapes: Path,
    crops_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["fit", shapes, "--from", crops_run, "--classes", "disc", "--image-size", "100", "--dry-run"]
    assert run([str(word) for word in words]) == 0
    out, err = capfd.readouterr()
    assert "boxes: 12 of 1 classes · pictures: 18, of which 6 show none (drawn split)" in out
    assert "canvas 96 x 64 pixels" in out
    assert "from random, seed 0 > last-blocks on data" in out
    assert "it would try: grid, regions, one-stage or two-stage" in out
    assert "a canvas of 96 x 64 pixels" in err
    assert "advise" not in out + err
    assert not list(tmp_path.iterdir())


@drawn_anew()
def test_a_rehearsal_counts_what_the_run_holds(shapes: Path, shapes_run: Path) -> None:
    found = rehearse(shapes, **SETTINGS)
    assert isinstance(found, DetectionRehearsal)
    pictures, boxes = PICTURES.read(shapes_run), BOXES.read(shapes_run)
    assert found.sides == Counter(row.side for row in pictures)
    assert found.boxes == Counter(row.side for row in boxes)
    assert found.classes == Counter(row.label for row in boxes)
    assert found.canvas == load_detector(shapes_run).weights.input_spec.shape[1::-1]
