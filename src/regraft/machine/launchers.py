"""Launchers such as torchrun, which start the same program several times."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from regraft.errors import SettingsError
from regraft.machine.devices import count_gpus

_MOST = 64


@dataclass(frozen=True)
class Place:
    """The place of this process among the copies that a launcher has started, or among those of a group."""

    rank: int
    """Number of the process; the first is 0."""
    size: int
    local_rank: int
    """Number of the process on this machine."""
    local_size: int
    """Number of the processes on this machine."""


def launched() -> Place | None:
    """The place of this process; None if the program was started once.

    Raises:
        SettingsError: the launcher's environment is incomplete.
    """
    group = _rank_in_group()
    size = str(group[1]) if group else os.environ.get("WORLD_SIZE", "")
    if not size.isdecimal() or int(size) < 2:
        return None
    rank = str(group[0]) if group else os.environ.get("RANK", "")
    local_rank, local_size = os.environ.get("LOCAL_RANK", rank), os.environ.get("LOCAL_WORLD_SIZE", size)
    place = [rank, size, local_rank, local_size]
    if not all(one.isdecimal() for one in place) or int(rank) >= int(size):
        raise SettingsError(
            f"the environment says that this program was started {size} times at once (WORLD_SIZE), but not "
            f"which of them this process is: RANK is {rank!r}; accepted are 0 to {int(size) - 1}. Start it "
            "with torchrun, which sets RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR and "
            "MASTER_PORT, or unset WORLD_SIZE"
        )
    return Place(*map(int, place))


def _rank_in_group() -> tuple[int, int] | None:
    """Rank and size of the process group of torch that the program has initialised; None if it has none."""
    group = sys.modules.get("torch.distributed")
    if group is None or not group.is_available() or not group.is_initialized():
        return None
    return int(group.get_rank()), int(group.get_world_size())


def count_processes(devices: int | str, place: Place | None) -> int:
    """The number of processes that train together.

    Args:
        devices: a number, or `auto` for one on each GPU of this machine.
        place: the place of this process, if a launcher has started several.

    Raises:
        SettingsError: not a number that is accepted, or another one than was launched.
    """
    is_number = isinstance(devices, int) and not isinstance(devices, bool) and 1 <= devices <= _MOST
    if devices != "auto" and not is_number:
        raise SettingsError(
            f"--devices {devices} is not accepted; accepted are 1 to {_MOST}, and auto for each GPU of this "
            "machine"
        )
    if place is None:
        return max(1, count_gpus()) if devices == "auto" else int(devices)
    if devices not in (1, "auto", place.size):
        raise SettingsError(
            f"--devices {devices} contradicts the launcher, which has started {place.size} processes "
            "(WORLD_SIZE). Remove --devices"
        )
    return place.size
