"""How progress and results are shown: bars on a terminal, plain lines in a log, JSON lines for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from regraft.progress import Meter, Reporter, Silent

_EVERY_S = 10.0


def make_reporter(*, json_lines: bool) -> Reporter:
    """The reporter for JSON lines, a terminal or a log file; all of them write to standard error."""
    if json_lines:
        return JsonReporter()
    return RichReporter() if sys.stderr.isatty() else PlainReporter()


def _speed(per_second: float, unit: str) -> str:
    """A speed as images per second, or as seconds per image if it is slow."""
    if per_second >= 2:
        return f"{per_second:,.0f} {unit}/s"
    return f"{1 / max(per_second, 1e-9):,.1f} s each"


def _count(total: int, unit: str) -> str:
    return f"{total:,} {unit.removesuffix('s') if total == 1 else unit}"


class PlainReporter:
    """Prints plain lines for a log file: the end of each phase, and its state every ten seconds."""

    @contextmanager
    def phase(self, name: str, total: int, unit: str = "images") -> Iterator[Meter]:
        meter = _LineMeter(self, name, total, unit)
        yield meter
        taken = time.perf_counter() - meter.started
        speed = f", {_speed(total / taken, unit)}" if taken > 0.5 and total > 1 else ""
        self._print(f"{name}: {_count(total, unit)} in {taken:.1f} s{speed}")

    def note(self, text: str) -> None:
        self._print(text)

    def warn(self, text: str) -> None:
        self._print(f"warning: {text}")

    def decided(self, what: str, because: str, override: str) -> None:
        self._print(f"decided {what} because {because} (override with {override})")

    def _print(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


class _LineMeter:
    def __init__(self, printer: PlainReporter, name: str, total: int, unit: str) -> None:
        self._printer, self._name, self._total, self._unit = printer, name, total, unit
        self.started = self._last = time.perf_counter()
        self._done = 0

    def advance(self, count: int = 1) -> None:
        self._done += count
        now = time.perf_counter()
        if now - self._last < _EVERY_S or not self._done:
            return
        self._last = now
        speed = self._done / (now - self.started)
        left = (self._total - self._done) / speed
        self._printer.note(
            f"{self._name}: {self._done:,} of {self._total:,} {self._unit}, "
            f"{_speed(speed, self._unit)}, {left:,.0f} s left"
        )


class RichReporter:
    """Shows a live bar with the speed and the time left."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)

    @contextmanager
    def phase(self, name: str, total: int, unit: str = "images") -> Iterator[Meter]:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task(name, total=total, speed="")
            meter = _BarMeter(progress, task, unit)
            yield meter
        taken = time.perf_counter() - meter.started
        self._console.print(f"[green]✓[/] {name}: {_count(total, unit)} in {taken:.1f} s")

    def note(self, text: str) -> None:
        self._console.print(Text(text))

    def warn(self, text: str) -> None:
        self._console.print(Text.assemble(("warning: ", "yellow"), text))

    def decided(self, what: str, because: str, override: str) -> None:
        self._console.print(
            Text.assemble(("decided ", "cyan"), f"{what} because {because} (override with {override})")
        )


class _BarMeter:
    def __init__(self, progress: Progress, task: Any, unit: str) -> None:
        self._progress, self._task, self._unit = progress, task, unit
        self.started = time.perf_counter()
        self._done = 0

    def advance(self, count: int = 1) -> None:
        self._done += count
        speed = self._done / max(time.perf_counter() - self.started, 1e-9)
        self._progress.update(self._task, advance=count, speed=_speed(speed, self._unit))


class JsonReporter(Silent):
    """Prints one JSON object per line."""

    @contextmanager
    def phase(self, name: str, total: int, unit: str = "images") -> Iterator[Meter]:
        started = time.perf_counter()
        yield Silent()
        self._print(
            "phase", name=name, total=total, unit=unit, wall_s=round(time.perf_counter() - started, 3)
        )

    def note(self, text: str) -> None:
        self._print("note", text=text)

    def warn(self, text: str) -> None:
        self._print("warning", text=text)

    def decided(self, what: str, because: str, override: str) -> None:
        self._print("decided", what=what, because=because, override=override)

    def _print(self, kind: str, **facts: Any) -> None:
        print(json.dumps({"kind": kind, **facts}), file=sys.stderr, flush=True)


def show_table(
    title: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()
) -> None:
    """Print a table to standard output; the columns in `right` are aligned to the right."""
    table = Table()
    for number, name in enumerate(header):
        table.add_column(name, justify="right" if number in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    width = None if sys.stdout.isatty() else 120
    console = Console(highlight=False, width=width)
    console.print(Text(title, style="bold"))  # a table's own title would be wrapped to its width
    console.print(table)


def show_json(value: Any) -> None:
    """Print one JSON object on one line to standard output."""
    print(json.dumps(value, ensure_ascii=False), flush=True)
