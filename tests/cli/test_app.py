from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from regraft.cli.app import run
from tests.conftest import DigitsRun

Ran = tuple[int, str, str]


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def call(*arguments: object) -> Ran:
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        sys.stdout.flush()
        output = capfd.readouterr()
        return code, output.out, output.err

    return call


def test_a_pattern_that_the_shell_expanded_is_explained(command: Callable[..., Ran], tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.tar").touch()
    code, _, err = command("check", *sorted(tmp_path.glob("*.tar")))
    assert (code, "The shell has expanded a pattern of files: put it into quotes." in err) == (2, True)


@pytest.fixture
def fitted(digits_run: DigitsRun) -> Path:
    return digits_run("climbed").folder


def test_fit_prints_scores_with_intervals_beside_the_baseline(
    command: Callable[..., Ran], digits: Path, tmp_path: Path
) -> None:
    code, out, err = command(
        "fit", digits, "--network", "lenet5", "--budget", "5s", "--out", tmp_path / "run"
    )
    assert code == 0
    assert "accuracy %" in out
    assert "majority class" in out
    assert "decided runtime" in err


def test_json_lines_are_json(command: Callable[..., Ran], digits: Path, tmp_path: Path) -> None:
    arguments = ["--network", "lenet5", "--strategy", "probe", "--json"]
    code, out, err = command("fit", digits, *arguments, "--out", tmp_path / "run")
    assert code == 0
    assert {json.loads(line)["kind"] for line in err.splitlines()} >= {"decided", "phase", "note"}
    assert json.loads(out)["scores"]["test"]["accuracy"]["value"] > 0.5


def test_predictions_keep_their_order_and_list_bad_files(
    command: Callable[..., Ran], fitted: Path, digits: Path, tmp_path: Path
) -> None:
    images = sorted(digits.rglob("*.png"))[:3][::-1]
    (tmp_path / "bad.jpg").write_bytes(b"")
    out = tmp_path / "p.csv"
    code, _, err = command("predict", fitted, *images, tmp_path / "bad.jpg", "-o", out, "--top", 2)
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert code == 0
    assert [row["path"] for row in rows] == [str(path) for path in images]
    assert set(rows[0]) == {"path", "label", "probability", "label_2", "probability_2"}
    assert "empty file" in err
    assert "bad.jpg,empty file" in (tmp_path / "p.csv.skipped.csv").read_text()


def test_predict_takes_folders_and_globs(command: Callable[..., Ran], fitted: Path, digits: Path) -> None:
    count = len(list((digits / "5").iterdir()))
    for place in (digits / "5", digits / "5" / "*.png"):
        _, out, _ = command("predict", fitted, place, "--json")
        assert len([json.loads(line) for line in out.splitlines()]) == count


@pytest.mark.children
def test_predict_takes_standard_input(fitted: Path, digits: Path) -> None:
    listed = "\n".join(str(path) for path in sorted((digits / "5").iterdir())[:4]).encode()
    words = [sys.executable, "-m", "regraft", "predict", str(fitted), "-", "--json"]
    done = subprocess.run(words, input=listed, capture_output=True, check=True)
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == 4


def test_predict_without_a_usable_image_fails(
    command: Callable[..., Ran], fitted: Path, tmp_path: Path
) -> None:
    code, _, err = command("predict", fitted, tmp_path / "gone.jpg")
    assert code == 1
    assert "No such file" in err


def test_check_reports_and_writes(command: Callable[..., Ran], photos: Path, tmp_path: Path) -> None:
    (photos / "dark" / "bad.png").write_bytes(b"")
    code, out, _ = command("check", photos, "--out", tmp_path / "problems.csv")
    assert code == 0
    assert "24 images in 2 classes" in out
    assert "skipped,empty file,dark/bad.png" in (tmp_path / "problems.csv").read_text()


def test_zoo_lists_and_shows(command: Callable[..., Ran]) -> None:
    code, out, _ = command("zoo")
    assert code == 0
    assert "resnet50" in out
    assert "25.6 M" in out
    assert "layer3" in command("zoo", "show", "resnet50")[1]


def test_cache_commands(command: Callable[..., Ran], own_cache: Path, photos: Path) -> None:
    command("check", photos)
    (own_cache / "scan" / "files").mkdir(exist_ok=True)
    (own_cache / "scan" / "files" / "other.npz").write_bytes(bytes(2_000_000))
    shown = command("cache", "info")[1]
    assert "thumbnails" in shown
    assert "tables of known files: 2.0 MB in 1 file\n" in shown
    assert '"what": "tables of known files"' in command("cache", "info", "--json")[1]
    assert command("cache", "verify")[0] == 0
    next(own_cache.glob("scan/*/*.npy")).write_bytes(b"x")
    assert command("cache", "verify")[0] == 1
    assert command("cache", "prune", "--max-size", "1k")[0] == 0
    assert command("cache", "clear")[0] == 0
    assert not (own_cache / "scan").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["fti"], 2, 'Did you mean "fit"?'),
        (["fit", "x", "--netwrk", "y"], 2, "--network"),
        (["fit", "x", "--strategy", "prob"], 2, '"probe"'),
        (["fit", "nowhere", "--network", "lenet5"], 1, "nowhere does not exist"),
        (["fit", "{photos}", "--network", "lenet6", "--offline"], 1, "lenet5"),
        (
            ["fit", "{photos}", "--network", "lenet5", "--test-share", "2"],
            2,
            "out of range; accepted are 0 to 0.9",
        ),
        (["fit", "{photos}", "--network", "lenet5", "--strategy", "svm", "--cut", "c9"], 1, "c1, c3, c5, f6"),
        (["fit", "{photos}", "--network", "resnet50", "--offline"], 1, "--weights FOLDER"),
        (["predict", "nowhere", "a.jpg"], 1, "no model at nowhere"),
        (["cache", "prune", "--max-size", "lots"], 2, "500M"),
        (["zoo", "resnet5"], 1, "resnet50"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_likely_mistakes_are_explained(
    command: Callable[..., Ran],
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    found, out, err = command(*(word.replace("{photos}", str(photos)) for word in arguments))
    assert found == code
    assert message in " ".join((out + err).replace("│", " ").split())
    assert "Traceback" not in err


@pytest.mark.children
def test_ctrl_c_says_how_to_go_on(tmp_path: Path, digits: Path) -> None:
    env = {**os.environ, "REGRAFT_CACHE": str(tmp_path / "cache")}
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "regraft",
            "fit",
            str(digits),
            "--network",
            "lenet5",
            "--out",
            str(tmp_path / "r"),
        ],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=env,
        start_new_session=True,
        # A shell's background jobs ignore SIGINT, and their children inherit it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    process.stderr.readline()
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command again to resume" in err
