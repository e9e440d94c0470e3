"""What several processes have agreed on that compute parts of the same features: the first one's task."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from regraft.data.pictures.loading import Pixels
from regraft.errors import ExecutionError, MachineError
from regraft.features.executors.task import ExtractionTask, read_task
from regraft.features.runtimes import Key, Row, Runtime
from regraft.storage.files import key_of, remove_old, write_atomically
from regraft.storage.locks import working_lock
from regraft.storage.places import cache_folder

_ABANDONED_S = 7 * 86_400.0
_OF_MACHINES = {"facts", "runtime", "device", "threads", "weights", "width", "version"}


def agreed(task: ExtractionTask, keys: Iterable[str], *, is_mixed: bool) -> ExtractionTask:
    """The task of the process that began to compute these features, or the given one if none has.

    The file that tells of it is in the cache for a week, so that a part that begins late is compared too.

    Args:
        task: how this process would compute them.
        keys: the hashes of all images, in any order.
        is_mixed: whether rows of other bits are accepted.

    Raises:
        MachineError: this process would compute other bits than the one that began.
    """
    what = key_of([task.model_dump(mode="json", exclude=_OF_MACHINES), key_of(sorted(keys))])
    path = cache_folder() / "extractions" / f"{what[:24]}.json"
    remove_old(path.parent.glob("*.json"), _ABANDONED_S)
    path.parent.mkdir(parents=True, exist_ok=True)
    with working_lock(path.with_suffix(".lock"), wait=True):
        first = _read(path)
        if first is None:
            write_atomically(path, task.to_json().encode())
            return task
    if not is_mixed:
        try:
            first.check(task.facts, where="this machine")
        except MachineError as error:
            raise MachineError(
                f"{error.with_flags}. If the earlier work is not wanted any more, remove {path}"
            ) from error
    return first


def _read(path: Path) -> ExtractionTask | None:
    """The task in a file; None if there is no such file, or a damaged one."""
    with contextlib.suppress(OSError, ExecutionError, UnicodeDecodeError):
        return read_task(path.read_text(encoding="ascii"), ExtractionTask)
    return None


class AgreedRuntime:
    """A runtime whose rows are kept among those of another machine.

    Args:
        runtime: computes the rows.
        facts: those of the process that began.
    """

    def __init__(self, runtime: Runtime, facts: Mapping[str, Any]) -> None:
        self._runtime, self.facts = runtime, facts
        self.layout, self.width, self.maps = runtime.layout, runtime.width, runtime.maps
        self.precision, self.source = runtime.precision, runtime.source

    def run(self, images: Iterable[tuple[Key, Pixels]]) -> Iterator[tuple[Key, Row]]:
        """As `Runtime.run`."""
        return self._runtime.run(images)
