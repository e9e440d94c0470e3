"""What a command writes never replaces what it reads, nor what others have written."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

import regraft
from tests.cases.conftest import QUICK, Command
from tests.cases.pictures import folder, labelled, picture, table


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of pictures in `photos/`, next to it."""
    root = tmp_path_factory.mktemp("fitted")
    regraft.fit(folder(root / "photos"), network="lenet5", strategy="probe", out=root / "run")
    return root


def hashes(*places: Path) -> dict[str, str]:
    files = [file for place in places for file in ([place] if place.is_file() else place.rglob("*"))]
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.is_file()}


@pytest.mark.parametrize("command", ["predict", "explain"])
@pytest.mark.parametrize("extension", [".jpg", ".PNG", ".tif"])
def test_a_photo_is_never_an_output(
    command: str, extension: str, regraft_command: Command, fitted: Path
) -> None:
    first, second = Path(f"photo{extension}"), Path("photo2.jpg")
    for number, path in enumerate((first, second)):
        picture(0, 50 + number).save(path)
    before = hashes(first, second)
    for further in ([], ["--overwrite"]):
        ran = regraft_command(command, fitted / "run", "-o", first, second, *further)
        assert ran.code == 2
        assert f"{first} has the name of an image" in ran.err
        assert "Did the shell expand --out *" in ran.err
    assert hashes(first, second) == before


def test_an_image_without_extension_is_not_replaced_either(regraft_command: Command, fitted: Path) -> None:
    picture(0, 1).save("photo", format="PNG")
    before = hashes(Path("photo"))
    ran = regraft_command("check", fitted / "photos", "--out", "photo", "--overwrite")
    assert "photo holds an image, which is never replaced" in ran.err
    assert hashes(Path("photo")) == before


def test_a_table_is_not_replaced_by_its_own_findings(regraft_command: Command) -> None:
    folder(Path("img"))
    t = table(Path("t.csv"), [(f"img/{path}", label) for path, label in labelled(Path("img"))])
    Path("link.csv").symlink_to(t)
    before = hashes(t)
    for out in ("t.csv", "./img/../t.csv", "link.csv"):
        ran = regraft_command("check", "t.csv", "--out", out, "--overwrite")
        assert (ran.code, "is among the files that this command reads" in ran.err) == (2, True)
    assert hashes(t) == before


def test_a_file_of_others_is_replaced_only_on_request(regraft_command: Command) -> None:
    folder(Path("photos"))
    Path("notes.csv").write_text("date,weather\n")
    ran = regraft_command("check", "photos", "--out", "notes.csv")
    assert (ran.code, "--overwrite" in ran.err) == (2, True)
    assert Path("notes.csv").read_text() == "date,weather\n"
    assert regraft_command("check", "photos", "--out", "notes.csv", "--overwrite").code == 0
    assert Path("notes.csv").read_text().startswith("kind,message,paths")
    assert regraft_command("check", "photos", "--out", "notes.csv").code == 0  # it is ours now


def test_predictions_replace_predictions_but_no_other_kind(regraft_command: Command, fitted: Path) -> None:
    image = fitted / "photos" / "cat" / "000.jpg"
    for _ in range(2):
        assert regraft_command("predict", fitted / "run", image, "-o", "p.csv").code == 0
    ran = regraft_command("check", fitted / "photos", "--out", "p.csv")
    assert "it is not a list of findings" in ran.err
    for _ in range(2):
        assert regraft_command("predict", fitted / "run", image, "-o", "p.jsonl").code == 0


def test_the_list_of_skipped_files_is_guarded_too(regraft_command: Command, fitted: Path) -> None:
    Path("p.csv.skipped.csv").write_text("my notes\n")
    ran = regraft_command("predict", fitted / "run", fitted / "photos" / "cat", "-o", "p.csv")
    assert (ran.code, "p.csv.skipped.csv exists" in ran.err) == (2, True)
    assert Path("p.csv.skipped.csv").read_text() == "my notes\n"
    assert not Path("p.csv").exists()


def test_a_run_loses_none_of_its_files(regraft_command: Command, fitted: Path) -> None:
    before = hashes(fitted / "run")
    for name in ("predictions.csv", "run.json", "bundle/head.safetensors"):
        for command in (["predict", fitted / "run", fitted / "photos"], ["report", fitted / "run"]):
            assert regraft_command(*command, "-o", fitted / "run" / name, "--overwrite").code == 2
    ran = regraft_command("check", fitted / "photos", "-o", fitted / "run" / "findings.csv", "--overwrite")
    assert "belongs to the run in" in ran.err
    assert hashes(fitted / "run") == before


@pytest.mark.parametrize("out", ["/dev/null", "photos", ""])
def test_what_is_no_file_is_refused(out: str, regraft_command: Command) -> None:
    folder(Path("photos"))
    ran = regraft_command("check", "photos", "--out", out)
    assert ran.code == 2
    assert any(text in ran.err for text in ("not a regular file", "is a folder", "names no file"))


