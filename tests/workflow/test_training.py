"""Strategies that train, from a folder of images to a run, through the public functions."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

import regraft
from regraft.errors import NetworkError, SettingsError
from regraft.networks.weights.finding import find_weights
from regraft.plans.plan import Plan
from regraft.runs.records import Run
from tests.conftest import DigitsRun
from tests.nursery import Child, Nursery
from tests.workflow.test_fit import content

pytestmark = pytest.mark.slow

FAST: dict[str, Any] = {"network": "lenet5", "runtime": "torch", "epochs": 3}


@pytest.fixture
def tuned(digits_run: DigitsRun) -> Path:
    """A run that trained the last stages of LeNet."""
    return digits_run("tuned").folder


def state(folder: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(folder / "bundle" / "network.safetensors")


@pytest.mark.parametrize("strategy", ["last-blocks", "full", "scratch"])
def test_each_strategy_learns(digits: Path, strategy: str) -> None:
    how = {**FAST, "epochs": 12 if strategy == "scratch" else 3}
    model = regraft.fit(digits, strategy=strategy, **how)
    assert model.test_scores is not None
    assert model.test_scores.accuracy.value > 0.9


def test_frozen_stages_keep_every_bit_and_the_others_move(tuned: Path) -> None:
    before = safetensors.torch.load_file(find_weights("lenet5").path)
    moved = {name for name, value in state(tuned).items() if not torch.equal(value, before[name].float())}
    assert moved == {"c5.weight", "c5.bias", "f6.weight", "f6.bias"}


def test_a_trained_run_leaves_its_story(tuned: Path) -> None:
    rows = [json.loads(line) for line in (tuned / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert set(rows[0]["gradient_norms"]) == {"c5", "f6", "head"}
    with (tuned / "stages.csv").open() as file:
        stages = list(csv.DictReader(file))
    changes = {row["stage"]: float(row["relative_weight_change"]) for row in stages}
    assert changes["c1"] == changes["c3"] == 0 < changes["f6"]
    similar = {row["stage"]: float(row["feature_similarity_cka"]) for row in stages}
    assert similar["c1"] == pytest.approx(1, abs=1e-3)
    assert similar["f6"] < 1
    run = Run.model_validate_json((tuned / "run.json").read_text())
    assert run.plan.stages == ("c5", "f6")
    assert run.lineage[-1].startswith("last-blocks on digits")


def test_a_saved_model_predicts_what_was_scored(tuned: Path, digits: Path) -> None:
    with (tuned / "predictions.csv").open() as file:
        scored = {row["path"]: float(row["probability"]) for row in csv.DictReader(file)}
    paths = list(scored)[:20]
    found = regraft.load_model(tuned).predict([digits / path for path in paths], runtime="torch")
    assert [row.probability for row in found] == pytest.approx([scored[path] for path in paths], abs=2e-3)


def test_validation_images_are_always_seen_from_the_centre(few_digits: Path, tmp_path: Path) -> None:
    """With a rate of nothing the weights stand still, and so must the validation loss, whatever the views."""
    how = {**FAST, "epochs": 2, "strategy": "full", "lr": 1e-30, "augment": "crop", "min_crop": 0.1}
    losses = []
    for views in (0, 3):
        out = tmp_path / str(views)
        regraft.fit(few_digits, views=views, out=out, **how)
        rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        losses += [row["validation_loss"] for row in rows]
        assert len({row["train_loss"] for row in rows}) > 1
    assert losses == pytest.approx([losses[0]] * 4, rel=1e-6)


def test_the_same_fit_twice_leaves_the_same_bytes(few_digits: Path, tmp_path: Path) -> None:
    timed = {"metrics.jsonl", "metrics.csv"}
    runs = []
    for name in ("one", "two"):
        regraft.fit(few_digits, strategy="full", out=tmp_path / name, **FAST)
        runs.append({k: v for k, v in content(tmp_path / name).items() if k not in timed})
    assert runs[0] == runs[1]


def test_a_plan_is_printed_saved_edited_and_run(digits: Path, tmp_path: Path) -> None:
    plan = regraft.plan(digits, strategy="last-blocks", cut="60%", **FAST)
    path = plan.save(tmp_path / "plan.toml")
    assert Plan.load(path) == plan
    path.write_text(path.read_text().replace("epochs = 3", "epochs = 2"))
    regraft.fit(digits, plan=path, out=tmp_path / "run")
    rows = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert len(rows) == 2
    assert Plan.load(tmp_path / "run" / "plan.toml").training.epochs == 2  # type: ignore[union-attr]


def test_a_fit_goes_on_from_an_earlier_run(tuned: Path, photos: Path, tmp_path: Path) -> None:
    model = regraft.fit(
        photos, from_run=tuned, strategy="full", runtime="torch", epochs=2, out=tmp_path / "second"
    )
    assert model.lineage[0].startswith("regraft package")
    assert [step.split(" on ")[0] for step in model.lineage[1:]] == ["last-blocks", "full"]
    start = json.loads((tmp_path / "second" / "run.json").read_text())["weights"]
    assert start["sha256"] == json.loads((tuned / "bundle" / "bundle.json").read_text())["weights"]["sha256"]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            {"strategy": "full", "cut": "c3"},
            SettingsError,
            r"cut c3 freezes stages, but strategy full trains",
        ),
        ({"strategy": "last-blocks", "cut": "f6"}, NetworkError, r"a cut at f6 leaves no stage to train"),
        (
            {"strategy": "last-blocks", "cut": "c9"},
            NetworkError,
            r"no stage 'c9'; accepted are a count from 0",
        ),
        ({"strategy": "full", "head": "rbf-svm"}, SettingsError, r"head rbf-svm can't be trained"),
        (
            {"strategy": "probe", "lr": 0.1},
            SettingsError,
            r"lr has no effect: strategy probe does not train",
        ),
        ({"strategy": "full", "lr": -1.0}, SettingsError, r"lr -1 is out of range; accepted are 0 to 100"),
        ({"strategy": "full", "epochs": 0, "mixup": -2}, SettingsError, r"epochs 0 .*; mixup -2 is out"),
        ({"strategy": "full", "time_limit": "soon"}, SettingsError, r"time_limit: time 'soon' is not und"),
        ({"strategy": "full", "drop_path": 0.2}, NetworkError, r"lenet5 has no stochastic depth"),
        ({"strategy": "scratch", "weights": "random"}, SettingsError, r"strategy scratch uses no"),
        ({"strategy": "full", "learning_rate": 1}, SettingsError, r"no setting 'learning_rate'"),
    ],
    ids=str,
)
def test_impossible_wishes_are_refused(
    photos: Path, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        regraft.fit(photos, network="lenet5", runtime="torch", **settings)


def test_a_plan_and_flags_contradict(photos: Path, tmp_path: Path) -> None:
    path = regraft.plan(photos, strategy="full", **FAST).save(tmp_path / "plan.toml")
    with pytest.raises(SettingsError, match="cut and lr are fixed by plan"):
        regraft.fit(photos, plan=path, cut="c3", lr=0.1)


def test_an_edited_plan_is_checked(photos: Path, tmp_path: Path) -> None:
    plan = regraft.plan(photos, strategy="last-blocks", cut="c3", **FAST)
    wrong = plan.model_copy(update={"stages": ("c3", "f7")})
    with pytest.raises(
        SettingsError, match=r"stage 'f7' is not one of c1, c3, c5, f6; .* must be the last ones"
    ):
        regraft.fit(photos, plan=wrong)


def test_the_learning_rate_finder_puts_the_weights_back_and_suggests(digits: Path) -> None:
    found = regraft.find_lr(digits, strategy="scratch", steps=40, network="lenet5", runtime="torch")
    assert 1e-5 < found.suggested < 0.5
    assert len(found.rates) == len(found.losses) > 20
    assert min(found.losses) < 0.9 * found.losses[0]


def test_layerwise_pretraining_lowers_each_stages_error(few_digits: Path, tmp_path: Path) -> None:
    how = {**FAST, "strategy": "scratch", "init": "layerwise", "epochs": 20}
    regraft.fit(few_digits, out=tmp_path / "run", **how)
    notes = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    lines = [note["text"] for note in notes if note["kind"] == "note" and "autoencoder" in note["text"]]
    errors = [
        [float(part) for part in line.split("error ")[1].split(" of")[0].split(" -> ")] for line in lines
    ]
    assert len(errors) == 4
    assert all(last < first for first, last in errors)


KILLED = """
import regraft
from regraft.training.loop import engine
engine.CHECKPOINT_EVERY_S = 0.05
regraft.fit({data!r}, strategy="last-blocks", cut="c1", network="lenet5", runtime="torch", epochs=12,
            phases=2, dropout=0.2, mixup=0.2, out={out!r})
