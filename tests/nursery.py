"""Processes that tests kill: forks of one that has done the imports, which take most of a short process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

_PARENT = """
import importlib, json, os, sys, warnings
warnings.simplefilter("ignore")
for name in sys.argv[1:]:
    importlib.import_module(name)
for line in sys.stdin:
    request = json.loads(line)
    child = os.fork()
    if child == 0:
        os.dup2(2, 1)
        os.environ.update(request["environment"])
        exec(request["code"])
        os._exit(0)
    print(child, flush=True)
    sys.stdin.readline()  # until then an ended process keeps its number, and no other is killed for it
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@dataclass(frozen=True)
class Child:
    """A forked process; it has to be awaited before the next one is started."""

    process: int
    _questions: IO[str]
    _answers: IO[str]

    def kill(self) -> None:
        """Kill it with signal 9."""
        os.kill(self.process, signal.SIGKILL)

    def wait(self) -> int:
        """The exit code; 0 if it ended by itself without an exception, minus the signal if it was killed."""
        print(file=self._questions, flush=True)
        return int(self._answers.readline())


@dataclass(frozen=True)
class Nursery:
    """A process with some modules imported, which forks others; it has one thread, so forks are safe."""

    _parent: subprocess.Popen[str]

    def start(self, code: str, **environment: str) -> Child:
        """Run code in a fork."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        request = json.dumps({"code": code, "environment": environment})
        print(request, file=self._parent.stdin, flush=True)
        return Child(int(self._parent.stdout.readline()), self._parent.stdin, self._parent.stdout)


@contextmanager
def nursery(*modules: str) -> Iterator[Nursery]:
    """Import modules in a new process, from which others are forked."""
    command = [sys.executable, "-c", _PARENT, *modules]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        try:
            yield Nursery(parent)
        finally:
            parent.kill()
