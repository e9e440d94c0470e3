from __future__ import annotations

import csv
import json
import re
import shutil
import time
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import regraft
from regraft.errors import SettingsError
from regraft.heads import many_rows
from regraft.ladder.costs import affordable, timed_sample
from regraft.plans.plan import Plan
from regraft.progress import Silent
from regraft.workflow.ladder_fit import state_for
from tests.conftest import RUNS, DigitsRun
from tests.ladder.ladders import left_out

pytestmark = pytest.mark.slow


def fit_by_ladder(data: Path, out: Path, **settings: object) -> regraft.Model:
    return regraft.fit(data, network="lenet5", out=out, **{**RUNS["climbed"], **settings})


@pytest.fixture
def run(digits_run: DigitsRun) -> Path:
    return digits_run("climbed").folder


def rows_of(run: Path) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = json.loads((run / "ladder.json").read_text())["rows"]
    return rows


def test_baselines_solved_heads_and_trainings_are_on_the_ladder(run: Path) -> None:
    names = [str(row["name"]) for row in rows_of(run)]
    for start in ("majority class", "nearest neighbour", "colour histogram", "SVM @", "train "):
        assert any(name.startswith(start) for name in names), start
    assert [name.split(" @ ")[0] for name in names[1:3]] == ["ridge", "probe"]
    assert (run / "ladder.svg").exists()
    assert (run / "ladder.csv").read_text().count("\n") == len(names) + 1


def test_the_first_model_is_kept_and_every_later_one_has_to_be_better(run: Path) -> None:
    rows = rows_of(run)
    first = next(row for row in rows if row["rung"] == 1)
    assert first["is_kept"]
    for row in rows:
        if row["is_kept"] and row is not first:
            chance = int(str(row["verdict"]).rsplit(" ", 2)[1])
            assert chance >= (10 if str(row["name"]).startswith("probe @") else 25)


def test_times_only_rise(run: Path) -> None:
    elapsed = [float(str(row["elapsed_s"])) for row in rows_of(run)]
    assert elapsed == sorted(elapsed)


def test_the_model_predicts_as_its_run_says(run: Path, digits: Path) -> None:
    import csv

    with (run / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["side"] for row in rows} == {"test"}
    model = regraft.load_model(run)
    found = model.predict([digits / row["path"] for row in rows])
    assert [one.label for one in found] == [row["predicted"] for row in rows]


def test_the_plan_that_it_leaves_gives_the_same_model(run: Path, digits: Path, tmp_path: Path) -> None:
    again = regraft.fit(digits, plan=run / "plan.toml", out=tmp_path / "again")
    assert again.test_scores == regraft.fit(digits, plan=Plan.load(run / "plan.toml")).test_scores
    scores = json.loads((run / "scores.json").read_text())
    assert again.test_scores is not None
    assert scores["test"]["accuracy"]["value"] == again.test_scores.accuracy.value


