from __future__ import annotations

from pathlib import Path

import pytest

from regraft.cli.app import run
from regraft.cli.commands.demo import _verdict
from regraft.records import Estimate


def demo(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    capfd.readouterr()
    code = run(["demo", *map(str, arguments)])
    output = capfd.readouterr()
    return code, output.out, output.err


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
