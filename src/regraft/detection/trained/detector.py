"""A trained detector: its record, its head, and both as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from pydantic import ValidationError

from regraft.detection.trained.head import DetectionHead, Seen
from regraft.detection.trained.levels import Spread
from regraft.detection.trained.one_stage import OneStage
from regraft.detection.trained.record import TrainedRecord
from regraft.detection.trained.two_stage import TwoStage
from regraft.errors import StorageError
from regraft.storage.files import write_atomically
from regraft.training.loop.checkpoint import Position

RECORD_FILE, WEIGHTS_FILE = "detector.json", "detector.safetensors"


@dataclass(frozen=True)
class TrainedDetector:
    """A detector in evaluation mode, and how its training went."""

    record: TrainedRecord
    head: DetectionHead
    position: Position | None = None
    """Progress of the training with its history; None after loading."""

    @classmethod
    def new(
        cls, record: TrainedRecord, spread: Sequence[Spread] | None, *, objects: float = 1.0, seed: int = 0
    ) -> TrainedDetector:
        """A detector with random weights.

        Args:
            record: what it is made of.
            spread: what maps are standardised by, for each level; None if weights are loaded afterwards.
            objects: mean number of boxes in a picture of the training set.
            seed: seed of the weights.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            head: DetectionHead
            if record.kind == "one-stage":
                head = OneStage(
                    record.levels,
                    record.canvas,
                    classes=record.classes,
                    width=record.width,
                    objects=objects,
                    spread=spread,
                )
            else:
                head = TwoStage(
                    record.levels,
                    record.canvas,
                    classes=record.classes,
                    width=record.width,
                    regions=record.regions,
                    objects=objects,
                    spread=spread,
                )
        return cls(record, head.eval())

    def detect(self, rows: torch.Tensor) -> list[Seen]:
        """The boxes in each picture, at most 100 a class, with scores from 0.01 on.

        Args:
            rows: maps `(N, F) float16 or float32`, on the device of the head.
        """
        return self.head.detect(rows)

    def save(self, folder: Path) -> None:
        """Write the record as JSON and the weights as safetensors."""
        state = {name: value.detach().cpu().contiguous() for name, value in self.head.state_dict().items()}
        write_atomically(folder / WEIGHTS_FILE, safetensors.torch.save(state))
        write_atomically(folder / RECORD_FILE, self.record.model_dump_json(indent=2).encode())

    @classmethod
    def load(cls, folder: Path) -> TrainedDetector:
        """The detector that was saved in a folder.

        Raises:
            StorageError: a file is missing or damaged, or the two don't belong together.
        """
        try:
            record = TrainedRecord.model_validate_json((folder / RECORD_FILE).read_bytes())
            state = safetensors.torch.load_file(folder / WEIGHTS_FILE)
            detector = cls.new(record, None)
            detector.head.load_state_dict(state)
        except (OSError, ValidationError, safetensors.SafetensorError, RuntimeError) as error:
            raise StorageError(f"the detector in {folder} can't be read: {error}") from error
        return detector
