"""Commands that are run inside of the data: what they write is never data of the next one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from regraft.data.images import find_images
from tests.cases.conftest import QUICK, Command
from tests.cases.pictures import folder


def as_split(root: Path) -> Path:
    folder(root / "train", count=16)
    return folder(root / "val", count=6, start=60).parent


@pytest.mark.parametrize("make", [folder, as_split], ids=["classes", "split"])
def test_repeated_fits_in_the_data_see_the_same_data(
    regraft_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: object
) -> None:
    make(tmp_path / "photos")  # type: ignore[operator]
    monkeypatch.chdir(tmp_path / "photos")
    first = json.loads(regraft_command("check", ".", "--json").out)
    for seed in ("0", "1", "1"):
        assert regraft_command("fit", ".", *QUICK, "--seed", seed).code == 0
        later = json.loads(regraft_command("check", ".", "--json").out)
        assert {key: later[key] for key in ("classes", "sides", "skipped")} == {
            key: first[key] for key in ("classes", "sides", "skipped")
        }
    assert [(one["kind"], one["paths"]) for one in later["findings"]] == [("set-aside", ["runs"])]


@pytest.mark.slow
def test_an_export_and_the_cache_are_no_data(
    regraft_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = folder(tmp_path / "photos", count=40)
    monkeypatch.setenv("REGRAFT_CACHE", str(data / "cache"))
    regraft_command("fit", data, *QUICK, "--out", data / "model")
    assert regraft_command("export", data / "model", "--out", data / "exported").code == 0
    shutil.copytree(data / "model/bundle", data / "copied")
    found = find_images(data)
    assert {one.label for one in found.candidates} == {"cat", "dog"}
    aside = {path for one in found.findings if one.kind == "set-aside" for path in one.paths}
    assert aside == {"cache", "copied", "exported", "model"}


def test_a_cache_that_is_used_no_longer_is_no_data(regraft_command: Command, tmp_path: Path) -> None:
    data = folder(tmp_path / "photos")
    regraft_command("check", data)
    shutil.copytree(tmp_path / "cache", data / "old cache")
    assert {one.label for one in find_images(data).candidates} == {"cat", "dog"}


def test_a_fit_that_was_killed_leaves_no_data(tmp_path: Path) -> None:
    data = folder(tmp_path / "photos", count=1)
    (data / "runs/photos-lenet5").mkdir(parents=True)
    line = json.dumps({"time": "…", "kind": "started", "command": ["regraft", "fit"], "cwd": "/"})
    (data / "runs/photos-lenet5/log.jsonl").write_text(line + "\n")
    found = find_images(data)
    assert [finding.paths for finding in found.findings] == [("runs",)]


def test_an_environment_of_python_is_no_data(tmp_path: Path) -> None:
    data = folder(tmp_path / "photos", count=1)
    folder(data / "venv", ("lib",), count=1)
    (data / "venv/pyvenv.cfg").write_text("home = /usr/bin\n")
    assert {one.label for one in find_images(data).candidates} == {"cat", "dog"}


def test_a_class_whose_folder_holds_records_of_others_stays(tmp_path: Path) -> None:
    data = folder(tmp_path / "photos", count=1)
    for name in ("run.json", "log.jsonl", "store.json"):
        (data / "cat" / name).write_text('{"kind": "marathon"}')
    assert {one.label for one in find_images(data).candidates} == {"cat", "dog"}
