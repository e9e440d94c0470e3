"""The page for newcomers, command by command, on a machine with an empty cache."""

from __future__ import annotations

import contextlib
import io
import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from regraft import load_model
from regraft.cli.app import run
from regraft.lab import demonstration as lab
from regraft.lab.bench import pictures
from regraft.lab.demonstration import (
    BEST,
    CONTENDERS,
    LAST,
    MAJORITY,
    NETWORK,
    SCRATCH,
    Demonstration,
    demonstrate,
)
from regraft.settings import TrainSettings
from regraft.storage.files import read_json
from tests.test_docs import ROOT, blocks

pytestmark = pytest.mark.slow

COMMANDS = [
    line for block in blocks(ROOT / "docs" / "start.md", "bash") for line in block.strip().splitlines()
]


@pytest.fixture(scope="module", params=["shortened", pytest.param("whole", marks=pytest.mark.soak)])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder in which the newcomer works, and a cache that is empty at first, for all tests here.

    The shortened demonstration takes fewer digits and trains for fewer epochs.
    """
    place = tmp_path_factory.mktemp("newcomer")
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "shortened":
            patch.setattr(pictures, "_DIGITS_A_CLASS", 40)
            patch.setattr(lab, "TEST_PER_CLASS", 15)
            patch.setattr(lab, "_SCRATCH", TrainSettings(epochs=6, validation_share=0.0, augment="none"))
        patch.setenv("REGRAFT_CACHE", str(place / "cache"))
        patch.chdir(place)
        yield place


def ran(line: str) -> tuple[str, str]:
    """What a command printed; in this process, as each command would import torch again."""
    program, *words = shlex.split(line)
    assert program == "regraft"
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = run(words)
    assert code == 0, f"{line}\n{err.getvalue()}"
    return out.getvalue(), err.getvalue()


@dataclass(frozen=True)
class Shown:
    """A demonstration, and what its command printed."""

    found: Demonstration
    out: str
    err: str


@pytest.fixture(scope="module")
def demonstration(folder: Path) -> Shown:
    """The first command of the page."""
    found: list[Demonstration] = []

    def kept(*arguments: Any, **settings: Any) -> Demonstration:
        found.append(demonstrate(*arguments, **settings))
        return found[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("regraft.lab.demonstration.demonstrate", kept)
        out, err = ran(COMMANDS[0])
    return Shown(found[0], out, err)


def test_the_demonstration_ends_with_tables_and_what_to_try_next(folder: Path, demonstration: Shown) -> None:
    for text in ("DIGITS", "FACES", "from scratch", "conv_head", "regraft fit photos/"):
        assert text in demonstration.out
    assert "digits, draw 1 of 2: best " in demonstration.err
    assert max(map(len, demonstration.out.splitlines())) <= 100
    assert (folder / "runs" / "demo" / "run" / "bundle" / "bundle.json").exists()


def test_every_task_has_every_contender_and_as_many_images_as_it_says(demonstration: Shown) -> None:
    for comparison, classes in zip(demonstration.found.comparisons, (10, 2), strict=True):
        assert [one.name for one in comparison.contenders] == list(CONTENDERS)
        assert comparison.classes == classes
        assert comparison.labelled_images == 10 * classes
        assert comparison.test_images == lab.TEST_PER_CLASS * classes
        assert comparison.contender(MAJORITY).accuracy.value == 1 / classes


def test_the_best_stage_and_the_last_are_read_off_the_depth_profile(demonstration: Shown) -> None:
    for comparison in demonstration.found.comparisons:
        depths = {depth.stage: depth.accuracy.value for depth in comparison.depths}
        chosen = [depth.accuracy.value for depth in comparison.depths if depth.chosen]
        assert sum(depth.chosen for depth in comparison.depths) == comparison.draws
        assert comparison.contender(LAST).accuracy.value == list(depths.values())[-1]
        if len(chosen) == 1:
            assert comparison.contender(BEST).accuracy.value == chosen[0] == depths[comparison.first_choice]


def test_differences_are_taken_draw_by_draw(demonstration: Shown) -> None:
    for comparison in demonstration.found.comparisons:
        scratch = comparison.contender(SCRATCH)
        for one in comparison.contenders:
            difference = one.accuracy.value - scratch.accuracy.value
            assert one.over_scratch.value == pytest.approx(difference)


@pytest.mark.usefixtures("folder", "demonstration")
def test_a_second_demonstration_as_json_is_one_object_and_computes_no_features() -> None:
    """Of the first draw alone, whose run is left."""
    out, err = ran("regraft demo --draws 1 --json")
    found = json.loads(out)
    assert [one["name"] for one in found["comparisons"]] == ["digits", "faces"]
    assert "extracting features" not in err
    folder = Path(found["run_folder"])
    assert folder == Path("runs/demo/run")
    assert load_model(folder).weights.network == NETWORK
    test = read_json(folder / "scores.json")["test"]
    (best,) = (one for one in found["comparisons"][0]["contenders"] if one["name"] == BEST)
    assert test["images"] == 10 * lab.TEST_PER_CLASS
    assert test["accuracy"]["value"] == best["accuracy"]["value"]


@pytest.mark.usefixtures("demonstration")
@pytest.mark.soak
def test_the_newcomers_path_runs_as_it_is_written(folder: Path) -> None:
    for line in COMMANDS[1:]:
        ran(line)
    for name in ("runs/digits/report.html", "explanation.html", "predictions.csv", "exported/model.onnx"):
        assert (folder / name).exists(), name
