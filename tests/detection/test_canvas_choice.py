"""Which of two canvases is better for small objects: the grid is solved on both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import regraft
from regraft.detection.detectors.bundle import load_detector
from regraft.detection.detectors.records import DetectionRun
from regraft.detection.detectors.run_tables import DETECTIONS
from regraft.runs.records import LadderRecord
from regraft.storage.files import read_json
from tests.detection.test_start import Told

SETTINGS: dict[str, Any] = {"network": "test_efficientnet", "weights": "random", "runtime": "torch"}


def draw(root: Path, *, size: tuple[int, int], side: int) -> Path:
    """Six pictures with three small squares each."""
    generator, rows = np.random.default_rng(0), ["path,label,x_min,y_min,x_max,y_max"]
    (root / "images").mkdir(parents=True)
    for number in range(6):
        pixels = generator.integers(90, 130, (size[1], size[0], 3), dtype=np.uint8)
        for place in range(3):
            x = int(generator.integers(0, size[0] // 3 - side)) + place * (size[0] // 3)
            y = int(generator.integers(0, size[1] - side))
            pixels[y : y + side, x : x + side] = (220, 40, 40)
            rows.append(f"images/{number}.png,square,{x},{y},{x + side},{y + side}")
        Image.fromarray(pixels).save(root / "images" / f"{number}.png")
    (root / "boxes.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Squares of 24 pixels in pictures of 900 x 600, which the usual canvas shows at 60 % of their size."""
    return draw(tmp_path_factory.mktemp("small") / "data", size=(900, 600), side=24)


def fitted(
    data: Path, out: Path, monkeypatch: pytest.MonkeyPatch, *, chance: float, **changes: Any
) -> tuple[list[str], list[str]]:
    """The names of the rungs and what the fit told, if every comparison ends with this chance."""
    told = Told()
    monkeypatch.setattr("regraft.detection.ladder.chance_better", lambda *_: chance)
    monkeypatch.setattr("regraft.detection.trained_rungs.try_training", lambda *_: None)
    regraft.fit(data, out=out, reporter=told, **{**SETTINGS, "budget": "60m", **changes})
    rows = LadderRecord.model_validate(read_json(out / "ladder.json")).rows
    return [row.name for row in rows], told.lines


def canvas(run: Path) -> tuple[int, int] | None:
    return DetectionRun.model_validate(read_json(run / "run.json")).canvas


@pytest.mark.slow
def test_the_canvas_on_which_the_grid_is_better_is_that_of_later_rungs(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, told = fitted(small, tmp_path / "run", monkeypatch, chance=0.99)
    assert names[:3] == ["grid", "grid, 832 x 544 pixels", "regions"]
    assert canvas(tmp_path / "run") == (832, 544)
    assert load_detector(tmp_path / "run").weights.input_spec.shape[1::-1] == (832, 544)
    chosen = [line for line in told if line.startswith("a canvas of")]
    assert chosen[0].startswith("a canvas of 544 x 352 pixels, because its sides are multiples")
    assert chosen[1].startswith("a canvas of 832 x 544 pixels, because mean average precision")
    assert chosen[1].endswith("(--image-size)")
    listed = DETECTIONS.read(tmp_path / "run")
    pictures = sorted({small / row.path for row in listed})
    found = regraft.load_model(tmp_path / "run").predict(pictures, runtime="torch")
    assert sum(len(one.found) for one in found) == sum(row.score >= 0.01 for row in listed)


@pytest.mark.slow
def test_the_usual_canvas_stays_if_the_larger_one_is_not_better(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, told = fitted(small, tmp_path / "run", monkeypatch, chance=0.5)
    assert names == ["grid", "grid, 832 x 544 pixels", "regions"]
    assert canvas(tmp_path / "run") == (544, 352)
    assert [line for line in told if line.startswith("a canvas of 544 x 352 pixels, because mean average")]


def test_a_canvas_of_the_users_own_is_not_compared(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, _ = fitted(small, tmp_path / "run", monkeypatch, chance=0.5, image_size=320)
    assert names == ["grid", "regions"]


def test_large_objects_and_small_pictures_need_no_other_canvas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, size, side in (("large", (900, 600), 120), ("little", (300, 200), 20)):
        data = draw(tmp_path / name, size=size, side=side)
        names, _ = fitted(data, tmp_path / f"{name}-run", monkeypatch, chance=0.5)
        assert names == ["grid", "regions"]