"""


@pytest.mark.children
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(1, 10))])
def test_killed_at_any_moment_the_same_command_ends_in_the_same_bytes(
    digits: Path, nursery: Nursery, tmp_path: Path, seed: int
) -> None:
    def start(name: str, cache: str) -> Child:
        code = KILLED.format(data=str(digits), out=str(tmp_path / name))
        return nursery.start(code, folder=tmp_path, REGRAFT_CACHE=str(tmp_path / cache))

    victim = start("victim", "cache")
    started = time.perf_counter()
    checkpoints = tmp_path / "cache" / "training"
    while not list(checkpoints.glob("*/checkpoint.safetensors")) and time.perf_counter() - started < 60:
        time.sleep(0.02)
    time.sleep(float(np.random.default_rng(seed).uniform(0, 3)))
    victim.kill()
    assert victim.wait() in {0, -signal.SIGKILL}
    assert start("victim", "cache").wait() == 0
    assert start("whole", "other").wait() == 0
    found, expected = content(tmp_path / "victim"), content(tmp_path / "whole")
    names = {name for name in expected if found.get(name) != expected[name]}
    assert names <= {"metrics.jsonl", "metrics.csv"}
    assert sorted(found) == sorted(expected)


def test_a_head_goes_on_with_more_classes(digits: Path, tmp_path: Path) -> None:
    two = tmp_path / "two"
    for label in ("5", "6"):
        shutil.copytree(digits / label, two / label)
    regraft.fit(two, strategy="last-blocks", cut="c3", out=tmp_path / "first", **FAST)
    model = regraft.fit(
        digits, from_run=tmp_path / "first", strategy="last-blocks", cut="c3", head_start="previous", **FAST
    )
    assert model.labels == ("5", "6", "7")
    assert model.test_scores is not None
    assert model.test_scores.accuracy.value > 0.8


def test_a_head_that_cant_go_on_says_why(digits: Path, digits_run: DigitsRun) -> None:
    with pytest.raises(SettingsError, match="head_start previous needs from_run"):
        regraft.fit(digits, strategy="last-blocks", cut="c3", head_start="previous", **FAST)
    svm = digits_run("svm").folder
    with pytest.raises(SettingsError, match="logistic head on the last stage; the head of this run is"):
        regraft.fit(digits, from_run=svm, strategy="last-blocks", cut="c3", head_start="previous", **FAST)


def test_a_plan_keeps_how_the_network_is_divided_and_fed(photos: Path, tmp_path: Path) -> None:
    asked = {
        "network": "cifar_resnet20",
        "runtime": "torch",
        "weights": "random",
        "stages": "fine",
        "channels": 1,
        "image_size": 40,
    }
    plan = regraft.plan(photos, strategy="last-blocks", cut="layer3.1", **asked)
    assert plan.stages == ("layer3.2",)
    read = regraft.Plan.load(plan.save(tmp_path / "plan.toml"))
    assert read == plan
    model = regraft.fit(photos, plan=read, weights="random")
    assert (model.weights.input_spec.channels, model.weights.input_spec.size_px) == (1, 40)
    assert "layer3.1" in {column.stage for column in model.layout}


@pytest.mark.soak
def test_auxiliary_classifiers_train_from_scratch_and_are_dropped(photos: Path, tmp_path: Path) -> None:
    asked = {
        "strategy": "scratch",
        "network": "googlenet",
        "runtime": "torch",
        "epochs": 1,
        "image_size": 64,
        "effective_batch": 8,
    }
    out = tmp_path / "run"
    model = regraft.fit(photos, out=out, **asked)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert {"auxiliary after inception4a", "auxiliary after inception4d"} <= set(rows[-1]["gradient_norms"])
    assert len(model.predict(photos / "dark" / "0.png")) == 1
    plain = regraft.plan(photos, auxiliary_weight=0.0, **asked)
    assert plan_training(plain).auxiliary_weight == 0
    assert plan_training(regraft.plan(photos, **asked)).auxiliary_weight == 0.3


def plan_training(plan: regraft.Plan) -> regraft.TrainSettings:
    assert plan.training is not None
    return plan.training


def test_auxiliary_classifiers_that_are_not_there_are_refused(photos: Path) -> None:
    with pytest.raises(NetworkError, match=r"cifar_resnet20 has no auxiliary classifiers"):
        regraft.plan(
            photos, strategy="scratch", network="cifar_resnet20", runtime="torch", auxiliary_weight=0.3
        )
