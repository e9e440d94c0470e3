"""What the ladder does about larger inputs: small objects that need one, and budgets that forbid it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

import regraft
from regraft.export.export import export_model
from regraft.ladder import input_trials, order
from regraft.ladder import state as ladder_state
from regraft.ladder.richer_inputs import larger_sides, richer_s, try_larger_inputs, try_mirror_images
from regraft.progress import Silent
from regraft.records import InputSpec
from regraft.runs.comparison import read_run
from regraft.runs.records import Run
from tests.ladder.ladders import left_out, state_of

BUDGET = {"network": "test_resnet", "weights": "random", "framing": "crop", "budget": "1h"}
"""A small network for 160 pixels, whose larger input has 288; time is no reason, on any machine."""


def write_small_objects(root: Path, *, count: int = 80, side: int = 303) -> Path:
    """Noise with small soft spots of fine lines, across or along: from far away, all spots are grey."""
    generator = np.random.default_rng(0)
    spot = np.outer(np.hanning(14), np.hanning(14)) * np.where(np.arange(14) % 2, 90, -90)
    for label, lines in (("across", spot.T), ("along", spot)):
        (root / label).mkdir(parents=True)
        for number in range(count):
            pixels = generator.normal(120, 12, (side, side))
            for top, left in generator.integers(0, side - 14, (12, 2)):
                pixels[top : top + 14, left : left + 14] += lines
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / label / f"{number}.png")
    return root


@pytest.fixture(scope="module", autouse=True)
def without_classics() -> Iterator[None]:
    """Methods from before deep networks see the images as they are, whatever the network is shown."""
    with left_out("classics"):
        yield


@pytest.fixture(scope="module")
def small_objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_objects(tmp_path_factory.mktemp("small") / "data")


@pytest.fixture(scope="module")
def climbed(small_objects: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("larger") / "run"
    regraft.fit(small_objects, out=folder, **BUDGET)
    return folder


def side_of(run: Path) -> int:
    return int(json.loads((run / "bundle" / "bundle.json").read_text())["input_spec"]["size_px"])


def accuracy_of(model: Any) -> float:
    return float(model.test_scores.accuracy.value)


@pytest.mark.slow
def test_small_objects_decide_for_a_larger_input(small_objects: Path, climbed: Path) -> None:
    usual = regraft.fit(small_objects, **{**BUDGET, "budget": None, "strategy": "probe"})
    assert side_of(climbed) == 288
    assert accuracy_of(regraft.load_model(climbed)) > accuracy_of(usual) + 0.1


@pytest.mark.slow
def test_the_decision_is_a_line_and_the_plan_repeats_it(small_objects: Path, climbed: Path) -> None:
    reasons = Run.model_validate_json((climbed / "run.json").read_text()).reasons
    (line,) = [reason for reason in reasons if "input of" in reason]
    assert line.startswith("input of 288 px, because it gives +")
    assert "compared with 160 px, and is better with a probability of" in line
    assert "image_size = 288" in (climbed / "plan.toml").read_text()
    again = regraft.fit(small_objects, weights="random", plan=climbed / "plan.toml")
    assert again.test_scores == regraft.load_model(climbed).scores.test  # type: ignore[union-attr]


@pytest.mark.slow
def test_a_model_of_a_larger_input_predicts_what_its_run_says(small_objects: Path, climbed: Path) -> None:
    with (climbed / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = regraft.load_model(climbed).predict([small_objects / row["path"] for row in rows])
    assert [one.label for one in found] == [row["predicted"] for row in rows]


@pytest.mark.slow
def test_an_export_has_the_larger_input(small_objects: Path, climbed: Path, tmp_path: Path) -> None:
    exported = regraft.load_model(export_model(climbed, tmp_path / "exported").folder)
    images = sorted(small_objects.rglob("*.png"))[::16]
    for one, other in zip(regraft.load_model(climbed).predict(images), exported.predict(images), strict=True):
        assert np.allclose(one.probabilities, other.probabilities, atol=1e-5)


@pytest.mark.slow
def test_what_a_larger_input_costs_is_told(climbed: Path) -> None:
    rows = json.loads((climbed / "ladder.json").read_text())["rows"]
    (line,) = [row["verdict"] for row in rows if row["name"].startswith("ridge") and "288 px" in row["name"]]
    assert "ms an image instead of" in line
    assert read_run(climbed).run.plan.image_size == 288


class Stops(Silent):
    """Ctrl-C at a line."""

    def __init__(self, at: str) -> None:
        self.at = at

    def note(self, text: str) -> None:
        if self.at in text:
            raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.parametrize("at", ["rung 2", "288 px"])
def test_a_fit_that_is_stopped_resumes_to_the_same_bits(
    small_objects: Path, climbed: Path, tmp_path: Path, at: str
) -> None:
    with pytest.raises(KeyboardInterrupt):
        regraft.fit(small_objects, out=tmp_path / "run", reporter=Stops(at), **BUDGET)
    regraft.fit(small_objects, out=tmp_path / "run", **BUDGET)
    for name in ("ladder.json", "bundle/bundle.json", "bundle/head.safetensors", "plan.toml"):
        assert (tmp_path / "run" / name).read_bytes() == (climbed / name).read_bytes(), name


@pytest.mark.slow
def test_a_size_that_the_user_names_is_not_compared_with_others(small_objects: Path, tmp_path: Path) -> None:
    regraft.fit(small_objects, out=tmp_path / "run", image_size=160, **BUDGET)
    assert side_of(tmp_path / "run") == 160
    run = Run.model_validate_json((tmp_path / "run" / "run.json").read_text())
    assert not any("input of" in reason for reason in run.reasons)


@pytest.mark.slow
@pytest.mark.usefixtures("warm_cache")  # or the order of the fit above would be taken up
def test_heads_on_several_stages_are_solved_again_on_a_larger_input(
    small_objects: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the time is short, so that larger inputs come after what is quicker."""
    quicker = {"several stages": 0, "larger inputs": 1}
    monkeypatch.setattr(
        order,
        "in_order",
        lambda groups, _: sorted(
            (group for group in groups if group.name in quicker), key=lambda group: quicker[group.name]
        ),
    )
    regraft.fit(small_objects, out=tmp_path / "run", **BUDGET)
    rows = json.loads((tmp_path / "run" / "ladder.json").read_text())["rows"]
    kept = [row["name"] for row in rows if row["is_kept"]]
    assert side_of(tmp_path / "run") == 288
    assert any("…" in name and name.endswith(", 288 px") for name in kept)


