"""The devices of this machine that can run a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from regraft.errors import SettingsError

if TYPE_CHECKING:
    import torch


def find_device(name: str) -> torch.device:
    """The device of the given name; `auto` is the GPU if there is one.

    Raises:
        SettingsError: there is no such device, or torch can't use it.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise SettingsError(
            f"device {name!r} can't be used: {str(error).splitlines()[0]}; accepted are cpu and cuda[:N]"
        ) from error
    return device


def has_gpu() -> bool:
    """Whether there is a usable NVIDIA GPU; torch is imported only on machines with a driver."""
    if not Path("/proc/driver/nvidia/version").exists() and not Path("/dev/nvidia0").exists():
        return False
    import torch

    return torch.cuda.is_available()


def count_gpus() -> int:
    """Number of usable NVIDIA GPUs."""
    if not has_gpu():
        return 0
    import torch

    return torch.cuda.device_count()
