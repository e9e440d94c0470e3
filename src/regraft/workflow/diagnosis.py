"""Checks of this installation: what is available, what is wrong, and how to fix it."""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from regraft.errors import RegraftError
from regraft.machine.devices import count_gpus
from regraft.machine.memory import available_bytes
from regraft.machine.processor import instructions, machine_facts
from regraft.networks.weights.finding import weights_here
from regraft.storage.files import make_folder
from regraft.storage.places import cache_folder

State = Literal["ok", "note", "problem"]
_INSTRUCTIONS = {
    "amx_bf16": "AMX",
    "avx512_bf16": "AVX-512 with bf16",
    "avx512f": "AVX-512",
    "avx2": "AVX2",
    "asimd": "NEON",
}
_EXTRAS = {
    "openvino": ("openvino", "features several times faster on a CPU"),
    "export": ("onnxscript", "regraft export"),
    "serve": ("fastapi", "regraft serve"),
    "explain": ("captum", "integrated gradients"),
    "medical": ("pydicom", "DICOM files"),
    "heic": ("pi_heif", "HEIC photos"),
}


@dataclass(frozen=True)
class Check:
    """One thing that was checked."""

    name: str
    state: State
    found: str
    mend: str = ""
    """What to do about it; empty if nothing is wrong."""


def diagnose(weights: str | None = None) -> list[Check]:
    """Check everything; never raises: a check that fails is reported as a problem.

    Args:
        weights: a further folder in which to look for weights.
    """
    looks: list[Callable[[], Iterator[Check]]] = [
        _python, _torch, _gpu, _together, _processor, _memory, _cache, lambda: _weights(weights), _extras,
    ]  # fmt: skip
    found: list[Check] = []
    for look in looks:
        try:
            found += look()
        except Exception as error:  # noqa: BLE001 (whatever fails here, the other checks are useful)
            found.append(Check(getattr(look, "__name__", "a check").strip("_"), "problem", str(error)))
    return found


def _python() -> Iterator[Check]:
    version = platform.python_version()
    is_new = sys.version_info >= (3, 11)
    yield Check(
        "Python", "ok" if is_new else "problem", version, "" if is_new else "install Python 3.11 or newer"
    )


def _torch() -> Iterator[Check]:
    """Check that torch, torchvision and timm are installed and that torch and torchvision work together."""
    known = {name: _version(name) for name in ("torch", "torchvision", "timm")}
    for name, version in known.items():
        if version is None:
            yield Check(
                name, "problem", "not installed", "pip install torch torchvision timm, from the same index"
            )
            return
    said = ", ".join(f"{name} {version}" for name, version in known.items())
    try:
        importlib.import_module("torch")
        importlib.import_module("torchvision.ops")
    except (ImportError, RuntimeError, OSError) as error:
        first = str(error).splitlines()[0]
        yield Check(
            "PyTorch", "problem", f"{said}: {first}",
            "torch and torchvision come from different builds: pip uninstall torch torchvision, then install "
            "both with one command from one index",
        )  # fmt: skip
        return
    number = tuple(int(part) for part in (known["torch"] or "0").split("+")[0].split(".")[:2])
    is_new = number >= (2, 11)
    yield Check("PyTorch", "ok" if is_new else "problem", said, "" if is_new else "pip install 'torch>=2.11'")


def _gpu() -> Iterator[Check]:
    torch = importlib.import_module("torch")
    if torch.cuda.is_available():
        name, memory = torch.cuda.get_device_name(0), torch.cuda.get_device_properties(0).total_memory
        yield Check("GPU", "ok", f"{name}, {memory / 1e9:.0f} GB")
    elif Path("/proc/driver/nvidia/version").exists():
        yield Check(
            "GPU",
            "problem",
            "an NVIDIA driver is installed, but torch can't use it",
            "install the CUDA build of torch",
        )
    else:
        yield Check("GPU", "note", "none found; everything also works on the processor")


def _together() -> Iterator[Check]:
    """What several processes that train one model (`regraft fit --devices`) would have."""
    gpus = count_gpus()
    if not importlib.import_module("torch.distributed").is_available():
        yield Check("devices", "note", "this build of torch can't train one model in several processes")
        return
    from regraft.training.group.membership import described_devices

    if gpus > 1:
        yield Check(
            "devices", "ok", f"--devices auto trains with {gpus} processes: {described_devices(gpus)}"
        )
        return
    if gpus == 1:
        yield Check("devices", "note", "one GPU, so --devices auto trains with one process")
        return
    found = "no GPU, so --devices auto trains with one process; --devices 2 would train on"
    yield Check("devices", "note", f"{found} {described_devices(2)}")


def _processor() -> Iterator[Check]:
    facts, has = machine_facts(), instructions()
    best = next((name for flag, name in _INSTRUCTIONS.items() if flag in has), "no known SIMD instructions")
    yield Check(
        "processor", "ok", f"{facts['processor'] or platform.machine()}, {facts['cores']} cores, {best}"
    )


def _memory() -> Iterator[Check]:
    free = available_bytes()
    is_enough = free > 2e9
    mend = "" if is_enough else "close other programs; training needs about 2 GB"
    yield Check("memory", "ok" if is_enough else "problem", f"{free / 1e9:.1f} GB free", mend)


def _cache() -> Iterator[Check]:
    folder = cache_folder()
    try:
        make_folder(folder)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except (OSError, RegraftError) as error:
        yield Check(
            "cache", "problem", f"{folder}: {error}", "set $REGRAFT_CACHE to a folder that you can write to"
        )
        return
    free = shutil.disk_usage(folder).free
    limit = os.environ.get("REGRAFT_CACHE_MAX")
    is_enough = free > 2e9
    found = f"{folder}, {free / 1e9:.0f} GB free on its disk, limit {limit or 'none'}"
    mend = (
        "" if is_enough else "free some space (`regraft cache prune`), or set $REGRAFT_CACHE to another disk"
    )
    yield Check("cache", "ok" if is_enough else "problem", found, mend)


def _weights(weights: str | None) -> Iterator[Check]:
    here = weights_here(weights)
    names = [one.network for one in here if one.network != "lenet5"]
    if names:
        more = f" and {len(names) - 6} more" if len(names) > 6 else ""
        yield Check("weights", "ok", f"{', '.join(names[:6])}{more}")
    else:
        yield Check(
            "weights", "note", "none on this machine except LeNet's, for handwritten digits",
            "download some with `regraft weights fetch mobilenetv3_large_100`, or set $REGRAFT_WEIGHTS to a "
            "folder that contains them",
        )  # fmt: skip


def _extras() -> Iterator[Check]:
    for extra, (module, use) in _EXTRAS.items():
        version = _version(module)
        if version is not None and importlib.util.find_spec(module):
            yield Check(f"extra {extra}", "ok", f"{module} {version}")
        else:
            yield Check(f"extra {extra}", "note", f"not installed: {use}", f"pip install 'regraft[{extra}]'")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
