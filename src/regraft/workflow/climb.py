"""A fit by the ladder: climb, save every contender that is kept, and use the test images once, at the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from regraft.arguments import seconds_in
from regraft.data.findings.image_set import Images
from regraft.data.findings.known_classes import say_accuracy_of_all
from regraft.data.pictures.loading import LOADER_VERSION
from regraft.data.sources.candidates import Found
from regraft.features.extraction import extract
from regraft.features.opening import open_runtime
from regraft.heads.dataset import Job, Judgement, Predicted, on_average
from regraft.ladder.climb import climb
from regraft.ladder.ledger import Ledger
from regraft.ladder.outlook import measure_curve, outlook
from regraft.ladder.rungs import Contender
from regraft.ladder.standing import Standing, Terrain
from regraft.machine.processor import count_cores
from regraft.networks.weights.finding import Weights
from regraft.plans.cost_book import CostBook
from regraft.plans.costs import extract_name
from regraft.prediction.model import Model
from regraft.progress import Reporter
from regraft.records import SkippedFile
from regraft.runs.folders import EarlierImages, say_changed_data
from regraft.runs.log import RunLog
from regraft.runs.records import LadderRecord
from regraft.runs.writing import draw_ladder, write_run
from regraft.settings import DEFAULT_BUDGET, DataSettings
from regraft.storage.files import key_of
from regraft.workflow.outcome import Outcome, model_of, run_record
from regraft.workflow.preparation import Prepared, on_sides, prepare
from regraft.workflow.request import Request, Start

_USUAL_EXTRACT_S = 0.01


@dataclass(frozen=True)
class Ascent:
    """The result of a climb so far."""

    contender: Contender
    judgement: Judgement
    ladder: LadderRecord
    job: Job


def ascend(
    prepared: Prepared,
    asked: Request,
    reading: DataSettings,
    start: Start,
    *,
    started: float,
    reporter: Reporter,
    keep: Callable[[Ascent], object],
) -> Ascent:
    """Climb, then evaluate the contender that is kept on the test images.

    Args:
        prepared: the data set, with features of its training and validation images.
        asked: the user's request.
        reading: how images are read.
        start: the weights to start from.
        started: when the fit began, by `time.perf_counter`.
        reporter: receives progress and notes.
        keep: called with every contender that is kept, evaluated on validation images only.
    """
    job = prepared.job
    standing = standing_for(
        prepared, asked, reading, start, started=started, reporter=reporter, purpose="fit"
    )

    def keep_rung(contender: Contender, ladder: LadderRecord) -> None:
        keep(Ascent(contender, job.judge(contender.judged, None), ladder, job))

    standing.keep = keep_rung
    contender = climb(standing)
    curve = measure_curve(standing)
    test, unreadable = _predicted_test(contender, prepared, asked, reporter)
    judgement = job.judge(contender.judged, test)
    images = replace(job.images, skipped=(*job.images.skipped, *unreadable))
    for line in (standing.predictions.summary(), outlook(standing, curve, asked.compared)):
        if line:
            reporter.note(line)
    return Ascent(contender, judgement, standing.record, replace(job, images=images))


def standing_for(
    prepared: Prepared,
    asked: Request,
    reading: DataSettings,
    start: Start,
    *,
    started: float,
    reporter: Reporter,
    purpose: str,
    clock: Callable[[], float] = time.perf_counter,
) -> Standing:
    """The state at the start of a climb.

    Args:
        prepared: the data set, with features of its training and validation images.
        asked: the user's request.
        reading: how images are read.
        start: the weights to start from.
        started: when the command began, by `time.perf_counter`.
        reporter: receives progress and notes.
        purpose: `fit` or `advice`; each has its own ledger.
        clock: reads seconds, like `time.perf_counter`; rungs are timed by it.
    """
    weights = start.weights
    budget_s = seconds_in(asked.fit.budget or DEFAULT_BUDGET)
    book, job = CostBook(), prepared.job
    name = extract_name(weights, prepared.around.runtime, asked.fit.precision)
    if prepared.extract_s is not None:
        used = prepared.extract_processor_s
        if prepared.around.runtime == "openvino":  # it keeps every core busy
            book.observe(prepared.extract_s, used, float("inf"))
        book.learn(name, prepared.extract_s, used)
    terrain = Terrain(
        job,
        weights,
        prepared.around,
        asked.fit,
        asked.training,
        prepared.limits,
        reading.workers or count_cores(),
        prepared.extract_s or book.seconds(name) or _USUAL_EXTRACT_S,
        budget_s,
        clock() - started,
        len(on_sides(job.images, job.split, ("test",))) if purpose == "fit" else 0,
        start.earlier,
    )
    ledger = Ledger(_key(asked, job, weights, purpose))
    return Standing(terrain, ledger, book, reporter, lambda *_: None, clock)


def _predicted_test(
    contender: Contender, prepared: Prepared, asked: Request, reporter: Reporter
) -> tuple[Predicted | None, tuple[SkippedFile, ...]]:
    """Predictions of a contender for the test images, and the test images that can't be read."""
    job = prepared.job
    images = on_sides(job.images, job.split, ("test",))
    if not images.items:
        return None, ()
    votes: list[Predicted] = []
    skipped: dict[str, SkippedFile] = {}
    for voter in contender.voters:
        runtime = prepared.runtime
        if voter.weights.sha256 != prepared.runtime.facts["weights_sha256"]:
            runtime = open_runtime(
                voter.weights,
                name=prepared.around.runtime,
                precision=asked.fit.precision,
                device=asked.fit.device,
                reporter=reporter,
            )
        features = extract(
            images, runtime, voter.weights.input_spec, limits=prepared.limits, reporter=reporter
        )
        skipped |= {file.path: file for file in features.skipped}
        seen = replace(job, features=features)
        votes.append(seen.predicted(voter.head, seen.rows("test"), "held-out test images"))
    return on_average(votes), tuple(skipped.values())


