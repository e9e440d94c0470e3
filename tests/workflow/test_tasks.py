"""Several labels and numbers from a table to predictions: fit, report, compare, predict, export, serve."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import average_precision_score, mean_absolute_error, r2_score, roc_auc_score
from sklearn.model_selection import KFold, cross_val_score

import regraft
from regraft.errors import SettingsError
from regraft.progress import Silent
from regraft.reports.explanation_page import Explanations, explain_images
from regraft.runs.comparison import compare_runs
from regraft.serving import package, packing
from regraft.serving.package import open_package
from regraft.tasks.multilabel_scores import MultilabelScores
from regraft.tasks.regression import RegressionScores
from tests.ladder.ladders import left_out
from tests.networks.sample import in_turn

LABELS = {"5": "odd", "6": "even|round", "7": "odd|thin"}


def table(folder: Path, digits: Path, label_of: Callable[[Path], str], *, step: int = 4) -> Path:
    """A table of some digits, with a label for each."""
    lines = [f"{file},{label_of(file)}" for file in sorted(digits.rglob("*.png"))[::step]]
    (folder / "t.csv").write_text("\n".join(["path,label", *lines]) + "\n")
    return folder / "t.csv"


def brightness(file: Path) -> str:
    return f"{np.asarray(Image.open(file).convert('L')).mean():.2f}"


def predictions(run: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((run / "predictions.csv").read_text().splitlines()))


@pytest.fixture(scope="module")
def labelled(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of several labels."""
    folder = tmp_path_factory.mktemp("labels")
    file = table(folder, digits, lambda path: LABELS[path.parent.name])
    data = regraft.DataSettings(root="/", task="any-of")
    regraft.fit(file, data=data, network="lenet5", strategy="probe", out=folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def numbered(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of numbers."""
    folder = tmp_path_factory.mktemp("numbers")
    data = regraft.DataSettings(root="/", task="number")
    file = table(folder, digits, brightness)
    regraft.fit(file, data=data, network="lenet5", strategy="many-stages", out=folder / "run")
    return folder / "run"


@pytest.fixture
def packed_here(shared_graphs: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages are made in this process, from the graph that an export has traced."""
    monkeypatch.setattr(package, "_make_apart", packing.pack)


def test_scores_of_labels_are_those_of_scikit_learn(labelled: Path) -> None:
    scores = regraft.load_model(labelled).test_scores
    assert isinstance(scores, MultilabelScores)
    rows = [row for row in predictions(labelled) if row["side"] == "test"]
    assert len(rows) == scores.images
    for one in scores.labels:
        truth = [one.label in row["label"].split("|") for row in rows]
        chances = [float(row[one.label]) for row in rows]
        assert one.auroc is not None
        assert one.auroc.value == pytest.approx(roc_auc_score(truth, chances), abs=1e-3)
        assert one.average_precision is not None
        assert one.average_precision.value == pytest.approx(average_precision_score(truth, chances), abs=0.01)
        assert one.auroc.value > 0.9


def test_scores_of_a_number_are_those_of_scikit_learn(numbered: Path) -> None:
    scores = regraft.load_model(numbered).test_scores
    assert isinstance(scores, RegressionScores)
    rows = predictions(numbered)
    truth, said = (np.array([float(row[name]) for row in rows]) for name in ("label", "predicted"))
    assert scores.mean_absolute_error.value == pytest.approx(mean_absolute_error(truth, said), rel=1e-4)
    assert scores.r_squared is not None
    assert scores.r_squared.value == pytest.approx(r2_score(truth, said), rel=1e-3)
    assert scores.r_squared.value > 0.8


def test_a_saved_model_answers_with_labels_above_their_thresholds(labelled: Path) -> None:
    model = regraft.load_model(labelled)
    row = predictions(labelled)[0]
    found = model.predict(Path("/") / row["path"])[0]
    assert found.label == row["predicted"]
    assert found.probabilities == pytest.approx([float(row[name]) for name in model.labels], abs=2e-6)
    assert np.isnan(found.probability)


def test_a_saved_model_answers_with_a_number_and_its_interval(numbered: Path) -> None:
    model = regraft.load_model(numbered)
    found = model.predict(Path("/") / predictions(numbered)[0]["path"])[0]
    assert found.answer.facts["low"] < found.answer.facts["value"] < found.answer.facts["high"]
    assert found.answer.facts["value"] == pytest.approx(
        float(predictions(numbered)[0]["predicted"]), rel=1e-3
    )  # rows are kept at half precision


@pytest.mark.parametrize(("run", "words"), [("labelled", "Label by label"), ("numbered", "true number")])
def test_the_report_has_the_section_of_its_task(run: str, words: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(run)
    page = regraft.write_report(folder, folder.parent / "page.html").read_text()
    assert words in page
    assert "Confusion" not in page


def test_runs_of_a_number_are_compared_by_errors(numbered: Path, tmp_path: Path) -> None:
    data = regraft.DataSettings(root="/", task="number")
    file = numbered.parent / "t.csv"
    regraft.fit(file, data=data, network="lenet5", strategy="probe", out=tmp_path / "probe")
    found = compare_runs([numbered, tmp_path / "probe"])
    assert [row.run.merit.name for row in found.rows] == ["mean_absolute_error"] * 2
    first, second = (row.run.merit.value or 0.0 for row in found.rows)
    assert first <= second
    assert found.rows[1].against_best is not None
    assert found.rows[1].against_best.difference.value == pytest.approx(first - second, abs=1e-6)


def test_runs_of_different_tasks_are_not_compared(labelled: Path, numbered: Path) -> None:
    with pytest.raises(SettingsError, match=r"predicts 4 labels \(even, odd, round, …\) and .* numbers"):
        compare_runs([labelled, numbered])


def test_a_ladder_of_labels_climbs_by_the_brier_score(digits: Path, tmp_path: Path) -> None:
    file = table(tmp_path, digits, lambda path: LABELS[path.parent.name], step=8)
    data = regraft.DataSettings(root="/", task="multilabel")
    regraft.fit(file, data=data, network="lenet5", out=tmp_path / "run")
    rows = json.loads((tmp_path / "run" / "ladder.json").read_text())["rows"]
    assert {row["measure"] for row in rows if row["accuracy"]} == {"brier_score"}
    assert rows[0]["name"] == "share of each label"
    assert any("held-out images can't tell whether it helps" in row["verdict"] for row in rows)


def test_a_strategy_for_classes_alone_is_refused(digits: Path, tmp_path: Path) -> None:
    file = table(tmp_path, digits, brightness, step=20)
    data = regraft.DataSettings(root="/", task="number")
    with pytest.raises(SettingsError, match=r"svm can't predict .* regression; accepted are probe"):
        regraft.fit(file, data=data, network="lenet5", strategy="svm")


def test_intervals_of_a_real_scan_cover_what_they_say(shared: Callable[[str], Path], tmp_path: Path) -> None:
    """How much of a brain scan is bright; 90 % intervals, on images that no fit has seen."""
    scans = sorted((shared("data/brain_mri") / "train").rglob("*.*"))[:120]
    lines = [f"{path},{(np.asarray(Image.open(path).convert('L')) > 120).mean():.4f}" for path in scans]
    (tmp_path / "t.csv").write_text("\n".join(["path,label", *lines]) + "\n")
    model = regraft.fit(
        tmp_path / "t.csv", data=regraft.DataSettings(root="/", task="number"), network="squeezenet1_1",
        weights=str(shared("weights")), strategy="many-stages",
    )  # fmt: skip
    assert model.scores is not None
    validation = model.scores.validation
    assert isinstance(validation, RegressionScores)
    assert validation.coverage is not None
    assert 0.88 <= validation.coverage.value <= 0.94  # of ninety-odd images
    assert validation.r_squared is not None
    assert validation.r_squared.value > 0.5


def test_the_classifier_takes_a_matrix_of_labels(digits: Path) -> None:
    files = sorted(digits.rglob("*.png"))[::8]
    y = np.array([[name == "6", name != "6", name == "7"] for name in (f.parent.name for f in files)], float)
    y[::5, 2] = np.nan
    model = regraft.ImageClassifier(network="lenet5", strategy="probe").fit(list(map(str, files)), y)
    assert model.classes_.tolist() == [0, 1, 2]
    found = model.predict(list(map(str, files)))
    assert found.shape == y.shape
    assert (found == y)[~np.isnan(y)].mean() > 0.95


def test_the_regressor_is_cross_validated_by_scikit_learn(digits: Path) -> None:
    files = [str(file) for file in sorted(digits.rglob("*.png"))[::4]]
    y = [float(brightness(Path(file))) for file in files]
    model = regraft.ImageRegressor(network="lenet5", strategy="many-stages")
    assert cross_val_score(model, files, y, cv=KFold(3, shuffle=True, random_state=0)).min() > 0.5


@pytest.mark.usefixtures("shared_graphs")
@pytest.mark.parametrize("run", ["labelled", "numbered"])
def test_an_exported_file_answers_what_the_run_answers(
    run: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(run)
    images = [str(Path("/") / row["path"]) for row in predictions(folder)[:5]]
    regraft.export_model(folder, tmp_path / "export")
    theirs = regraft.load_model(tmp_path / "export").predict(images)
    ours = regraft.load_model(folder).predict(images)
    for one, other in zip(theirs, ours, strict=True):
        assert one.outputs == pytest.approx(other.outputs, rel=1e-4, abs=1e-4)
        assert one.answer.facts.keys() == other.answer.facts.keys()


@pytest.mark.usefixtures("packed_here")
@pytest.mark.parametrize(("run", "named"), [("labelled", "multilabel"), ("numbered", "regression")])
def test_a_server_knows_the_task_and_the_training_images(
    run: str, named: str, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(run)
    made = open_package(folder, Silent())
    assert made.task == regraft.load_model(folder).task
    assert made.facts["task"] == named
    labels = {row["label"] for row in csv.DictReader((folder / "split.csv").read_text().splitlines())}
    assert made.neighbours
    assert {label for _, label in made.neighbours} <= labels


@pytest.mark.parametrize("link", in_turn(["any-of", "number"], 1))
@left_out("classics")
def test_a_ladder_of_other_tasks_trains(digits: Path, tmp_path: Path, link: str) -> None:
    measure = {"any-of": "brier_score", "number": "mean_absolute_error"}[link]
    labels = {"any-of": lambda path: LABELS[path.parent.name], "number": brightness}
    file = table(tmp_path, digits, labels[link], step=1)
    data = regraft.DataSettings(root="/", task=link)
    regraft.fit(file, data=data, network="lenet5", budget="2m", epochs=3, out=tmp_path / "run")
    rows = json.loads((tmp_path / "run" / "ladder.json").read_text())["rows"]
    trained = [row for row in rows if row["name"].startswith("train") and row["accuracy"]]
    assert [row["measure"] for row in trained[:1]] == [measure]


def test_the_explanation_of_a_number_shows_the_number(numbered: Path, tmp_path: Path) -> None:
    image = Path("/") / predictions(numbered)[0]["path"]
    found = explain_images(numbered, [image], methods=["occlusion"], neighbours=2)
    assert isinstance(found, Explanations)
    (row,) = found.rows
    (said,) = regraft.load_model(numbered).predict(image)
    assert row.chances == ()
    assert row.answer.cells == said.answer.cells
    page = found.write(tmp_path / "page.html").read_text()
    assert said.label in page
    assert "probabilit" not in page
