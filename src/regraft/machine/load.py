"""The load of this machine, as it is felt by this process."""

from __future__ import annotations

import time

_LOOK_S = 0.25
_MOST = 8.0  # a quarter of a second says little about a machine that is busier


def slowness() -> float:
    """How many times longer a computation takes than on an idle machine: 1 there, 3 where three share a core.

    It is the wall time of a thread that only counts, divided by the processor time that it was given.
    """
    started, used = time.perf_counter(), time.thread_time()
    while (passed := time.perf_counter() - started) < _LOOK_S:
        pass
    return min(max(1.0, passed / max(time.thread_time() - used, 1e-3)), _MOST)
