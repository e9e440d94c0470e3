"""The rungs that train: a short trial of one stage against two, and the winner's training."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any

import torch

from regraft.detection.contenders import TRAINED_AT, TRAINED_SCALE, Contender, found_in
from regraft.detection.ladder import DetectionLadder
from regraft.detection.maps.cached_maps import AS_IT_IS
from regraft.detection.trained.detector import TrainedDetector
from regraft.detection.trained.finder import TrainedFinder
from regraft.detection.trained.levels import spreads
from regraft.detection.trained.record import TrainedKind, TrainedRecord
from regraft.detection.training.map_views import MapViews
from regraft.detection.training.objective import DetectionObjective
from regraft.detection.training.training import DetectorTraining, detector_settings
from regraft.detection.training_cost import (
    LEAST_EPOCHS,
    MIRRORED_FROM,
    MOST_EPOCHS,
    SURE,
    Division,
    division,
    epoch_pictures,
    epoch_s,
    epochs_within,
    in_epochs,
    least_s,
    step_name,
    views_of,
    views_s,
)
from regraft.ladder.stopwatch import Timing
from regraft.machine.devices import find_device
from regraft.machine.processor import cpu_kernels
from regraft.networks.stages import Stage
from regraft.settings import TrainSettings
from regraft.storage.files import key_of, make_folder
from regraft.storage.places import cache_folder
from regraft.training.history import History

KINDS: tuple[TrainedKind, ...] = ("one-stage", "two-stage")
_TRIAL_EPOCHS = 2
_SPREAD_SAMPLE = 64


@dataclass(frozen=True)
class Winner:
    """A detector that was trained and kept, from which another training may start."""

    kind: TrainedKind
    trained: TrainedDetector
    key: str
    """Hash of all that its weights depend on."""


def try_training(ladder: DetectionLadder, stages_s: Callable[[TrainedKind], float]) -> Winner | None:
    """Train detectors on cached maps, if the pictures and the time suffice; the one that is kept.

    Args:
        ladder: the data, settings and limits.
        stages_s: predicts the seconds of the shortest training of the network's last stages that follows on
            a detector of a kind. They bring more than further epochs on maps, so time is kept for them.
    """
    parts = division(ladder)
    if parts.doubt:
        ladder.tell("training", f"not tried: {parts.doubt}")
        return None
    shortest = least_s(ladder, parts)
    if shortest > SURE * ladder.time_left_s:
        ladder.skip("training", shortest)
        return None
    kind = _kind(ladder, parts, stages_s)
    fitting = fitting_epochs(ladder, parts, kind, stages_s)
    epochs = int(ladder.watch.remembered(kind, "epochs", ladder.inputs.training.epochs or fitting))
    seconds = views_s(ladder, parts, epochs) + epochs * epoch_s(ladder, kind, parts)
    return _train(ladder, parts, kind, epochs, seconds)


def fitting_epochs(
    ladder: DetectionLadder, parts: Division, kind: TrainedKind, stages_s: Callable[[TrainedKind], float]
) -> int:
    """The epochs for which there is time; less, if enough remain, what the last stages take."""
    most = SURE * ladder.time_left_s
    epochs = epochs_within(ladder, parts, kind, most)
    if epochs > MIRRORED_FROM:
        fewer = epochs_within(ladder, parts, kind, most - stages_s(kind))
        epochs = fewer if fewer >= MIRRORED_FROM else epochs
    return epochs


def _with_stages_s(
    ladder: DetectionLadder, parts: Division, kind: TrainedKind, stages_s: Callable[[TrainedKind], float]
) -> float:
    """Predicted seconds of a training that suffices, with the last stages' after it."""
    own = views_s(ladder, parts, MIRRORED_FROM) + MIRRORED_FROM * epoch_s(ladder, kind, parts)
    return own if own > SURE * ladder.time_left_s else own + stages_s(kind)


