"""Read state dictionaries from files into networks, and write them as safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import nn

from regraft.errors import WeightsError
from regraft.networks.weights.tensors import Shape, check_shapes


def load_state(network: nn.Module, path: Path) -> None:
    """Load a safetensors file into a network; all names and shapes must match, types are cast.

    Auxiliary classifiers that the network does not have are ignored.

    Raises:
        WeightsError: the file can't be read, or names or shapes don't match; lists the first few differences.
    """
    try:
        state = safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise WeightsError(f"can't read weights from {path}: {error}") from error
    own = network.state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    check_shapes(
        {name: tuple(value.shape) for name, value in own.items()}, shapes, path, type(network).__name__
    )
    network.load_state_dict({name: state[name] for name in own})


def _shapes(state: Mapping[str, torch.Tensor]) -> dict[str, Shape]:
    return {name: tuple(value.shape) for name, value in state.items()}


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a file, by their names; only tensors are read, never code.

    Args:
        path: `.safetensors`, a PyTorch checkpoint (`weights_only=True`), or `.onnx` (its initialisers).

    Raises:
        WeightsError: the file can't be read, or is not a state dictionary of tensors.
    """
    if path.suffix == ".safetensors":
        try:
            return dict(safetensors.torch.load_file(path))
        except (OSError, safetensors.SafetensorError) as error:
            raise WeightsError(f"can't read weights from {path}: {error}") from error
    return _from_onnx(path) if path.suffix == ".onnx" else _from_checkpoint(path)


def _from_checkpoint(path: Path) -> dict[str, torch.Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # loading a malicious or foreign file can fail in many ways
        raise WeightsError(
            f"{path} is not a plain PyTorch state dictionary ({str(error).splitlines()[0][:200]}). "
            "Convert it to safetensors on a machine where you trust it"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError(f"{path} is not a state dictionary of tensors")
    return {name.removeprefix("module."): value for name, value in state.items()}


def _from_onnx(path: Path) -> dict[str, torch.Tensor]:
    try:
        import onnx
        import onnx.numpy_helper
    except ImportError as error:
        raise WeightsError(f"reading {path} needs the package onnx: pip install 'regraft[onnx]'") from error
    try:
        model = onnx.load(path, load_external_data=False)
        outside = [one.name for one in model.graph.initializer if one.external_data]
        arrays = {} if outside else {
            one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer
        }  # fmt: skip
    except Exception as error:  # the parser raises many kinds of errors
        raise WeightsError(
            f"can't read {path} as ONNX ({(str(error) or type(error).__name__).splitlines()[0][:200]})"
        ) from error
    if outside:
        raise WeightsError(
            f"{path} stores {outside[0]} in another file, which is not read; save all data in one file"
        )
    floats = {name: array for name, array in arrays.items() if array.dtype.kind == "f"}
    return {name: torch.from_numpy(array.copy()) for name, array in floats.items()}


def to_safetensors(source: Path, target: Path) -> None:
    """Convert a PyTorch checkpoint to safetensors; only tensors are read from it.

    Raises:
        WeightsError: the checkpoint is not a plain state dictionary.
    """
    save_state(_from_checkpoint(source), target)


def save_state(state: dict[str, torch.Tensor], target: Path) -> None:
    """Write a state dictionary as safetensors, atomically."""
    from regraft.storage.files import write_atomically

    tensors = {name: value.detach().contiguous().clone() for name, value in state.items()}
    write_atomically(target, safetensors.torch.save(tensors))
