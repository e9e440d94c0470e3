"""Two processes that train together, of one group for all tests, since starting them takes seconds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from regraft.progress import Silent
from regraft.training.loop.engine import Trainer
from tests.nursery import Nursery
from tests.ports import free_port
from tests.training.examples import small_training

CASES: list[dict[str, object]] = [
    {},
    {"mixup": 0.4, "activation_flip": True, "input_noise": 0.1, "class_weights": True, "micro_batch": 3},
]
CHILD = """
import json, signal, sys
from dataclasses import replace
from pathlib import Path
import torch
from regraft.errors import GroupError
from regraft.machine.launchers import launched
from regraft.progress import Silent
from regraft.training.group.membership import join, leave
from regraft.training.group.processes import OverError
from regraft.training.loop.engine import Trainer
from regraft.training.loop.steps import Stepper
from tests.training.examples import small_tail, small_training

folder = Path(sys.argv[1])
torch.set_num_threads(1)
place = launched()
group = join(place, "cpu")
rank, found = place.rank, {}

def trained(tail, name="none", **changes):
    training = small_training(tail, path=folder / f"{name}-{rank}.safetensors", **changes)
    return Trainer(replace(training, group=group), Silent()).run()

def losses(position):
    return [row["train_loss"] for row in position.history]

def bits(tail):
    return {name: value.tolist() for name, value in tail.state_dict().items()}

cases = enumerate(json.loads(sys.argv[2]))
found["losses"] = [losses(trained(small_tail(), f"case{n}", **case)) for n, case in cases]
other = small_tail()
with torch.no_grad():
    other.head.linear.weight += rank  # the first process's weights are those to start from
found["other_start"] = losses(trained(other, "other"))

whole = dict(dropout=0.3, stage_dropout=0.2, batchnorm=True)
dropping = {"ema": 0.9, "phases": 2, "micro_batch": None, "memory_limit": "1k"}
straight = small_tail(**whole)
story = trained(straight, "whole", **dropping)
step = Stepper.step
def signalled(self, *batch):
    if rank == 1 and self.position.taken == 6:
        signal.raise_signal(signal.SIGINT)
    step(self, *batch)
Stepper.step = signalled
halted = small_tail(**whole)
try:
    trained(halted, "halted", **dropping)
except KeyboardInterrupt:
    found["stopped"] = True
Stepper.step = step
again = small_tail(**whole)
position = trained(again, "halted", **dropping)
found["resumed_equal"] = bits(again) == bits(straight) and losses(position) == losses(story)
found["micro_batch"] = position.micro_batch
found["checkpoint"] = (folder / f"halted-{rank}.safetensors").exists()
found["smallest"] = group.smallest(7 + rank)
try:
    group.compare({"weight": torch.full((3,), float(rank))})
except GroupError as error:
    found["different"] = str(error)
if rank == 0:
    group.tell({"text": "ä" * 70000})
    group.tell({"over": 130})
else:
    found["heard"] = len(group.hear()["text"])
    try:
        group.hear()
    except OverError as over:
        found["over"] = over.code
leave(group)
(folder / f"{rank}.json").write_text(json.dumps(found))
threads = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
assert not [name for name in threads if "gloo" in name], threads  # one alive may abort the shutdown
"""


@pytest.fixture(scope="module")
def found(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes has seen."""
    folder, port = tmp_path_factory.mktemp("processes"), free_port()
    children = [
        nursery.start(
            CHILD,
            str(folder),
            json.dumps(CASES),
            folder=folder,
            output=f"{rank}.txt",
            RANK=str(rank),
            WORLD_SIZE="2",
            MASTER_ADDR="127.0.0.1",
            MASTER_PORT=port,
        )
        for rank in range(2)
    ]
    assert [child.wait() for child in children] == [0, 0], [child.output.read_text() for child in children]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


pytestmark = pytest.mark.children


@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda case: ", ".join(CASES[case]) or "plain")
def test_two_processes_follow_the_same_loss_curve_as_one(case: int, found: list[dict[str, Any]]) -> None:
    alone = Trainer(small_training(**CASES[case]), Silent()).run()
    expected = [row["train_loss"] for row in alone.history]
    assert found[0]["losses"][case] == pytest.approx(expected, abs=1e-5)
    assert found[1]["losses"] == found[0]["losses"]


def test_all_begin_with_the_weights_of_the_first(found: list[dict[str, Any]]) -> None:
    assert found[0]["other_start"] == found[1]["other_start"] == found[0]["losses"][0]


def test_a_signal_to_one_stops_all_and_the_same_training_ends_in_the_same_bits(
    found: list[dict[str, Any]],
) -> None:
    assert [one["stopped"] for one in found] == [True, True]
    assert [one["resumed_equal"] for one in found] == [True, True]


def test_the_first_process_alone_writes_checkpoints(found: list[dict[str, Any]]) -> None:
    assert [one["checkpoint"] for one in found] == [True, False]


def test_the_smallest_number_is_that_of_all(found: list[dict[str, Any]]) -> None:
    assert [one["smallest"] for one in found] == [7, 7]
    assert [one["micro_batch"] for one in found] == [1, 1]


def test_different_weights_are_an_error_that_names_the_process(found: list[dict[str, Any]]) -> None:
    for one in found:
        assert one["different"].startswith("the weights of process 1 differ from those of process 0")


def test_messages_are_text_of_any_length_and_the_last_says_that_it_is_over(
    found: list[dict[str, Any]],
) -> None:
    assert found[1]["heard"] == 70_000
    assert found[1]["over"] == 130
