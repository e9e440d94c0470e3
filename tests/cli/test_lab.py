from __future__ import annotations

import json
from pathlib import Path

import pytest

from regraft.cli.app import run
from regraft.lab.experiments import catalogue
from tests.lab.examples import Counted, example


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
