"""The first detector is saved before validation pictures are looked at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

import regraft
from regraft.detection import fitting
from regraft.detection.detectors.evaluated import evaluated
from regraft.detection.detectors.run_files import DetectorFiles
from regraft.detection.maps.cached_maps import CachedMaps
from regraft.progress import Reporter
from regraft.storage.rows import Rows
from tests.detection.shapes import SETTINGS, USUAL, draw_shapes

SIDES = ["train"] * 12 + ["val"] * 6


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighteen pictures, six of them for validation."""
    return draw_shapes(tmp_path_factory.mktemp("published") / "data", USUAL, sides=SIDES)


@pytest.fixture(scope="module")
def interrupted(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was interrupted before the maps of its validation pictures were computed."""
    out = tmp_path_factory.mktemp("interrupted") / "run"

    def stops(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "look_at_validation", stops)
        with pytest.raises(KeyboardInterrupt):
            regraft.fit(data, out=out, budget="1s", **SETTINGS)
    return out


def test_an_interrupted_run_has_the_scores_of_left_out_folds(interrupted: Path) -> None:
    files = DetectorFiles(interrupted)
    assert files.scores.validation is not None
    assert files.scores.validation.images == 12
    assert "5-fold cross-validation" in files.scores.validation.method
    assert {row.side for row in files.detections} == {"train"}
    assert evaluated(files).side == "train"


def test_a_finished_run_has_the_scores_of_validation_pictures(data: Path, tmp_path: Path) -> None:
    regraft.fit(data, out=tmp_path / "run", budget="1s", **SETTINGS)
    files = DetectorFiles(tmp_path / "run")
    assert files.scores.validation is not None
    assert (files.scores.validation.images, evaluated(files).side) == (6, "validation")
    rows = json.loads((tmp_path / "run" / "ladder.json").read_text())["rows"]
    assert (rows[0]["name"], rows[0]["images"]) == ("grid", 6)
    assert rows[0]["accuracy"]["value"] == pytest.approx(files.scores.validation.map50.value)  # type: ignore[union-attr]


def test_maps_of_validation_pictures_are_computed_after_a_detector_is_saved(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, seen = tmp_path / "run", []
    rows = CachedMaps.rows

    def noting(
        self: CachedMaps, keys: Sequence[str], view: int = 0, *, reporter: Reporter | None = None
    ) -> Rows:
        seen.append((len(keys), (out / "run.json").exists()))
        return rows(self, keys, view, reporter=reporter)

    monkeypatch.setattr(CachedMaps, "rows", noting)
    regraft.fit(data, out=out, budget="1s", **SETTINGS)
    assert {count for count, is_saved in seen if not is_saved} == {12}
    assert (6, True) in seen
