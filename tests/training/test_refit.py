from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import regraft
from regraft.errors import SettingsError
from regraft.plans.plan import Plan
from regraft.training.refit import refit_plan


@pytest.fixture(scope="module")
def plan(digits: Path) -> Plan:
    made = regraft.plan(digits, network="lenet5", strategy="last-blocks", cut="c3", epochs=2)
    return made.model_copy(update={"refit": refit_plan(["c1", "c3", "c5", "f6"])})


def test_the_network_is_the_trained_one_and_the_head_reads_several_stages(plan: Plan, digits: Path) -> None:
    trained = regraft.fit(digits, plan=plan.model_copy(update={"refit": None}))
    model = regraft.fit(digits, plan=plan)
    assert model.weights.sha256 == trained.weights.sha256
    assert trained.head.record.columns != model.head.record.columns
    assert plan.refit is not None
    assert {column.stage for column in model.head.record.columns} == set(plan.refit.stages)
    assert model.test_scores is not None
    assert model.test_scores.accuracy.value > 0.9


def test_it_predicts_what_it_was_judged_by_and_a_bundle_keeps_it(
    plan: Plan, digits: Path, tmp_path: Path
) -> None:
    model = regraft.fit(digits, plan=plan, out=tmp_path / "run")
    files = sorted(digits.rglob("*.png"))[::60]
    again = regraft.load_model(tmp_path / "run")
    first, second = ([row.probabilities for row in one.predict(files)] for one in (model, again))
    assert np.array_equal(first, second)
    written = Plan.load(tmp_path / "run" / "plan.toml")
    assert written.refit == plan.refit


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"refit": refit_plan(["c1", "gone"])}, "stage 'gone' is not one of"),
        ({"strategy": "probe", "training": None}, "refit is for strategies that train, not for probe"),
    ],
)
def test_a_plan_that_cannot_be_refitted_is_refused(
    plan: Plan, digits: Path, change: dict[str, object], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        regraft.fit(digits, plan=plan.model_copy(update=change))