def kind_without_trial(
    ladder: DetectionLadder, parts: Division, stages_s: Callable[[TrainedKind], float]
) -> TrainedKind | None:
    """The kind of detector that is trained if there is no time for a trial, or a better use of it."""
    most = SURE * ladder.time_left_s
    trials = _trials_s(ladder, parts)
    longest = max(2 * LEAST_EPOCHS * epoch_s(ladder, kind, parts) for kind in KINDS)
    if trials + longest + views_s(ladder, parts, MOST_EPOCHS) > most:
        why = "the budget is too short to compare it with two-stage, which takes longer to learn"
        ladder.reporter.decided("one-stage", why, "--budget")
        return "one-stage"
    whole = [_with_stages_s(ladder, parts, kind, stages_s) for kind in KINDS]
    if ladder.inputs.training.epochs is None and whole[0] <= most < trials + max(whole):
        why = "instead of comparing it with two-stage, the network's last stages are to be trained, too"
        ladder.reporter.decided("one-stage", why, "--budget")
        return "one-stage"
    return None


def _trials_s(ladder: DetectionLadder, parts: Division) -> float:
    return sum(_TRIAL_EPOCHS * epoch_s(ladder, kind, parts) for kind in KINDS)


def _kind(ladder: DetectionLadder, parts: Division, stages_s: Callable[[TrainedKind], float]) -> TrainedKind:
    """The kind of detector that is trained: the better one of a trial, if there is time for it."""
    if (only := kind_without_trial(ladder, parts, stages_s)) is not None:
        return only
    scores: dict[TrainedKind, tuple[float, float]] = {}
    for kind in KINDS:
        name = f"trial of {kind}, {_TRIAL_EPOCHS} epochs"
        predicted = ladder.watch.predicted(name, _TRIAL_EPOCHS * epoch_s(ladder, kind, parts), "training")
        with ladder.watch.timed(name, kind="training", predicted_s=predicted) as timing:
            trained, _ = trained_on(ladder, parts, kind, _TRIAL_EPOCHS, rung=name)
        _learn_step(ladder, kind, parts, trained, timing)
        best = trained.position.best if trained.position else None
        scores[kind] = (best.goodness, -best.loss) if best else (0.0, -math.inf)
    chosen = max(KINDS, key=lambda kind: scores[kind])
    listed = ", ".join(f"{kind} {100 * scores[kind][0]:.1f} %" for kind in KINDS)
    ladder.reporter.decided(
        f"to continue with {chosen}",
        f"after {_TRIAL_EPOCHS} epochs, the {DetectionObjective.measure.replace('_', ' ')} was {listed}",
        "--budget",
    )
    return chosen


def _learn_step(
    ladder: DetectionLadder, kind: TrainedKind, parts: Division, trained: TrainedDetector, timing: Timing
) -> None:
    """Keep what a step took, for later fits; this one has noted its predictions."""
    if timing.is_new and trained.position and trained.position.taken:
        batch = detector_settings(ladder.inputs.training, kind).effective_batch
        pictures = trained.position.taken * batch / len(parts.train) * epoch_pictures(parts)
        ladder.book.learn(step_name(ladder, kind), timing.took_s / pictures, timing.processor_s / pictures)


def _train(
    ladder: DetectionLadder, parts: Division, kind: TrainedKind, epochs: int, seconds: float
) -> Winner | None:
    """Train a detector, evaluate it, and let it challenge the one that is kept."""
    name = f"{kind}, {in_epochs(epochs)}"
    predicted = ladder.watch.predicted(name, seconds, "training")
    with ladder.watch.timed(name, kind="training", predicted_s=predicted) as timing:
        trained, key = trained_on(ladder, parts, kind, epochs, rung=name)
        finder = TrainedFinder(trained)
        found = found_in(finder, parts.held, ladder.inputs.maps, ladder.reporter)
    _learn_step(ladder, kind, parts, trained, timing)
    lineage = (f"{kind} detector trained on the maps of {len(parts.train):,} pictures",)
    contender = Contender(name, finder, parts.held, found, parts.method, history_of(trained), lineage)
    ladder.challenge(
        contender, predicted_s=predicted, took_s=timing.took_s, needed=TRAINED_AT, scale=TRAINED_SCALE
    )
    return Winner(kind, trained, key) if ladder.best is contender else None


