"""Official splits whose sides hold different classes, or spell the same class in two ways."""

from __future__ import annotations

import csv
import json
import re
import unicodedata
from pathlib import Path

import pytest

from regraft.data.images import find_images
from tests.cases.conftest import QUICK, Command
from tests.cases.pictures import folder, labelled, table


def uneven(root: Path) -> Path:
    """zebra is only tested, fox is never validated."""
    folder(root / "train", ("cat", "dog", "fox"))
    folder(root / "val", count=4, start=40)
    return folder(root / "test", ("cat", "dog", "fox", "zebra"), count=4, start=60).parent


def test_a_class_without_training_images_is_no_label(regraft_command: Command, tmp_path: Path) -> None:
    fitted = regraft_command("fit", uneven(tmp_path / "set"), *QUICK, "--out", "run")
    assert json.loads((tmp_path / "run/bundle/bundle.json").read_text())["labels"] == ["cat", "dog", "fox"]
    assert "class zebra has no training images" in fitted.err
    with (tmp_path / "run/predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    right = sum(row["label"] == row["predicted"] for row in rows)
    assert len(rows) == 12
    said = re.search(r"test accuracy: (.*)% without the 4 images .*, (.*)% with them", fitted.err)
    assert said is not None
    assert [float(one) for one in said.groups()] == pytest.approx(
        [100 * right / 12, 100 * right / 16], abs=0.06
    )


def test_the_sides_that_lack_a_class_are_findings(regraft_command: Command, tmp_path: Path) -> None:
    found = json.loads(regraft_command("check", uneven(tmp_path / "set"), "--json").out)
    findings = {one["kind"]: one for one in found["findings"]}
    assert set(found["classes"]) == {"cat", "dog", "fox"}
    assert "class zebra" in findings["untrained-class"]["message"]
    assert len(findings["untrained-class"]["paths"]) == 4
    assert "class fox has no validation images" in findings["unvalidated-class"]["message"]


def test_a_table_with_a_class_that_is_only_validated_is_fitted(
    regraft_command: Command, tmp_path: Path
) -> None:
    root = folder(tmp_path / "set", ("cat", "dog", "owl"))
    rows = [
        (path, label, "val" if label == "owl" or path.endswith("1.jpg") else "train")
        for path, label in labelled(root)
    ]
    table(root / "t.csv", rows, header=("path", "label", "split"))
    fitted = regraft_command("fit", root / "t.csv", *QUICK)
    assert fitted.code == 0
    assert "validation accuracy: " in fitted.err
    assert "without the 12 images of classes without training images" in fitted.err


def test_a_training_side_of_one_class_is_an_error(regraft_command: Command, tmp_path: Path) -> None:
    folder(tmp_path / "set/train", ("good",))
    folder(tmp_path / "set/test", ("good", "broken"), count=3)
    said = regraft_command("check", tmp_path / "set").err
    assert "the training side holds images of 1 class (good)" in said


@pytest.mark.parametrize(
    ("here", "there"),
    [
        (unicodedata.normalize("NFC", "pâté"), unicodedata.normalize("NFD", "pâté")),
        ("Köln", unicodedata.normalize("NFD", "Köln")),
        ("cat", "cat "),
        ("각", unicodedata.normalize("NFD", "각")),
    ],
    ids=["accents", "umlaut", "blank", "hangul"],
)
def test_one_class_may_be_spelled_in_two_ways(tmp_path: Path, here: str, there: str) -> None:
    folder(tmp_path / "train", (here, "dogs"), count=1)
    folder(tmp_path / "test", (there, "dogs"), count=1)
    found = find_images(tmp_path)
    assert {one.label for one in found.candidates} == {here, "dogs"}
    assert [one.paths for one in found.findings] == [(f"train/{here}", f"test/{there}")]
