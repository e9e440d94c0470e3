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

from regraft import storage
from regraft.training.schedules import Plateau

_VERSION = 1


@dataclass
class Score:
    """How good weights are on the validation images; more accurate is better, then a smaller loss."""

    accuracy: float
    loss: float

    def is_better_than(self, other: Score | None) -> bool:
        """Whether these weights are the ones to keep."""
        return other is None or (self.accuracy, -self.loss) > (other.accuracy, -other.loss)


@dataclass
class Sums:
    """What an epoch has added up so far."""

    images: float = 0.0
    loss: float = 0.0
    right: float = 0.0
    steps: int = 0
    norms: dict[str, float] = field(default_factory=dict)


@dataclass
class Position:
    """How far a training is; with the tensors beside it, all that going on depends on."""

    phase: int = 0
    epoch: int = 0
    """Of the phase."""
    batch: int = 0
    """Of the epoch."""
    step: int = 0
    """Optimizer steps in this phase."""
    micro_batch: int = 0
    elapsed_s: float = 0.0
    plateau: Plateau = field(default_factory=Plateau)
    best: Score | None = None
    best_epoch: int = 0
    """Over all phases; 0 is the start."""
    waited: int = 0
    """Epochs since the best."""
    sums: Sums = field(default_factory=Sums)
    history: list[dict[str, Any]] = field(default_factory=list)
    stopped: str = ""
    """Why training ended before its last step."""
    finished: bool = False


def save(path: Path, key: str, position: Position, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write a checkpoint, complete or not at all.

    Args:
        path: the file.
        key: of everything that the training depends on; a checkpoint of another key is not read.
        position: how far it is.
        tensors: weights, averages, optimizer state, best weights.
    """
    state = json.dumps({"version": _VERSION, "key": key, "position": asdict(position)})
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    storage.write_atomically(path, safetensors.torch.save(plain, metadata={"state": state}))


def load(path: Path, key: str) -> tuple[Position, dict[str, torch.Tensor]] | None:
    """A checkpoint of that key, or None: there is none, or it is of another training or damaged."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            state = json.loads((file.metadata() or {}).get("state", "{}"))
            if state.get("version") != _VERSION or state.get("key") != key:
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        return _position(state["position"]), tensors
    except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError):
        return None


def _position(record: dict[str, Any]) -> Position:
    best = record.pop("best")
    plateau, sums = Plateau(**record.pop("plateau")), Sums(**record.pop("sums"))
    return Position(**record, plateau=plateau, sums=sums, best=Score(**best) if best else None)
