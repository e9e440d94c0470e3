from __future__ import annotations

import sys
from types import ModuleType

import pytest

from regraft.errors import SettingsError
from regraft.machine.launchers import rank_in_group, refuse_copies


@pytest.mark.parametrize("count", ["", "1", "0", "several"])
def test_a_program_that_was_started_once_may_write(monkeypatch: pytest.MonkeyPatch, count: str) -> None:
    monkeypatch.setenv("WORLD_SIZE", count)
    refuse_copies()


def test_copies_are_refused_with_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SettingsError, match=r"started 2 times at once .*Start it once, without torchrun"):
        refuse_copies()


def test_processes_of_a_group_know_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    group = ModuleType("torch.distributed")
    vars(group).update(is_available=lambda: True, is_initialized=lambda: True, get_rank=lambda: 1)
    monkeypatch.setitem(sys.modules, "torch.distributed", group)
    monkeypatch.setenv("WORLD_SIZE", "2")
    refuse_copies()
    assert rank_in_group() == 1
