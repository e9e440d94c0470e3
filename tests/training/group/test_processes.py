from __future__ import annotations

import json
import socket

import pytest

from regraft.progress import Silent
from regraft.training.loop.engine import Trainer
from tests.nursery import Nursery
from tests.training.examples import small_training

CASES: list[dict[str, object]] = [
    {},
    {"mixup": 0.4, "activation_flip": True, "input_noise": 0.1, "class_weights": True, "micro_batch": 3},
]
CHILD = """
import json, sys
from pathlib import Path
import torch
import torch.distributed as dist
from regraft.progress import Silent
from regraft.training.loop.engine import Trainer
from tests.nursery import Nursery
from tests.training.examples import small_training

rank, world, port, out = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
losses = []
for changes in json.loads(sys.argv[5]):
    position = Trainer(small_training(**changes), Silent()).run()
    losses.append([row["train_loss"] for row in position.history])
if rank == 0:
    json.dump(losses, open(out, "w"))
dist.destroy_process_group()
threads = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
assert not [name for name in threads if "gloo" in name], threads  # one alive may abort the shutdown
"""


def free_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


@pytest.fixture(scope="module")
def losses(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> list[list[float]]:
    """Of all cases, by one pair of processes."""
    folder, port = tmp_path_factory.mktemp("processes"), free_port()
    out = folder / "losses.json"
    children = [
        nursery.start(
            CHILD, str(rank), "2", port, str(out), json.dumps(CASES), folder=folder, output=f"{rank}.txt"
        )
        for rank in range(2)
    ]
    assert [child.wait() for child in children] == [0, 0], [child.output.read_text() for child in children]
    found: list[list[float]] = json.loads(out.read_text())
    return found


@pytest.mark.children
@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda case: ", ".join(CASES[case]) or "plain")
def test_two_processes_follow_the_same_loss_curve_as_one(case: int, losses: list[list[float]]) -> None:
    alone = Trainer(small_training(**CASES[case]), Silent()).run()
    assert losses[case] == pytest.approx([row["train_loss"] for row in alone.history], abs=1e-5)
