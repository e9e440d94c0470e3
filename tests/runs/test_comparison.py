from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

import regraft
from regraft.errors import SettingsError
from regraft.runs.comparison import read_run
from tests.conftest import DigitsRun


@pytest.fixture(scope="module")
def runs(digits: Path, digits_run: DigitsRun, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    ways = {
        "poor": {"strategy": "svm", "head": "centroid", "cut": "c1"},
        "elsewhere": {"strategy": "probe", "seed": 1},
    }
    for name, how in ways.items():
        regraft.fit(digits, network="lenet5", out=folder / name, **how)
    spoil(folder / "poor" / "predictions.csv")
    usual = {name: digits_run(name).folder for name in ("probe", "svm")}
    return usual | {name: folder / name for name in ways}


def spoil(path: Path) -> None:
    """Digits are too easy for a poor model: a third of its answers is replaced."""
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    for row in rows[::3]:
        row[header.index("predicted")] = "no such digit"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def test_runs_that_cannot_be_told_apart_leave_the_cheaper(runs: dict[str, Path]) -> None:
    found = regraft.compare_runs([runs["probe"], runs["svm"], runs["poor"]])
    by_name = {row.run.folder.name: row for row in found.rows}
    assert by_name["poor"].is_apart
    assert not by_name["probe"].is_apart
    assert not by_name["svm"].is_apart
    alike = [row.run for row in found.rows if not row.is_apart]
    assert found.recommended in alike
    assert found.recommended.multiply_adds == min(run.multiply_adds or 0 for run in alike)


def test_the_best_comes_first_and_differences_are_to_it(runs: dict[str, Path]) -> None:
    rows = regraft.compare_runs([runs["poor"], runs["svm"]]).rows
    assert rows[0].against_best is None
    pair = rows[1].against_best
    assert pair is not None
    difference = rows[1].run.merit.merit - rows[0].run.merit.merit
    assert pair.difference.value == pytest.approx(difference)


def test_an_earlier_stage_is_the_cheaper_answer(runs: dict[str, Path]) -> None:
    whole, first = read_run(runs["probe"]).multiply_adds, read_run(runs["poor"]).multiply_adds
    assert whole is not None
    assert first is not None
    assert first < whole


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["probe"], "1 run to compare; give at least two"),
        (["probe", "elsewhere"], "were evaluated on different images"),
        (["probe", "gone"], "holds no finished run"),
    ],
)
def test_what_cannot_be_compared_is_refused(runs: dict[str, Path], names: list[str], said: str) -> None:
    folders = [runs.get(name, Path(name)) for name in names]
    with pytest.raises(SettingsError, match=said):
        regraft.compare_runs(folders)


def test_images_of_a_group_are_compared_together(runs: dict[str, Path], tmp_path: Path) -> None:
    for name in ("svm", "poor"):
        shutil.copytree(runs[name], tmp_path / name)
        place = tmp_path / name / "split.csv"
        with place.open(newline="") as file:
            header, *rows = csv.reader(file)
        for number, row in enumerate(rows):
            row[header.index("group")] = f"plate {number % 8}"
        with place.open("w", newline="") as file:
            csv.writer(file).writerows([header, *rows])
    grouped, plain = (
        regraft.compare_runs([root["svm"], root["poor"]])
        for root in (
            {name: tmp_path / name for name in ("svm", "poor")},
            runs,
        )
    )
    pair, usual = grouped.rows[1].against_best, plain.rows[1].against_best
    assert pair is not None
    assert usual is not None
    assert (pair.groups, usual.groups) == (8, None)
    assert pair.difference.value == pytest.approx(usual.difference.value)
    assert pair.p_value > usual.p_value


def test_the_best_is_called_by_the_measure_of_the_runs(digits: Path, tmp_path: Path) -> None:
    """Both runs answer alike, so the larger bundle can't be told apart from the best."""
    for name, head in (("one", "logistic"), ("other", "ridge")):
        regraft.fit(
            digits, network="lenet5", strategy="probe", head=head, measure="balanced", out=tmp_path / name
        )
    found = regraft.compare_runs([tmp_path / "one", tmp_path / "other"])
    assert found.rows[0].run.merit.name == "balanced_accuracy"
    assert "the best by balanced accuracy" in found.reason
    assert "accurate" not in found.reason
