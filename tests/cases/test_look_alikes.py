"""Images that look alike: copies, a fixed camera, frames of one scene, and groups that a table names."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.cases.conftest import QUICK, Command
from tests.cases.pictures import folder, labelled, picture, table
from tests.cases.scenes import inspected, scene, scratched, shot


def findings(run: Path) -> Counter[str]:
    with (run / "findings.csv").open(newline="") as file:
        return Counter(row["kind"] for row in csv.DictReader(file))


def groups(run: Path) -> dict[str, str]:
    with (run / "split.csv").open(newline="") as file:
        return {row["path"]: row["group"] for row in csv.DictReader(file)}


def sides(run: Path) -> Counter[tuple[str, str]]:
    with (run / "split.csv").open(newline="") as file:
        return Counter((row["label"], row["side"]) for row in csv.DictReader(file))


@pytest.mark.parametrize("labels", [("good", "scratch"), ("good", "scratch", "dent")])
@pytest.mark.parametrize("scenes", [1, 3])
def test_a_fixed_camera_still_gives_a_model_a_test_side_and_a_doubt(
    regraft_command: Command, labels: tuple[str, ...], scenes: int
) -> None:
    folder(Path("camera"), labels, count=20, draw=inspected(scenes))
    done = regraft_command("fit", "camera", *QUICK, "--out", "run")
    assert done.code == 0, done.err
    assert all(sides(Path("run"))[label, "test"] == 4 for label in labels)
    assert findings(Path("run"))["look-alikes"] == 1
    assert "fixed camera?" in done.err


def test_a_camera_for_each_class_makes_no_group_of_a_class(regraft_command: Command) -> None:
    """Within a class all look alike, between classes none do."""
    folder(Path("data"), ("nut", "bolt"), count=15, draw=lambda kind, n: shot(scene(kind), (kind, n)))
    done = regraft_command("fit", "data", *QUICK, "--out", "run")
    assert done.code == 0, done.err
    assert sides(Path("run"))["nut", "test"] == 3
    assert findings(Path("run"))["look-alikes"] == 2


def test_frames_of_some_scenes_stay_together(regraft_command: Command) -> None:
    """Ten scenes of a class with three frames each: a scene is on one side."""
    folder(Path("data"), count=30, draw=lambda kind, n: shot(scene(10 * kind + n // 3), (kind, n)))
    assert regraft_command("fit", "data", *QUICK, "--out", "run").code == 0
    assert set(Counter(groups(Path("run")).values()).values()) == {3}


def test_copies_are_found_across_labels_and_scratches_are_not_taken_for_copies(
    regraft_command: Command,
) -> None:
    folder(Path("data"), count=20)
    picture(0, 3).resize((48, 48)).save("data/dog/copy.jpg", quality=50)
    scratched(scene(1), (0, 0)).save("data/cat/scratched.png")
    scene(1).save("data/dog/whole.png")
    done = regraft_command("check", "data", "--out", "found.csv")
    assert done.code == 0
    rows = list(csv.DictReader(Path("found.csv").read_text().splitlines()))
    assert [row["paths"] for row in rows if row["kind"] == "conflict"] == ["cat/003.jpg | dog/copy.jpg"]


def test_the_setting_decides_what_look_alikes_are_good_for(regraft_command: Command) -> None:
    folder(Path("data"), count=12)
    picture(0, 3).save("data/cat/again.webp", quality=70)
    for choice, count in (("ignore", 25), ("auto", 24), ("group", 24)):
        done = regraft_command("fit", "data", *QUICK, "--look-alikes", choice, "--out", choice)
        assert done.code == 0, done.err
        assert len(set(groups(Path(choice)).values())) == count, choice


def test_group_keeps_all_of_a_fixed_camera_together_and_says_what_that_means(
    regraft_command: Command,
) -> None:
    folder(Path("camera"), count=12, draw=lambda kind, n: shot(scene(0), (kind, n)))
    done = regraft_command("fit", "camera", *QUICK, "--look-alikes", "group", "--out", "run")
    assert done.code == 1
    assert re.search(r"all 24 training images are in one group .*Name at least two groups", done.err, re.S)


def test_an_unknown_choice_is_refused(regraft_command: Command) -> None:
    folder(Path("data"))
    done = regraft_command("check", "data", "--look-alikes", "never")
    assert done.code != 0
    assert all(word in done.text for word in ("never", "auto", "group", "ignore"))


def grouped_table(names: tuple[str, ...]) -> Path:
    folder(Path("data"), count=12)
    rows = [(path, label, names[n % len(names)]) for n, (path, label) in enumerate(labelled(Path("data")))]
    return table(Path("data/t.csv"), rows, header=("path", "label", "patient"))


def test_one_group_for_all_is_called_that(regraft_command: Command) -> None:
    done = regraft_command("fit", grouped_table(("p1",)), *QUICK, "--group-column", "patient")
    assert done.code == 1
    assert "all 24 training images are in one group" in done.err
    assert "--group-column" in done.err


@pytest.mark.parametrize("names", [("p1", "p2"), ("p1", "p2", "p3")])
@pytest.mark.parametrize("strategy", ["probe", "svm", "many-stages"])
def test_few_groups_give_a_model_whose_settings_are_not_chosen_by_them(
    regraft_command: Command, names: tuple[str, ...], strategy: str
) -> None:
    flags = [strategy if word == "probe" else word for word in QUICK]
    done = regraft_command("fit", grouped_table(names), *flags, "--group-column", "patient", "--out", "run")
    assert done.code == 0, done.err
    assert "fewer than the 5 folds" in done.err
    assert "no setting is chosen by it" in done.err
    assert "cross-validated accuracy was" not in done.err


def test_a_patient_for_each_class_is_doubted(regraft_command: Command) -> None:
    """Six classes of one patient each: a patient who is left out is of a class that was not trained."""
    labels = tuple("abcdef")
    folder(Path("data"), labels, count=8)
    rows = [(path, label, f"patient {label}") for path, label in labelled(Path("data"))]
    table(Path("data/t.csv"), rows, header=("path", "label", "group"))
    done = regraft_command("fit", "data/t.csv", *QUICK, "--out", "run")
    assert done.code == 0, done.err
    assert "of classes that form one group each" in done.err
