"""The processor of this machine, and how many of its cores this process may use."""

from __future__ import annotations

import math
import os
import platform
from pathlib import Path
from typing import Any

from regraft.machine.devices import find_device, has_gpu

_CGROUPS = Path("/sys/fs/cgroup")


def count_cores() -> int:
    """Number of cores that this process may use: by its affinity, and by its container's share of time.

    A container limited to half a core counts as one; a limit of 2.5 cores counts as three, whose threads then
    wait for each other less often than two would leave time unused.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = _cgroup_cores()
    return allowed if share is None else max(1, min(allowed, math.ceil(share)))


def _cgroup_cores() -> float | None:
    """Cores' worth of time that this container may use (cgroup version 2 or 1); None if there is no limit."""
    try:
        quota, period = (_CGROUPS / "cpu.max").read_text(encoding="ascii").split()
        return None if quota == "max" else float(quota) / float(period)
    except (OSError, ValueError):
        pass
    try:
        quota, period = (
            (_CGROUPS / "cpu" / f"cpu.cfs_{name}_us").read_text(encoding="ascii")
            for name in ("quota", "period")
        )
        return float(quota) / float(period) if float(quota) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None


def machine_facts() -> dict[str, Any]:
    """The facts by which two machines count as the same for timings: processor and number of cores."""
    facts = _first_processor()
    name = _other_name() if facts is None else facts.get("model name", "")
    return {"processor": name, "cores": count_cores()}


def processor_model() -> str:
    """The processor's model, on which the choice of kernels depends, and with it the bits of a row."""
    facts = _first_processor()
    if facts is None:
        return _other_name()
    return "/".join(facts.get(key, "") for key in ("model name", "cpu family", "model", "stepping"))


def instructions() -> set[str]:
    """The instruction sets that the processor has, as Linux names them; empty where it doesn't say."""
    facts = _first_processor() or {}
    return set((facts.get("flags") or facts.get("Features") or "").split())


def has_bf16(device: str) -> bool:
    """Whether a device multiplies bf16 numbers natively (AMX or AVX512-BF16 on a CPU)."""
    if device != "cpu" and (device != "auto" or has_gpu()) and find_device(device).type == "cuda":
        import torch

        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool({"avx512_bf16", "amx_bf16"} & instructions())


def cpu_kernels() -> str:
    """The instruction set and number of threads, by which kernels (and so the result's bits) are chosen."""
    import torch

    return f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"


def _first_processor() -> dict[str, str] | None:
    """What Linux says about the first processor; None on other systems."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    pairs = (line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _other_name() -> str:
    return platform.processor() or platform.machine()
