from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from regraft.cli.app import run
from regraft.errors import DataError, SettingsError
from regraft.execution.local import LocalExecutor
from regraft.jobs import fit_several as jobs
from regraft.jobs.fit_several import fit_several, names_of
from regraft.settings import FitSettings
from regraft.workflow import preparation

LENET = FitSettings(network="lenet5", strategy="probe", offline=True)
FLAGS = ["--network", "lenet5", "--strategy", "probe", "--no-report"]


@pytest.fixture
def several(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two data sets, and between them one with a single class."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(photos, tmp_path / "copies" / "photos")
    (photos / "light" / "0.png").unlink()
    shutil.copytree(photos / "dark", tmp_path / "lonely" / "dark")
    return ["photos", "lonely", "copies/photos"]


def test_a_fit_that_fails_does_not_stop_the_others(several: list[str], warm_cache: Path) -> None:
    found = list(fit_several(several, LENET, out="runs/all"))
    assert [one.data for one in found] == several
    assert [one.model is None for one in found] == [False, True, False]
    assert found[1].error
    names = {"copies-photos", f"{Path.cwd().name}-photos"}
    assert {path.parent.name for path in Path("runs/all").glob("*/run.json")} == names


def test_a_bug_in_one_fit_does_not_stop_the_others(
    several: list[str], warm_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = jobs.fit

    def failing(source: str, *arguments: object, **named: object) -> object:
        if source == "photos":
            raise ZeroDivisionError("of no use")
        return fit(source, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(jobs, "fit", failing)
    first, _, last = fit_several(several, LENET)
    assert first.error.startswith("ZeroDivisionError: of no use. This is a bug")
    assert last.model is not None


def test_an_interruption_stops_all_of_them(
    several: list[str], warm_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(jobs, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(fit_several(several, LENET))


def test_a_data_set_that_does_not_exist_is_the_first_error(several: list[str], warm_cache: Path) -> None:
    with pytest.raises(DataError, match="phtos does not exist"):
        list(fit_several([*several, "phtos"], LENET))
    assert not Path("runs").exists()


def test_a_data_set_that_is_named_twice_is_refused(several: list[str], warm_cache: Path) -> None:
    with pytest.raises(SettingsError, match=r"\./photos/ is the data set photos, which is given already"):
        list(fit_several([*several, "./photos/"], LENET))


def test_processes_of_a_launcher_are_refused(several: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    with pytest.raises(SettingsError, match="3 data sets can't be fitted by 2 processes of a launcher"):
        list(fit_several(several, LENET))


def test_names_differ_whatever_the_paths_are() -> None:
    assert names_of(["/a/x/train", "/b/x/train", "/c.csv"]) == ["a-x-train", "b-x-train", "c"]
    assert names_of(["/x.csv", "/x.parquet"]) == ["x", "x-2"]


def test_the_command_ends_with_a_table_and_tells_what_failed(
    several: list[str], warm_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["fit", *several, *FLAGS, "--out", "runs/all"]) == 1
    said = capsys.readouterr()
    assert "2 of 3 data sets are fitted" in said.out
    assert "lonely failed: " in said.out
    assert "data set 2 of 3: lonely" in said.err
    assert run(["fit", *several[::2], *FLAGS, "--out", "runs/all"]) == 0


def test_the_command_prints_a_line_of_json_for_each(
    several: list[str], warm_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["fit", *several, *FLAGS, "--json"]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["data"] for line in lines] == several
    assert ["error" in line for line in lines] == [False, True, False]
    assert lines[0]["run"] != lines[2]["run"]


def test_a_rehearsal_of_several_fits_none(
    several: list[str], warm_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["fit", *several[::2], *FLAGS, "--dry-run"]) == 0
    assert capsys.readouterr().out.count("nothing was trained or saved") == 2
    assert not Path("runs").exists()


def test_fits_of_the_same_images_compute_them_once(
    several: list[str], warm_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[int] = []

    class Noting(LocalExecutor):
        def run(self, task, shards, reporter, meter):  # type: ignore[no-untyped-def]
            for shard, rows in super().run(task, shards, reporter, meter):
                computed.append(len(shard))
                yield shard, rows

    monkeypatch.setattr(preparation, "find_executor", lambda _: Noting())
    assert all(one.model for one in fit_several(several[::2], LENET))
    assert computed == [23, 1]