def _key(asked: Request, job: Job, weights: Weights, purpose: str) -> str:
    """Hash of everything that a climb depends on besides time."""
    libraries = ("regraft", "torch", "timm", "scikit-learn", "scipy", "numpy")
    return key_of(
        {
            "purpose": purpose,
            "task": job.task.name,
            "asked": asked.record(),
            "split": job.split.sha256,
            "weights": weights.sha256,
            "loader_version": LOADER_VERSION,
            "versions": {name: metadata.version(name) for name in libraries},
        }
    )


def climbed(
    images: Images | Found | str | Path,
    asked: Request,
    reading: DataSettings,
    start: Start,
    log: RunLog,
    record: dict[str, Any],
    folder: Path | None,
    started: float,
    earlier: EarlierImages | None,
) -> Model:
    """The ladder: every rung that is kept is a whole run in the folder, scored on validation images."""
    prepared = prepare(images, asked, reading, start.weights, log, sides=("train", "validation"))
    say_changed_data(earlier, prepared.job.split, folder, log)

    def kept(ascent: Ascent) -> Model:
        contender = ascent.contender
        fitted = Outcome(
            contender.voters, ascent.judgement, (*start.lineage, *contender.lineage), contender.history
        )
        model = model_of(fitted, contender.plan, folder)
        if folder is not None:
            run = run_record(ascent.job, contender.plan, start, model, log, record)
            write_run(
                folder, run=run, model=model, images=ascent.job.images, split=ascent.job.split,
                judgement=ascent.judgement, history=contender.history, ladder=ascent.ladder,
            )  # fmt: skip
        return model

    best: list[Ascent] = []

    def keep(ascent: Ascent) -> None:
        kept(ascent)
        if folder is not None:
            what = "a better model replaces it" if best else "a usable model is saved"
            log.note(f"{what} in {folder}: {ascent.contender.name}, {_accuracy_of(ascent)}")
        best[:] = [ascent]

    try:
        ascent = ascend(prepared, asked, reading, start, started=started, reporter=log, keep=keep)
    except KeyboardInterrupt:
        if best and folder is not None:
            log.warn(f"stopped; {folder} holds the best so far, {best[0].contender.name}, ready to use")
        raise
    model = kept(ascent)
    say_accuracy_of_all(ascent.job.images, ascent.judgement.sheet, log)
    if folder is not None:
        draw_ladder(folder, ascent.ladder)
        log.record("finished")
    return model


def _accuracy_of(ascent: Ascent) -> str:
    merit = ascent.contender.merit(ascent.job)
    return f"{merit.title} {merit.text} on {len(ascent.contender.judged.rows):,} validation images"
