from __future__ import annotations

import csv
from pathlib import Path
from xml.etree import ElementTree

import pytest

import regraft.lab
from regraft.errors import SettingsError
from regraft.lab.running import run_experiment
from tests.browser import Visiting
from tests.lab.examples import CHOICES, HOSTILE, Counted, example


def test_a_longer_run_adds_to_a_shorter_one(tmp_path: Path) -> None:
    first, second = Counted(), Counted()
    run_experiment(example(first), CHOICES, out=tmp_path, seeds=1)
    found = run_experiment(example(second), CHOICES, out=tmp_path, seeds=2)
    assert first.asked == [("slow", 0), ("fast", 0)]
    assert second.asked == [("slow", 1), ("fast", 1)]
    assert found.results.seeds == (0, 1)
    assert found.results.estimate("slow", "share").value == pytest.approx(0.5025)


def test_other_data_is_measured_anew(tmp_path: Path) -> None:
    run_experiment(example(Counted()), CHOICES, out=tmp_path, seeds=1)
    other = Counted(facts={"pictures": "others"})
    run_experiment(example(other), CHOICES, out=tmp_path, seeds=1)
    assert len(other.asked) == 2


def test_a_damaged_row_is_measured_anew(tmp_path: Path) -> None:
    run_experiment(example(Counted()), CHOICES, out=tmp_path, seeds=1)
    for path in (tmp_path / "lab/example/rows").iterdir():
        path.write_text('{"value": NaN')
    again = Counted()
    run_experiment(example(again), CHOICES, out=tmp_path, seeds=1)
    assert len(again.asked) == 2


def test_an_interruption_leaves_a_page_of_whole_draws_and_is_resumed(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_experiment(example(Counted(stop_at=3)), CHOICES, out=tmp_path)
    page = (tmp_path / "lab/example/index.html").read_text()
    assert "1 draws" in page
    again = Counted()
    run_experiment(example(again), CHOICES, out=tmp_path)
    assert again.asked == [("fast", 1), ("slow", 2), ("fast", 2)]


def test_an_interrupted_first_draw_leaves_its_rows_and_no_page(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_experiment(example(Counted(stop_at=1)), CHOICES, out=tmp_path)
    assert [path.name for path in (tmp_path / "lab/example").iterdir()] == ["rows"]


def test_a_spent_budget_ends_after_the_first_draw(tmp_path: Path) -> None:
    subject = Counted()
    run_experiment(example(subject), CHOICES, out=tmp_path, budget_s=0.0)
    assert subject.asked == [("slow", 0), ("fast", 0)]


def test_no_more_draws_than_the_data_has(tmp_path: Path) -> None:
    subject = Counted(most_seeds=2)
    run_experiment(example(subject), CHOICES, out=tmp_path)
    assert {seed for _, seed in subject.asked} == {0, 1}
    with pytest.raises(SettingsError, match=r"seeds 3 needs more pictures .* enough for 2 independent draws"):
        run_experiment(example(subject), CHOICES, out=tmp_path, seeds=3)


@pytest.mark.parametrize("seeds", [0, 101, -1])
def test_numbers_of_draws_out_of_range_are_refused(tmp_path: Path, seeds: int) -> None:
    with pytest.raises(SettingsError, match=f"seeds {seeds} is out of range; accepted are 1 to 100"):
        run_experiment(example(Counted()), CHOICES, out=tmp_path, seeds=seeds)


@pytest.mark.parametrize("name", ["thesis.txt", "index.html"])
def test_files_of_others_are_left_alone(tmp_path: Path, name: str) -> None:
    path = tmp_path / "lab" / "example" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises(SettingsError, match=rf"holds files of others \({name}\)"):
        run_experiment(example(Counted()), CHOICES, out=tmp_path)
    assert path.read_text() == "mine"


def test_figures_and_numbers_are_files(tmp_path: Path) -> None:
    found = run_experiment(example(Counted()), CHOICES, out=tmp_path, seeds=2)
    picture = ElementTree.parse(found.folder / "shares.svg").getroot()
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    with (found.folder / "numbers.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["arm"], row["seed"], float(row["value"])) for row in rows] == [
        ("slow", "0", 0.5), ("fast", "0", 0.25), ("slow", "1", 0.505), ("fast", "1", 0.255)
    ]  # fmt: skip
    assert found.table.column_names == list(rows[0])
    assert found.table["value"].to_pylist() == [float(row["value"]) for row in rows]


def test_the_page_escapes_what_it_shows(tmp_path: Path) -> None:
    page = run_experiment(example(Counted()), CHOICES, out=tmp_path, seeds=1).page.read_text()
    assert HOSTILE not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 3


def test_an_unknown_experiment_is_named_with_close_ones() -> None:
    with pytest.raises(SettingsError, match=r"there is no experiment 'rcn' \(did you mean rcnn\?\)"):
        regraft.lab.run("rcn")


@pytest.mark.browser
def test_the_page_is_accessible_and_loads_nothing(tmp_path: Path, visiting: Visiting) -> None:
    page = run_experiment(example(Counted()), CHOICES, out=tmp_path, seeds=2).page
    with visiting() as visit:
        visit.open(page.as_uri())
        assert (visit.faults(), visit.outside, visit.complaints, visit.dialogs) == ([], [], [], [])
