"""Processes of tests: forks of one that has done the imports, which take most of a short process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_PARENT = """
import gc, importlib, json, os, sys, traceback, warnings
warnings.simplefilter("ignore")
for name in sys.argv[1:]:
    importlib.import_module(name)
gc.freeze()  # no child looks through, and so copies, what was made by the imports
for line in sys.stdin:
    request = json.loads(line)
    if "wait" in request:
        print(os.waitstatus_to_exitcode(os.waitpid(request["wait"], 0)[1]), flush=True)
        continue
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    child = os.fork()
    if child == 0:
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(request["folder"])
        os.environ.update(request["environment"])
        sys.argv[1:] = request["arguments"]
        try:
            exec(request["code"], {"__name__": "__main__"})
        except SystemExit as ended:
            code = ended.code or 0
        except BaseException:
            traceback.print_exc()
            code = 1
        else:
            code = 0
        sys.stdout.flush()
        os._exit(code)  # to take the imported modules apart would take longer than most tests
    os.close(output)
    print(child, flush=True)
"""


@dataclass(frozen=True)
class Child:
    """A forked process. Until it is awaited its number is its own, so that no other is killed for it."""

    process: int
    output: Path
    """What it printed to its standard output and its standard error, which ends as the process does."""
    _questions: IO[str]
    _answers: IO[str]

    def kill(self, by: signal.Signals = signal.SIGKILL) -> None:
        """Send it a signal."""
        os.kill(self.process, by)

    def wait(self) -> int:
        """The exit code; minus the signal if it was killed."""
        print(json.dumps({"wait": self.process}), file=self._questions, flush=True)
        return int(self._answers.readline())


@dataclass(frozen=True)
class Nursery:
    """A process with some modules imported, which forks others; it has one thread, so forks are safe."""

    _parent: subprocess.Popen[str]

    def start(
        self, code: str, *arguments: str, folder: Path, output: str = "output.txt", **environment: str
    ) -> Child:
        """Run code in a fork that works in a folder and writes what it prints into a file of it."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        request = {
            "code": code,
            "arguments": arguments,
            "folder": str(folder),
            "output": str(folder / output),
            "environment": environment,
        }
        print(json.dumps(request), file=self._parent.stdin, flush=True)
        process = int(self._parent.stdout.readline())
        return Child(process, folder / output, self._parent.stdin, self._parent.stdout)


@contextmanager
def opened(*modules: str) -> Iterator[Nursery]:
    """Import modules in a new process, from which others are forked."""
    command = [sys.executable, "-c", _PARENT, *modules]
    root = str(Path(__file__).parents[1])  # where `tests` is found
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        try:
            yield Nursery(parent)
        finally:
            parent.kill()
