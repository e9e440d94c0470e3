from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import regraft
from regraft.errors import BundleError
from regraft.plans.plan import Plan, SolvedPlan


@pytest.fixture(scope="module")
def pair(digits: Path) -> tuple[regraft.Model, regraft.Model]:
    """A solved model, and one whose network was trained."""
    solved = regraft.fit(digits, network="lenet5", strategy="svm", cut="c3")
    trained = regraft.fit(digits, network="lenet5", strategy="full", epochs=1, validation_share=0.0)
    return solved, trained


def joined(pair: tuple[regraft.Model, regraft.Model]) -> regraft.Model:
    solved, trained = pair
    return replace(trained, others=solved.voters)


def some(digits: Path) -> list[Path]:
    return sorted(digits.rglob("*.png"))[::30]


def test_a_vote_is_the_mean_of_its_voters(pair: tuple[regraft.Model, regraft.Model], digits: Path) -> None:
    images = some(digits)
    each = [np.stack([row.probabilities for row in model.predict(images)]) for model in pair]
    both = np.stack([row.probabilities for row in joined(pair).predict(images)])
    assert np.allclose(both, np.mean(each, axis=0), atol=1e-12)


def test_a_saved_vote_answers_the_same(
    pair: tuple[regraft.Model, regraft.Model], digits: Path, tmp_path: Path
) -> None:
    folder = joined(pair).save(tmp_path / "bundle")
    assert (folder / "network-2.safetensors").exists()
    assert (folder / "head-2.safetensors").exists()
    before, after = joined(pair).predict(some(digits)), regraft.load_model(folder).predict(some(digits))
    for one, other in zip(before, after, strict=True):
        assert np.array_equal(one.probabilities, other.probabilities)


def test_voters_on_one_network_share_its_file(
    pair: tuple[regraft.Model, regraft.Model], digits: Path, tmp_path: Path
) -> None:
    solved, _ = pair
    folder = replace(solved, others=solved.voters).save(tmp_path / "bundle")
    assert not (folder / "network-2.safetensors").exists()
    assert regraft.load_model(folder).predict(some(digits)[0])[0].label in solved.labels


def test_an_earlier_votes_files_do_not_stay_behind(
    pair: tuple[regraft.Model, regraft.Model], tmp_path: Path
) -> None:
    joined(pair).save(tmp_path / "bundle")
    pair[0].save(tmp_path / "bundle")
    assert sorted(path.name for path in (tmp_path / "bundle").iterdir()) == [
        "bundle.json",
        "head.safetensors",
        "network.safetensors",
    ]


@pytest.mark.parametrize("name", ["network-2.safetensors", "head-2.safetensors"])
def test_a_damaged_voter_is_refused(
    pair: tuple[regraft.Model, regraft.Model], tmp_path: Path, name: str
) -> None:
    folder = joined(pair).save(tmp_path / "bundle")
    data = bytearray((folder / name).read_bytes())
    data[-1] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(BundleError, match=name):
        regraft.load_model(folder)


def test_no_path_from_a_record_is_obeyed(pair: tuple[regraft.Model, regraft.Model], tmp_path: Path) -> None:
    folder = joined(pair).save(tmp_path / "bundle")
    record = json.loads((folder / "bundle.json").read_text())
    record["others"][0]["network_file"] = "../../secret.safetensors"
    (folder / "bundle.json").write_text(json.dumps(record))
    with pytest.raises(BundleError, match="not a bundle of this version"):
        regraft.load_model(folder)


def test_a_plan_with_voters_is_carried_out(digits: Path, tmp_path: Path) -> None:
    plan = regraft.plan(digits, network="lenet5", strategy="probe")
    voter = SolvedPlan(head="rbf-svm", stages=("c3", "c5"), statistics=("mean", "std", "map"))
    path = plan.model_copy(update={"vote": (voter,)}).save(tmp_path / "plan.toml")
    assert Plan.load(path).vote == (voter,)
    model = regraft.fit(digits, plan=path)
    assert len(model.voters) == 2
    assert {column.stage for column in model.others[0].head.record.columns} == {"c3", "c5"}