class Watcher(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


class Stops(Silent):
    """Ctrl-C when a rung is told of."""

    def __init__(self, at: str) -> None:
        self.at, self.warnings = at, []  # type: ignore[var-annotated]

    def note(self, text: str) -> None:
        if text.startswith(self.at):
            raise KeyboardInterrupt

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def test_ctrl_c_leaves_the_best_so_far_and_the_same_command_climbs_the_same_ladder(
    run: Path, digits: Path, tmp_path: Path
) -> None:
    watcher = Stops("rung 3")
    with pytest.raises(KeyboardInterrupt):
        fit_by_ladder(digits, tmp_path / "again", reporter=watcher)
    assert any("holds the best so far" in text for text in watcher.warnings)
    model = regraft.load_model(tmp_path / "again")
    assert model.predict(sorted(digits.rglob("*.png"))[0])[0].label in model.labels
    scores = json.loads((tmp_path / "again" / "scores.json").read_text())
    assert scores["test"] is None
    assert scores["validation"]["accuracy"]["value"] > 0.9
    fit_by_ladder(digits, tmp_path / "again")
    for name in ("ladder.json", "plan.toml", "scores.json", "bundle/bundle.json", "predictions.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (run / name).read_bytes(), name


def test_a_short_budget_leaves_out_what_would_take_too_long(digits: Path, tmp_path: Path) -> None:
    fit_by_ladder(digits, tmp_path / "run", budget="0s", seed=2)
    skipped = [row for row in rows_of(tmp_path / "run") if str(row["verdict"]).startswith("not tried")]
    assert any("left of the budget" in str(row["verdict"]) for row in skipped)


def test_without_time_for_many_images_the_first_head_is_fitted_on_a_sample(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many_rows, "MANY_ROWS", 300)
    monkeypatch.setattr(affordable, "LEAST_IMAGES", 100)
    watcher = Watcher()
    model = fit_by_ladder(digits, tmp_path / "run", budget="0s", seed=4, reporter=watcher)
    first = next(row for row in rows_of(tmp_path / "run") if row["rung"] == 1)
    assert re.fullmatch(
        r"the first usable model; fitted on a sample of 100 of 4\d\d training images", str(first["verdict"])
    )
    assert any(text.startswith("ridge @ f6 is fitted on a sample of 100") for text in watcher.warnings)
    assert Plan.load(tmp_path / "run" / "plan.toml").most_images == 100
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert scores["validation"]["method"].startswith("5-fold cross-validation on 100 of 4")
    again = regraft.fit(digits, plan=tmp_path / "run" / "plan.toml", out=tmp_path / "again")
    assert again.test_scores == model.test_scores


@left_out("classics", "training")
def test_a_long_solve_is_predicted_from_a_sample_once(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many_rows, "MANY_ROWS", 300)
    for name, value in (("_LEAST_IMAGES", 100), ("_WORTH_S", 1e-3), ("_SHARE", 1.0), ("_SAFE_TIMES", 1e9)):
        monkeypatch.setattr(timed_sample, name, value)
    first, second = Watcher(), Watcher()
    fit_by_ladder(digits, tmp_path / "run", budget="8s", seed=6, reporter=first)
    asked = [text for text in first.notes if "is predicted from a sample of the training images" in text]
    assert [text.split(" @ ")[0] for text in asked][:2] == ["ridge", "probe"]
    monkeypatch.setattr(timed_sample, "fit_head", None)  # it would fail if another sample were solved
    fit_by_ladder(digits, tmp_path / "again", budget="8s", seed=6, reporter=second)
    assert not any("is predicted from a sample" in text for text in second.notes)
    assert rows_of(tmp_path / "again") == rows_of(tmp_path / "run")


@left_out("classics", "training")
def test_heads_on_many_images_are_compared_on_those_held_out(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many_rows, "MANY_ROWS", 300)
    monkeypatch.setattr(many_rows, "MOST_HELD", 50)
    watcher = Watcher()
    fit_by_ladder(digits, tmp_path / "run", budget="20s", seed=5, reporter=watcher)
    solved = [row for row in rows_of(tmp_path / "run") if str(row["name"]).startswith(("ridge", "probe"))]
    assert [row["images"] for row in solved[:2]] == [50, 50]
    assert "on 50 images" in str(solved[1]["verdict"])
    assert any("the strength of a head is chosen on about 50 of 4" in text for text in watcher.notes)


def test_advice_in_no_time_is_about_the_probe(digits: Path) -> None:
    advice = regraft.advise(digits, network="lenet5", budget="0s", seed=3)
    assert advice.plan.strategy == "probe"
    assert advice.speaker == "measurement"
    assert advice.measured is not None
    assert advice.measured.curve.points


def test_easy_data_is_warned_of(photos: Path) -> None:
    watcher = Stops("never")
    regraft.fit(photos, network="lenet5", budget="10m", reporter=watcher)
    assert any("without any network: the data is easy" in text for text in watcher.warnings)


def test_few_images_are_not_trained_on(photos: Path, tmp_path: Path) -> None:
    regraft.fit(photos, network="lenet5", out=tmp_path / "run", budget="30s")
    (row,) = [row for row in rows_of(tmp_path / "run") if row["name"] == "train the last stages"]
    assert "held-out images can't tell" in str(row["verdict"])


@left_out("classics")
def test_without_votes_a_single_head_answers(digits: Path, tmp_path: Path) -> None:
    model = fit_by_ladder(digits, tmp_path / "run", votes=False, budget="20s")
    assert model.others == ()
    assert not any(" + " in str(row["name"]) for row in rows_of(tmp_path / "run") if row["rung"])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"cut": "c3"}, "cut c3 needs a single strategy"),
        ({"head": "centroid"}, "head centroid needs a single strategy"),
        ({"budget": "soon"}, "time 'soon' is not understood"),
        ({"strategy": "probe", "budget": "5m"}, "budget 5m limits the ladder"),
    ],
)
def test_settings_that_contradict_the_ladder_are_refused(
    digits: Path, settings: dict[str, str], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        regraft.fit(digits, network="lenet5", **settings)


@pytest.fixture
def official(photos: Path, tmp_path: Path) -> Path:
    """The photos as a training side, and a test side."""
    root = tmp_path / "official"
    shutil.copytree(photos, root / "train")
    generator = np.random.default_rng(1)
    for label in ("dark", "light"):
        (root / "test" / label).mkdir(parents=True)
        for number in range(4):
            pixels = generator.integers(0, 255, (24, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / "test" / label / f"{number}.png")
    return root


def test_a_test_image_that_cannot_be_read_at_the_end_is_listed(official: Path, tmp_path: Path) -> None:
    images = regraft.load_images(official)
    gone = official / "test" / "dark" / "0.png"
    gone.write_bytes(b"another file")
    model = regraft.fit(images, network="lenet5", out=tmp_path / "run", budget="0s")
    assert model.test_scores is not None
    assert model.test_scores.images == 7
    with (tmp_path / "run" / "skipped.csv").open(newline="") as file:
        (row,) = list(csv.DictReader(file))
    assert row == {"path": "test/dark/0.png", "reason": "changed while it was read"}


@pytest.fixture
def still_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """No rung takes any time: which of them are tried depends on the images alone."""
    still = partial(state_for, clock=cache(time.perf_counter))
    monkeypatch.setattr("regraft.workflow.advise.state_for", still)


def advice_on(data: Path) -> dict[str, object]:
    advice = regraft.advise(data, network="lenet5", budget="10m")
    found = advice.model_dump(mode="json")
    for row in found["measured"]["ladder"]["rows"]:  # times are not the same twice
        for name in ("predicted_s", "took_s", "elapsed_s", "verdict"):
            row.pop(name)
    found["measured"].pop("options")
    return {name: value for name, value in found.items() if name not in ("rehearsal", "reason")}


@pytest.mark.usefixtures("still_clock")
def test_advice_never_looks_at_the_test_images(official: Path, warm_cache: Path) -> None:
    """The canary: test images of other content and labels change nothing; none of them is computed."""
    before = advice_on(official)
    tested = regraft.load_images(official)
    canaries = {item.sha256 for item in tested.items if item.side == "test"}
    kept = {item.sha256 for item in tested.items if item.side == "train"}
    stores = [path for path in warm_cache.rglob("*.json") if "features" in str(path.relative_to(warm_cache))]
    listed = {line for path in stores for line in path.read_text().split('"')}
    assert kept <= listed
    assert not canaries & listed
    for path in sorted((official / "test").rglob("*.png")):
        Image.fromarray(np.full((24, 32, 3), 50 * int(path.stem), dtype=np.uint8)).save(path)
    (official / "test" / "dark").rename(official / "test" / "swap")
    (official / "test" / "light").rename(official / "test" / "dark")
    (official / "test" / "swap").rename(official / "test" / "light")
    assert advice_on(official) == before
