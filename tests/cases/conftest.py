"""A command line that runs inside the test and returns what it printed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from regraft.cli.app import run
from regraft.data.pictures import file_kinds


@dataclass(frozen=True)
class Ran:
    """What one command left behind."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


Command = Callable[..., Ran]


@pytest.fixture
def regraft_command(
    warm_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    """Run a command in an empty folder of its own; nothing but converted networks is cached."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def command(*words: str | Path) -> Ran:
        capfd.readouterr()
        code = run([str(word) for word in words])
        output = capfd.readouterr()
        return Ran(code, output.out, output.err)

    return command


QUICK = ("--network", "lenet5", "--strategy", "probe", "--no-report", "--workers", "1")
"""Flags of a fit that takes about a second."""


@pytest.fixture
def without_readers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As where none of the extras is installed that read further formats."""
    for name in ("pydicom", "pi_heif"):
        monkeypatch.setitem(sys.modules, name, None)
    file_kinds._has_reader.cache_clear()
    yield
    monkeypatch.undo()
    file_kinds._has_reader.cache_clear()