def history_of(trained: TrainedDetector) -> History | None:
    """How a training went."""
    position = trained.position
    return None if position is None else History(position.history, (), DetectionObjective.measure)


def trained_on(
    ladder: DetectionLadder,
    parts: Division,
    kind: TrainedKind,
    epochs: int,
    *,
    rung: str,
    after_s: float = 0.0,
    stages: tuple[Stage, ...] = (),
    start: Winner | None = None,
) -> tuple[TrainedDetector, str]:
    """Train a detector on cached maps, from its checkpoint if there is one; and the hash of its facts.

    It ends with the budget, or where the ledger says that it ended.

    Args:
        ladder: the data, settings and limits.
        parts: the pictures to train on, and those to evaluate on.
        kind: one stage or two.
        epochs: number of epochs.
        rung: the name under which the ledger keeps where it ended.
        after_s: seconds that the rung takes after it.
        stages: stages of the network that are trained as well.
        start: the detector to start from; None means random weights.
    """
    settings = detector_settings(
        replace(ladder.inputs.training, epochs=epochs), kind, is_continued=start is not None
    )
    training = _training(ladder, parts, kind, settings, stages, start)
    training = replace(training, **_end(ladder, rung, settings, after_s))
    trained = training.run(ladder.reporter)
    _tell_end(ladder, rung, trained)
    return trained, training.key


def _training(
    ladder: DetectionLadder,
    parts: Division,
    kind: TrainedKind,
    settings: TrainSettings,
    stages: tuple[Stage, ...],
    start: Winner | None,
) -> DetectorTraining:
    """A training, with the hash of all that its weights depend on but where it ends."""
    inputs = ladder.inputs
    device = find_device(inputs.settings.device)
    train = MapViews(
        inputs.maps, parts.train, views_of(inputs.training.augment, settings.epochs or 1), device
    )
    held = MapViews(inputs.maps, parts.held, (AS_IT_IS,), device)
    height, width, _ = ladder.spec.shape
    levels = inputs.maps.levels
    record = TrainedRecord(kind=kind, classes=ladder.classes, canvas=(width, height), levels=levels)
    keys = sorted(one.key for one in parts.train)[:_SPREAD_SAMPLE]
    rows = inputs.maps.rows([one.key for one in parts.train], reporter=ladder.reporter)
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
    if start is not None:
        facts |= {"start": start.key, "stages": [stage.name for stage in stages]}
    key = key_of(facts)
    folder = make_folder(cache_folder() / "training" / key[:24])
    return DetectorTraining(
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
        stages=stages,
        start=start.trained if start else None,
    )


def _end(ladder: DetectionLadder, rung: str, settings: TrainSettings, after_s: float) -> dict[str, Any]:
    """Where a training ends: with the budget, or after the steps that it had taken then."""
    left_s = ladder.time_left_s
    if math.isinf(left_s):
        return {}
    ended = ladder.watch.ledger.recall(rung, "stop_after")
    if ended:  # a slower machine is not to end it earlier
        return {"settings": replace(settings, stop_after=ended)}
    return {"limit_s": ladder.watch.remembered(rung, "limit_s", max(0.0, left_s - after_s))}


def _tell_end(ladder: DetectionLadder, rung: str, trained: TrainedDetector) -> None:
    """Why a training ended early, if it did; the ledger keeps after how many steps."""
    if trained.position and trained.position.stopped:
        ladder.reporter.warn(f"training ended early: {trained.position.stopped}")
    if trained.position and trained.position.cut_short:
        ladder.watch.ledger.note(rung, stop_after=trained.position.cut_short)
