from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from regraft.cli.app import app, run
from regraft.lab import course
from regraft.lab.experiments import catalogue
from regraft.lab.results.experiment import Choices
from tests.lab.examples import Counted, example
from tests.lab.made import made


def test_experiments_are_listed(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["lab", "--json"]) == 0
    listed = json.loads(capfd.readouterr().out)
    assert [one["name"] for one in listed] == list(catalogue.EXPERIMENTS)
    assert run(["lab"]) == 0
    assert "What did sharing the computation" in " ".join(capfd.readouterr().out.replace("│", " ").split())


def test_an_unknown_name_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["lab", "rccn"]) == 2
    assert "there is no experiment 'rccn' (did you mean rcnn?)" in capfd.readouterr().err


def test_an_experiment_prints_tables_and_sentences(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "EXPERIMENTS", {"example": example(Counted())})
    assert run(["lab", "example", "--out", str(tmp_path), "--seeds", "2"]) == 0
    shown = capfd.readouterr()
    assert "- 2 draws" in shown.out
    assert "50.2" in shown.out
    assert "draw 2 of 2, fast" in shown.err
    assert run(["lab", "example", "--out", str(tmp_path), "--seeds", "2", "--json"]) == 0
    facts = json.loads(capfd.readouterr().out)
    assert (facts["draws"], len(facts["rows"])) == (2, 4)


def test_the_whole_course_is_one_command(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "EXPERIMENTS", {"example": example(Counted())})
    assert run(["lab", "all", "--quick", "--out", str(tmp_path)]) == 0
    assert f"The course: {tmp_path / 'lab' / 'index.html'}" in capfd.readouterr().out.replace("\n", " ")
    assert run(["lab", "all", "--quick", "--out", str(tmp_path), "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["findings"] == {
        "example": ["3 draws <script>alert(1)</script>"]
    }


def test_the_list_shows_what_was_measured_here(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "EXPERIMENTS", {"depth": example(Counted())})
    rows = tmp_path / "lab" / "depth" / "rows"
    rows.mkdir(parents=True)
    for number, text in enumerate(('{"seconds": 90.0}', '{"seconds": 30}', "damaged")):
        (rows / f"{number}.json").write_text(text)
    assert run(["lab", "--json", "--out", str(tmp_path)]) == 0
    listed = {one["name"]: one["measured_s"] for one in json.loads(capfd.readouterr().out)}
    assert (listed["depth"], listed["gradients"]) == (120.0, None)


@pytest.mark.parametrize("name", [name for name in catalogue.EXPERIMENTS if name != "rcnn"])
def test_what_to_try_next_is_understood(name: str) -> None:
    steps = catalogue.EXPERIMENTS[name].next_steps(made(name, {}), Choices(is_quick=True), None)
    assert [step.command for step in steps][:2] == [f"lab {name} --quick --seeds 6", f"lab {name}"]
    for step in steps:
        app.parse_args(shlex.split(step.command), exit_on_error=False, print_error=False)
