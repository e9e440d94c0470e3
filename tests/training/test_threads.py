from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from regraft.training.threads import threads_for
from tests.training.examples import small_tail


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(("batch", "threads"), [(77, 1), (78, 2)])
def test_small_steps_get_one_thread(batch: int, threads: int) -> None:
    """By hand: 2 x 9 x (2 x 6 + 6 x 6) FLOP a pixel of 100 x 100 and 36 of the head, three times for a step;
    2 GFLOP are 77.2 images."""
    with threads_for(small_tail(), (2, 100, 100), batch):
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_threads_come_back_after_an_error() -> None:
    def interrupted() -> None:
        with threads_for(small_tail(), (2, 5, 5), 8):
            assert torch.get_num_threads() == 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert torch.get_num_threads() == 2
