"""The last rung: the network's last stages are trained together with the detector that was kept."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from regraft.detection.contenders import TRAINED_AT, TRAINED_SCALE, Contender, found_in
from regraft.detection.ladder import DetectionLadder
from regraft.detection.trained.finder import TrainedFinder
from regraft.detection.trained.record import TrainedKind
from regraft.detection.trained_rungs import Winner, history_of, trained_on
from regraft.detection.training.last_stages import last_stages
from regraft.detection.training_cost import (
    SURE,
    Division,
    division,
    epoch_pictures,
    epoch_s,
    in_epochs,
    stages_name,
    stages_s,
    views_s,
)
from regraft.networks.network import Network, load_network
from regraft.networks.stages import Stage
from regraft.networks.weights.finding import Weights
from regraft.networks.weights.states import save_state
from regraft.records import WeightsSource
from regraft.storage.files import make_folder, sha256_of_file
from regraft.storage.places import cache_folder

_LEAST_EPOCHS, _MOST_EPOCHS = 3, 8
_OPENING_S = 3.0  # seconds to compile the network with its new weights


def least_stages_s(ladder: DetectionLadder, kind: TrainedKind) -> float:
    """Predicted seconds of the shortest training of the last stages that follows on a detector of a kind."""
    inputs, parts = ladder.inputs, division(ladder)
    if len(inputs.maps.levels) < 2:
        return math.inf
    stage = last_stages(load_network(inputs.weights), inputs.maps.levels)
    return _again_s(ladder, parts) + _LEAST_EPOCHS * _epoch_s(ladder, parts, kind, stage)


def try_last_stages(ladder: DetectionLadder, winner: Winner) -> None:
    """Train the stages between the two coarsest maps and the detector that was kept, if the time suffices.

    The maps that they start from are in the cache. Afterwards the network is another one, whose maps of the
    held-out pictures are computed as they will be in use.
    """
    inputs, parts = ladder.inputs, division(ladder)
    if len(inputs.maps.levels) < 2:
        return
    name = "last stages"
    network = load_network(inputs.weights)
    stage = last_stages(network, inputs.maps.levels)
    again = _again_s(ladder, parts)
    each = _epoch_s(ladder, parts, winner.kind, stage)
    left = SURE * ladder.time_left_s - again
    fitting = inputs.training.epochs or _epochs(ladder, parts, each, left)
    epochs = int(ladder.watch.remembered(name, "epochs", fitting))
    seconds = again + views_s(ladder, parts, epochs) + epochs * each
    predicted = ladder.watch.predicted(name, seconds, "training")
    if predicted > ladder.time_left_s:
        ladder.skip(name, predicted)
        return
    _train(ladder, parts, winner, network, stage, epochs, predicted)


def _again_s(ladder: DetectionLadder, parts: Division) -> float:
    """Predicted seconds to open the network with its new weights, and to evaluate it."""
    return _OPENING_S + len(parts.held) * ladder.inputs.extract_s


def _epoch_s(ladder: DetectionLadder, parts: Division, kind: TrainedKind, stage: Stage) -> float:
    """Predicted seconds of an epoch that trains the last stages and the detector."""
    return epoch_s(ladder, kind, parts) + stages_s(ladder, parts, _multiply_adds(stage, ladder))


def _epochs(ladder: DetectionLadder, parts: Division, each: float, left: float) -> int:
    for epochs in range(_MOST_EPOCHS, _LEAST_EPOCHS, -1):
        if views_s(ladder, parts, epochs) + epochs * each <= left:
            return epochs
    return _LEAST_EPOCHS


def _multiply_adds(stage: Stage, ladder: DetectionLadder) -> float:
    """Those of the stages for one picture."""
    row = torch.zeros(1, ladder.inputs.maps.runtime.width)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        stage.module(row)
    return float(counter.get_total_flops()) / 2


def _train(
    ladder: DetectionLadder,
    parts: Division,
    winner: Winner,
    network: Network,
    stage: Stage,
    epochs: int,
    predicted: float,
) -> None:
    inputs, kind = ladder.inputs, winner.kind
    name = f"{kind} and {stage.name}, {in_epochs(epochs)}"
    with ladder.watch.timed("last stages", kind="training", predicted_s=predicted) as timing:
        after_s = _again_s(ladder, parts)
        trained, key = trained_on(
            ladder, parts, kind, epochs, rung=name, after_s=after_s, stages=(stage,), start=winner
        )
        weights = _saved(network, inputs.weights, stage, Path(inputs.dataset.images.root), key)
        runtime = inputs.compute.open(weights, ladder.reporter, cut="maps")
        maps = replace(inputs.maps, runtime=runtime, ready={})
        finder = TrainedFinder(trained)
        found = found_in(finder, parts.held, maps, ladder.reporter)
    if timing.is_new:
        own = timing.took_s - len(parts.held) * inputs.extract_s - _OPENING_S
        added = own / (epochs * epoch_pictures(parts)) - epoch_s(ladder, kind, parts) / epoch_pictures(parts)
        ladder.book.learn(stages_name(ladder), max(added, 1e-4), max(added, 1e-4))
    lineage = (
        f"{kind} detector trained on the maps of {len(parts.train):,} pictures",
        f"stages {stage.name} of the network trained with it",
    )
    contender = Contender(
        name, finder, parts.held, found, parts.method, history_of(trained), lineage, maps, weights
    )
    ladder.challenge(
        contender, predicted_s=predicted, took_s=timing.took_s, needed=TRAINED_AT, scale=TRAINED_SCALE
    )


def _saved(network: Network, start: Weights, stage: Stage, data: Path, key: str) -> Weights:
    """The whole network with its trained stages, saved like any other weights file."""
    path = make_folder(cache_folder() / "training" / key[:24]) / "network.safetensors"
    save_state(network.module.state_dict(), path)
    sha256 = sha256_of_file(path)
    where = f"{stage.name} trained for boxes on {data.name}, from {start.source.where}"
    source = WeightsSource(where=where, sha256=sha256, licence=start.source.licence)
    return replace(start, path=path, sha256=sha256, source=source)
