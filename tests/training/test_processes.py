from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from regraft.progress import Silent
from regraft.training.engine import Trainer
from tests.training.examples import small_task

ROOT = Path(__file__).parents[2]
CHILD = """
import json, sys
from pathlib import Path
import torch
import torch.distributed as dist
from regraft.progress import Silent
from regraft.training.engine import Trainer
from tests.training.examples import small_task

rank, world, port, out = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
changes = json.loads(sys.argv[5])
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
task = small_task(**changes)
position = Trainer(task, Silent()).run()
if rank == 0:
    json.dump([row["train_loss"] for row in position.history], open(out, "w"))
dist.destroy_process_group()
threads = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
assert not [name for name in threads if "gloo" in name], threads  # one alive may abort the shutdown
"""


def free_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"mixup": 0.4, "activation_flip": True, "input_noise": 0.1, "class_weights": True, "micro_batch": 3},
    ],
    ids=str,
)
def test_two_processes_follow_the_same_loss_curve_as_one(changes: dict[str, object], tmp_path: Path) -> None:
    alone = Trainer(small_task(**changes), Silent()).run()
    port, out = free_port(), tmp_path / "losses.json"
    children = [
        subprocess.Popen(
            [
                sys.executable,
                "-W",
                "ignore",
                "-c",
                CHILD,
                str(rank),
                "2",
                port,
                str(out),
                json.dumps(changes),
            ],
            cwd=ROOT,
            stderr=subprocess.PIPE,
        )
        for rank in range(2)
    ]
    errors = [child.communicate(timeout=120)[1].decode() for child in children]
    assert [child.returncode for child in children] == [0, 0], errors
    together = json.loads(out.read_text())
    assert together == pytest.approx([row["train_loss"] for row in alone.history], abs=1e-5)
