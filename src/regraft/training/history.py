"""The history of a training, as its run keeps it: metrics of each epoch, and which stages changed."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regraft.storage.files import write_atomically
from regraft.storage.tables import csv_bytes

if TYPE_CHECKING:  # it imports torch, which reading a run does not need
    from regraft.training.movement import Movement


@dataclass(frozen=True)
class History:
    """One row for each epoch, and one record for each stage.

    Each row contains the phase, the epoch and the optimizer steps within it, losses, the scores that
    `measure` names, the learning rate and mean gradient norm of each part, seconds so far, and images per
    second.
    """

    rows: Sequence[dict[str, Any]]
    movements: Sequence[Movement]
    measure: str = "accuracy"
    """The name of the score by which epochs were compared; see `training.loop.objective`."""

    def write(self, folder: Path) -> None:
        """Write `metrics.jsonl`, `metrics.csv`, `stages.csv`, and `tensorboard/` if that is installed."""
        lines = "".join(json.dumps(row) + "\n" for row in self.rows)
        write_atomically(folder / "metrics.jsonl", lines.encode())
        write_atomically(folder / "metrics.csv", self._csv())
        moved = [(m.stage, m.weight_change, m.feature_similarity) for m in self.movements]
        header = ("stage", "relative_weight_change", "feature_similarity_cka")
        write_atomically(folder / "stages.csv", csv_bytes(header, moved))
        if importlib.util.find_spec("tensorboard"):
            self._write_tensorboard(folder / "tensorboard")

    @property
    def _plain(self) -> tuple[str, ...]:
        """The columns with one value for each epoch."""
        return (
            "phase", "epoch", "step", "train_loss", f"train_{self.measure}", "validation_loss",
            f"validation_{self.measure}", "is_best", "elapsed_s", "images_per_s",
        )  # fmt: skip

    def _csv(self) -> bytes:
        parts = list(dict.fromkeys(part for row in self.rows for part in row["learning_rates"]))
        header = [
            *self._plain,
            *(f"lr {part}" for part in parts),
            *(f"gradient norm {part}" for part in parts),
        ]
        table = [
            [
                *(row[name] for name in self._plain),
                *(row["learning_rates"].get(part) for part in parts),
                *(row["gradient_norms"].get(part) for part in parts),
            ]
            for row in self.rows
        ]
        return csv_bytes(header, table)

    def _write_tensorboard(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        shutil.rmtree(folder, ignore_errors=True)  # TensorBoard adds to the events that are there
        with SummaryWriter(str(folder)) as writer:
            for number, row in enumerate(self.rows, start=1):
                values = {name: row[name] for name in self._plain[3:] if row[name] is not None}
                values |= {f"learning_rate/{part}": rate for part, rate in row["learning_rates"].items()}
                values |= {f"gradient_norm/{part}": norm for part, norm in row["gradient_norms"].items()}
                for name, value in values.items():
                    writer.add_scalar(name, float(value), number)
