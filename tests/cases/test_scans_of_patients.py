"""DICOM files of patients: they stay on one side of a split, and nothing that names them reaches a file."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from tests.cases.conftest import QUICK, Command

pytest.importorskip("pydicom", reason="pydicom is not installed (the extra medical)")
from tests.data.formats.test_dicom import made

NAMES = ("Doe^", "MRN-", "1.2.826.0.1")


def scans(root: Path) -> Path:
    """Ten patients with four images each; bright on the left or on the right."""
    for patient in range(10):
        folder = root / ("left", "right")[patient % 2]
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(4):
            draws = np.random.default_rng([patient, number])
            values = draws.integers(0, 900, (64, 64))
            values[:, slice(0, 24) if patient % 2 else slice(40, 64)] += 2500
            data = made(values.astype(np.uint16), PatientID=f"MRN-{patient}", PatientName=f"Doe^{patient}")
            (folder / f"IM{patient:02d}{number}").write_bytes(data)
    return root


@pytest.mark.usefixtures("own_cache")
def test_patients_are_groups_and_are_named_nowhere(tmp_path: Path, regraft_command: Command) -> None:
    import os

    root = scans(tmp_path / "scans")
    ran = regraft_command("fit", root, *QUICK, "--out", tmp_path / "run")
    assert ran.code == 0, ran.text
    with (tmp_path / "run" / "split.csv").open() as file:
        rows = list(csv.DictReader(file))
    sides = {(row["path"].split("/")[1][:4], row["side"]) for row in rows}
    assert len(rows) == 40
    assert len(sides) == 10
    folders = (tmp_path / "run", Path(os.environ["REGRAFT_CACHE"]))
    written = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert len(written) > 10
    for path in written:
        content = path.read_bytes()
        assert not any(name.encode() in content for name in NAMES), path
    assert not any(name in ran.text for name in NAMES)


def test_a_range_and_a_window_are_in_the_bundle(tmp_path: Path, regraft_command: Command) -> None:
    import json

    root = scans(tmp_path / "scans")
    ran = regraft_command("fit", root, *QUICK, "--window", "2000:4000", "--out", tmp_path / "run")
    assert ran.code == 0, ran.text
    bundle = json.loads((tmp_path / "run" / "bundle" / "bundle.json").read_text())
    assert bundle["input_spec"]["intensity"]["window"] == [0, 4000]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["settings"]["window"] == "2000:4000"
    ran = regraft_command("predict", tmp_path / "run", root / "left", root / "right")
    labels = [line.split(",")[:2] for line in ran.out.splitlines()[1:]]
    assert np.mean([label in path for path, label in labels]) > 0.9
