"""Work in threads whose results are awaited, so that Ctrl-C is heard while a library computes."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

from regraft.machine.processor import count_cores

_Result = TypeVar("_Result")
_MOST = 4
_PATIENCE_S = 0.5


def awaited(jobs: Sequence[Callable[[], _Result]], *, workers: int | None = None) -> Iterator[_Result]:
    """The results of the jobs, in their order, computed by at most four threads.

    A library call can't be interrupted, but waiting for it can: Ctrl-C ends the wait at once, no further job
    is begun, and the calls that are under way are left to end on their own. The threads are daemons, so that
    they don't keep the process alive.

    Args:
        jobs: functions that release the interpreter's lock while they compute.
        workers: number of threads; None means one for each core, and at most four.
    """
    waiting: queue.SimpleQueue[tuple[int, Callable[[], _Result]]] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, Any, BaseException | None]] = queue.SimpleQueue()
    for numbered in enumerate(jobs):
        waiting.put(numbered)
    is_over = threading.Event()

    def work() -> None:
        while not is_over.is_set():
            try:
                number, job = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((number, job(), None))
            except BaseException as error:  # noqa: BLE001  (raised again in the thread that waits)
                done.put((number, None, error))

    count = min(workers or count_cores(), _MOST, len(jobs))
    for _ in range(count):
        threading.Thread(target=work, daemon=True).start()
    early: dict[int, Any] = {}
    try:
        for number in range(len(jobs)):
            while number not in early:
                try:
                    place, result, error = done.get(timeout=_PATIENCE_S)
                except queue.Empty:  # a chance for signals that reached another thread
                    continue
                if error is not None:
                    raise error
                early[place] = result
            yield early.pop(number)
    finally:
        is_over.set()


_Item = TypeVar("_Item")


def in_order(
    function: Callable[[_Item], _Result], items: Iterable[_Item], *, workers: int, ahead: int
) -> Iterator[_Result]:
    """Map in threads, in order, with at most `ahead` results waiting, so that memory is bounded."""
    with ThreadPoolExecutor(workers) as pool:
        iterator = iter(items)
        waiting = deque(pool.submit(function, item) for item in islice(iterator, ahead))
        try:
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(function, item) for item in islice(iterator, 1))
                yield result
        finally:
            for future in waiting:
                future.cancel()
