from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import regraft
from regraft.detection.detectors.detector import Detector
from regraft.detection.detectors.run_tables import BOXES, DETECTIONS, PICTURES
from regraft.errors import DataError, NoMapsError, SettingsError
from regraft.networks.weights.finding import find_weights
from regraft.progress import Silent
from tests.detection.shapes import SETTINGS, USUAL, content, draw_shapes
from tests.nursery import Nursery

QUICK: dict[str, Any] = {**SETTINGS, "budget": "1s"}
"""Only the first rung."""


def detector_of(data: Path, out: Path, **changes: Any) -> Detector:
    detector = regraft.fit(data, out=out, **{**QUICK, **changes})
    assert isinstance(detector, Detector)
    return detector


COMMAND = "import sys; from regraft.cli.app import main; sys.exit(main())"


def arguments(data: Path, out: Path) -> list[str]:
    flags = ["--network", "test_efficientnet", "--weights", "random", "--runtime", "torch"]
    return [
        "fit",
        str(data),
        *flags,
        "--image-size",
        "96",
        "--budget",
        "5m",
        "--no-report",
        "--out",
        str(out),
    ]


@pytest.mark.children
def test_the_command_killed_and_begun_again_leaves_the_bytes_of_the_whole_fit(
    shapes: Path, shapes_run: Path, nursery: Nursery, tmp_path: Path, session_cache: Path
) -> None:
    out, cache = tmp_path / "run", tmp_path / "cache"
    shutil.copytree(session_cache / "ladders", cache / "ladders")  # the times by which rungs are chosen
    environment = {"REGRAFT_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    victim = nursery.start(COMMAND, *arguments(shapes, out), folder=tmp_path, **environment)
    for _ in range(2_000):  # until the first detector is saved
        if (out / "run.json").exists():
            break
        time.sleep(0.01)
    victim.kill()
    assert victim.wait() == -signal.SIGKILL
    again = nursery.start(
        COMMAND, *arguments(shapes, out), folder=tmp_path, output="again.txt", **environment
    )
    assert again.wait() == 0, again.output.read_text()
    assert "At the threshold of each class" in again.output.read_text()
    one, other = content(out), content(shapes_run)
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name] and name != "run.json"] == []


def test_the_same_fit_twice_leaves_the_same_bytes(shapes: Path, shapes_run: Path, tmp_path: Path) -> None:
    shutil.copytree(shapes_run, tmp_path / "run")
    before = content(tmp_path / "run")
    for name in ("scores.json", "detections.csv"):
        (tmp_path / "run" / name).unlink()
    regraft.fit(shapes, budget="5m", out=tmp_path / "run", **SETTINGS)
    assert content(tmp_path / "run") == before


