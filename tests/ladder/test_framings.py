"""What the ladder does about framings: classes that differ near the border, and data that leave no choice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

import regraft
from regraft.errors import SettingsError
from regraft.ladder.framings import try_framings
from regraft.ladder.input_trials import sample_sizes
from regraft.progress import Silent
from regraft.runs.records import Run
from regraft.workflow.rehearsal import rehearse
from tests.ladder.ladders import left_out, state_of

BUDGET = {"network": "lenet5", "budget": "90s"}


def write_oblong(root: Path, *, width: int = 96, count: int = 60) -> Path:
    """Noise with a bright block at the left or at the right end, which no central square shows."""
    generator = np.random.default_rng(0)
    for label, start in (("left", 0), ("right", width - 24)):
        (root / label).mkdir(parents=True)
        for number in range(count):
            pixels = generator.integers(0, 120, (32, width), dtype=np.uint8)
            pixels[4:28, start : start + 24] += 120
            Image.fromarray(pixels).save(root / label / f"{number}.png")
    return root


@pytest.fixture(scope="module", autouse=True)
def without_classics() -> Iterator[None]:
    """Methods from before deep networks see the images as they are, whatever the network is shown."""
    with left_out("classics"):
        yield


@pytest.fixture(scope="module")
def oblong(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_oblong(tmp_path_factory.mktemp("oblong") / "data")


@pytest.fixture(scope="module")
def climbed(oblong: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("framed") / "run"
    regraft.fit(oblong, out=folder, **BUDGET)
    return folder


def accuracy_of(model: Any) -> float:
    return float(model.test_scores.accuracy.value)


def framing_of(run: Path) -> str:
    record = json.loads((run / "bundle" / "bundle.json").read_text())
    return str(record["input_spec"].get("framing", "crop"))


@pytest.mark.slow
def test_classes_that_differ_at_the_border_are_seen_by_the_ladder_alone(oblong: Path, climbed: Path) -> None:
    cropped = regraft.fit(oblong, network="lenet5", strategy="probe", framing="crop")
    assert accuracy_of(cropped) < 0.75
    assert accuracy_of(regraft.load_model(climbed)) > 0.95
    assert framing_of(climbed) in ("squeeze", "pad")


@pytest.mark.slow
def test_the_decision_is_one_line_and_its_evidence_is_on_the_ladder(climbed: Path) -> None:
    reasons = json.loads((climbed / "run.json").read_text())["reasons"]
    (line,) = [reason for reason in reasons if "framing" in reason]
    assert line.startswith(f"framing {framing_of(climbed)}, because it gives +")
    assert "compared with crop, and is better with a probability of" in line
    names = [str(row["name"]) for row in json.loads((climbed / "ladder.json").read_text())["rows"]]
    assert [name.split(" @ ")[0] for name in names[1:3]] == ["ridge", "probe"]
    assert {name.rsplit(", ", 1)[-1] for name in names[3:6]} == {"squeeze", "pad", framing_of(climbed)}


@pytest.mark.slow
def test_the_plan_of_a_ladder_repeats_its_framing(oblong: Path, climbed: Path) -> None:
    assert f'framing = "{framing_of(climbed)}"' in (climbed / "plan.toml").read_text()
    again = regraft.fit(oblong, plan=climbed / "plan.toml")
    assert again.test_scores == regraft.load_model(climbed).scores.test  # type: ignore[union-attr]


@pytest.mark.soak
def test_advice_names_the_framing_that_a_fit_takes(oblong: Path, climbed: Path) -> None:
    assert regraft.advise(oblong, **BUDGET).plan.framing == framing_of(climbed)


@pytest.mark.slow
def test_the_page_shows_every_framing(climbed: Path, tmp_path: Path) -> None:
    text = regraft.write_report(climbed, tmp_path / "page.html").read_text()
    assert 'id="framing"' in text
    assert text.count("the image framed by pad") == 3


class Stops(Silent):
    """Ctrl-C while features in another framing are computed, or at a line."""

    def __init__(self, at: str) -> None:
        self.at = at

    def phase(self, name: str, total: int, unit: str = "images") -> Any:
        if self.at in name:
            raise KeyboardInterrupt
        return super().phase(name, total, unit)

    def note(self, text: str) -> None:
        if text.startswith(self.at):
            raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.usefixtures("warm_cache")
def test_a_fit_that_is_stopped_while_it_measures_resumes_to_the_same_bits(
    oblong: Path, climbed: Path, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        regraft.fit(oblong, out=tmp_path / "run", reporter=Stops("features in the framing"), **BUDGET)
    regraft.fit(oblong, out=tmp_path / "run", **BUDGET)
    for name in ("bundle/bundle.json", "bundle/head.safetensors", "plan.toml", "predictions.csv"):
        assert (tmp_path / "run" / name).read_bytes() == (climbed / name).read_bytes(), name


@pytest.mark.slow
def test_a_fit_that_is_stopped_later_climbs_the_same_ladder(
    oblong: Path, climbed: Path, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        regraft.fit(oblong, out=tmp_path / "run", reporter=Stops("rung 7"), **BUDGET)
    regraft.fit(oblong, out=tmp_path / "run", **BUDGET)
    for name in ("ladder.json", "bundle/bundle.json", "plan.toml"):
        assert (tmp_path / "run" / name).read_bytes() == (climbed / name).read_bytes(), name


@pytest.mark.slow
def test_a_framing_that_the_user_names_is_not_measured(oblong: Path, tmp_path: Path) -> None:
    regraft.fit(oblong, out=tmp_path / "run", framing="cover", **BUDGET)
    assert framing_of(tmp_path / "run") == "cover"
    assert not any(
        "framing" in reason
        for reason in Run.model_validate_json((tmp_path / "run" / "run.json").read_text()).reasons
    )


@pytest.mark.slow
def test_a_bundle_keeps_its_framing_and_one_without_is_cropped(oblong: Path, tmp_path: Path) -> None:
    images = sorted(oblong.rglob("*.png"))[::10]
    for framing in ("pad", "crop"):
        model = regraft.fit(oblong, network="lenet5", strategy="probe", framing=framing)
        loaded = regraft.load_model(model.save(tmp_path / framing))
        assert loaded.weights.input_spec.framing == framing
        for one, other in zip(model.predict(images), loaded.predict(images), strict=True):
            assert np.array_equal(one.probabilities, other.probabilities)
    assert "framing" not in (tmp_path / "crop" / "bundle.json").read_text()


@pytest.mark.slow
def test_a_run_starts_from_the_framing_of_an_earlier_one(oblong: Path, tmp_path: Path) -> None:
    regraft.fit(oblong, out=tmp_path / "one", network="lenet5", strategy="probe", framing="pad")
    again = regraft.fit(oblong, from_run=tmp_path / "one", strategy="probe")
    assert again.weights.input_spec.framing == "pad"
    other = regraft.fit(oblong, from_run=tmp_path / "one", strategy="probe", framing="squeeze")
    assert other.weights.input_spec.framing == "squeeze"


@pytest.mark.slow
def test_the_estimator_measures_framings_and_takes_named_ones(oblong: Path) -> None:
    files = sorted(oblong.rglob("*.png"))
    labels = [path.parent.name for path in files]
    chosen = regraft.ImageClassifier(network="lenet5", budget="90s").fit(files, labels)
    assert chosen.model_.weights.input_spec.framing in ("squeeze", "pad")
    named = regraft.ImageClassifier(network="lenet5", strategy="probe", settings={"framing": "cover"})
    assert named.fit(files, labels).model_.weights.input_spec.framing == "cover"


@pytest.mark.slow
def test_a_tail_is_trained_on_what_the_framing_shows(oblong: Path) -> None:
    """The head starts from zero, so that what the tail has learned is all that counts."""
    how: dict[str, Any] = {"network": "lenet5", "strategy": "last-blocks", "cut": "c3", "epochs": 6}
    how |= {"augment": "crop", "head_start": "zero", "runtime": "torch", "lr": 3e-3}
    assert accuracy_of(regraft.fit(oblong, framing="squeeze", **how)) > 0.9


@pytest.mark.slow
def test_a_rehearsal_says_what_would_be_measured(oblong: Path) -> None:
    assert rehearse(oblong, network="lenet5").framing == "auto"  # type: ignore[union-attr]
    named = rehearse(oblong, network="lenet5", strategy="probe", framing="pad")
    assert (named.framing, named.plan.framing) == ("pad", "pad")  # type: ignore[union-attr]


def test_a_plan_fixes_the_framing(tmp_path: Path) -> None:
    plan = regraft.Plan(
        network="lenet5", strategy="probe", head="logistic", stages=("f6",), statistics=("mean",),
        runtime="torch", precision="fp32", seed=0, framing="pad",
    )  # fmt: skip
    plan.save(tmp_path / "plan.toml")
    assert regraft.Plan.load(tmp_path / "plan.toml").framing == "pad"
    with pytest.raises(SettingsError, match="framing is fixed by plan"):
        regraft.fit(tmp_path, plan=tmp_path / "plan.toml", framing="crop")


def rows_of(count: int) -> Any:
    """As many training images as that, which any sample can be compared on."""
    return SimpleNamespace(keys=range(count), doubt=None, sample=lambda size: SimpleNamespace(doubt=None))


@pytest.mark.parametrize(
    ("images", "sizes"),
    [
        (100, [100]),
        (300, [128, 300]),
        (1_000, [128, 512, 1_000]),
        (4_000, [500, 2_000, 4_000]),
        (50_000, [1_024, 4_096, 50_000]),
    ],
)
def test_samples_grow_up_to_all_images(images: int, sizes: list[int]) -> None:
    assert sample_sizes(rows_of(images)) == sizes


class Told(Silent):
    """Keeps decisions."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def decided(self, what: str, because: str, override: str) -> None:
        self.lines.append(f"{what}, because {because} ({override})")


