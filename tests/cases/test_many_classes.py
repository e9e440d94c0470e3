"""Many classes of few images: a head in bounded time and memory, short files, and a page that can be read."""

from __future__ import annotations

import csv
import json
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import regraft
from regraft.runs.reading import RunFiles
from tests.cases.conftest import QUICK, Command
from tests.nursery import Nursery

pytestmark = pytest.mark.slow

CLASSES = 130


def species(root: Path, classes: int, count: int = 3) -> Path:
    """Small soft patterns, a class each, with some noise."""
    for number in range(classes):
        pattern = np.random.default_rng(number).integers(0, 255, (6, 6))
        place = root / f"s{number:04d}"
        place.mkdir(parents=True)
        for copy in range(count):
            noise = np.random.default_rng([number, copy]).integers(-60, 60, (6, 6))
            pixels = (pattern + noise).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).resize((32, 32), Image.Resampling.BICUBIC).save(place / f"{copy}.png")
    return root


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished SVM run on 130 classes, with its report."""
    root = tmp_path_factory.mktemp("species")
    species(root / "data", CLASSES)
    regraft.fit(root / "data", network="lenet5", strategy="svm", out=root / "run")
    regraft.write_report(root / "run", explain=False)
    return root / "run"


def test_the_cells_of_the_confusion_matrix_add_up_to_the_predictions(run: Path) -> None:
    files = RunFiles(run)
    wrong = sum(count for true, predicted, count in files.best.cells if true != predicted)
    assert files.best.confusion == ()
    assert sum(count for _, _, count in files.best.cells) == len(files.predictions) == CLASSES
    assert wrong == sum(not row.is_right for row in files.predictions)


def test_confusion_csv_has_a_row_for_each_pair_that_occurs(run: Path) -> None:
    judged = {(row.label, row.predicted) for row in RunFiles(run).predictions}
    with (run / "confusion.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["true"], row["predicted"]) for row in rows} == judged
    assert sum(int(row["images"]) for row in rows) == CLASSES


def test_the_page_names_confused_pairs_and_stays_short(run: Path) -> None:
    text = (run / "report.html").read_text()
    assert "too many for a matrix" in text or "classes were confused" in text
    assert text.count("tiny-class") == 1
    assert len(text) < 1e6


def test_a_least_squares_svm_is_announced_and_can_be_loaded(regraft_command: Command) -> None:
    species(Path("data"), 101)
    flags = ["svm" if word == "probe" else word for word in QUICK]
    done = regraft_command("fit", "data", *flags, "--cut", "c1", "--out", "run")
    assert done.code == 0, done.err
    assert re.search(r"decided a least-squares SVM.* because 101 classes form 5,050 pairs", done.err)
    image = Path("data/s0003/0.png")
    before = regraft_command("predict", "run", image).out
    assert "s0003" in before
    assert json.loads((Path("run") / "run.json").read_text())["plan"]["head"] == "rbf-svm"


def test_a_hundred_classes_are_still_solved_in_pairs(regraft_command: Command) -> None:
    species(Path("data"), 100, count=2)
    flags = ["svm" if word == "probe" else word for word in QUICK]
    done = regraft_command("fit", "data", *flags, "--cut", "c1", "--test-share", "0", "--out", "run")
    assert done.code == 0, done.err
    assert "least-squares" not in done.err
    assert len(RunFiles(Path("run")).best.confusion) == 100


@pytest.mark.parametrize("strategy", ["probe", "svm"])
def test_a_class_for_each_image_is_fitted_with_a_doubt(regraft_command: Command, strategy: str) -> None:
    """As with numbers for labels: no class is left when its image is held out."""
    species(Path("data"), 120, count=1)
    flags = [strategy if word == "probe" else word for word in QUICK]
    done = regraft_command("fit", "data", *flags, "--test-share", "0", "--out", "run")
    assert done.code == 0, done.err
    assert "no setting is chosen by it" in done.err


@pytest.mark.slow
def test_ctrl_c_during_a_solve_is_heard(nursery: Nursery, tmp_path: Path, warm_cache: Path) -> None:
    species(tmp_path / "data", 400)
    words = ["fit", "data", "--network", "lenet5", "--strategy", "probe", "--no-report", "--json"]
    child = nursery.start(_SOLVE_AND_WAIT, *words, folder=tmp_path, REGRAFT_CACHE=str(warm_cache))
    started = time.perf_counter()
    while "solving" not in child.output.read_text() and time.perf_counter() - started < 60:
        time.sleep(0.02)
    child.kill(signal.SIGINT)
    assert child.wait() == 130
    assert "stopped; run the same command again" in child.output.read_text()


_SOLVE_AND_WAIT = """
import sys
from regraft.cli.app import run
from regraft.training import solved
fit_head = solved.fit_head
def told(*arguments, **named):
    print("solving", file=sys.stderr, flush=True)
    return fit_head(*arguments, **named)
solved.fit_head = told
sys.exit(run(sys.argv[1:]))
"""
