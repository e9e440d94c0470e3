from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import regraft
from regraft.errors import NetworkError, SettingsError
from regraft.runs.records import Run
from regraft.settings import DataSettings
from regraft.tasks.score_sheet import ScoreSheet
from tests.conftest import DigitsRun
from tests.nursery import Child, Nursery


def fitted(data: Path, out: Path, **settings: object) -> regraft.Model:
    return regraft.fit(data, network="lenet5", out=out, **{"strategy": "probe", **settings})


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a run but the log and TensorBoard's, which hold times, and temporary files."""
    files = (path for path in folder.rglob("*") if path.is_file())
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    return {
        name: data
        for name, data in found.items()
        if name != "log.jsonl" and not name.startswith("tensorboard/") and not name.endswith(".tmp")
    }


@pytest.mark.parametrize("strategy", ["probe", "svm", "many-stages"])
def test_a_fit_learns_and_leaves_a_run(digits_run: DigitsRun, strategy: str) -> None:
    fit = digits_run(strategy)
    assert fit.model.test_scores is not None
    assert fit.model.test_scores.accuracy.value > 0.9
    assert sorted(path.name for path in fit.folder.iterdir()) == [
        "bundle",
        "confusion.csv",
        "findings.csv",
        "log.jsonl",
        "plan.toml",
        "predictions.csv",
        "run.json",
        "scores.csv",
        "scores.json",
        "skipped.csv",
        "split.csv",
        "split.json",
    ]


def test_records_read_back(digits_run: DigitsRun) -> None:
    fit = digits_run("probe")
    sheet = ScoreSheet.model_validate_json((fit.folder / "scores.json").read_text())
    assert sheet == fit.model.scores
    run = Run.model_validate_json((fit.folder / "run.json").read_text())
    assert run.weights.sha256 == fit.model.weights.sha256
    assert any("runtime" in reason for reason in run.reasons)


