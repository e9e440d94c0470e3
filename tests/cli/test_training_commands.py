from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from regraft.cli.app import run
from regraft.settings import ScheduleName

pytestmark = pytest.mark.slow

LENET = ["--network", "lenet5", "--runtime", "torch"]


@pytest.mark.parametrize("name", get_args(ScheduleName))
def test_every_schedule_is_drawn(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["plot-schedule", name, "--epochs", "5"]) == 0
    assert (tmp_path / f"schedule-{name}.svg").read_text().startswith("<?xml")
    assert f"wrote schedule-{name}.svg" in capsys.readouterr().out


def test_a_plot_is_the_same_file_each_time(tmp_path: Path) -> None:
    for name in ("one.svg", "two.svg"):
        run(["plot-schedule", "cosine", "-o", str(tmp_path / name)])
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plot-schedule", "cosine", "-o", "plot.bmp"], "can't draw to plot.bmp: accepted are .svg, .png"),
        (["plot-schedule", "cosine", "--epochs", "0"], "--epochs 0 and --steps-per-epoch 32 must be at"),
        (["fit", "x", "--strategy", "full", "--mixup", "-1"], "--mixup -1 is out of range; accepted are"),
        (["fit", "x", "--plan", "nowhere.toml"], "can't read the plan nowhere.toml"),
        (["find-lr", "x", "--strategy", "svm"], "--strategy svm trains nothing"),
    ],
    ids=str,
)
def test_wishes_that_make_no_sense_are_answered(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    assert message in capsys.readouterr().err


def test_an_unknown_schedule_is_answered_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plot-schedule", "cosines"]) == 2
    printed = capsys.readouterr()
    assert "warmup-cosine" in printed.out + printed.err


def test_an_unknown_framing_is_answered_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fit", "x", "--framing", "sideways"]) == 2
    printed = capsys.readouterr()
    for framing in ("crop", "cover", "squeeze", "pad"):
        assert framing in printed.out + printed.err


def test_a_rehearsal_says_whether_framings_would_be_measured(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["fit", str(photos), "--dry-run", *LENET]) == 0
    assert "framing auto: measured after the first model" in capsys.readouterr().out
    assert run(["fit", str(photos), "--dry-run", "--framing", "pad", *LENET]) == 0
    assert "framing pad\n" in capsys.readouterr().out


def test_a_training_on_the_command_line_says_what_it_does(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    command = ["fit", str(photos), "--strategy", "last-blocks", "--cut", "60%", "--epochs", "2", *LENET]
    assert run([*command, "--out", str(out)]) == 0
    said = capsys.readouterr().err
    for text in (
        "├─ c1               frozen",
        "├─ f6               trained",
        "decided activations kept after c3",
        "epoch 2 of 2: training loss",
    ):
        assert text in said
    again = ["fit", str(photos), "--from", str(out), "--strategy", "probe", "--runtime", "torch"]
    assert run([*again, "--out", str(tmp_path / "next")]) == 0


def test_the_learning_rate_search_is_drawn(photos: Path, tmp_path: Path) -> None:
    plot = tmp_path / "rates.png"
    command = ["find-lr", str(photos), "--strategy", "scratch", "--steps", "20", *LENET]
    assert run([*command, "-o", str(plot)]) == 0
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_without_a_strategy_the_search_trains_the_whole_network(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["find-lr", str(photos), "--steps", "2", *LENET, "-o", str(tmp_path / "rates.svg")]
    assert run(command) == 0
    assert "├─ c1               trained" in capsys.readouterr().err
