from __future__ import annotations

from pathlib import Path

import pytest

import regraft.lab
from regraft.lab.experiments.catalogue import EXPERIMENTS


@pytest.mark.slow
def test_two_runs_of_an_experiment_measure_the_same(tmp_path: Path) -> None:
    first, second = (
        regraft.lab.run("accumulation", quick=True, seeds=1, out=tmp_path / name).table for name in ("a", "b")
    )
    assert first.to_pylist() == second.to_pylist()
    assert {row["seed"] for row in first.to_pylist()} == {0}


@pytest.mark.soak
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_leaves_its_page_and_is_not_measured_again(name: str, tmp_path: Path) -> None:
    found = regraft.lab.run(name, quick=True, seeds=2, out=tmp_path)
    assert all((found.folder / f"{figure.name}.svg").is_file() for figure in found.figures)
    kept = {path: path.stat().st_mtime_ns for path in (found.folder / "rows").iterdir()}
    again = regraft.lab.run(name, quick=True, seeds=2, out=tmp_path)
    assert again.table == found.table
    assert again.findings == found.findings
    assert {path: path.stat().st_mtime_ns for path in (found.folder / "rows").iterdir()} == kept