@pytest.mark.slow
def test_the_ladder_goes_back_if_no_head_is_better_than_what_is_kept(
    small_objects: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder_state, "chance_better", lambda *_: 0.0)
    regraft.fit(small_objects, out=tmp_path / "run", **BUDGET)
    assert side_of(tmp_path / "run") == 160
    reasons = Run.model_validate_json((tmp_path / "run" / "run.json").read_text()).reasons
    (line,) = [reason for reason in reasons if "input of" in reason]
    assert line.startswith("input of 160 px, because the same head gains +")
    assert "but none is better than what is kept with a probability of 90 %" in line
    again = regraft.fit(small_objects, weights="random", plan=tmp_path / "run" / "plan.toml")
    assert again.test_scores == regraft.load_model(tmp_path / "run").scores.test  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def mirrored(small_objects: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ladder on which everything looks better than what is kept, so that mirror images are kept as well."""
    folder = tmp_path_factory.mktemp("mirrored") / "run"
    with pytest.MonkeyPatch.context() as patch:
        for module in (input_trials, ladder_state):
            patch.setattr(module, "chance_better", lambda *_: 1.0)
        regraft.fit(small_objects, out=folder, image_size=160, **BUDGET)
    return folder


@pytest.mark.slow
def test_a_model_of_mirror_images_predicts_what_its_run_says(small_objects: Path, mirrored: Path) -> None:
    model = regraft.load_model(mirrored)
    assert model.weights.input_spec.average == "mirror"
    with (mirrored / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = model.predict([small_objects / row["path"] for row in rows])
    assert [one.label for one in found] == [row["predicted"] for row in rows]


@pytest.mark.slow
def test_the_order_of_left_and_right_is_nothing_to_a_model_of_mirror_images(
    digits: Path, tmp_path: Path
) -> None:
    model = regraft.fit(digits, network="lenet5", strategy="probe", average="mirror")
    images = [np.asarray(Image.open(path)) for path in sorted(digits.rglob("*.png"))[::60]]
    found = [model.predict(several) for several in (images, [image[:, ::-1].copy() for image in images])]
    for one, other in zip(*found, strict=True):
        assert np.allclose(one.probabilities, other.probabilities, atol=1e-5)
    loaded = regraft.load_model(model.save(tmp_path / "bundle"))
    for one, other in zip(found[0], loaded.predict(images), strict=True):
        assert np.array_equal(one.probabilities, other.probabilities)


@pytest.mark.slow
def test_an_export_averages_over_mirror_images(digits: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    model = regraft.fit(digits, network="lenet5", strategy="many-stages", average="mirror", out=run)
    exported = regraft.load_model(export_model(run, tmp_path / "exported").folder)
    images = sorted(digits.rglob("*.png"))[::60]
    for one, other in zip(model.predict(images), exported.predict(images), strict=True):
        assert np.allclose(one.probabilities, other.probabilities, atol=1e-5)
    assert "its mirror image" in (tmp_path / "exported" / "README.md").read_text()


@pytest.mark.slow
def test_a_plan_keeps_the_average(small_objects: Path, mirrored: Path) -> None:
    assert 'average = "mirror"' in (mirrored / "plan.toml").read_text()
    again = regraft.fit(small_objects, weights="random", plan=mirrored / "plan.toml")
    assert again.test_scores == regraft.load_model(mirrored).scores.test  # type: ignore[union-attr]


class Told(Silent):
    """Keeps decisions."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def decided(self, what: str, because: str, override: str) -> None:
        self.lines.append(f"{what}, because {because} ({override})")


def prepared_state(folder: Path, **how: Any) -> Any:
    """A ladder of 1,000 images after its first rung."""
    state = cast("Any", state_of(folder, **how))
    state.reporter = Told()
    state.training_rows = SimpleNamespace(
        keys=range(1_000), doubt=None, num_outputs=10, sample=lambda size: SimpleNamespace(doubt=None)
    )
    state.inputs.dataset.rows = lambda *sides: range(1_000)
    state.best = SimpleNamespace(plan=SimpleNamespace(training=None), voters=())
    return state


def test_a_budget_that_is_too_short_is_the_reason(tmp_path: Path) -> None:
    """1,000 images at 20 ms and 1.65 times the pixels take 33 s; two fifths of 60 s are less."""
    state = prepared_state(tmp_path, budget_s=60.0)
    try_larger_inputs(state)
    assert state.rows[-1].name == "larger inputs"
    assert state.rows[-1].verdict.startswith("not tried: predicted")
    assert "more than 40 % of the 60 s left of the budget" in state.rows[-1].verdict
    assert state.reporter.lines == [
        "input of 224 px, because there is no time to compare it with other inputs (--image-size)"
    ]


def test_mirror_images_are_left_out_where_the_user_says_so(tmp_path: Path) -> None:
    state = prepared_state(tmp_path, budget_s=600.0)
    object.__setattr__(state.inputs.settings, "average", "none")
    try_mirror_images(state)
    assert (state.rows, state.reporter.lines) == ([], [])


def test_mirror_images_need_time_as_well(tmp_path: Path) -> None:
    state = prepared_state(tmp_path, budget_s=60.0)
    try_mirror_images(state)
    assert state.rows[-1].name == "mirror images"
    assert state.reporter.lines == [
        "features of the image alone, because there is no time to compare it with other inputs (--average)"
    ]


def test_the_test_images_count_as_well(tmp_path: Path) -> None:
    """Without test images the comparison fits into the budget; 10,000 of them would take 130 s more."""
    state = prepared_state(tmp_path, budget_s=260.0, test_images=10_000)
    try_larger_inputs(state)
    assert "with the test images more than 40 %" in state.rows[-1].verdict
    assert state.rows[-1].predicted_s < 0.4 * 259


def test_a_trained_network_is_not_given_another_input(tmp_path: Path) -> None:
    state = prepared_state(tmp_path, budget_s=600.0)
    state.best.plan.training = object()
    try_larger_inputs(state)
    assert state.rows == []
    assert state.reporter.lines[0].startswith("input of 224 px, because a trained network is kept")
    assert richer_s(state, None) == 0.0


@pytest.mark.parametrize(
    ("side", "sides"), [(32, ()), (160, (288,)), (224, (288, 384)), (256, (288, 384)), (384, ())]
)
def test_larger_sides_are_at_most_twice_as_long(side: int, sides: tuple[int, ...]) -> None:
    assert larger_sides(InputSpec(size_px=side)) == sides