def test_a_plot_is_no_image_of_the_data(regraft_command: Command) -> None:
    picture(0, 1).save("photo.png")
    assert regraft_command("plot-schedule", "cosine", "--out", "photo.png").code == 2
    for extension in ("svg", "png", "pdf"):
        for _ in range(2):
            assert regraft_command("plot-schedule", "cosine", "--out", f"plot.{extension}").code == 0
    ran = regraft_command("find-lr", folder(Path("photos")), "--out", "photos/cat/lr.png")
    assert "would be taken for one of the images" in ran.err


def test_work_of_the_user_in_a_plan_or_a_list_is_kept(regraft_command: Command) -> None:
    words = ("advise", folder(Path("photos")), "--network", "lenet5", "--strategy", "probe")
    assert [regraft_command(*words).code for _ in range(2)] == [0, 0]
    plan = Path("plan.toml")
    plan.write_text(plan.read_text().replace("seed = 0", "seed = 7"))
    ran = regraft_command(*words)
    assert "plan.toml exists, and it was edited since regraft wrote it" in ran.err
    assert "seed = 7" in plan.read_text()
    assert regraft_command(*words, "--overwrite").code == 0
    head = "path,label,suggested,own_probability,suggested_probability,reason,action\n"
    Path("s.csv").write_text(f"{head}a.jpg,cat,dog,0.1,0.9,because,relabel\n")
    ran = regraft_command("advise", "photos", "--network", "lenet5", "--suspects", "s.csv")
    assert "s.csv exists, and it was edited" in ran.err


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("photos", "is the folder of the images"),
        ("photos/../photos", "is the folder of the images"),
        ("photos/cat", "among the images"),
        ("photos/dog/run", "among the images"),
        ("thesis", "holds files that are not a run (chapter.doc)"),
        (".", "holds files that are not a run"),
        ("letter.txt", "is a file"),
    ],
)
def test_a_run_gets_a_folder_of_its_own(out: str, said: str, regraft_command: Command) -> None:
    folder(Path("photos"))
    Path("thesis").mkdir()
    for name in ("thesis/chapter.doc", "letter.txt"):
        Path(name).write_text("x")
    before = hashes(Path())
    for further in ([], ["--overwrite"]):
        ran = regraft_command("fit", "photos", *QUICK, "--out", out, *further)
        assert (ran.code, said in ran.err) == (2, True), ran.err
    cache = Path("cache")
    assert {name: sha for name, sha in hashes(Path()).items() if cache not in Path(name).parents} == before


def test_an_export_and_a_demonstration_are_not_put_among_other_files(
    regraft_command: Command, fitted: Path
) -> None:
    Path("project").mkdir()
    Path("project/README.md").write_text("# My project\n")
    before = hashes(Path("project"), fitted / "photos")
    for out in (fitted / "photos", fitted / "photos" / "cat", "project"):
        assert regraft_command("export", fitted / "run", "--to", "safetensors", "--out", out).code == 2
    assert regraft_command("demo", "--out", fitted / "photos").code == 2
    assert hashes(Path("project"), fitted / "photos") == before
    for _ in range(2):
        assert regraft_command("export", fitted / "run", "--to", "safetensors", "--out", "new").code == 0


def test_imported_weights_do_not_replace_their_source(regraft_command: Command, fitted: Path) -> None:
    Path("weights").mkdir()
    source = Path("weights/lenet5.safetensors")
    shutil.copy(fitted / "run" / "bundle" / "network.safetensors", source)
    before = hashes(source)
    ran = regraft_command("weights", "import", source, "--network", "lenet5", "--overwrite")
    assert (ran.code, "is the file that is read" in ran.err) == (2, True)
    shutil.copy(source, "other.safetensors")
    ran = regraft_command("weights", "import", "other.safetensors", "--network", "lenet5")
    assert "was not imported by regraft" in ran.err
    assert hashes(source) == before


def test_a_run_that_is_fitted_again_says_how_the_data_changed(regraft_command: Command) -> None:
    words = ("fit", folder(Path("photos")), *QUICK, "--out", "run")
    first, again = regraft_command(*words), regraft_command(*words)
    assert "the data changed" not in first.err + again.err
    folder(Path("photos"), start=40, count=3)
    Path("photos/cat/000.jpg").unlink()
    Path("photos/cat/001.jpg").rename("photos/dog/cat001.jpg")
    picture(1, 99).save("photos/dog/000.jpg")
    said = "since the run in run (7 images added, 2 images removed, 1 image edited): it is fitted again"
    assert said in regraft_command(*words).err
    assert "the data changed" not in regraft_command(*words).err


def test_a_run_is_not_replaced_by_the_fit_that_starts_from_it(regraft_command: Command) -> None:
    words = ("fit", folder(Path("photos")), *QUICK[2:], "--out", "run")
    assert regraft_command(*words, "--network", "lenet5").code == 0
    before = hashes(Path("run"))
    ran = regraft_command(*words, "--from", "run", "--overwrite")
    assert (ran.code, "run is read by this fit" in ran.err) == (2, True)
    assert hashes(Path("run")) == before
