from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from regraft.training.loop.memory import is_out_of_memory, kept_bytes, micro_batch
from tests.nursery import Nursery
from tests.training.examples import small_tail

CHILD = """
import resource, torch, numpy as np
from regraft.progress import Silent
from regraft.training.loop.engine import Trainer
from regraft.training.loop.batches import TensorSource
from tests.training.examples import small_tail, small_training
from dataclasses import replace

torch.set_num_threads(1)
training = small_training(epochs=1, effective_batch=30, micro_batch=30)
training = replace(training, train=TensorSource(torch.randn(30, 2, 400, 400)), validation=None)
small = replace(training, targets=training.targets[:2], train=TensorSource(torch.randn(2, 2, 400, 400)))
Trainer(replace(small, tail=small_tail()), Silent()).run()  # whatever torch sets aside by itself
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (used + 400_000_000, used + 400_000_000))
position = Trainer(training, Silent()).run()
assert position.micro_batch < 30, position.micro_batch
assert position.history[0]["step"] == 1
print("micro", position.micro_batch)
"""


def test_kept_bytes_by_hand() -> None:
    """A linear map keeps its input, ReLU its output: what else the head keeps is known too."""
    tail = small_tail()
    sample = torch.randn(1, 2, 50, 50)
    map_bytes = 50 * 50 * 4
    kept = kept_bytes(tail, sample, "fp32")
    # inputs of 2 and 6 channels; outputs of two convolutions and two norms (ReLU keeps its own output)
    assert kept == pytest.approx((2 + 6 * 6) * map_bytes, rel=0.35)


def test_the_micro_batch_follows_the_limit() -> None:
    tail, sample = small_tail(), torch.randn(1, 2, 50, 50)
    each = 1.5 * kept_bytes(tail, sample, "fp32")
    found = micro_batch(tail, sample, effective_batch=64, limit=f"{int(7.5 * each)}", precision="fp32")
    assert found == 7
    assert micro_batch(tail, sample, effective_batch=5, limit="10G", precision="fp32") == 5
    assert micro_batch(tail, sample, effective_batch=5, limit="1", precision="fp32") == 1


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
    ids=str,
)
def test_memory_errors_are_recognised(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


@pytest.mark.children
@pytest.mark.skipif(sys.platform != "linux", reason="limits of the address space are Linux's")
def test_a_real_limit_of_memory_halves_the_micro_batch(nursery: Nursery, tmp_path: Path) -> None:
    child = nursery.start(CHILD, folder=tmp_path)
    assert child.wait() == 0, child.output.read_text()[-2000:]
