"""Decoding in separate processes, so that a decompression bomb ends a worker and not the server."""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import threading
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np

from regraft.data.pictures.loading import LoadLimits, Pixels, load_input
from regraft.errors import ImageError
from regraft.records import InputSpec

MEMORY_BYTES = 1536 << 20
SECONDS = 5.0
LIMITS = LoadLimits(max_megapixels=64, max_file_mb=20)


class DecodePool:
    """Worker processes that turn files into a network's input, with limits of memory and time.

    Args:
        spec: input of the network.
        workers: number of processes.
        seconds: time limit per file; a worker that takes longer is killed and replaced.
    """

    def __init__(self, spec: InputSpec, *, workers: int, seconds: float = SECONDS) -> None:
        self._spec, self._seconds = spec, seconds
        self._free: queue.Queue[_Worker] = queue.Queue()
        self._lock = threading.Lock()
        self._all = [_Worker(spec) for _ in range(workers)]
        for worker in self._all:
            self._free.put(worker)

    def decode(self, data: bytes) -> Pixels:
        """The network's input from a file's bytes; waits for a free worker.

        Raises:
            ImageError: the file can't be used, for the reason given.
        """
        worker = self._free.get()
        try:
            return worker.decode(data, self._seconds)
        except _WorkerLostError as lost:
            worker = self._replaced(worker)
            raise ImageError(str(lost)) from None
        finally:
            self._free.put(worker)

    def _replaced(self, worker: _Worker) -> _Worker:
        worker.close()
        fresh = _Worker(self._spec)
        with self._lock:
            self._all[self._all.index(worker)] = fresh
        return fresh

    def close(self) -> None:
        """End all workers."""
        for worker in self._all:
            worker.close()


class _WorkerLostError(Exception):
    pass


class _Worker:
    def __init__(self, spec: InputSpec) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(
            target=_work, args=(theirs, spec.model_dump()), daemon=True
        )
        self._process.start()
        theirs.close()

    def decode(self, data: bytes, seconds: float) -> Pixels:
        try:
            self._ours.send_bytes(data)
            if not self._ours.poll(seconds):
                raise _WorkerLostError(f"decoding takes longer than {seconds:g} s")
            answer = self._ours.recv_bytes()
        except (EOFError, OSError) as error:
            raise _WorkerLostError("decoding needs more memory than allowed") from error
        if answer[:1] == b"!":
            raise ImageError(answer[1:].decode("utf-8", "replace"))
        side, channels = int.from_bytes(answer[1:5], "big"), int.from_bytes(answer[5:7], "big")
        return np.frombuffer(answer, np.uint8, offset=7).reshape(side, side, channels)

    def close(self) -> None:
        self._ours.close()
        self._process.kill()
        self._process.join(5)


def _work(pipe: Connection, spec_values: dict[str, Any]) -> None:
    """The loop of a worker: receive a file, send back pixels or the reason why there are none."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server handles Ctrl-C and ends its workers
    spec = InputSpec.model_validate(spec_values)
    _limit_memory()
    with contextlib.suppress(EOFError, OSError):
        while True:
            data = pipe.recv_bytes()
            try:
                pixels = load_input(data, spec, LIMITS)
            except ImageError as error:
                pipe.send_bytes(b"!" + str(error).encode())
            except MemoryError:
                pipe.send_bytes(b"!decoding needs more memory than allowed")
            else:
                side, channels = pixels.shape[0], pixels.shape[2]
                head = b"+" + side.to_bytes(4, "big") + channels.to_bytes(2, "big")
                pipe.send_bytes(head + pixels.tobytes())


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
