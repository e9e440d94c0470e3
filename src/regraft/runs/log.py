"""The log of a run, and the versions that its results depend on."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from regraft.progress import Meter, Reporter

_LIBRARIES = ("torch", "torchvision", "timm", "openvino", "scikit-learn", "scipy", "numpy", "pillow")


def versions() -> dict[str, str]:
    """Versions of Python and of the installed libraries that results depend on."""
    found = {"python": sys.version.split()[0]}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


class RunLog:
    """A reporter that also writes all messages, with times, to a run's `log.jsonl`."""

    def __init__(self, watcher: Reporter, path: Path | None) -> None:
        self._watcher = watcher
        self._path = path
        self.reasons: list[str] = []

    def record(self, kind: str, **facts: Any) -> None:
        """Append one line; if the log can't be written, warn once and continue the run."""
        if self._path is None:
            return
        line = json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "kind": kind, **facts})
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            self._path = None
            self._watcher.warn(f"the log can't be written: {error}")

    @contextmanager
    def phase(self, name: str, total: int, unit: str = "images") -> Iterator[Meter]:
        started = time.perf_counter()
        with self._watcher.phase(name, total, unit) as meter:
            yield meter
        self.record(
            "phase", name=name, total=total, unit=unit, wall_s=round(time.perf_counter() - started, 3)
        )

    def note(self, text: str) -> None:
        self.record("note", text=text)
        self._watcher.note(text)

    def warn(self, text: str) -> None:
        self.record("warning", text=text)
        self._watcher.warn(text)

    def decided(self, what: str, because: str, override: str) -> None:
        self.reasons.append(f"{what}, because {because} (override with {override})")
        self.record("decided", what=what, because=because, override=override)
        self._watcher.decided(what, because, override)