@pytest.mark.parametrize("spent_s", [90.0, 200.0])
def test_framings_that_would_take_too_long_are_left_out(tmp_path: Path, spent_s: float) -> None:
    """1,256 images at 20 ms are 25 s; two fifths of the 30 s that are left are not enough."""
    state = cast("Any", state_of(tmp_path, budget_s=120.0, spent_s=spent_s))
    state.reporter = Told()
    state.training_rows = rows_of(1_000)
    state.inputs.dataset.images = SimpleNamespace(oblong_share=1.0)
    state.inputs.dataset.rows = lambda *sides: range(1_000)
    try_framings(state)
    assert state.rows[-1].verdict.startswith("not tried: predicted")
    assert state.reporter.lines == [
        "framing crop, because there is no time to compare it with other framings (--framing)"
    ]


def test_square_images_of_a_network_without_a_margin_leave_no_choice(tmp_path: Path) -> None:
    state = cast("Any", state_of(tmp_path))
    state.reporter = Told()
    spec = state.inputs.weights.input_spec.model_copy(update={"crop_share": 1.0})
    object.__setattr__(state.inputs.weights, "input_spec", spec)
    state.inputs.dataset.images = SimpleNamespace(oblong_share=0.01)
    try_framings(state)
    assert (state.rows, state.reporter.lines) == ([], [])
