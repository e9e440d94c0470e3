"""A rare class to be found: its measure, its threshold, and who obeys it, from a table to an export."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

import regraft
from regraft.errors import SettingsError
from regraft.heads.dataset import Evaluation, Outputs
from regraft.prediction.onnx_model import OnnxModel
from regraft.progress import Silent
from regraft.records import Scores
from regraft.runs.comparison import compare_runs
from regraft.serving import package, packing
from regraft.serving.package import open_package, with_rejection
from regraft.tasks.classification import Classification
from regraft.tasks.score_sheet import ScoreSheet
from regraft.workflow.outcome import say_threshold

GOAL = {"goal": "sensitivity=0.9", "positive": "5", "prevalence": 0.02}


class Listening(Silent):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def decided(self, what: str, because: str, override: str) -> None:
        self.lines.append(f"{what}, because {because}")

    def warn(self, message: str) -> None:
        self.lines.append(message)


def table(folder: Path, digits: Path, rare: int, *, size: int = 3) -> Path:
    """A table of the digits 5, of which there are few, and 6, in groups of a size."""
    files = [*sorted((digits / "5").glob("*.png"))[:rare], *sorted((digits / "6").glob("*.png"))]
    lines = [
        f"{file},{file.parent.name},{file.parent.name}-{place // size}" for place, file in enumerate(files)
    ]
    (folder / "t.csv").write_text("\n".join(["path,label,group", *lines]) + "\n")
    return folder / "t.csv"


@pytest.fixture(scope="module")
def rare(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 8 digits of one class, and 180 of the other."""
    return table(tmp_path_factory.mktemp("rare"), digits, 8, size=1)


