"""The rungs that train: a short trial of one stage against two, and the winner's training."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Literal

import torch

from regraft.detection.contenders import TRAINED_AT, TRAINED_SCALE, Contender
from regraft.detection.dataset import HELD_FOLD
from regraft.detection.ladder import DetectionLadder
from regraft.detection.maps.scenes import Scene
from regraft.detection.trained.detector import TrainedDetector, TrainedRecord
from regraft.detection.trained.finder import TrainedFinder
from regraft.detection.trained.levels import spreads
from regraft.detection.trained.map_views import MapViews, views_of
from regraft.detection.trained.training import DetectorTraining, detector_settings
from regraft.machine.devices import find_device
from regraft.machine.processor import cpu_kernels
from regraft.storage.files import key_of, make_folder
from regraft.storage.places import cache_folder
from regraft.training.history import History

TrainedKind = Literal["one-stage", "two-stage"]
KINDS: tuple[TrainedKind, ...] = ("one-stage", "two-stage")
LEAST_PICTURES = 12
_TRIAL_EPOCHS = 2
_LEAST_EPOCHS, _MOST_EPOCHS = 4, 24
_SPREAD_SAMPLE = 64
_SURE = 0.85  # of the time left that a training may be predicted to take
_PICTURE_MULTIPLY_ADDS = 1.0e9  # of a step for one picture, until a step was timed


@dataclass(frozen=True)
class Division:
    """Which pictures train, and which judge."""

    train: tuple[Scene, ...]
    held: tuple[Scene, ...]
    method: str


def division(ladder: DetectionLadder) -> Division:
    """The published validation pictures judge; without them, a fold of the training pictures is held out."""
    if ladder.validation_scenes:
        return Division(ladder.training_scenes, ladder.validation_scenes, "validation pictures")
    train = tuple(one for one in ladder.training_scenes if one.fold != HELD_FOLD)
    held = tuple(one for one in ladder.training_scenes if one.fold == HELD_FOLD)
    return Division(train, held, "held-out training pictures")


def try_training(ladder: DetectionLadder) -> None:
    """Train detectors on cached maps, if the pictures and the time suffice."""
    parts = division(ladder)
    boxes = sum(len(one.classes) for one in parts.train)
    if len(parts.train) < LEAST_PICTURES or not any(len(one.classes) for one in parts.held):
        why = f"{len(parts.train)} pictures to train on and {len(parts.held)} to judge by are too few"
        ladder.tell("training", f"not tried: {why}")
        return
    assert boxes
    views = views_of(ladder.inputs.training.augment)
    extract_s = 0.0
    if len(views) > 1:
        missing = ladder.inputs.maps.missing([one.key for one in parts.train], views[1])
        extract_s = ladder.watch.remembered("mirrored view", "missing_s", missing * ladder.inputs.extract_s)
    step_s = ladder.watch.remembered("training", "step_s", _step_s(ladder, "one-stage"), digits=6)
    epoch_s = step_s * len(parts.train) + 0.3 * step_s * len(parts.held)
    left = _SURE * ladder.time_left_s - extract_s
    wanted = ladder.inputs.training.epochs
    trial_s = len(KINDS) * _TRIAL_EPOCHS * epoch_s
    if left < (wanted or _LEAST_EPOCHS) * epoch_s:
        ladder.skip("training", extract_s + (wanted or _LEAST_EPOCHS) * epoch_s)
        return
    if left >= trial_s + 2 * _LEAST_EPOCHS * epoch_s:
        kind = _trial(ladder, parts, epoch_s)
        left = _SURE * ladder.time_left_s
    else:
        kind = "one-stage"
        ladder.reporter.decided(
            "one-stage",
            "the budget is too short to compare it with two-stage, which learns more slowly",
            "--budget",
        )
    step_s = ladder.watch.remembered(kind, "step_s", _step_s(ladder, kind), digits=6)
    epoch_s = step_s * len(parts.train) + 0.3 * step_s * len(parts.held)
    epochs = wanted or min(_MOST_EPOCHS, max(_LEAST_EPOCHS, int(left / epoch_s)))
    _train(ladder, parts, kind, epochs, epochs * epoch_s)


def _step_s(ladder: DetectionLadder, kind: TrainedKind) -> float:
    """Seconds of a training step for one picture."""
    known = ladder.book.known(_name(ladder, kind))
    factor = 1.0 if kind == "one-stage" else 1.2
    return known or factor * 1e-9 * _PICTURE_MULTIPLY_ADDS * 3 * ladder.book.seconds("matrix")


def _name(ladder: DetectionLadder, kind: TrainedKind) -> str:
    spec = ladder.spec
    width = sum(level.channels for level in ladder.inputs.maps.levels)
    return f"detector step {kind} {spec.size_px}x{spec.width_px} {width}"


def _trial(ladder: DetectionLadder, parts: Division, epoch_s: float) -> TrainedKind:
    """The kind that is better after some epochs."""
    scores: dict[TrainedKind, tuple[float, float]] = {}
    for kind in KINDS:
        name = f"trial of {kind}, {_TRIAL_EPOCHS} epochs"
        predicted = ladder.watch.predicted(name, _TRIAL_EPOCHS * epoch_s, "training")
        with ladder.watch.timed(name, kind="training", predicted_s=predicted) as timing:
            trained = _trained(ladder, parts, kind, _TRIAL_EPOCHS)
        _learn_step(
            ladder, kind, parts, _TRIAL_EPOCHS, timing.took_s, timing.processor_s, is_new=timing.is_new
        )
        best = trained.position.best if trained.position else None
        scores[kind] = (best.goodness, -best.loss) if best else (0.0, -math.inf)
    chosen = max(KINDS, key=lambda kind: scores[kind])
    listed = ", ".join(f"{kind} {100 * scores[kind][0]:.1f} %" for kind in KINDS)
    ladder.reporter.decided(
        f"to continue with {chosen}",
        f"after {_TRIAL_EPOCHS} epochs, average precision of single held-out pictures was {listed}",
        "--budget",
    )
    return chosen


def _learn_step(
    ladder: DetectionLadder,
    kind: TrainedKind,
    parts: Division,
    epochs: int,
    took_s: float,
    processor_s: float,
    *,
    is_new: bool,
) -> None:
    if not is_new:
        return
    pictures = epochs * (len(parts.train) + 0.3 * len(parts.held))
    ladder.book.learn(_name(ladder, kind), took_s / pictures, processor_s / pictures)


def _train(ladder: DetectionLadder, parts: Division, kind: TrainedKind, epochs: int, seconds: float) -> None:
    """Train a detector, judge it, and let it challenge the one that is kept."""
    epochs = int(ladder.watch.remembered(kind, "epochs", epochs))
    name = f"{kind}, {epochs} epochs"
    predicted = ladder.watch.predicted(name, seconds)
    with ladder.watch.timed(name, kind="training", predicted_s=predicted) as timing:
        trained = _trained(ladder, parts, kind, epochs)
        finder = TrainedFinder(trained)
        rows = ladder.inputs.maps.rows([one.key for one in parts.held], reporter=ladder.reporter)
        found = []
        for start in range(0, len(parts.held), 16):
            some = parts.held[start : start + 16]
            found += finder.found(rows.gather([one.key for one in some]), [one.placement for one in some])
    _learn_step(ladder, kind, parts, epochs, timing.took_s, timing.processor_s, is_new=timing.is_new)
    history = History.of(trained.position) if trained.position else None
    ladder.challenge(
        Contender(name, finder, parts.held, tuple(found), parts.method, history, (f"{kind} on maps",)),
        predicted_s=predicted,
        took_s=timing.took_s,
        needed=TRAINED_AT,
        scale=TRAINED_SCALE,
    )


def _trained(ladder: DetectionLadder, parts: Division, kind: TrainedKind, epochs: int) -> TrainedDetector:
    inputs = ladder.inputs
    device = find_device(inputs.settings.device)
    train = MapViews(inputs.maps, parts.train, views_of(inputs.training.augment), device)
    held = MapViews(inputs.maps, parts.held, views_of("none"), device)
    height, width, _ = ladder.spec.shape
    levels = inputs.maps.levels
    record = TrainedRecord(kind=kind, classes=ladder.classes, canvas=(width, height), levels=levels)
    keys = sorted(one.key for one in parts.train)[:_SPREAD_SAMPLE]
    rows = inputs.maps.rows([one.key for one in parts.train], reporter=ladder.reporter)
    settings = detector_settings(replace(inputs.training, epochs=epochs), kind)
    facts = {
        "record": record.model_dump(mode="json"),
        "settings": str(settings),
        "pictures": [
            [one.key, one.corners.tolist(), one.classes.tolist()] for one in (*parts.train, *parts.held)
        ],
        "train": len(parts.train),
        "maps": dict(inputs.maps.runtime.facts),
        "seed": inputs.dataset.seed,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_kernels(),
        "versions": {one: metadata.version(one) for one in ("torch", "torchvision", "numpy")},
    }
    key = key_of(facts)
    folder = make_folder(cache_folder() / "training" / key[:24])
    training = DetectorTraining(
        record,
        spreads(rows.gather(keys), levels),
        train,
        train.targets(),
        settings,
        held,
        held.targets(),
        inputs.dataset.seed,
        device,
        key,
        folder / "checkpoint.safetensors",
    )
    return training.run(ladder.reporter)
