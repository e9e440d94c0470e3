"""One fit by two processes: one run, whoever starts them, and whatever becomes of one of them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

import regraft
from regraft.errors import SettingsError
from tests.detection.examples import drawn, written
from tests.nursery import Child, Nursery
from tests.ports import free_port
from tests.workflow.test_fit import content

pytestmark = pytest.mark.children
FIT = """
import os, sys, time
from regraft.ladder import order
from regraft.training.loop import engine, steps
from regraft.cli.app import run

engine.CHECKPOINT_EVERY_S = 0.0
whole = steps.Stepper.step
def step(self, *batch):
    time.sleep(float(os.environ.get("PACE_S", "0")))
    whole(self, *batch)
steps.Stepper.step = step
if only := os.environ.get("ONLY"):  # of the groups of rungs after the first heads
    order.in_order = lambda groups, _: [group for group in groups if group.name == only]
sys.exit(run(sys.argv[1:]))
"""
TIMED = {"metrics.jsonl", "metrics.csv", "report.html"}


class Fits:
    """Starts fits by two processes."""

    def __init__(self, nursery: Nursery, folder: Path, digits: Path) -> None:
        self._nursery, self.folder = nursery, folder
        self._fit = ["fit", str(digits), "--network", "lenet5", "--strategy", "last-blocks", "--cut", "c1"]
        self._fit += ["--head-start", "zero", "--epochs", "4", "--dropout", "0.2", "--augment", "crop"]
        self._fit += ["--views", "2", "--ema", "0.9", "--no-report"]

    def launched(self, name: str) -> list[Child]:
        """By a launcher, as torchrun does it."""
        place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
        return [self._start(name, f"{name}-{rank}", RANK=str(rank), **place) for rank in range(2)]

    def alone(self, name: str, **environment: str) -> Child:
        """By the first process."""
        return self._start(name, name, "--devices", "2", **environment)

    def ladder(self, name: str) -> Child:
        """Of the ladder, by the first process: its first heads, and its trainings."""
        self._fit = [*self._fit[:4], "--no-report"]
        more = ["--devices", "2", "--budget", "1h", "--epochs", "1"]
        return self._start(name, name, *more, ONLY="training")

    def _start(self, name: str, output: str, *more: str, **environment: str) -> Child:
        arguments = [*self._fit, *more, "--out", str(self.folder / name)]
        environment["REGRAFT_CACHE"] = str(self.folder / f"cache-{name}")
        return self._nursery.start(FIT, *arguments, folder=self.folder, output=f"{output}.txt", **environment)

    def wait_for_checkpoint(self, name: str) -> None:
        """Wait until a training has begun."""
        until = time.monotonic() + 120
        while not list((self.folder / f"cache-{name}" / "training").glob("*/checkpoint.safetensors")):
            assert time.monotonic() < until, (self.folder / f"{name}.txt").read_text()
            time.sleep(0.02)


@pytest.fixture(scope="module")
def fits(nursery: Nursery, few_digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Fits:
    return Fits(nursery, tmp_path_factory.mktemp("together"), few_digits)


@pytest.fixture(scope="module")
def whole(fits: Fits) -> dict[str, bytes]:
    """The files of a run of two processes that a launcher has started."""
    ranks = fits.launched("whole")
    assert [child.wait() for child in ranks] == [0, 0], [child.output.read_text() for child in ranks]
    assert ranks[1].output.read_text() == ""
    return content(fits.folder / "whole")


def follower_of(child: Child) -> int:
    """The process that a fit has started for itself."""
    text = Path(f"/proc/{child.process}/task/{child.process}/children").read_text()
    return int(text.split()[0])


@pytest.mark.parametrize(
    ("by", "rank"),
    [
        pytest.param(signal.SIGKILL, 0, id="SIGKILL-0"),
        pytest.param(signal.SIGINT, 1, id="SIGINT-1"),
        pytest.param(signal.SIGINT, 0, id="SIGINT-0", marks=pytest.mark.soak),
        pytest.param(signal.SIGKILL, 1, id="SIGKILL-1", marks=pytest.mark.soak),
    ],
)
def test_whatever_becomes_of_one_process_the_same_command_ends_in_the_same_bytes(
    fits: Fits, whole: dict[str, bytes], rank: int, by: signal.Signals
) -> None:
    name = f"{by.name}-{rank}"
    victim = fits.alone(name, PACE_S="0.2")
    fits.wait_for_checkpoint(name)
    follower = Path(f"/proc/{follower_of(victim)}")
    os.kill(victim.process if rank == 0 else int(follower.name), by)
    expected = 130 if by == signal.SIGINT else -9 if rank == 0 else 1
    assert victim.wait() == expected, victim.output.read_text()
    if rank and by == signal.SIGKILL:
        assert "process 1 was ended by SIGKILL" in victim.output.read_text()
    wait_until_ended(follower)
    again = fits.alone(name)
    assert again.wait() == 0, again.output.read_text()
    found = content(fits.folder / name)
    assert {one for one in whole if found.get(one) != whole[one]} <= TIMED
    assert set(found) == set(whole)


def wait_until_ended(process: Path) -> None:
    """Wait until a process, given by its folder of the system, is gone."""
    until = time.monotonic() + 60
    while process.exists() and process.joinpath("stat").read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < until, f"{process.name} goes on without the first process"
        time.sleep(0.05)


@pytest.mark.slow
def test_trials_of_the_ladder_are_trained_together_too(nursery: Nursery, fits: Fits, digits: Path) -> None:
    child = Fits(nursery, fits.folder, digits).ladder("ladder")
    assert child.wait() == 0, child.output.read_text()
    trainings = (fits.folder / "cache-ladder" / "training").glob("*/checkpoint.safetensors")
    assert len(list(trainings)) > 1, child.output.read_text()


def test_boxes_are_refused_with_several_processes(tmp_path: Path) -> None:
    folder = tmp_path / "boxes"
    folder.mkdir()
    boxes = written(folder, "yolo", drawn())
    with pytest.raises(SettingsError, match="detectors are trained by a single process"):
        regraft.fit(boxes, network="lenet5", devices=2, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
