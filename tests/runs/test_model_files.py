"""What a folder with a model says, and which of the paths in it are obeyed."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

import regraft
from regraft.errors import SettingsError
from regraft.export.samples import MADE_UP, choose_sample, made_up
from regraft.runs.model_files import open_files
from regraft.runs.reading import RunFiles
from tests.cases.pictures import folder


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `data` and the run `run`, fitted by relative paths; tests that change it copy it."""
    place = tmp_path_factory.mktemp("fitted")
    folder(place / "data", count=12)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        regraft.fit("data", network="lenet5", strategy="probe", out="run")
    return place


@pytest.fixture
def place(fitted: Path, tmp_path: Path) -> Path:
    return shutil.copytree(fitted, tmp_path / "project")


def test_a_relative_root_is_where_the_fit_was_started(fitted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(fitted.parent)
    assert RunFiles(fitted / "run").root == fitted / "data"


def test_a_project_that_was_moved_as_a_whole_is_found_from_inside(
    fitted: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = (place / "run" / "log.jsonl").read_text()
    (place / "run" / "log.jsonl").write_text(lines.replace(str(fitted), "/gone"))
    monkeypatch.chdir(place)
    assert RunFiles(place / "run").root == place / "data"


@pytest.mark.parametrize("path", ["cat/000.jpg", "dog/../cat/000.jpg", "./cat//000.jpg", "'cat/000.jpg"])
def test_a_path_below_the_root_is_found(place: Path, path: str) -> None:
    assert RunFiles(place / "run", place / "data").image(path) == place / "data" / "cat" / "000.jpg"


@pytest.mark.parametrize("kind", ["file", "folder", "root"])
def test_links_are_followed(place: Path, tmp_path: Path, kind: str) -> None:
    linked = {"file": place / "data/cat/000.jpg", "folder": place / "data/cat", "root": place / "data"}[kind]
    store = linked.rename(tmp_path / "store")
    linked.symlink_to(store)
    found = RunFiles(place / "run", place / "data").image("cat/000.jpg")
    assert found == place / "data" / "cat" / "000.jpg"


@pytest.mark.parametrize(
    "path",
    ["../secret.jpg", "cat/../../secret.jpg", "/etc/passwd", "{root}/../secret.jpg", "..", "", "cat/\0.jpg"],
)
def test_a_path_that_leads_out_is_not_obeyed(place: Path, path: str) -> None:
    shutil.copy(place / "data" / "cat" / "000.jpg", place / "secret.jpg")
    files = RunFiles(place / "run", place / "data")
    assert files.image(path.replace("{root}", str(files.root))) is None


def test_neighbours_are_not_read_from_outside_of_the_root(place: Path) -> None:
    from regraft.explanation.gallery import open_gallery
    from regraft.progress import Silent

    (place / "data" / "cat" / "000.jpg").rename(place / "secret.jpg")
    table = place / "run" / "split.csv"
    table.write_text(table.read_text().replace("cat/000.jpg", "../secret.jpg"))
    files = open_files(place / "run", place / "data")
    assert files.run is not None
    paths = open_gallery(files.run, files.model, Silent()).paths
    assert "../secret.jpg" not in paths
    assert len(paths) >= 19


def test_another_image_of_the_same_name_is_not_taken_for_the_runs(place: Path) -> None:
    shutil.copy(place / "data" / "dog" / "000.jpg", place / "data" / "cat" / "000.jpg")
    files = RunFiles(place / "run", place / "data")
    assert files.image("cat/000.jpg") is None
    assert files.image("cat/001.jpg") is not None


def test_a_bundle_says_nothing_about_its_run(place: Path) -> None:
    files = open_files(shutil.copytree(place / "run" / "bundle", place / "model"))
    assert (files.name, files.plan, files.scores, files.best) == ("", None, None, None)
    assert (*files.predictions, *files.training_images) == ()
    assert files.model.labels == ("cat", "dog")


def test_a_run_without_its_scores_is_still_a_model(place: Path) -> None:
    (place / "run" / "scores.json").unlink()
    files = open_files(place / "run", place / "data")
    assert files.best is None
    assert len(files.training_images) >= 19


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("data", None, "data holds no finished run and no saved model"),
        ("model", "data", "data .*data has no effect on .*model"),
        ("run", "gone", "data .*gone does not exist"),
    ],
)
def test_what_is_no_model_or_no_data_is_refused(place: Path, name: str, data: str | None, said: str) -> None:
    shutil.copytree(place / "run" / "bundle", place / "model")
    with pytest.raises(SettingsError, match=said):
        open_files(place / name, place / data if data else None)


def test_all_images_are_compared_however_few(place: Path) -> None:
    for count in (24, 1):
        for number, path in enumerate(sorted((place / "data").rglob("*.jpg"))):
            if number >= count:
                path.unlink()
        sample = choose_sample(open_files(place / "run", place / "data"), (), 64)
        assert sample.text == f"{count} of the run's images"


def test_without_any_image_made_up_ones_are_compared(place: Path) -> None:
    shutil.rmtree(place / "data")
    (place / "data" / "cat").mkdir(parents=True)
    (place / "data" / "cat" / "000.jpg").write_bytes(b"no image")
    sample = choose_sample(open_files(place / "run", place / "data"), (), 64)
    assert sample.text.startswith(
        f"{MADE_UP} made-up images, because none of the run's images can be read below"
    )
    assert str(place / "data") in sample.text


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_made_up_images_are_always_the_same_and_of_many_sizes(channels: int) -> None:
    from regraft.data.pictures.loading import decode

    files = made_up(channels, 8)
    assert files == made_up(channels, 8)
    pictures = [decode(data, channels=channels) for data in files]
    assert len({picture.image.size for picture in pictures}) == 8
    if channels not in (1, 3):
        assert all(len(picture.bands) == channels for picture in pictures)
    assert all(np.asarray(picture.image).std() > 10 for picture in pictures)


def test_named_images_and_folders_are_compared(place: Path, tmp_path: Path) -> None:
    folder(tmp_path / "new", count=3, start=70)
    (tmp_path / "new" / "notes.jpg").write_text("no image")
    one = place / "data" / "cat" / "000.jpg"
    sample = choose_sample(open_files(place / "run"), [tmp_path / "new", one], 64)
    assert sample.text == f"7 images of --images {tmp_path / 'new'} {one}"


def test_tables_of_the_run_list_the_paths_that_are_tested_here(fitted: Path) -> None:
    with (fitted / "run" / "split.csv").open() as file:
        assert "cat/000.jpg" in {row["path"] for row in csv.DictReader(file)}
