"""What training a detector takes, and the pictures that it is trained and evaluated on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from regraft.detection.dataset import HELD_FOLD
from regraft.detection.ladder import DetectionLadder
from regraft.detection.maps.cached_maps import AS_IT_IS, MIRRORED, VIEWS, ZOOMED, ZOOMED_MIRRORED
from regraft.detection.maps.scenes import Scene
from regraft.detection.trained.record import TrainedKind

LEAST_PICTURES = 16
LEAST_EPOCHS, MOST_EPOCHS = 3, 24
MIRRORED_FROM = 6
"""Shorter trainings see the pictures as they are: another epoch is worth more than mirrored pictures."""
SURE = 0.9
"""The share of the time left that a training may be predicted to take."""
_EVALUATING = 0.3  # evaluating a picture takes this share of a training step
_STEP_MULTIPLY_ADDS = 0.6e9  # of a step for one picture, with all that is no arithmetic, until one was timed
_BACKWARD = 3.0  # forward and backward take this multiple of the forward arithmetic
_TWO_STAGES = 1.3  # as a multiple of one stage


_VIEWS: Mapping[str, tuple[int, ...]] = {
    "none": (AS_IT_IS,),
    "flip": (AS_IT_IS, MIRRORED),
    "crop": (AS_IT_IS, ZOOMED),
    "crop-flip": (AS_IT_IS, MIRRORED, ZOOMED, ZOOMED_MIRRORED),
}


@dataclass(frozen=True)
class Division:
    """Which pictures a detector is trained on, and which ones it is evaluated on."""

    train: tuple[Scene, ...]
    held: tuple[Scene, ...]
    method: str

    @property
    def doubt(self) -> str:
        """Why there can't be a training, as a sentence without an end; empty if there can."""
        if len(self.train) < LEAST_PICTURES or not any(len(one.classes) for one in self.held):
            return (
                f"{len(self.train)} pictures to train on and {len(self.held)} to evaluate it on are too few"
            )
        return ""


def division(ladder: DetectionLadder) -> Division:
    """The published validation pictures are held out; without them, a fold of the training pictures."""
    if ladder.validation_scenes:
        return Division(ladder.training_scenes, ladder.validation_scenes, "validation pictures")
    train = tuple(one for one in ladder.training_scenes if one.fold != HELD_FOLD)
    held = tuple(one for one in ladder.training_scenes if one.fold == HELD_FOLD)
    return Division(train, held, "held-out training pictures")


def views_of(augment: str | None, epochs: int) -> tuple[int, ...]:
    """The views of training pictures for a setting of `--augment`; None means flip, where it pays.

    >>> views_of("none", 9), views_of(None, 3), views_of(None, 9), views_of("crop-flip", 9)
    ((0,), (0,), (0, 1), (0, 1, 2, 3))
    """
    if augment is None:
        augment = "none" if epochs < MIRRORED_FROM else "flip"
    return _VIEWS[augment]


def in_epochs(epochs: int) -> str:
    """The length of a training, in words.

    >>> in_epochs(1), in_epochs(3)
    ('1 epoch', '3 epochs')
    """
    return f"{epochs} epoch{'' if epochs == 1 else 's'}"


def step_name(ladder: DetectionLadder, kind: TrainedKind) -> str:
    """The name under which the cost book keeps the seconds that a step takes for one picture."""
    spec, width = ladder.spec, sum(level.channels for level in ladder.inputs.maps.levels)
    return f"detector step {kind} {spec.size_px}x{spec.width_px} {width}"


def epoch_s(ladder: DetectionLadder, kind: TrainedKind, parts: Division) -> float:
    """Predicted seconds of an epoch, with the evaluation at its end."""
    factor = 1.0 if kind == "one-stage" else _TWO_STAGES
    usual = factor * 1e-9 * _STEP_MULTIPLY_ADDS * ladder.book.seconds("matrix")
    each = ladder.book.known(step_name(ladder, kind)) or usual
    return ladder.watch.remembered(f"epoch of {kind}", "seconds", each * epoch_pictures(parts), digits=3)


def epoch_pictures(parts: Division) -> float:
    """The pictures of an epoch; those that are evaluated count as much as they take."""
    return len(parts.train) + _EVALUATING * len(parts.held)


def stages_s(ladder: DetectionLadder, parts: Division, multiply_adds: float) -> float:
    """Predicted seconds that an epoch takes longer if stages of the network are trained as well.

    Args:
        ladder: the ladder.
        parts: the pictures.
        multiply_adds: of these stages, forward, for one picture.
    """
    usual = _BACKWARD * 1e-9 * multiply_adds * ladder.book.seconds("matrix")
    each = ladder.book.known(stages_name(ladder)) or usual
    return ladder.watch.remembered(
        "epoch of the last stages", "seconds", each * epoch_pictures(parts), digits=3
    )


def stages_name(ladder: DetectionLadder) -> str:
    """The name under which the cost book keeps the seconds that the last stages add to a step."""
    spec = ladder.spec
    return f"last stages {ladder.inputs.weights.network} {spec.size_px}x{spec.width_px}"


def views_s(ladder: DetectionLadder, parts: Division, epochs: int) -> float:
    """Predicted seconds for the maps of mirrored and zoomed pictures that this number of epochs uses."""
    keys = [one.key for one in parts.train]
    others = [view for view in views_of(ladder.inputs.training.augment, epochs)[:epochs] if view != AS_IT_IS]
    each = ladder.inputs.extract_s
    return sum(
        ladder.watch.remembered(
            f"pictures {VIEWS[view]}", "seconds", ladder.inputs.maps.missing(keys, view) * each
        )
        for view in others
    )


def least_s(ladder: DetectionLadder, parts: Division) -> float:
    """Predicted seconds of the shortest training that is worth its time."""
    epochs = ladder.inputs.training.epochs or LEAST_EPOCHS
    return views_s(ladder, parts, epochs) + epochs * epoch_s(ladder, "one-stage", parts)


def epochs_within(ladder: DetectionLadder, parts: Division, kind: TrainedKind, seconds: float) -> int:
    """The most epochs that take no longer, with the maps of mirrored pictures where they are used."""
    each = epoch_s(ladder, kind, parts)
    for epochs in range(MOST_EPOCHS, LEAST_EPOCHS, -1):
        if views_s(ladder, parts, epochs) + epochs * each <= seconds:
            return epochs
    return LEAST_EPOCHS
