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
import safetensors.numpy

from regraft.data.pictures.loading import LoadLimits
from regraft.errors import ImageError
from regraft.records import InputSpec
from regraft.serving.workers.inputs import Inputs, Load

MEMORY_BYTES = 1536 << 20
SECONDS = 5.0
START_S = 60.0
"""Time that a process may take to start, which does not count for its first file."""
LIMITS = LoadLimits(max_megapixels=64, max_file_mb=20)


class DecodePool:
    """Worker processes that turn files into what a graph takes, with limits of memory and time.

    Args:
        load: the function that they call.
        spec: input of the network.
        workers: number of processes.
        seconds: time limit per file; a worker that takes longer is killed and replaced.
    """

    def __init__(self, load: Load, spec: InputSpec, *, workers: int, seconds: float = SECONDS) -> None:
        self._load, self._spec, self._seconds = load, spec, seconds
        self._free: queue.Queue[_Worker] = queue.Queue()
        self._lock = threading.Lock()
        self._all = [_Worker(load, spec) for _ in range(workers)]
        for worker in self._all:
            self._free.put(worker)

    def decode(self, data: bytes) -> Inputs:
        """What the graph takes, from a file's bytes; waits for a free worker.

        Raises:
            ImageError: the file can't be used, for the reason given.
        """
        if not data:
            raise ImageError("empty file")
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
        fresh = _Worker(self._load, self._spec)
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
    def __init__(self, load: Load, spec: InputSpec) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(
            target=_work, args=(theirs, load, spec.model_dump()), daemon=True
        )
        self._process.start()
        self._is_ready = False
        theirs.close()

    def decode(self, data: bytes, seconds: float) -> Inputs:
        try:
            self._wait_until_ready()
            self._ours.send_bytes(data)
            if not self._ours.poll(seconds):
                raise _WorkerLostError(f"decoding takes longer than {seconds:g} s")
            answer = self._ours.recv_bytes()
        except (EOFError, OSError) as error:
            raise _WorkerLostError("decoding needs more memory than allowed") from error
        if answer[:1] == b"!":
            raise ImageError(answer[1:].decode("utf-8", "replace"))
        found: Inputs = safetensors.numpy.load(answer[1:])
        return found

    def _wait_until_ready(self) -> None:
        if not self._is_ready:
            if not self._ours.poll(START_S):
                raise _WorkerLostError(f"the decoding process has not started within {START_S:g} s")
            self._ours.recv_bytes()
            self._is_ready = True

    def close(self) -> None:
        self._ours.close()
        self._process.kill()
        self._process.join(5)


def _work(pipe: Connection, load: Load, spec_values: dict[str, Any]) -> None:
    """The loop of a worker: receive a file, send back arrays or the reason why there are none."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server handles Ctrl-C and ends its workers
    spec = InputSpec.model_validate(spec_values)
    _limit_memory()
    with contextlib.suppress(EOFError, OSError):
        pipe.send_bytes(b"ready")
        while True:
            data = pipe.recv_bytes()
            try:
                arrays = {name: np.ascontiguousarray(one) for name, one in load(data, spec, LIMITS).items()}
                answer = b"+" + safetensors.numpy.save(arrays)
            except ImageError as error:
                answer = b"!" + str(error).encode()
            except MemoryError:
                answer = b"!decoding needs more memory than allowed"
            pipe.send_bytes(answer)


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
