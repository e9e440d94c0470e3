from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import regraft.lab
from regraft.detection.maps.canvas import Placement
from regraft.detection.maps.found import Found
from regraft.detection.maps.scenes import Scene
from regraft.errors import DataError
from regraft.lab.experiments.rcnn import RCNN_EXPERIMENT
from regraft.lab.regions.arms import FAST, FASTER, RCNN, Looked, Shared
from regraft.lab.regions.draws import Draw
from regraft.lab.regions.subject import measured, prepare
from regraft.lab.results.experiment import Choices
from regraft.progress import Silent


def scene(corners: list[list[float]]) -> Scene:
    none = np.zeros(len(corners), dtype=bool)
    return Scene(
        str(len(corners)),
        "",
        Placement(100, 100, 100, 100),
        np.array(corners),
        np.zeros(len(corners), int),
        none,
        none,
    )


def test_measures_are_those_by_hand() -> None:
    one, two = [0.0, 0, 20, 20], [50.0, 50, 90, 90]
    scenes = (scene([one]), scene([one, two]))
    found = Found.of([one], [0], [0.9])
    far = np.array([[200.0 + n, 0, 210 + n, 10] for n in range(60)])
    looked = [
        Looked(np.array([one]), found, 1.0, 2.0, 0.5, 30),
        Looked(np.concatenate([[one], far, [two]]), found, 3.0, 4.0, 1.5, 50),
    ]
    shared = Shared(Draw((), scenes, {}), None, {}, None, 1)  # type: ignore[arg-type]
    values = {one.measure: one for one in measured(looked, shared)}
    expected = {
        "seconds": 6.0, "seconds, proposals": 2.0, "seconds, network": 3.0, "seconds, heads": 1.0,
        "share of proposals": 4 / 12, "passes": 40.0, "recall of 50 proposals": 2 / 3,
        "recall of 100 proposals": 1.0, "recall of 300 proposals": 1.0,
        "AP50": 67 / 101,  # precision 1 at recalls of 0 to .66, then nothing is found
    }  # fmt: skip
    assert {name: one.value for name, one in values.items()} == pytest.approx(expected)
    assert (values["seconds"].low, values["seconds"].high) == pytest.approx((3.5, 8.5))  # the two pictures


@pytest.mark.slow
def test_the_experiment_runs_on_made_pictures(tmp_path: Path) -> None:
    found = regraft.lab.run(
        "rcnn", network="test_efficientnet", weights="random", quick=True, out=tmp_path, runtime="torch"
    )
    results = found.results
    assert results.arms == (RCNN, FAST, FASTER) == tuple(arm.name for arm in RCNN_EXPERIMENT.arms)
    assert [round(results.estimate(arm, "passes").value) > 1 for arm in results.arms] == [True, False, False]
    for measure in ("recall of 300 proposals", "seconds, proposals"):
        assert results.difference(RCNN, FAST, measure).value == 0.0  # they have the same proposals
    assert results.estimate(FAST, "recall of 300 proposals").value > 0.9
    assert results.estimate(RCNN, "AP50").value > 0.1
    assert found.page.is_file()
    assert (
        "--network test_efficientnet --weights random --runtime torch --quick --seeds 1"
        in found.page.read_text()
    )


def test_data_without_boxes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    with pytest.raises(DataError, match="has no boxes around objects, which this experiment needs"):
        prepare(Choices(data=str(tmp_path)), Silent())