class Notes(Silent):
    """Keeps what is reported."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


def test_a_fit_says_that_its_test_pictures_are_few(shapes_run: Path) -> None:
    log = [json.loads(line) for line in (shapes_run / "log.jsonl").read_text().splitlines()]
    said = [line["text"] for line in log if "can't decide much" in line.get("text", "")]
    tests = (shapes_run / "split.csv").read_text().count(",test,")
    assert said == [
        f"{tests} test pictures can't decide much: the intervals are rough. Annotate more pictures before "
        "you compare detectors"
    ]


def test_a_fit_that_replaces_a_run_says_what_changed_in_the_data(shapes: Path, tmp_path: Path) -> None:
    data, out = Path(shutil.copytree(shapes, tmp_path / "data")), tmp_path / "run"
    detector_of(data, out)
    (data / "images" / "02.png").unlink()  # a disc
    Image.open(data / "images" / "03.png").convert("L").save(data / "images" / "03.png")
    rows = (data / "boxes.csv").read_text().splitlines()
    kept = [row for row in rows if not row.startswith("images/02.png")]
    moved = next(place for place, row in enumerate(kept) if row.startswith("images/04.png,disc"))
    cells = kept[moved].split(",")
    kept[moved] = ",".join([*cells[:2], str(int(cells[2]) + 1), *cells[3:]])
    (data / "boxes.csv").write_text("\n".join(kept) + "\n")
    notes = Notes()
    detector_of(data, out, reporter=notes)
    assert [text for text in notes.texts if "data changed" in text] == [
        f"the data changed since the run in {out} (1 image removed, 1 image edited, 1 image labelled "
        "differently): it is fitted again and replaced"
    ]
    again = Notes()
    detector_of(data, out, reporter=again)
    assert not any("data changed" in text for text in again.texts)


CASES: dict[str, tuple[Sequence[Sequence[str]], Sequence[str] | None]] = {
    "one class": ([["disc"]] * 6 + [[]], None),
    "two pictures": ([["disc"], ["square"]], ["train"] * 2),
    "backgrounds in the test side only": ([*USUAL[2:8], [], []], ["train"] * 6 + ["test"] * 2),
    "backgrounds in the validation side only": ([*USUAL[2:8], [], []], ["train"] * 6 + ["val"] * 2),
    "a class in the test side only": (
        [["disc"]] * 4 + [["disc", "star"], ["star"]], ["train"] * 4 + ["test"] * 2
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_unusual_data_gives_a_detector(tmp_path: Path, case: str) -> None:
    objects, sides = CASES[case]
    data = draw_shapes(tmp_path / "data", objects, sides=sides)
    detector = detector_of(data, tmp_path / "run")
    known = {label for labels, side in zip(objects, sides or ["train"] * 9, strict=False)
             for label in labels if side == "train"}  # fmt: skip
    assert set(detector.labels) == known
    assert len(PICTURES.read(tmp_path / "run")) == len(objects)
    assert {row.label for row in BOXES.read(tmp_path / "run")} <= known
    assert {row.label for row in DETECTIONS.read(tmp_path / "run")} <= known
    assert (detector.scores.test is not None) == ((sides or ["test"])[-1] == "test")  # type: ignore[union-attr]


def test_a_picture_that_can_not_be_read_is_skipped(shapes: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(shapes, tmp_path / "data"))
    path = data / "images" / "07.png"
    path.write_bytes(path.read_bytes()[:200])
    detector_of(data, tmp_path / "run")
    assert len(PICTURES.read(tmp_path / "run")) == 17
    assert "images/07.png" in (tmp_path / "run" / "skipped.csv").read_text()


def test_no_boxes_at_all_are_refused(tmp_path: Path) -> None:
    data = draw_shapes(tmp_path / "data", [[], [], []])
    with pytest.raises(DataError, match="none of the 3 pictures has a box, so there is nothing to learn"):
        regraft.fit(data, data=regraft.DataSettings(boxes_format="csv"), out=tmp_path / "run", **QUICK)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"strategy": "probe", "budget": None},
            "^strategy: no effect on a detector, but the data has boxes. Remove it; task",
        ),
        (
            {"strategy": "probe", "votes": False, "budget": None},
            r"^strategy, votes: no effect on a detector, .* Remove them;",
        ),
        ({"head_start": "zero"}, "head_start: no effect on a detector"),
        ({"framing": "pad"}, "framing: no effect on a detector"),
        (
            {"augment": "rand"},
            "augment rand is for classes of whole images; detectors accept none, flip, crop",
        ),
        ({"network": "auto", "weights": None}, "network auto compares networks as classifiers"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_settings_without_effect_are_refused(
    shapes: Path, tmp_path: Path, changes: dict[str, Any], text: str
) -> None:
    with pytest.raises(SettingsError, match=text):
        detector_of(shapes, tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


def test_a_network_without_maps_is_refused(shapes: Path, tmp_path: Path) -> None:
    with pytest.raises(NoMapsError, match="test_vit has no maps of stride 8, 16 or 32 for 96 x 64 pixels"):
        detector_of(shapes, tmp_path / "run", network="test_vit")


def test_boxes_are_left_aside_where_the_user_asks_for_classes(photos: Path, tmp_path: Path) -> None:
    first = "dark/0.png"
    (photos / "boxes.csv").write_text(f"path,label,x_min,y_min,x_max,y_max\n{first},thing,1,1,9,9\n")
    model = regraft.fit(
        photos, data=regraft.DataSettings(task="classification"), network="lenet5", strategy="probe"
    )
    assert isinstance(model, regraft.Model)
    assert model.labels == ("dark", "light")


def test_files_of_another_task_do_not_stay_in_the_folder(shapes: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    regraft.fit(photos, network="lenet5", strategy="probe", out=out)
    detector_of(shapes, out, overwrite=True)
    assert not any((out / name).exists() for name in ("plan.toml", "predictions.csv", "confusion.csv"))
    regraft.fit(photos, network="lenet5", strategy="probe", out=out, overwrite=True)
    assert not any((out / name).exists() for name in ("boxes.csv", "detections.csv", "thresholds.csv"))


def test_a_rung_that_can_not_be_fitted_leaves_the_grid(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise DataError("there are no boxes to learn from")

    monkeypatch.setattr("regraft.detection.solved_rungs.fit_regions", fails)
    detector = detector_of(shapes, tmp_path / "run", budget="4m")
    assert detector.finder.kind == "grid"
    assert "not possible: there are no boxes to learn from" in (tmp_path / "run" / "ladder.csv").read_text()


@pytest.mark.slow
def test_a_trained_detector_is_tried_kept_in_the_table_and_used_again(tmp_path: Path) -> None:
    data = draw_shapes(tmp_path / "shapes", [*USUAL, *USUAL], seed=1)
    settings: dict[str, Any] = {**SETTINGS, "budget": "10m", "epochs": 2}
    regraft.fit(data, out=tmp_path / "run", **settings)
    rows = json.loads((tmp_path / "run" / "ladder.json").read_text())["rows"]
    assert [row["name"] for row in rows][:2] == ["grid", "regions"]
    assert rows[2]["name"] in ("one-stage, 2 epochs", "two-stage, 2 epochs")
    assert rows[2]["took_s"] is not None
    regraft.fit(data, out=tmp_path / "again", **settings)
    for name in ("detections.csv", "scores.json", "bundle/detector.safetensors", "ladder.json"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


@pytest.mark.slow
def test_the_last_stages_are_trained_with_a_detector_that_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every trained detector counts as better here, so that the last rung is reached."""
    monkeypatch.setattr("regraft.detection.ladder.chance_better", lambda *_: 0.99)
    data = draw_shapes(tmp_path / "shapes", [*USUAL, *USUAL], seed=2)
    detector = detector_of(data, tmp_path / "run", budget="20m", epochs=1)
    rows = json.loads((tmp_path / "run" / "ladder.json").read_text())["rows"]
    assert rows[-1]["is_kept"]
    assert rows[-1]["name"].endswith(", 1 epoch")
    assert " and " in rows[-1]["name"]
    start = regraft.load_model(tmp_path / "run")
    assert "stages blocks" in start.lineage[-1] or "trained with it" in start.lineage[-1]
    plain = find_weights("test_efficientnet", weights="random")
    assert detector.weights.sha256 == start.weights.sha256 != plain.sha256
    seen = {row.path for row in DETECTIONS.read(tmp_path / "run")}
    pictures = [data / path for path in sorted(seen)]
    listed = sum(row.score >= 0.01 for row in DETECTIONS.read(tmp_path / "run"))
    found = start.predict(pictures, runtime="torch")
    assert sum(len(one.found) for one in found) == listed
