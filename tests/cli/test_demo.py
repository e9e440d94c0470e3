from __future__ import annotations

import json
from pathlib import Path

import pytest

from regraft.cli.app import run
from regraft.cli.demo import _verdict
from regraft.records import Estimate

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "demo"


def demo(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    capfd.readouterr()
    code = run(["demo", *map(str, arguments)])
    output = capfd.readouterr()
    return code, output.out, output.err


def test_it_ends_with_tables_and_what_to_try_next(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = demo(capfd, "--out", folder, "--draws", 1, "--per-class", 3)
    assert code == 0
    for text in ("DIGITS", "FACES", "from scratch", "conv_head", "regraft fit photos/"):
        assert text in out
    assert "digits, draw 1 of 1: best " in err
    assert max(len(line.replace(str(folder), "runs/demo")) for line in out.splitlines()) <= 100
    assert (folder / "run" / "bundle" / "bundle.json").exists()


def test_json_is_one_object_and_a_second_run_computes_no_features(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, out, err = demo(capfd, "--out", folder, "--draws", 1, "--per-class", 3, "--json")
    found = json.loads(out)
    assert code == 0
    assert [one["name"] for one in found["comparisons"]] == ["digits", "faces"]
    assert found["run_folder"] == str(folder / "run")
    assert "extracting features" not in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--draws", "0"], "--draws 0 is out of range; accepted are 1 to 100"),
        (["--per-class", "1"], "--per-class 1 is out of range; accepted are 2 to 50"),
        (["--per-class", "51", "--draws", "0"], "accepted are 1 to 100; --per-class 51"),
    ],
    ids=["draws", "per class", "both"],
)
def test_numbers_out_of_range_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    code, out, err = demo(capfd, "--out", tmp_path / "demo", *arguments)
    assert code == 2
    assert message in " ".join((out + err).replace("│", " ").split())
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize(
    ("estimate", "words"),
    [
        (Estimate(value=0.1, low=0.05, high=0.15), "beats (by 10.0 points)"),
        (Estimate(value=-0.1, low=-0.15, high=-0.05), "loses (by 10.0 points) to"),
        (Estimate(value=0.1, low=-0.05, high=0.25), "can't be told apart from"),
    ],
    ids=["better", "worse", "neither"],
)
def test_sentences_claim_only_what_the_interval_allows(estimate: Estimate, words: str) -> None:
    assert _verdict(estimate) == words
