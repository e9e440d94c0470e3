from __future__ import annotations

import _thread
import threading
import time

import pytest

from regraft.parallel import awaited


def test_results_come_in_the_order_of_the_jobs() -> None:
    def job(number: int) -> int:
        time.sleep(0.02 * (number % 3 == 0))
        return number

    jobs = [lambda number=number: job(number) for number in range(20)]
    assert list(awaited(jobs, workers=4)) == list(range(20))  # type: ignore[arg-type]


def test_an_error_of_a_job_is_raised() -> None:
    def fail() -> int:
        raise ValueError("a job failed")

    with pytest.raises(ValueError, match="a job failed"):
        list(awaited([fail]))


def test_ctrl_c_is_heard_while_a_job_goes_on_and_no_further_job_is_begun() -> None:
    is_over, begun = threading.Event(), []

    def long() -> None:
        begun.append(1)
        is_over.wait(20)

    threading.Timer(0.2, _thread.interrupt_main).start()
    with pytest.raises(KeyboardInterrupt):
        list(awaited([long, long, long], workers=1))
    is_over.set()
    time.sleep(0.1)
    assert len(begun) == 1
