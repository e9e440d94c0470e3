from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from regraft.detection.detectors.run_files import DetectorFiles
from regraft.detection.detectors.run_tables import (
    BOXES,
    DETECTIONS,
    PICTURES,
    SUSPECTS,
    THRESHOLDS,
    BoxRow,
    DetectionRow,
    PictureRow,
    SuspectRow,
    Table,
    ThresholdRow,
    corners_of,
)
from regraft.errors import SettingsError
from regraft.evaluation.operating_points import OperatingPoint
from regraft.records import Estimate

BOX = (1.25, 2.0, 3.5, 4.0)
POINT = OperatingPoint(
    threshold=0.4, right=3, wrong=1, missed=2, precision=Estimate(value=0.75, low=0.5, high=1.0),
    recall=Estimate(value=0.6), f1=None,
)  # fmt: skip
ROWS: list[tuple[Table[Any], list[Any]]] = [
    (PICTURES, [PictureRow("a/b.jpg", "train", 640, 480, "0" * 64)]),
    (BOXES, [BoxRow("a.jpg", "test", "cat", *BOX, True, False), BoxRow("b.jpg", "validation", "dog", *BOX)]),
    (DETECTIONS, [DetectionRow("a.jpg", "test", "cat", 0.123456789, *BOX)]),
    (SUSPECTS, [SuspectRow("a.jpg", "test", "cat", 0.9, *BOX, "forgotten"),
                SuspectRow("a.jpg", "train", "cat", None, *BOX, "not found")]),
    (THRESHOLDS, [ThresholdRow.of("cat", 0.4, POINT)]),
]  # fmt: skip


@pytest.mark.parametrize(("table", "rows"), ROWS, ids=lambda part: getattr(part, "name", ""))
def test_rows_are_read_as_they_were_written(table: Table[Any], rows: list[Any], tmp_path: Path) -> None:
    table.write(tmp_path, rows)
    assert table.read(tmp_path) == rows


@pytest.mark.parametrize(("table", "rows"), ROWS, ids=lambda part: getattr(part, "name", ""))
def test_a_table_may_be_empty(table: Table[Any], rows: list[Any], tmp_path: Path) -> None:
    table.write(tmp_path, [])
    assert table.read(tmp_path) == []


@given(name=st.text(min_size=1, max_size=30), edges=st.lists(st.floats(-1e7, 1e7), min_size=4, max_size=4))
def test_any_name_and_any_box_come_back(
    name: str, edges: list[float], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("tables")
    low, high = sorted(edges[:2]), sorted(edges[2:])
    row = BoxRow(name, "test", name, low[0], high[0], low[1], high[1])
    BOXES.write(folder, [row])
    assert BOXES.read(folder) == [row]


@pytest.mark.parametrize("name", ["=cmd()", "'tis", "-1", "a,b", 'say "no"', "caf\udce9", "\x1b[31m", "<b>"])
def test_hostile_names_come_back_as_they_are_shown(name: str, tmp_path: Path) -> None:
    row = DetectionRow(name, "test", name, 0.5, *BOX)
    DETECTIONS.write(tmp_path, [row])
    assert DETECTIONS.read(tmp_path) == [row]
    assert row.label.isprintable()


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ("a.jpg,test,cat,1.5,1,2,3,4", "score is '1.5': Input should be less than or equal to 1"),
        ("a.jpg,test,cat,nan,1,2,3,4", "score is 'nan'"),
        ("a.jpg,test,cat,,1,2,3,4", "score is ''"),
        ("a.jpg,left,cat,0.5,1,2,3,4", "side is 'left'"),
        ("a.jpg,test,cat,0.5,1,2,inf,4", "x_max is 'inf'"),
        ("a.jpg,test,cat,0.5,3,2,1,4", "the box is inverted"),
        ("a.jpg,test,cat,0.5,1,2,3", "7 cells; expected 8"),
    ],
)
def test_a_wrong_row_is_named_with_its_line(cells: str, message: str, tmp_path: Path) -> None:
    good = "a.jpg,test,cat,0.5,1,2,3,4"
    text = f"path,side,label,score,x_min,y_min,x_max,y_max\n{good}\n{cells}\n"
    (tmp_path / "detections.csv").write_text(text)
    with pytest.raises(SettingsError, match=r"detections\.csv, line 3: ") as error:
        DETECTIONS.read(tmp_path)
    assert message in str(error.value)


def test_another_table_is_refused_by_its_columns(tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text("path,label\na.jpg,cat\n")
    with pytest.raises(SettingsError, match=r"boxes\.csv has the columns path, label; expected path, side"):
        BOXES.read(tmp_path)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b'path,"', b""], ids=["bytes", "quote", "empty"])
def test_a_damaged_file_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "pictures.csv").write_bytes(content)
    with pytest.raises(SettingsError, match=r"pictures\.csv"):
        PICTURES.read(tmp_path)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"thresholds\.csv is missing"):
        THRESHOLDS.read(tmp_path)


def test_an_inverted_box_is_refused_before_it_is_written() -> None:
    with pytest.raises(ValidationError, match="the box is inverted"):
        BoxRow("a.jpg", "test", "cat", 5, 0, 4, 1)


def test_a_threshold_has_the_estimates_of_its_point() -> None:
    row = ThresholdRow.of("cat", 0.4, POINT)
    assert row.estimate("precision") == POINT.precision
    assert row.estimate("recall") == Estimate(value=0.6)
    assert row.estimate("f1") is None


def test_corners_of_no_boxes_have_four_columns() -> None:
    assert corners_of([]).shape == (0, 4)


def test_what_is_no_detector_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"schema_version": 1, "plan": {}}')
    with pytest.raises(SettingsError, match=r"run\.json can't be read"):
        _ = DetectorFiles(tmp_path).run