@pytest.fixture(scope="module")
def run(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a goal."""
    folder = tmp_path_factory.mktemp("goal")
    fitted(table(folder, digits, 60), folder / "run", **GOAL)
    return folder / "run"


@pytest.fixture
def packed_here(shared_graphs: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages are made in this process, from the graph that an export uses as well."""
    monkeypatch.setattr(package, "_make_apart", packing.pack)


def fitted(file: Path, out: Path | None = None, **settings: object) -> regraft.Model:
    data = regraft.DataSettings(root="/")
    how = {"network": "lenet5", "strategy": "probe", "seed": 1, **settings}
    model = regraft.fit(file, data=data, out=out, **how)  # type: ignore[arg-type]
    assert isinstance(model, regraft.Model)
    return model


def predictions(run: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((run / "predictions.csv").read_text().splitlines()))


def test_a_rare_class_is_compared_by_balanced_accuracy_and_that_is_said(rare: Path, tmp_path: Path) -> None:
    model = fitted(rare, tmp_path / "run")
    assert isinstance(model.task, Classification)
    assert (model.task.measure, model.task.positive) == ("balanced", "5")
    reasons = json.loads((tmp_path / "run" / "run.json").read_text())["reasons"]
    assert any(reason.startswith("measure balanced, because 5 has ") for reason in reasons)
    rows = predictions(tmp_path / "run")
    expected = balanced_accuracy_score([row["label"] for row in rows], [row["predicted"] for row in rows])
    assert model.test_scores is not None
    first = model.task.measures(model.test_scores)[0]  # type: ignore[arg-type]
    assert (first.name, first.value) == ("balanced_accuracy", pytest.approx(expected))
    report = regraft.write_report(tmp_path / "run").read_text()
    assert "balanced accuracy of" in report


def test_the_threshold_reaches_the_goal_out_of_fold_and_is_kept(run: Path) -> None:
    model = regraft.load_model(run)
    assert isinstance(model.task, Classification)
    assert model.scores is not None
    validation, test = model.scores.validation, model.scores.test
    assert isinstance(validation, Scores)
    assert isinstance(test, Scores)
    assert validation.two_classes is not None
    assert validation.two_classes.chosen is not None
    assert validation.two_classes.chosen.sensitivity is not None
    assert validation.two_classes.chosen.sensitivity.value >= 0.9
    assert test.two_classes is not None
    assert test.two_classes.chosen is not None
    assert test.two_classes.chosen.threshold == model.task.threshold
    assert test.two_classes.chosen.ppv_at_prevalence is not None
    assert json.loads((run / "run.json").read_text())["settings"]["goal"] == "sensitivity=0.9"


def test_scores_are_those_of_the_table(run: Path) -> None:
    rows, scores = predictions(run), regraft.load_model(run).test_scores
    assert isinstance(scores, Scores)
    truth = [row["label"] == "5" for row in rows]
    assert scores.auroc is not None
    expected = roc_auc_score(truth, [float(row["5"]) for row in rows])
    assert scores.auroc.value == pytest.approx(expected, abs=1e-12)
    assert scores.groups is not None


@pytest.mark.usefixtures("packed_here")
def test_predictions_servers_and_exports_obey_the_threshold(run: Path, tmp_path: Path) -> None:
    model = regraft.load_model(run)
    assert isinstance(model.task, Classification)
    assert model.task.threshold is not None
    rows = predictions(run)
    wanted = ["5" if float(row["5"]) >= model.task.threshold else "6" for row in rows]
    assert [row["predicted"] for row in rows] == wanted
    paths = [f"/{row['path'].lstrip('/')}" for row in rows]
    assert [one.label for one in model.predict(paths)] == wanted
    made = open_package(run, Silent())
    assert made.task == model.task  # type: ignore[union-attr]
    assert made.facts["goal"] == "sensitivity=0.9"
    file = regraft.export_model(run, tmp_path / "exported").file
    assert OnnxModel(file).task == model.task
    card = (file.parent / "README.md").read_text()
    assert f"**{model.task.threshold:.4g}**" in card
    assert "sensitivity at goal" in card


@pytest.mark.usefixtures("packed_here")
def test_answers_that_are_not_certain_are_withheld_where_it_is_asked(run: Path) -> None:
    made = with_rejection(open_package(run, Silent()), 0.9)
    assert made.facts["reject_below"] == 0.9
    answer = made.task.answer(np.array([0.7, 0.3]))  # type: ignore[union-attr]
    assert (answer.facts["label"], answer.facts["rejected"]) == (None, "5")


def test_runs_are_compared_by_the_measure_that_both_have(rare: Path, tmp_path: Path) -> None:
    for name, changes in (
        ("probe", {}),
        ("centroid", {"head": "centroid"}),
        ("accuracy", {"measure": "accuracy"}),
    ):
        fitted(rare, tmp_path / name, **changes)
    found = compare_runs([tmp_path / "probe", tmp_path / "centroid"])
    assert {row.run.merit.name for row in found.rows} == {"balanced_accuracy"}
    mixed = compare_runs([tmp_path / "probe", tmp_path / "accuracy"])
    assert {row.run.merit.name for row in mixed.rows} == {"accuracy"}


def test_the_report_shows_the_rates_at_both_thresholds(run: Path) -> None:
    page = regraft.write_report(run).read_text()
    table = page[page.index('id="positive"') : page.index('id="confusion"')]
    assert "for sensitivity=0.9" in table
    assert "PPV % at a prevalence of 2.0 %" in table
    assert table.count("<svg") == 2
    assert 'id="answered"' in page


def test_the_same_bits_again(run: Path, digits: Path, tmp_path: Path) -> None:
    fitted(table(tmp_path, digits, 60), tmp_path / "run", **GOAL)
    for name in ("scores.json", "bundle/bundle.json"):
        ours, theirs = (json.loads((place / name).read_text()) for place in (tmp_path / "run", run))
        assert ours == theirs, name


@pytest.mark.parametrize(
    ("first", "message"),
    [
        (0.9, "because it reaches ppv=1 with sensitivity 50.0 %"),
        (0.1, "ppv=1 can't be reached: by held-out images"),
    ],
)
def test_what_a_goal_gets_is_said(first: float, message: str) -> None:
    """Four images, of which the most probably positive one is positive, or not."""
    outputs, targets = (
        np.array([[first, 1 - first], [0.6, 0.4], [0.3, 0.7], [0.5, 0.5]]),
        np.array([0, 1, 0, 1]),
    )
    task = Classification(outputs=("ill", "well"), positive="ill", goal="ppv=1").decided(outputs, targets)
    scores = task.score(outputs, targets, method="held-out images")
    sheet = ScoreSheet(test=None, validation=scores, baseline=None)
    said = Listening()
    say_threshold(Evaluation(sheet, task, Outputs((0, 1, 2, 3), outputs, "")), said)
    assert message in said.lines[0]


def test_a_class_that_is_not_there_stops_before_features(rare: Path) -> None:
    with pytest.raises(SettingsError, match="positive 7 is not a class; accepted are 5 and 6"):
        fitted(rare, positive="7")


@pytest.mark.parametrize("strategy", ["auto", "last-blocks"])
def test_other_strategies_know_the_measure(tmp_path: Path, strategy: str, digits: Path) -> None:
    file = table(tmp_path, digits, 12)
    more: dict[str, object] = {"budget": "10s"} if strategy == "auto" else {"epochs": 2, "cut": "c3"}
    model = fitted(file, tmp_path / "run", strategy=strategy, measure="auroc", **more)
    assert isinstance(model.task, Classification)
    assert model.task.measure == "auroc"
    if strategy == "auto":
        ladder = json.loads((tmp_path / "run" / "ladder.json").read_text())
        assert {row["measure"] for row in ladder["rows"] if row["accuracy"]} == {"auroc"}
    else:
        lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
        assert all("validation_auroc" in json.loads(line) for line in lines)
    assert regraft.write_report(tmp_path / "run").exists()
