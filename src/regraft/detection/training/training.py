"""Training a detector on cached maps, with the loop that trains every tail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import torch

from regraft.detection.trained.detector import TrainedDetector
from regraft.detection.trained.levels import Spread
from regraft.detection.trained.record import TrainedKind, TrainedRecord
from regraft.detection.training.objective import DetectionObjective
from regraft.detection.training.targets import ViewTargets
from regraft.errors import SettingsError
from regraft.networks.stages import Stage
from regraft.progress import Reporter
from regraft.randomness import torch_seed
from regraft.settings import TrainSettings
from regraft.training.loop.batches import Source
from regraft.training.loop.engine import Trainer
from regraft.training.loop.steps import Training
from regraft.training.loop.tail import Tail, channels_last

_Number = TypeVar("_Number", int, float)
_EVALUATED = 16
_UNSUITABLE = (
    "mixup", "cutmix", "activation_flip", "input_noise", "label_smoothing", "class_weights", "balanced",
    "auxiliary_weight", "dropout",
)  # fmt: skip
"""Settings that have no meaning where targets are boxes, or none yet."""


@dataclass(frozen=True)
class DetectorTraining:
    """A detector and the maps and boxes that it is trained on."""

    record: TrainedRecord
    spread: Sequence[Spread]
    """What maps are standardised by, for each level."""
    train: Source
    targets: ViewTargets
    settings: TrainSettings
    """Settings without open choices; `detector_settings` makes them."""
    validation: Source | None = None
    validation_targets: ViewTargets | None = None
    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    key: str = ""
    """Hash of everything that the training depends on."""
    checkpoint: Path | None = None
    limit_s: float | None = None
    stages: tuple[Stage, ...] = ()
    """Stages of the network that are trained as well, before the head."""
    start: TrainedDetector | None = None
    """The detector whose weights this one starts from; None means random ones."""

    def __post_init__(self) -> None:
        standard = TrainSettings()
        wrong = [
            name for name in _UNSUITABLE if getattr(self.settings, name) not in (getattr(standard, name), 0)
        ]
        if wrong:
            flags = ", ".join("--" + name.replace("_", "-") for name in wrong)
            raise SettingsError(f"a detector can't be trained with {flags}; leave these settings out")

    def run(self, reporter: Reporter) -> TrainedDetector:
        """Train, from the checkpoint if there is one; the result has the best weights."""
        detector = TrainedDetector.new(
            self.record, self.spread, objects=self.targets.objects, seed=torch_seed(self.seed, "detector")
        )
        if self.start is not None:
            detector.head.load_state_dict(self.start.head.state_dict())
        position = Trainer(self.training(detector), reporter).run()
        return TrainedDetector(self.record, detector.head, position)

    def training(self, detector: TrainedDetector) -> Training:
        """The training of a detector, as the loop takes it."""
        tail = Tail(self.stages, detector.head).to(self.device)
        channels_last(tail)
        return Training(
            tail=tail,
            train=self.train,
            targets=self.targets,
            objective=DetectionObjective(detector.head),
            settings=self.settings,
            validation=self.validation,
            validation_targets=self.validation_targets,
            seed=self.seed,
            device=self.device,
            key=self.key,
            checkpoint=self.checkpoint,
            limit_s=self.limit_s,
            evaluated=_EVALUATED,
        )


def detector_settings(
    settings: TrainSettings, kind: TrainedKind, *, is_continued: bool = False
) -> TrainSettings:
    """The settings of a training, where what the user left open is chosen for detectors.

    Each step sees one picture: it has many boxes, and a short training needs steps more than it needs smooth
    gradients (docs/log.md, "Detectors").

    Args:
        settings: the user's settings, with `epochs`.
        kind: the kind of detector.
        is_continued: whether it starts from a trained one, which takes a smaller learning rate.
    """
    standard = TrainSettings()
    return replace(
        settings,
        lr=(_RATES[kind] if settings.lr is None else settings.lr) * (_CONTINUED if is_continued else 1.0),
        effective_batch=_chosen(settings.effective_batch, standard.effective_batch, _BATCH),
        clip_norm=_chosen(settings.clip_norm, standard.clip_norm, _CLIP_NORM),
        train_precision="fp32",
    )


def _chosen(value: _Number, usual: _Number, ours: _Number) -> _Number:
    return ours if value == usual else value


_RATES: dict[TrainedKind, float] = {"one-stage": 4e-3, "two-stage": 1e-3}
_CONTINUED = 0.25
_BATCH, _CLIP_NORM = 1, 10.0
