"""A finished run, apart from its data: few images, links, moved folders, a model alone, a port in use."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest

import regraft
from regraft.export import export
from regraft.export.export import export_model
from tests.cases.conftest import QUICK, Command
from tests.cases.pictures import folder, picture

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-four links into a store, and the run that was fitted on them; no test changes them."""
    place = tmp_path_factory.mktemp("linked")
    for file in folder(place / "store").rglob("*.jpg"):
        link = place / "data" / file.relative_to(place / "store")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file)
    regraft.fit(place / "data", network="lenet5", strategy="probe", out=place / "run")
    return place


@pytest.fixture(scope="module")
def graph(fitted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported model: tracing is most of the time of an export, so that it is done once."""
    return export_model(fitted / "run", tmp_path_factory.mktemp("graph")).file


@pytest.fixture
def traced(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_write_onnx", lambda _model, path, _facts: shutil.copy(graph, path))


@pytest.fixture
def moved(fitted: Path, tmp_path: Path) -> Path:
    """A copy of the run whose data set is no longer where it was, but below `photos`."""
    shutil.copytree(fitted / "run", tmp_path / "run")
    shutil.copytree(fitted / "store", tmp_path / "photos")
    for name in ("run.json", "log.jsonl"):
        text = (tmp_path / "run" / name).read_text()
        (tmp_path / "run" / name).write_text(text.replace(str(fitted), "/nowhere"))
    return tmp_path / "run"


@pytest.mark.usefixtures("traced")
def test_twenty_four_links_are_enough_for_an_export(regraft_command: Command, fitted: Path) -> None:
    ran = regraft_command("export", fitted / "run", "--out", "exported")
    assert ran.code == 0
    assert "compared with the model on 24 of the run's images: the labels are the same" in ran.out
    assert "on 24 of the run's images" in Path("exported/README.md").read_text()


@pytest.mark.usefixtures("traced")
def test_moved_images_are_named_or_replaced_by_made_up_ones(regraft_command: Command, moved: Path) -> None:
    alone = regraft_command("export", moved)
    assert (
        "on 32 made-up images, because none of the run's images can be read below /nowhere/data" in alone.out
    )
    assert "--data FOLDER says where they are" in alone.out
    found = regraft_command("export", moved, "--data", "photos")
    assert "compared with the model on 24 of the run's images" in found.out
    named = regraft_command("export", moved, "--images", "photos/cat", "photos/dog/000.jpg")
    assert "compared with the model on 13 images of --images photos/cat photos/dog/000.jpg" in named.out


@pytest.mark.usefixtures("traced")
def test_a_saved_model_is_exported_without_its_run(regraft_command: Command, fitted: Path) -> None:
    regraft.load_model(fitted / "run").save("model")  # type: ignore[union-attr]
    ran = regraft_command("export", "model")
    assert ran.code == 0
    assert "on 32 made-up images, because a saved model without its run lists no images" in ran.out
    card = Path("model/export/README.md").read_text()
    assert "Not known: the model was exported without the run" in card
    assert "licence: Apache-2.0" in card


@pytest.mark.usefixtures("traced")
def test_int8_of_a_saved_model_needs_images(regraft_command: Command, fitted: Path) -> None:
    shutil.copytree(fitted / "run" / "bundle", "model")
    refused = regraft_command("export", "model", "--int8")
    assert refused.code == 2
    assert (
        "--int8 is calibrated on training images, but a saved model without its run lists no images"
        in refused.err
    )
    ran = regraft_command("export", "model", "--int8", "--images", fitted / "store")
    assert "of 24 images; no evaluated image can be read" in ran.out
    assert "The accuracy at int8 was not measured" in Path("model/export/README.md").read_text()


def test_a_report_shows_linked_images(regraft_command: Command, fitted: Path) -> None:
    ran = regraft_command("report", fitted / "run", "--no-explain", "--out", "page.html")
    assert "can't be read" not in ran.text + Path("page.html").read_text()
    assert "data:image/jpeg" in Path("page.html").read_text()


def test_files_that_findings_name_are_no_missing_images(regraft_command: Command, fitted: Path) -> None:
    data = Path(shutil.copytree(fitted / "store", "photos with a licence"))
    (data / "LICENSE").write_text("CC0")
    (data / "cat" / "empty.jpg").touch()
    regraft_command("fit", data, *QUICK, "--out", "licensed")
    ran = regraft_command("report", "licensed", "--no-explain", "--out", "page.html")
    assert "LICENSE" in Path("page.html").read_text()
    assert "can't be read below" not in ran.text


def test_a_report_says_which_images_it_lacks(regraft_command: Command, moved: Path) -> None:
    said = "images for this page can't be read below /nowhere/data: if they were moved, --data FOLDER says"
    ran = regraft_command("report", moved, "--out", "page.html")
    assert (ran.code, said in ran.err) == (0, True)
    assert said in Path("page.html").read_text().replace("&#39;", "'")
    found = regraft_command("report", moved, "--no-explain", "--data", "photos", "--out", "page.html")
    assert "can't be read" not in found.err
    assert "data:image/jpeg" in Path("page.html").read_text()


def test_other_images_of_the_same_names_are_not_shown(regraft_command: Command, moved: Path) -> None:
    folder(Path("others"), start=0, draw=lambda kind, number: picture(kind + 1, number))
    ran = regraft_command("report", moved, "--no-explain", "--data", "others", "--out", "page.html")
    assert "they are not there, or are other images" in ran.err
    assert "data:image/jpeg" not in Path("page.html").read_text()


def test_a_saved_model_explains_without_similar_images(regraft_command: Command, fitted: Path) -> None:
    shutil.copytree(fitted / "run" / "bundle", "model")
    ran = regraft_command("explain", "model", fitted / "store/cat/003.jpg")
    said = "no similar training images are shown: a saved model without its run lists no images"
    assert (ran.code, said in ran.err) == (0, True)
    assert said in Path("explanation.html").read_text()
    assert "labels of the most similar" not in ran.out


def test_a_run_on_another_machine_explains_and_says_what_is_missing(
    regraft_command: Command, moved: Path
) -> None:
    ran = regraft_command("explain", moved, "photos/cat/003.jpg")
    assert ran.code == 0
    assert "no similar training images are shown: none of the run's images can be read" in ran.err
    found = regraft_command("explain", moved, "photos/cat/003.jpg", "--data", "photos")
    assert "labels of the most similar training images: cat" in found.out
    assert "warning" not in found.err


def test_a_report_of_a_saved_model_is_refused(regraft_command: Command, fitted: Path) -> None:
    ran = regraft_command("report", fitted / "run" / "bundle")
    assert ran.code == 2
    assert "It is a saved model, which can be exported, served and explained" in ran.err


def test_a_port_in_use_is_found_before_the_model_is_prepared(regraft_command: Command, fitted: Path) -> None:
    pytest.importorskip("uvicorn", reason="the extra regraft[serve] is not installed")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ran = regraft_command("serve", fitted / "run", "--port", str(port))
    assert ran.code == 1
    assert f"port {port} of 127.0.0.1 is in use by another program" in ran.err
    assert "--port 0 for any free one" in ran.err
    assert "preparing" not in ran.err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--port", "99999"), "--port 99999 is not a port; accepted are 1 to 65535"),
        (("--host", "192.0.2.7"), "--host 192.0.2.7 can't be listened on"),
        (("--host", "a name"), "--host a name is not known as an address of this machine"),
    ],
)
def test_an_address_that_does_not_exist_is_refused(
    regraft_command: Command, fitted: Path, flags: tuple[str, ...], said: str
) -> None:
    pytest.importorskip("uvicorn", reason="the extra regraft[serve] is not installed")
    ran = regraft_command("serve", fitted / "run", *flags, "--token", "a token of some length")
    assert ran.code == 2
    assert said in ran.err