def test_saved_predictions_give_the_saved_accuracy(digits_run: DigitsRun) -> None:
    folder = digits_run("probe").folder
    with (folder / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    accuracy = np.mean([row["label"] == row["predicted"] for row in rows])
    scores = json.loads((folder / "scores.json").read_text())
    assert scores["test"]["accuracy"]["value"] == pytest.approx(accuracy)
    assert {row["side"] for row in rows} == {"test"}


def test_the_same_fit_twice_leaves_the_same_bytes(
    digits: Path, digits_run: DigitsRun, tmp_path: Path
) -> None:
    fitted(digits, tmp_path / "again", strategy="many-stages")
    assert content(tmp_path / "again") == content(digits_run("many-stages").folder)


def test_test_labels_change_nothing_but_the_scores(digits: Path, tmp_path: Path) -> None:
    """A canary: the test images get each other's labels, and the head must not notice."""
    paths = sorted(path.relative_to(digits).as_posix() for path in digits.rglob("*.png"))
    rows = [(path, path[0], "test" if number % 4 == 0 else "train") for number, path in enumerate(paths)]
    wrong = {"5": "6", "6": "7", "7": "5"}
    heads = []
    for name, change in (("true", lambda label: label), ("false", wrong.get)):
        table = tmp_path / f"{name}.csv"
        lines = [f"{p},{change(label) if side == 'test' else label},{side}" for p, label, side in rows]
        table.write_text("path,label,split\n" + "\n".join(lines))
        data = regraft.DataSettings(root=str(digits))
        model = regraft.fit(table, data=data, network="lenet5", strategy="many-stages", out=tmp_path / name)
        heads.append((tmp_path / name / "bundle" / "head.safetensors").read_bytes())
        assert model.test_scores is not None
        assert (model.test_scores.accuracy.value > 0.5) == (name == "true")
    assert heads[0] == heads[1]


def test_without_a_test_side_the_scores_say_that_they_are_cross_validated(
    digits: Path, tmp_path: Path
) -> None:
    model = fitted(digits, tmp_path / "run", test_share=0.0)
    assert model.scores is not None
    assert model.scores.test is None
    assert model.scores.validation is not None
    assert "5-fold cross-validation" in model.scores.validation.method


def test_a_run_is_not_overwritten_by_other_settings(
    digits: Path, digits_run: DigitsRun, tmp_path: Path
) -> None:
    shutil.copytree(digits_run("probe").folder, tmp_path / "run")
    with pytest.raises(SettingsError, match="already holds a run with other settings"):
        fitted(digits, tmp_path / "run", seed=1)
    fitted(digits, tmp_path / "run", seed=1, overwrite=True)


def test_a_folder_that_is_no_run_is_left_alone(digits: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.doc").write_text("x")
    with pytest.raises(SettingsError, match="precious"):
        fitted(digits, tmp_path / "precious")


def test_a_cut_is_obeyed(digits: Path, tmp_path: Path) -> None:
    model = fitted(digits, tmp_path / "run", cut="c3")
    assert {column.stage for column in model.head.record.columns} == {"c3"}


@pytest.mark.parametrize("cut", ["c9", "0"])
def test_an_impossible_cut_names_the_stages(digits: Path, tmp_path: Path, cut: str) -> None:
    with pytest.raises(NetworkError, match="c1"):
        fitted(digits, tmp_path / "run", cut=cut)


def test_an_unknown_setting_gets_close_names(digits: Path) -> None:
    with pytest.raises(SettingsError, match=r"no setting 'strategie' \(did you mean strategy"):
        regraft.fit(digits, network="lenet5", strategie="svm")


@pytest.mark.parametrize(("devices", "strategy"), [(2, "probe"), (3, "svm"), (2, "many-stages")])
def test_several_processes_are_refused_where_nothing_is_trained(
    digits: Path, tmp_path: Path, devices: int, strategy: str
) -> None:
    with pytest.raises(
        SettingsError, match=rf"{devices} processes .* have no effect: strategy {strategy} does"
    ):
        fitted(digits, tmp_path / "run", devices=devices, strategy=strategy)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("settings", [{"retry_failed": True}, {"reread_files": True}], ids=str)
def test_reading_files_again_makes_no_other_run(settings: dict[str, bool]) -> None:
    assert DataSettings(**settings).record() == DataSettings().record()


def test_the_cache_stays_within_its_cap(
    digits: Path, warm_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGRAFT_CACHE_MAX", "100k")
    model = fitted(digits, tmp_path / "run")
    assert model.test_scores is not None
    shards = [path for name in ("features", "scan") for path in (warm_cache / name).rglob("*.npy")]
    assert sum(path.stat().st_size for path in shards) <= 100_000


def test_tiny_classes_are_a_message_not_a_crash(photos: Path, tmp_path: Path) -> None:
    (photos / "rare").mkdir()
    Image.radial_gradient("L").save(photos / "rare" / "only.png")
    model = fitted(photos, tmp_path / "run")
    findings = (tmp_path / "run" / "findings.csv").read_text()
    assert "class rare has 1 training image" in findings
    assert model.labels == ("dark", "light", "rare")


def test_bad_files_are_listed_and_change_nothing(digits: Path, tmp_path: Path) -> None:
    data = shutil.copytree(digits, tmp_path / "data")
    fitted(data, tmp_path / "clean")
    (data / "5" / os.fsdecode(b"caf\xe9\n.png")).write_bytes(b"")
    (data / "6" / "cut.png").write_bytes((next((data / "6").iterdir())).read_bytes()[:-60])
    fitted(data, tmp_path / "dirty")
    skipped = (tmp_path / "dirty" / "skipped.csv").read_text()
    assert "empty file" in skipped
    assert "caf\\xe9\\n.png" in skipped
    clean, dirty = content(tmp_path / "clean"), content(tmp_path / "dirty")
    assert clean["scores.json"] == dirty["scores.json"]


KILLED = """
import regraft, regraft.storage.rows
regraft.storage.rows.SHARD_ROWS = 20
regraft.fit({data!r}, network="lenet5", strategy="many-stages", out={out!r})
"""


@pytest.mark.children
@pytest.mark.parametrize("kills", [2, pytest.param(150, marks=pytest.mark.soak)])
def test_killed_at_random_moments_it_goes_on_to_the_same_bytes(
    few_digits: Path, session_cache: Path, nursery: Nursery, tmp_path: Path, kills: int
) -> None:
    regraft.fit(few_digits, network="lenet5", strategy="probe")  # converts the network for all of these
    generator = random.Random(2)

    def start(name: str) -> Child:
        cache = tmp_path / f"cache{name}"
        if not cache.exists():
            cache.mkdir()
            (cache / "networks").symlink_to(session_cache / "networks")
        code = KILLED.format(data=str(few_digits), out=str(tmp_path / name))
        return nursery.start(code, folder=tmp_path, REGRAFT_CACHE=str(cache))

    started = time.perf_counter()
    assert start("whole").wait() == 0
    taken = time.perf_counter() - started
    for trial in range(kills):
        victim = start(str(trial))
        time.sleep(generator.uniform(0, taken))
        victim.kill()
        assert victim.wait() in {0, -signal.SIGKILL}
        assert start(str(trial)).wait() == 0
        assert content(tmp_path / str(trial)) == content(tmp_path / "whole")


def test_real_photos_end_to_end(shared: Callable[[str], Path], tmp_path: Path) -> None:
    model = regraft.fit(
        shared("data/brain_mri"),
        network="squeezenet1_1",
        weights=str(shared("weights")),
        budget="10s",
        out=tmp_path / "run",
    )
    assert model.test_scores is not None
    assert model.test_scores.accuracy.low is not None
    assert model.test_scores.accuracy.low > 0.6  # look-alikes are groups, which makes intervals wider
    assert "PNG named .jpg" in (tmp_path / "run" / "findings.csv").read_text()
