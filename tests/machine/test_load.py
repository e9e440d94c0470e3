from __future__ import annotations

import itertools

import pytest

from regraft.machine import load


@pytest.mark.parametrize(("given", "expected"), [(1.0, 1.0), (0.5, 2.0), (0.25, 4.0), (0.0, 8.0), (1.1, 1.0)])
def test_slowness_is_the_share_of_the_time_that_a_thread_was_given(
    monkeypatch: pytest.MonkeyPatch, given: float, expected: float
) -> None:
    clock = (step / 64 for step in itertools.count())
    now = [0.0]

    def wall() -> float:
        now[0] = next(clock)
        return now[0]

    monkeypatch.setattr(load, "_LOOK_S", 0.25)
    monkeypatch.setattr(load.time, "perf_counter", wall)
    monkeypatch.setattr(load.time, "thread_time", lambda: given * now[0])
    assert load.slowness() == pytest.approx(expected)
