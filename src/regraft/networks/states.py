"""State dictionaries: from files into networks and back, as safetensors."""

from __future__ import annotations

from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import nn

from regraft.errors import WeightsError


def load_state(network: nn.Module, path: Path) -> None:
    """Load a safetensors file into a network, strictly, casting to the network's own types.

    Raises:
        WeightsError: unreadable, or names or shapes don't match; the first few differences are named.
    """
    try:
        state = safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise WeightsError(f"can't read weights from {path}: {error}") from error
    own = network.state_dict()
    problems = [f"{name} is missing" for name in own if name not in state]
    problems += [f"{name} is unknown to the network" for name in state if name not in own]
    problems += [
        f"{name} has shape {tuple(state[name].shape)}, expected {tuple(own[name].shape)}"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    if problems:
        more = f" and {len(problems) - 4} more" if len(problems) > 4 else ""
        raise WeightsError(f"{path} doesn't fit {type(network).__name__}: {'; '.join(problems[:4])}{more}")
    network.load_state_dict(state)


def to_safetensors(source: Path, target: Path) -> None:
    """Convert a PyTorch checkpoint to safetensors; only tensors are read from it (`weights_only=True`).

    Raises:
        WeightsError: not a plain state dictionary.
    """
    try:
        state = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling a hostile or foreign file fails in many ways, all of them final
        raise WeightsError(
            f"{source} is not a plain PyTorch state dictionary ({str(error).splitlines()[0][:200]}). "
            "Convert it to safetensors where you trust it"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError(f"{source} holds something else than a state dictionary of tensors")
    save_state({name.removeprefix("module."): value for name, value in state.items()}, target)


def save_state(state: dict[str, torch.Tensor], target: Path) -> None:
    """Write a state dictionary as safetensors, atomically."""
    from regraft.storage import write_atomically

    tensors = {name: value.detach().contiguous().clone() for name, value in state.items()}
    write_atomically(target, safetensors.torch.save(tensors))
