from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from regraft.errors import DataError, SettingsError
from regraft.lab import course
from regraft.lab.course import measured_seconds, run_course
from regraft.lab.results.curves import curves, layers_by_step, shades
from regraft.lab.results.experiment import Experiment, Subject
from regraft.lab.results.results import Results
from regraft.lab.running import run_experiment
from tests.browser import Visiting
from tests.lab.examples import CHOICES, Counted, example


def refused(*_: object) -> Subject:
    raise DataError("a class of photos has 2 images")


def three(first: Counted, last: Counted) -> dict[str, Experiment]:
    middle = replace(example(Counted()), name="middle", prepare=refused, topic="training: what")
    return {
        "one": replace(example(first), name="one"),
        "middle": middle,
        "last": replace(example(last), name="last"),
    }


def test_the_course_runs_what_it_can_and_says_why_it_could_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "EXPERIMENTS", three(Counted(), Counted()))
    found = run_course(CHOICES, out=tmp_path, seeds=2)
    assert [run.results.experiment for run in found.runs] == ["one", "last"]
    assert found.troubles == (("middle", "a class of photos has 2 images"),)
    page = found.page.read_text()
    assert 'href="one/index.html"' in page
    assert "a class of photos has 2 images" in page
    assert "2 of 3 experiments are here" in page


def test_after_an_interruption_the_page_shows_what_is_there_and_the_rest_is_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "EXPERIMENTS", three(Counted(), Counted(stop_at=0)))
    with pytest.raises(KeyboardInterrupt):
        run_course(CHOICES, out=tmp_path, seeds=1)
    assert "1 of 3 experiments are here" in (tmp_path / "lab/index.html").read_text()
    first, last = Counted(), Counted()
    monkeypatch.setattr(course, "EXPERIMENTS", three(first, last))
    run_course(CHOICES, out=tmp_path, seeds=1)
    assert (first.asked, last.asked) == ([], [("slow", 0), ("fast", 0)])


def test_a_spent_budget_begins_no_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Counted()
    monkeypatch.setattr(course, "EXPERIMENTS", three(first, Counted()))
    assert run_course(CHOICES, out=tmp_path, budget_s=0.0).runs == ()
    assert first.asked == []


def test_seeds_out_of_range_are_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Counted()
    monkeypatch.setattr(course, "EXPERIMENTS", three(first, Counted()))
    with pytest.raises(SettingsError, match="seeds 0 is out of range; accepted are 1 to 100"):
        run_course(CHOICES, out=tmp_path, seeds=0)
    assert first.asked == []


def test_data_without_images_is_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Counted()
    monkeypatch.setattr(course, "EXPERIMENTS", three(first, Counted()))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty"):
        run_course(replace(CHOICES, data=str(tmp_path / "empty")), out=tmp_path)
    assert first.asked == []


def test_the_command_to_repeat_it_has_the_number_of_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "EXPERIMENTS", three(Counted(), Counted()))
    assert "regraft lab all --seeds 2" in run_course(CHOICES, out=tmp_path, seeds=2).page.read_text()


def test_a_page_of_others_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(course, "EXPERIMENTS", three(Counted(), Counted()))
    path = tmp_path / "lab" / "index.html"
    path.parent.mkdir()
    path.write_text("mine")
    with pytest.raises(SettingsError, match=r"index\.html is not a page of the course"):
        run_course(CHOICES, out=tmp_path)
    assert path.read_text() == "mine"


def test_measured_times_are_those_of_the_kept_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(course, "EXPERIMENTS", three(Counted(), Counted()))
    found = run_course(CHOICES, out=tmp_path, seeds=2)
    spent = measured_seconds(tmp_path)
    assert set(spent) == {"one", "last"}
    assert spent["one"] == pytest.approx(sum(row.seconds for row in found.runs[0].results.rows))


def sliding(results: Results) -> list[object]:
    """A figure of each kind, all with the same numbers."""
    line = [(float(n), results.estimate("slow", "share")) for n in range(3)]
    lines = [("slow", line), ("fast", line)]
    return [
        curves("curve", "A curve", ("step", "share"), lines, slider="step"),
        layers_by_step("layers", "Layers", ("layer", "norm"), {"1": lines, "9": lines}),
        shades("matrix", "A matrix", ("x",), [("row", [line[0][1]])], strength=abs),
    ]


@pytest.mark.browser
def test_a_slider_moves_through_its_figure_and_the_pages_are_accessible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visiting: Visiting
) -> None:
    own = replace(example(Counted()), figures=sliding)
    page = run_experiment(own, CHOICES, out=tmp_path, seeds=2).page
    with visiting() as visit:
        visit.open(page.as_uri())
        slider = visit.page.locator("#figure-layers input")
        parts = "[...document.querySelectorAll('#figure-layers [data-frame]')]"
        shown = f"{parts}.map(one => one.hasAttribute('hidden'))"
        assert visit.page.evaluate(shown) == [False, True]
        slider.focus()
        slider.press("ArrowRight")
        assert visit.page.evaluate(shown) == [True, False]
        assert visit.page.locator("#figure-layers output").inner_text() == "step 9"
        assert (visit.faults(), visit.outside, visit.complaints, visit.dialogs) == ([], [], [], [])
    monkeypatch.setattr(course, "EXPERIMENTS", {"example": own})
    with visiting() as visit:
        visit.open(run_course(CHOICES, out=tmp_path, seeds=2).page.as_uri())
        assert (visit.faults(), visit.outside, visit.complaints, visit.dialogs) == ([], [], [], [])
