"""doctor, runs, fit --dry-run and help: what a user asks before and after the work."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from regraft.cli.app import run
from regraft.workflow import diagnosis
from regraft.workflow.diagnosis import Check, diagnose
from tests.conftest import DigitsRun


def test_doctor_looks_at_everything_and_finds_this_environment_well(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["doctor"]) == 0
    said = capsys.readouterr().out
    for name in (
        "Python",
        "PyTorch",
        "GPU",
        "devices",
        "processor",
        "memory",
        "cache",
        "weights",
        "extra serve",
    ):
        assert f" {name}" in said, name
    assert "PROBLEM" not in said


def test_doctor_says_what_is_wrong_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("REGRAFT_CACHE", str(tmp_path / "file" / "cache"))
    assert run(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "PROBLEM cache" in said
    assert "→ set $REGRAFT_CACHE to a folder that you can write to" in said


def test_a_torchvision_of_another_build_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> object:
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(diagnosis.importlib, "import_module", fail)
    found = {check.name: check for check in diagnose()}
    assert found["PyTorch"].state == "problem"
    assert "torchvision::nms does not exist" in found["PyTorch"].found
    assert "from one index" in found["PyTorch"].mend


def test_a_look_that_fails_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "machine_facts", lambda: 1 / 0)
    found = diagnose()
    assert Check("processor", "problem", "division by zero") in found
    assert any(check.name == "cache" and check.state == "ok" for check in found)


def test_runs_are_listed_the_most_accurate_first(
    digits_run: DigitsRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("probe", "svm"):
        shutil.copytree(digits_run(name).folder, tmp_path / "runs" / name)
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "run.json").write_text("{}")
    assert run(["runs", str(tmp_path / "runs"), "--json"]) == 0
    said = capsys.readouterr()
    assert said.err.startswith("left out: ")
    rows = [json.loads(line) for line in said.out.splitlines()]
    shares = [row["accuracy"]["value"] for row in rows]
    assert len(rows) == 2
    assert shares == sorted(shares, reverse=True)


@pytest.mark.parametrize(("folder", "said"), [("gone", "is not a folder"), (".", "holds no finished run")])
def test_a_folder_without_runs_is_said_to_be_one(
    folder: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["runs", str(tmp_path / folder)]) == 2
    assert said in capsys.readouterr().err


def test_a_dry_run_counts_and_neither_computes_features_nor_writes_a_run(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warm_cache: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert run(["fit", str(digits), "--network", "lenet5", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "3 classes · 542 images" in said
    assert "not timed on this machine yet" in said
    assert "a ladder with a budget of 5 min" in said
    assert not (tmp_path / "runs").exists()
    assert {path.name for path in warm_cache.iterdir()} <= {"scan", "splits", "networks"}


def test_a_dry_run_names_bad_files(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (photos / "dark" / "bad.png").write_bytes(b"no image")
    assert run(["fit", str(photos), "--network", "lenet5", "--strategy", "probe", "--dry-run"]) == 0
    assert "can't be used: dark/bad.png: not an image" in capsys.readouterr().out


def test_a_dry_run_stops_where_the_fit_would(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["fit", str(photos), "--network", "lenet5", "--strategy", "svm", "--cut", "c9"]
    assert run([*asked, "--dry-run"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert run(asked) == 1
    assert capsys.readouterr().err.splitlines()[-1] == said


@pytest.mark.parametrize(
    "command", ["fit", "explain", "export", "serve", "report", "visualize", "zoo show", "weights import"]
)
def test_help_shows_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command.split(), "--help"]) == 0
    said = capsys.readouterr().out
    assert said.count(f"regraft {command}") >= 2  # usage, and at least one example
