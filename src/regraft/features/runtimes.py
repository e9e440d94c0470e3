"""What computes features: one small contract, and the choice between those that fulfil it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from regraft.data.loading import Pixels
from regraft.errors import SettingsError
from regraft.networks.weights import Weights
from regraft.progress import Reporter
from regraft.records import Column, Precision

RuntimeName = Literal["auto", "openvino", "torch"]
Row = npt.NDArray[np.float32]
Key = TypeVar("Key")


class Runtime(Protocol):
    """Computes pooled features of all stages, or activations at a cut, on some device, at some precision.

    The bits of a row depend on the image and on `facts` alone: not on its neighbours in a batch, the
    order of images, or who else is asking. That is what lets a cache hold single images.
    """

    layout: tuple[Column, ...]
    """What is where in a row; empty for activations."""
    width: int
    """Values in a row."""
    precision: Precision
    facts: Mapping[str, Any]
    """Everything that the bits depend on besides the image: part of the cache's key."""

    def run(self, images: Iterable[tuple[Key, Pixels]]) -> Iterator[tuple[Key, Row]]:
        """Rows for `(key, (H, W, C) uint8)` pairs, in any order, while the iterator is drawn on."""


def open_runtime(
    weights: Weights,
    *,
    name: RuntimeName = "auto",
    precision: Precision = "fp32",
    device: str = "auto",
    cut: int | None = None,
    reporter: Reporter,
) -> Runtime:
    """A runtime for a network: the GPU if there is one, else OpenVINO if installed, else torch on the CPU.

    With a `cut`, its rows are the activations after that many stages instead of pooled features.

    Raises:
        SettingsError: the runtime asked for is not installed, or can't work at this precision.
    """
    chosen, reason = choose_runtime(name, device)
    if name == "auto":
        reporter.decided(f"runtime {chosen}", reason, "--runtime")
    if chosen == "openvino":
        from regraft.features.openvino_runtime import OpenVinoRuntime

        return OpenVinoRuntime(weights, precision=precision, cut=cut)
    from regraft.features.torch_runtime import TorchRuntime

    return TorchRuntime(weights, precision=precision, device=device, cut=cut)


def choose_runtime(name: RuntimeName, device: str) -> tuple[str, str]:
    """`(runtime, why)`: the reason is empty where one was asked for.

    Raises:
        SettingsError: it is not installed, or does not work on that device.
    """
    has_openvino = importlib.util.find_spec("openvino") is not None
    if name == "openvino" and not has_openvino:
        raise SettingsError("runtime openvino is not installed: pip install openvino, or use --runtime torch")
    if name == "openvino" and device not in ("auto", "cpu"):
        raise SettingsError(f"runtime openvino works on the cpu, not on {device}; use --runtime torch")
    if name != "auto":
        return name, ""
    if device not in ("auto", "cpu"):
        return "torch", f"--device {device} was asked for"
    if device == "auto" and _has_gpu():
        return "torch", "there is a GPU"
    if has_openvino:
        return "openvino", "it is installed, and the fastest on a CPU"
    return "torch", "openvino is not installed (pip install openvino is several times faster on a CPU)"


def _has_gpu() -> bool:
    """Whether an NVIDIA driver answers, found without importing torch on machines that have none."""
    from pathlib import Path

    if not Path("/proc/driver/nvidia/version").exists() and not Path("/dev/nvidia0").exists():
        return False
    import torch

    return torch.cuda.is_available()
