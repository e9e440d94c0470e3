"""A fit by the ladder: try rungs, save each contender that is kept, use the test images once, at the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from regraft.arguments import seconds_in
from regraft.data.findings.image_set import Images
from regraft.data.pictures.loading import LOADER_VERSION
from regraft.data.sources.candidates import Found
from regraft.heads.dataset import Dataset, Outputs, on_average
from regraft.ladder.ledger import Ledger
from regraft.ladder.order import try_rungs
from regraft.ladder.outlook import measure_curve, outlook
from regraft.ladder.rungs import Contender
from regraft.ladder.state import Inputs, State
from regraft.networks.weights.finding import Weights
from regraft.plans.cost_book import CostBook
from regraft.plans.costs import extract_name
from regraft.prediction.model import Model
from regraft.progress import Reporter
from regraft.records import InputSpec, SkippedFile
from regraft.runs.records import LadderRecord
from regraft.settings import DEFAULT_BUDGET, DataSettings
from regraft.storage.files import key_of
from regraft.workflow.outcome import Destination, Outcome
from regraft.workflow.preparation import Prepared, on_sides, prepare
from regraft.workflow.request import Request, Start

if TYPE_CHECKING:  # it imports torch, which solved heads do without
    from regraft.training.group.processes import ProcessGroup

_USUAL_EXTRACT_S = 0.01


def run_ladder(
    prepared: Prepared,
    request: Request,
    start: Start,
    *,
    started: float,
    reporter: Reporter,
    keep: Callable[[str, Outcome], object],
    group: ProcessGroup | None = None,
) -> Outcome:
    """Try rungs, then evaluate the contender that is kept on the test images.

    Args:
        prepared: the data set, with features of its training and validation images.
        request: the user's request.
        start: the weights to start from.
        started: when the fit began, by `time.perf_counter`.
        reporter: receives progress and notes.
        keep: called with the name of every contender that is kept, and with what it gives when it is
            evaluated on validation images only.
        group: the processes that train together; None for this one alone.
    """
    dataset = prepared.dataset
    state = state_for(
        prepared, request, start, started=started, reporter=reporter, purpose="fit", group=group
    )

    def outcome(
        contender: Contender, ladder: LadderRecord, dataset: Dataset, test: Outputs | None = None
    ) -> Outcome:
        evaluation = dataset.evaluate(contender.outputs, test)
        lineage = (*start.lineage, *contender.lineage)
        return Outcome(
            dataset, contender.plan, contender.voters, evaluation, lineage, contender.history, ladder
        )

    def keep_rung(contender: Contender, ladder: LadderRecord) -> None:
        keep(contender.name, outcome(contender, ladder, dataset))

    state.keep = keep_rung
    contender = try_rungs(state)
    curve = measure_curve(state)
    test, unreadable = _predicted_test(contender, prepared, reporter)
    images = replace(dataset.images, skipped=(*dataset.images.skipped, *unreadable))
    for line in (state.predictions.summary(), outlook(state, curve, request.compared)):
        if line:
            reporter.note(line)
    return outcome(contender, state.record, replace(dataset, images=images), test)


def state_for(
    prepared: Prepared,
    request: Request,
    start: Start,
    *,
    started: float,
    reporter: Reporter,
    purpose: str,
    clock: Callable[[], float] = time.perf_counter,
    group: ProcessGroup | None = None,
) -> State:
    """The state before the first rung.

    Args:
        prepared: the data set, with features of its training and validation images.
        request: the user's request.
        start: the weights to start from.
        started: when the command began, by `time.perf_counter`.
        reporter: receives progress and notes.
        purpose: `fit` or `advice`; each has its own ledger.
        clock: reads seconds, like `time.perf_counter`; rungs are timed by it.
        group: the processes that train together; None for this one alone.
    """
    weights = start.weights
    budget_s = seconds_in(request.fit.budget or DEFAULT_BUDGET)
    book, dataset = CostBook(), prepared.dataset
    tests = on_sides(dataset.images, dataset.split, ("test",)).items if purpose == "fit" else ()
    known = sum(item.sha256 in dataset.features.rows for item in tests)
    name = extract_name(weights, prepared.circumstances.runtime, request.fit.precision)
    if prepared.extract_s is not None and prepared.compute.executor is None:  # others' work is not its own
        used = prepared.extract_processor_s
        if prepared.circumstances.runtime == "openvino":  # it keeps every core busy
            book.observe(prepared.extract_s, used, float("inf"))
        book.learn(name, prepared.extract_s, used)
    inputs = Inputs(
        dataset,
        weights,
        prepared.circumstances,
        request.fit,
        request.training,
        prepared.compute,
        prepared.extract_s or book.seconds(name) or _USUAL_EXTRACT_S,
        budget_s,
        clock() - started,
        len(tests),
        (weights, known),
        start.earlier,
        prepared.runtime,
        group=group,
    )
    ledger = Ledger(_key(request, dataset, weights, purpose))
    return State(inputs, ledger, book, reporter, lambda *_: None, clock)


def _predicted_test(
    contender: Contender, prepared: Prepared, reporter: Reporter
) -> tuple[Outputs | None, tuple[SkippedFile, ...]]:
    """Predictions of a contender for the test images, and the test images that can't be read."""
    dataset = prepared.dataset
    images = on_sides(dataset.images, dataset.split, ("test",))
    if not images.items:
        return None, ()
    votes: list[Outputs] = []
    skipped: dict[str, SkippedFile] = {}
    for voter in contender.voters:
        runtime = prepared.runtime
        if _computed(voter.weights) != _computed(prepared.weights):
            runtime = prepared.compute.open(voter.weights, reporter)
        features = prepared.compute.extract(images, runtime, voter.weights.input_spec, reporter)
        skipped |= {file.path: file for file in features.skipped}
        seen = replace(dataset, features=features)
        votes.append(seen.predicted(voter.head, seen.rows("test"), "held-out test images"))
    return on_average(votes), tuple(skipped.values())


