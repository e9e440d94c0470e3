"""What processes besides the first one do in a fit: they take part in each training.

`python -m regraft.training.following` is what the first process starts, if no launcher has.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType

from regraft.errors import RegraftError
from regraft.machine.launchers import Place
from regraft.progress import Silent
from regraft.training.group.membership import come, join, leave
from regraft.training.group.processes import OverError, ProcessGroup
from regraft.training.loop.engine import Trainer
from regraft.training.loop.interruption import AbruptEnd
from regraft.training.start.assignment import Assignment, taken_on
from regraft.training.threads import threads_for

_PATIENCE_S = 2.0


def follow(place: Place, device: str) -> int:
    """Join the group that a launcher has started and train with it; returns the first process's exit code.

    Raises:
        RegraftError: the message says what to change.
    """
    return _follow(join(place, device), None)


def _follow(group: ProcessGroup, starter: int | None) -> int:
    waiting = _Waiting(starter)
    before = signal.signal(signal.SIGINT, waiting.note)
    try:
        while True:
            message = group.hear(waiting.look)
            try:
                if take_part(Assignment.model_validate(message), group) is not None:
                    waiting.note(signal.SIGINT, None)
            except AbruptEnd:
                raise
            except (KeyboardInterrupt, SystemExit):  # all have stopped; the first one says how it ends
                continue
    except OverError as over:
        group.are_waiting = True
        return over.code
    finally:
        leave(group)
        signal.signal(signal.SIGINT, before)


def take_part(assignment: Assignment, group: ProcessGroup) -> int | None:
    """Train in one training of the first process; returns a signal that came too late for its last step."""
    training = taken_on(assignment, group)
    batch = training.settings.effective_batch // group.size
    with threads_for(training.tail, assignment.shape, batch, most=group.threads):
        trainer = Trainer(training, Silent())
        trainer.run()
    return trainer.missed_signal


class _Waiting:
    """Ctrl-C while a process waits for the first one, which usually receives it too and says that it is over.

    Args:
        starter: process that has started this one, to which Ctrl-C is passed on; None ends this one.
    """

    def __init__(self, starter: int | None) -> None:
        self._starter, self._since = starter, 0.0

    def note(self, number: int, frame: FrameType | None) -> None:
        """Handle the signal."""
        del number, frame
        self._since = time.monotonic()

    def look(self) -> None:
        """Act some time after the signal, if it is not over by then."""
        if not self._since or time.monotonic() - self._since < _PATIENCE_S:
            return
        self._since = 0.0
        if self._starter is None or os.getppid() != self._starter:
            raise KeyboardInterrupt
        os.kill(self._starter, signal.SIGINT)


def main(arguments: Sequence[str]) -> int:
    """Follow the process that has started this one; returns the exit code."""
    rank, count, port, kind = arguments
    try:
        group = come(int(rank), int(count), int(port), "cuda" if kind == "cuda" else "cpu")
        return _follow(group, os.getppid())
    except RegraftError as error:
        sys.stderr.write(f"process {rank}: {error.with_flags}\n")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)  # the first process waits; to take the imported modules apart takes longer than a second
