"""The same boxes give the same detector, whatever the format, and however often the fit was killed."""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import regraft
from regraft.detection.annotations.reading import read_boxes
from regraft.detection.results.marked import annotated_boxes
from regraft.detection.results.writing import BoxesTarget, boxes_place, write_boxes
from tests.detection.shapes import SETTINGS, USUAL, content, draw_shapes
from tests.nursery import Nursery

_NAMED = ("run.json",)
"""Files of a run that name the place of the annotations, and the fit's command."""
_CHILD = "import json, sys, regraft; data, out, settings = sys.argv[1:]; "
_CHILD += "regraft.fit(data, out=out, **json.loads(settings))"
_KILLS = 20


def fitted(annotations: Path, pictures: Path, out: Path, **changes: Any) -> dict[str, bytes]:
    settings: dict[str, Any] = {**SETTINGS, "budget": "1s", **changes}
    regraft.fit(annotations, data=regraft.DataSettings(root=str(pictures)), out=out, **settings)
    return {name: data for name, data in content(out).items() if not name.startswith(("ladder", *_NAMED))}


@pytest.fixture(scope="module")
def detector_from_csv(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a fit of the grid, from the table that was written by hand."""
    return fitted(shapes / "boxes.csv", shapes, tmp_path_factory.mktemp("csv") / "run")


@pytest.mark.parametrize("kind", ["coco", "yolo", "voc"])
def test_the_same_boxes_in_another_format_give_the_same_bits(
    kind: BoxesTarget, shapes: Path, detector_from_csv: dict[str, bytes], tmp_path: Path
) -> None:
    boxes = read_boxes(shapes / "boxes.csv", root=shapes)
    place = tmp_path / ("boxes.json" if kind == "coco" else "boxes")
    write_boxes(annotated_boxes(boxes), boxes_place(place, kind), to=kind)
    found = fitted(place, shapes, tmp_path / "run")
    assert found.keys() == detector_from_csv.keys()
    assert [name for name in found if found[name] != detector_from_csv[name]] == []
    assert "bundle/detector.safetensors" in found


@pytest.mark.soak
def test_a_fit_that_is_killed_again_and_again_ends_with_the_same_bits(
    nursery: Nursery, tmp_path: Path
) -> None:
    """Twenty kills at random moments of a fit with all rungs, the trained ones too."""
    data = draw_shapes(tmp_path / "shapes", [*USUAL, *USUAL], seed=1)
    settings = json.dumps({**SETTINGS, "budget": "20m", "epochs": 3})
    calm, cache = tmp_path / "calm", tmp_path / "cache"
    started = time.monotonic()
    first = nursery.start(
        _CHILD, str(data), str(calm), settings, folder=tmp_path, REGRAFT_CACHE=str(cache), OMP_NUM_THREADS="1"
    )
    assert first.wait() == 0, first.output.read_text()
    whole_s = time.monotonic() - started
    other = tmp_path / "other"
    shutil.copytree(cache / "ladders", other / "ladders")  # the times by which rungs are chosen
    draws = random.Random(3)
    out, kills = tmp_path / "out", 0
    environment = {"REGRAFT_CACHE": str(other), "OMP_NUM_THREADS": "1"}
    while kills < _KILLS:
        victim = nursery.start(_CHILD, str(data), str(out), settings, folder=tmp_path, **environment)
        time.sleep(draws.uniform(0.2, 0.5 * whole_s))
        victim.kill()
        ended = victim.wait()
        assert ended in (0, -signal.SIGKILL), victim.output.read_text()
        kills += 1
    last = nursery.start(_CHILD, str(data), str(out), settings, folder=tmp_path, **environment)
    assert last.wait() == 0, last.output.read_text()
    one, two = content(calm), content(out)
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name] and name not in _NAMED] == []
