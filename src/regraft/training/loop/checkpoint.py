"""The state of a training as one file: tensors as safetensors, everything else as JSON in its header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from regraft.storage.files import write_atomically
from regraft.training.group.processes import ProcessGroup
from regraft.training.loop.schedules import Plateau

_VERSION = 2


@dataclass
class Score:
    """Score of weights on the validation images; more goodness is better, then smaller loss."""

    goodness: float
    """The mean of `Objective.goodness`."""
    loss: float

    def is_better_than(self, other: Score | None) -> bool:
        """Whether this score is better; any score is better than None."""
        return other is None or (self.goodness, -self.loss) > (other.goodness, -other.loss)


@dataclass
class Sums:
    """Sums over the current epoch so far."""

    images: float = 0.0
    loss: float = 0.0
    goodness: float = 0.0
    steps: int = 0
    norms: dict[str, float] = field(default_factory=dict)


@dataclass
class Position:
    """Progress of a training; together with the saved tensors, all that is needed to resume it."""

    phase: int = 0
    epoch: int = 0
    """Epoch within the phase."""
    batch: int = 0
    """Batch within the epoch."""
    step: int = 0
    """Optimizer steps in this phase."""
    taken: int = 0
    """Optimizer steps in all phases."""
    micro_batch: int = 0
    elapsed_s: float = 0.0
    epoch_began_s: float = 0.0
    """The elapsed seconds when the current epoch began."""
    plateau: Plateau = field(default_factory=Plateau)
    best: Score | None = None
    best_epoch: int = 0
    """Number of the best epoch, counted over all phases; 0 is the start."""
    waited: int = 0
    """Number of epochs since the best one."""
    sums: Sums = field(default_factory=Sums)
    history: list[dict[str, Any]] = field(default_factory=list)
    stopped: str = ""
    """Why training ended before its last step; empty if it did not."""
    cut_short: int = 0
    """Steps after which a limit that is no setting ended the training; 0 if none did."""
    finished: bool = False


def save(path: Path, key: str, position: Position, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write a checkpoint atomically: the whole file or nothing.

    Args:
        path: the file.
        key: hash of everything that the training depends on; `load` rejects a checkpoint with another key.
        position: progress of the training.
        tensors: weights, averages, optimizer state, best weights.
    """
    state = json.dumps({"version": _VERSION, "key": key, "position": asdict(position)})
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    write_atomically(path, safetensors.torch.save(plain, metadata={"state": state}))


def load(path: Path, key: str) -> tuple[Position, dict[str, torch.Tensor]] | None:
    """The checkpoint with this key; None if there is none, or if it is damaged or of another training."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            state = json.loads((file.metadata() or {}).get("state", "{}"))
            if state.get("version") != _VERSION or state.get("key") != key:
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        return _position(state["position"]), tensors
    except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError):
        return None


def shared(
    found: tuple[Position, dict[str, torch.Tensor]] | None, group: ProcessGroup
) -> tuple[Position, dict[str, torch.Tensor]] | None:
    """In every process, the checkpoint that the first one has found; no folder need be shared for this."""
    if group.size == 1:
        return found
    if group.rank == 0:
        position, tensors = found or (None, {})
        shapes = {name: [str(one.dtype), list(one.shape)] for name, one in tensors.items()}
        group.tell({"position": asdict(position) if position else None, "tensors": shapes})
    else:
        message = group.hear()
        position = _position(message["position"]) if message["position"] else None
        tensors = {
            name: torch.empty(shape, dtype=getattr(torch, dtype.removeprefix("torch.")))
            for name, (dtype, shape) in message["tensors"].items()
        }
    group.share_first(list(tensors.values()))
    return (position, tensors) if position else None


def _position(record: dict[str, Any]) -> Position:
    best = record.pop("best")
    plateau, sums = Plateau(**record.pop("plateau")), Sums(**record.pop("sums"))
    return Position(**record, plateau=plateau, sums=sums, best=Score(**best) if best else None)
