from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from regraft.plans.plan import Plan
from tests.cli.test_app import Ran, command  # noqa: F401  (a fixture)
from tests.conftest import DigitsRun

Command = Callable[..., Ran]


def test_advice_is_a_table_a_reason_and_a_plan(command: Command, digits: Path, tmp_path: Path) -> None:  # noqa: F811
    plan, suspects = tmp_path / "plan.toml", tmp_path / "suspects.csv"
    code, out, _ = command(
        "advise",
        digits,
        "--network",
        "lenet5",
        "--budget",
        "20s",
        "-o",
        plan,
        "--suspects",
        suspects,
        "--explain",
    )
    assert code == 0
    for text in (
        "similarity to the images that the network was trained on",
        "Depth profile",
        "majority class",
        "recommended (from the ",
        "← yours",
    ):
        assert text in out, text
    assert Plan.load(plan).network == "lenet5"
    with suspects.open(newline="") as file:
        header = next(csv.reader(file))
    assert header[-1] == "action"
    code, out, _ = command("fit", digits, "--plan", plan, "--corrections", suspects, "-o", tmp_path / "run")
    assert code == 0


def test_advice_as_json(command: Command, photos: Path, tmp_path: Path) -> None:  # noqa: F811
    code, out, _ = command(
        "advise", photos, "--network", "lenet5", "--budget", "20s", "-o", tmp_path / "p.toml", "--json"
    )
    found = json.loads(out)
    assert code == 0
    assert found["speaker"] in ("measurement", "table")
    assert found["measured"]["profile"]["stages"][0]["stage"] == "c1"


@pytest.mark.slow
def test_a_named_strategy_is_shown_as_a_plan_and_nothing_is_measured(
    command: Command,  # noqa: F811
    photos: Path,
    tmp_path: Path,
    warm_cache: Path,
) -> None:
    plan = tmp_path / "plan.toml"
    code, out, err = command("advise", photos, "--strategy", "full", "--network", "lenet5", "-o", plan)
    assert code == 0
    assert 'strategy = "full"' in out
    assert "extracting features" not in err
    assert {path.name for path in warm_cache.iterdir()} <= {"scan", "splits", "networks"}
    assert Plan.load(plan).strategy == "full"


def settings_of(plan: Path) -> str:
    """A plan without its last line, which says that nobody has edited it."""
    return "".join(plan.read_text().splitlines(keepends=True)[:-1])


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["probe", "svm", "last-blocks"])
def test_all_names_of_the_verb_make_the_same_plan(
    command: Command,  # noqa: F811
    photos: Path,
    tmp_path: Path,
    strategy: str,
) -> None:
    named = [photos, "--network", "lenet5", "--strategy", strategy]
    for verb in ("advise", "plan"):
        _, out, err = command(verb, *named, "-o", tmp_path / f"{verb}.toml")
        assert settings_of(tmp_path / f"{verb}.toml") in out
    assert f"plan is now a part of advise: regraft advise {photos} --strategy {strategy}" in err
    expected = settings_of(tmp_path / "advise.toml")
    assert settings_of(tmp_path / "plan.toml") == expected
    _, out, err = command("fit", *named, "--dry-run")
    assert expected in out
    assert f"fit --dry-run is now a part of advise: regraft advise {photos} --strategy {strategy}" in err
    command("fit", *named, "-o", tmp_path / "run")
    assert settings_of(tmp_path / "run" / "plan.toml") == expected


def test_compare_prints_who_to_take(command: Command, digits_run: DigitsRun) -> None:  # noqa: F811
    runs = [digits_run(name).folder for name in ("probe", "svm")]
    code, out, _ = command("compare", *runs)
    assert code == 0
    assert f"recommended: {runs[0].parent}" in out
    code, out, _ = command("compare", *runs, "--json")
    assert json.loads(out)["recommended"] in map(str, runs)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (
            ["advise", "{photos}", "--network", "lenet5", "--strategy", "svm", "--suspects", "s.csv"],
            2,
            "--suspects s.csv needs measurements, and --strategy svm makes a plan without measuring",
        ),
        (
            ["advise", "{photos}", "--network", "lenet5", "--strategy", "svm", "--cut", "c9"],
            1,
            "c1, c3, c5, f6",
        ),
        (["advise", "{photos}/nowhere", "--network", "lenet5"], 1, "nowhere"),
        (
            ["advise", "{photos}", "--network", "lenet5", "--budget", "later"],
            2,
            "time 'later' is not understood",
        ),
        (["compare", "{photos}"], 2, "give at least two run folders"),
        (["compare", "{photos}", "elsewhere"], 2, "holds no finished run"),
        (
            ["fit", "{photos}", "--network", "auto", "--strategy", "scratch"],
            2,
            "compares pretrained networks",
        ),
    ],
)
def test_likely_mistakes_are_explained(
    command: Command,  # noqa: F811
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    found, out, err = command(*(word.replace("{photos}", str(photos)) for word in arguments))
    assert said in out + err
    assert found == code
    assert not (tmp_path / "plan.toml").exists()


def test_a_probe_chooses_the_network(command: Command, shared: Callable[[str], Path], tmp_path: Path) -> None:  # noqa: F811
    weights = tmp_path / "weights"
    weights.mkdir()
    for file in shared("weights").glob("squeezenet1_1.*"):
        (weights / file.name).symlink_to(file)
    arguments = ["--network", "auto", "--weights", weights, "--strategy", "probe", "-o", tmp_path / "run"]
    code, _, err = command("fit", shared("data/cherry_hemlock"), *arguments)
    assert code == 0
    assert "decided network" in err
    assert "LogME" in err
