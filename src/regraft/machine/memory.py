"""The memory that this process can still use."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def available_bytes() -> float:
    """Bytes of memory that are free on this machine; 4 GB where the system does not report it."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            facts = dict(line.split(":", 1) for line in file)
        return float(facts["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return 4e9


def free_memory(device: torch.device) -> float:
    """Bytes of memory that this process can still allocate on a device."""
    if device.type == "cuda":
        import torch

        return float(torch.cuda.mem_get_info(device)[0])
    return usable_bytes()


def usable_bytes() -> float:
    """Bytes of memory that this process can still allocate, within the limits of its container and shell."""
    free = [available_bytes(), _cgroup_free(), _address_space_free()]
    return min(value for value in free if value is not None)


def _cgroup_free() -> float | None:
    """Bytes left within a container's memory limit (cgroup version 2); None if there is no limit."""
    try:
        with open("/sys/fs/cgroup/memory.max", encoding="ascii") as file:
            limit = file.read().strip()
        with open("/sys/fs/cgroup/memory.current", encoding="ascii") as file:
            return None if limit == "max" else max(0.0, float(limit) - float(file.read()))
    except (OSError, ValueError):
        return None


def _address_space_free() -> float | None:
    """Bytes left within the limit of `ulimit -v`; None if there is no limit."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        with open("/proc/self/statm", encoding="ascii") as file:
            used = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        return None if limit == resource.RLIM_INFINITY else max(0.0, float(limit - used))
    except (ImportError, OSError, ValueError):
        return None