def _computed(weights: Weights) -> tuple[str, InputSpec]:
    """What a runtime is opened for: the framing is the loader's work."""
    return weights.sha256, weights.framed("crop").input_spec


def _key(request: Request, dataset: Dataset, weights: Weights, purpose: str) -> str:
    """Hash of everything that a ladder depends on besides time."""
    libraries = ("regraft", "torch", "timm", "scikit-learn", "scipy", "numpy")
    return key_of(
        {
            "purpose": purpose,
            "task": dataset.task.name,
            "request": request.record(),
            "split": dataset.split.sha256,
            "weights": weights.sha256,
            "loader_version": LOADER_VERSION,
            "versions": {name: metadata.version(name) for name in libraries},
        }
    )


def fit_by_ladder(
    images: Images | Found | str | Path,
    request: Request,
    data_settings: DataSettings,
    start: Start,
    place: Destination,
    *,
    started: float,
    group: ProcessGroup | None = None,
) -> Model:
    """The ladder: every rung that is kept is a whole run in the folder, scored on validation images."""
    log = place.log
    prepared = prepare(images, request, data_settings, start.weights, log, sides=("train", "validation"))
    start = replace(start, weights=prepared.weights)
    place.compare_images(prepared.dataset.split)
    best: list[str] = []

    def keep(name: str, outcome: Outcome) -> None:
        place.write(outcome, start)
        if place.folder is not None:
            what = "a better model replaces it" if best else "a usable model is saved"
            log.note(f"{what} in {place.folder}: {name}, {_accuracy_of(outcome)}")
        best[:] = [name]

    try:
        outcome = run_ladder(prepared, request, start, started=started, reporter=log, keep=keep, group=group)
    except KeyboardInterrupt:
        if best and place.folder is not None:
            log.warn(f"stopped; {place.folder} holds the best so far, {best[0]}, ready to use")
        raise
    return place.finish(outcome, start)


def _accuracy_of(outcome: Outcome) -> str:
    dataset, outputs = outcome.dataset, outcome.evaluation.outputs
    targets, groups = dataset.truth(outputs.rows), dataset.groups(outputs.rows)
    goodness = dataset.task.goodness(outputs.values, targets)
    merit = dataset.task.merit(goodness, targets=targets, groups=groups, seed=dataset.seed)
    return f"{merit.title} {merit.text} on {len(outputs.rows):,} validation images"
