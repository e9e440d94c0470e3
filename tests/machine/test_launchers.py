from __future__ import annotations

import sys
from types import ModuleType

import pytest

from regraft.errors import SettingsError
from regraft.machine.launchers import Place, count_processes, launched

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No launcher has started the tests, and no group exists."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "torch.distributed", None)


def group(rank: int, size: int) -> ModuleType:
    """The part of torch.distributed that says where this process is."""
    module = ModuleType("torch.distributed")
    vars(module).update(
        is_available=lambda: True,
        is_initialized=lambda: True,
        get_rank=lambda: rank,
        get_world_size=lambda: size,
    )
    return module


@pytest.mark.parametrize("count", ["", "1", "0", "several"])
def test_a_program_that_was_started_once_has_no_place(monkeypatch: pytest.MonkeyPatch, count: str) -> None:
    monkeypatch.setenv("WORLD_SIZE", count)
    assert launched() is None


def test_a_launcher_says_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(NAMES, ("5", "8", "1", "4"), strict=True):
        monkeypatch.setenv(name, value)
    assert launched() == Place(5, 8, 1, 4)


def test_without_local_numbers_all_are_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert launched() == Place(1, 2, 1, 2)


@pytest.mark.parametrize("rank", ["", "2", "first"])
def test_an_incomplete_environment_is_an_error(monkeypatch: pytest.MonkeyPatch, rank: str) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", rank)
    with pytest.raises(
        SettingsError, match=f"started 2 times at once .*RANK is '{rank}'; accepted are 0 to 1"
    ):
        launched()


def test_the_group_of_a_program_counts_more_than_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setitem(sys.modules, "torch.distributed", group(1, 2))
    assert launched() == Place(1, 2, 1, 2)


def test_without_a_launcher_the_number_asked_for_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regraft.machine.launchers.count_gpus", lambda: 4)
    assert [count_processes(devices, None) for devices in (1, 3, "auto")] == [1, 3, 4]


def test_auto_means_one_process_without_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regraft.machine.launchers.count_gpus", lambda: 0)
    assert count_processes("auto", None) == 1


@pytest.mark.parametrize("devices", [0, -1, 65, True, "all", 1.5])
def test_other_numbers_of_devices_are_refused(devices: int | str) -> None:
    with pytest.raises(
        SettingsError, match=rf"devices {devices} is not accepted; accepted are 1 to 64, and auto"
    ):
        count_processes(devices, None)


def test_a_launcher_says_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(0, 2, 0, 2)
    assert [count_processes(devices, place) for devices in (1, 2, "auto")] == [2, 2, 2]
    with pytest.raises(
        SettingsError, match="devices 3 contradicts the launcher, which has started 2 processes"
    ):
        count_processes(3, place)
