"""The story on one page: load, check, split, extract, fit, evaluate, save."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

from regraft.arguments import check_kind, check_reporter, described
from regraft.data.findings.known_classes import say_accuracy_of_all
from regraft.data.image_set import Images
from regraft.data.sources.candidates import Found
from regraft.errors import SettingsError
from regraft.heads.dataset import Job, Judgement
from regraft.plans.plan import TRAINED, Plan, Run
from regraft.prediction.model import Model, Voter
from regraft.progress import Reporter, Silent
from regraft.records import Side
from regraft.runs.folders import EarlierImages, choose_folder, given_folder, images_of_run, say_changed_data
from regraft.runs.writing import RunLog, draw_ladder, versions, write_run
from regraft.settings import DataSettings, FitSettings, TrainSettings, changed
from regraft.storage.files import make_folder
from regraft.training.history import History
from regraft.training.solved import fit_solved, fit_voters, say_solved
from regraft.workflow.climb import Ascent, ascend, standing_for
from regraft.workflow.preparation import (
    EVERY_SIDE,
    found_images,
    limits_of,
    located,
    prepare,
    reading_of,
    scanned,
)
from regraft.workflow.rehearsal import Rehearsal, begin, planned, rehearsed, with_network
from regraft.workflow.request import Request, Start, find_start, make_request

if TYPE_CHECKING:  # they import torch, which solved heads do without
    from regraft.training.loop.rate_finder import RateSearch
    from regraft.training.tuned import TunedJob
    from regraft.workflow.advice import Advice


def load_images(
    source: str | Path,
    settings: DataSettings | None = None,
    *,
    reporter: Reporter | None = None,
    **changes: Any,
) -> Images:
    """Find and check the images of a folder or table; see `DataSettings` for what can be set.

    Args:
        source: a folder with a folder per class, the same below train/, val/ and test/, or a CSV or
            Parquet table with columns path and label, and optionally split and group.
        settings: all settings at once.
        reporter: receives progress.
        changes: single settings, by name.

    Raises:
        DataError: nothing usable; says what was found and what is accepted.
    """
    check_kind("settings", settings, (DataSettings, NoneType), "DataSettings and None")
    check_reporter(reporter)
    chosen: DataSettings = changed(settings or DataSettings(), changes)
    return scanned(found_images(source, chosen), chosen, reporter)


def fit(
    images: Images | str | Path,
    settings: FitSettings | None = None,
    *,
    training: TrainSettings | None = None,
    data: DataSettings | None = None,
    plan: Plan | str | Path | None = None,
    from_run: str | Path | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    **changes: Any,
) -> Model:
    """Transfer a pretrained network to a data set; see `FitSettings` and `TrainSettings` for what can be set.

    Args:
        images: from `load_images`, or what it accepts.
        settings: what is fitted, all settings at once.
        training: how a tail is trained, for the strategies that train one.
        data: how images are read.
        plan: a plan to carry out instead, or the file that `Plan.save` wrote.
        from_run: an earlier run or bundle, whose network is where this one starts (transitive transfer).
        out: where the run folder goes; None writes none. `""` chooses `runs/NAME`.
        overwrite: replace a run of other settings in `out`.
        reporter: receives progress and notes.
        changes: single settings of `FitSettings` or `TrainSettings`, by name.

    Returns:
        The model, with its scores.

    Raises:
        RegraftError: the message says what to change.
    """
    started = time.perf_counter()
    reading = reading_of(images, data, reporter)
    check_kind("overwrite", overwrite, (bool,), "True and False")
    asked = make_request(settings, training, plan, changes)
    log = RunLog(reporter or Silent(), None)
    source = images.root if isinstance(images, Images) else str(images)
    record = {"data": str(Path(source).resolve()), **asked.record(), **reading.record()}
    record |= {"from_run": str(from_run) if from_run else None}
    files, folder = located(images, reading), None
    inputs = (from_run, asked.fit.weights, reading.corrections, None if isinstance(plan, Plan) else plan)
    if out is not None and out != "":
        folder = given_folder(out, source, files, record, inputs=inputs, overwrite=overwrite)
    files, asked, _ = with_network(files, asked, reading, log)
    start = find_start(asked, from_run, log)
    if out is not None and folder is None:
        parts = (Path(source).resolve().stem, start.weights.network, asked.fit.strategy, asked.fit.cut)
        folder = choose_folder("-".join(filter(None, parts)), record, inputs=inputs, overwrite=overwrite)
    earlier = images_of_run(folder, record)
    log = _started(log, reporter or Silent(), folder)
    if asked.plan is None and asked.fit.strategy == "auto":
        return _climbed(files, asked, reading, start, log, record, folder, started, earlier)
    prepared = prepare(files, asked, reading, start.weights, log)
    say_changed_data(earlier, prepared.job.split, folder, log)
    job, made = prepared.job, planned(prepared, asked, log)
    fitted = _carry_out(job, made, asked, reading, start, log)
    model = _model_of(fitted, made, folder)
    say_accuracy_of_all(job.images, fitted.judgement.sheet, log)
    if folder is not None:
        run = _run_record(job, made, start, model, log, record)
        write_run(
            folder, run=run, model=model, images=job.images, split=job.split, judgement=fitted.judgement,
            history=fitted.history,
        )  # fmt: skip
        log.record("finished")
    return model


def advise(
    images: Images | str | Path,
    settings: FitSettings | None = None,
    *,
    training: TrainSettings | None = None,
    data: DataSettings | None = None,
    from_run: str | Path | None = None,
    reporter: Reporter | None = None,
    **changes: Any,
) -> Advice:
    """A plan for a data set: measured, or made for a named strategy; to be printed, edited and run.

    With the strategy left at `auto`, cheap strategies are measured, the cost of the others is predicted, and
    one is recommended. With another strategy, its plan is made and nothing is measured. In both cases no tail
    is trained, no run is saved, and test images are not used.

    Args:
        images: the images, as in `fit`.
        settings: the strategy, the network and the budget.
        training: how a tail would be trained.
        data: how images are read.
        from_run: an earlier run to start from.
        reporter: receives progress and notes.
        changes: single settings, by name.

    Raises:
        RegraftError: the message says what to change.
    """
    from regraft.workflow.advice import advise as advised
    from regraft.workflow.advice import named_advice

    started = time.perf_counter()
    reading = reading_of(images, data, reporter)
    asked = make_request(settings, training, None, changes)
    log = RunLog(reporter or Silent(), None)
    is_named = asked.fit.strategy != "auto"
    sides: tuple[Side, ...] = () if is_named else ("train", "validation")
    begun = begin(images, asked, reading, from_run, log, sides=sides)
    if is_named:
        return named_advice(rehearsed(begun, log), begun.networks)
    standing = standing_for(
        begun.prepared, begun.asked, reading, begun.start, started=started, reporter=log, purpose="advice"
    )
    return advised(
        begun.prepared, standing, begun.start.weights, log,
        rehearsal=rehearsed(begun, log), networks=begun.networks,
    )  # fmt: skip


def plan(images: Images | str | Path, settings: FitSettings | None = None, **others: Any) -> Plan:
    """The plan alone of what `advise` returns for the same arguments.

    Raises:
        RegraftError: the message says what to change.
    """
    return advise(images, settings, **others).plan


def rehearse(
    images: Images | str | Path,
    settings: FitSettings | None = None,
    *,
    training: TrainSettings | None = None,
    data: DataSettings | None = None,
    plan: Plan | str | Path | None = None,
    from_run: str | Path | None = None,
    reporter: Reporter | None = None,
    **changes: Any,
) -> Rehearsal:
    """How `fit` would begin with the same arguments; it stops before features are computed.

    No run folder is written. The cache keeps what the fit will use: the list of files, the split, the
    converted network, and with `network="auto"` the features of the images that choose the network.

    Raises:
        RegraftError: what `fit` would stop at before it computes features.
    """
    reading = reading_of(images, data, reporter)
    asked = make_request(settings, training, plan, changes)
    log = RunLog(reporter or Silent(), None)
    return rehearsed(begin(images, asked, reading, from_run, log, sides=()), log)


def find_lr(
    images: Images | str | Path,
    settings: FitSettings | None = None,
    *,
    training: TrainSettings | None = None,
    data: DataSettings | None = None,
    from_run: str | Path | None = None,
    steps: int = 80,
    reporter: Reporter | None = None,
    **changes: Any,
) -> RateSearch:
    """The training loss while the learning rate rises, and the rate where it falls fastest.

    Args:
        images: from `load_images`, or what it accepts.
        settings: settings of a strategy that trains.
        training: how its tail is trained.
        data: how images are read.
        from_run: an earlier run to start from.
        steps: number of optimizer steps; the weights are restored afterwards.
        reporter: receives progress and notes.
        changes: single settings, by name.

    Raises:
        SettingsError: the strategy trains nothing.
    """
    reading = reading_of(images, data, reporter)
    if type(steps) is not int or not 1 <= steps <= 1_000_000:
        raise SettingsError(f"--steps {described(steps)} is out of range; accepted are 1 to 1,000,000")
    asked = make_request(settings, training, None, changes)
    if asked.fit.strategy not in TRAINED:
        raise SettingsError(
            f"--strategy {asked.fit.strategy} trains nothing, so there is no learning rate to find; "
            f"strategies that train are {', '.join(TRAINED)}"
        )
    log = RunLog(reporter or Silent(), None)
    begun = begin(images, asked, reading, from_run, log, sides=EVERY_SIDE)
    made = planned(begun.prepared, begun.asked, log)
    trainer = _tuned_job(begun.prepared.job, made, begun.asked, reading, begun.start)
    return trainer.search_rate(log, steps=steps)


@dataclass(frozen=True)
class _Fitted:
    """What carrying out a plan gave."""

    voters: tuple[Voter, ...]
    judgement: Judgement
    lineage: tuple[str, ...]
    history: History | None


def _carry_out(
    job: Job, made: Plan, asked: Request, reading: DataSettings, start: Start, log: RunLog
) -> _Fitted:
    """Solve a head or train a tail, and fit the other models that vote with it."""
    also = fit_voters(job, made, reporter=log)
    others = tuple(Voter(start.weights, one.head, job.features.layout) for one in also)
    if made.training is None:
        solved = fit_solved(job, made, reporter=log)
        own = Voter(start.weights, solved.head, job.features.layout)
        judgement = job.judge_voters([say_solved(job, one) for one in (solved, *also)])
        return _Fitted((own, *others), judgement, start.lineage, None)
    trainer = _tuned_job(job, made, asked, reading, start)
    tuned = trainer.fit(log)
    if made.refit is not None:
        from regraft.training.refit import refit

        tuned = refit(trainer, tuned, log)
    lineage = (*start.lineage, f"{made.strategy} on {Path(job.images.root).name}")
    own = Voter(tuned.weights, tuned.head, tuned.features.layout)
    judgement = job.judge_voters([tuned.said, *(say_solved(job, one) for one in also)])
    return _Fitted((own, *others), judgement, lineage, tuned.history)


def _model_of(fitted: _Fitted, made: Plan, folder: Path | None) -> Model:
    own = fitted.voters[0]
    return Model(
        task=fitted.judgement.task,
        weights=own.weights,
        head=own.head,
        layout=own.layout,
        fitted_precision=made.precision,
        lineage=fitted.lineage,
        scores=fitted.judgement.sheet,
        run_folder=folder,
        others=fitted.voters[1:],
    )


def _climbed(
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
        fitted = _Fitted(
            contender.voters, ascent.judgement, (*start.lineage, *contender.lineage), contender.history
        )
        model = _model_of(fitted, contender.plan, folder)
        if folder is not None:
            run = _run_record(ascent.job, contender.plan, start, model, log, record)
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


def _tuned_job(job: Job, made: Plan, asked: Request, reading: DataSettings, start: Start) -> TunedJob:
    from regraft.training.trained_head import EarlierHead
    from regraft.training.tuned import TunedJob

    workers = reading.workers or os.cpu_count() or 1
    earlier = EarlierHead(start.earlier.labels, start.earlier.head) if start.earlier else None
    return TunedJob(job, made, start.weights, asked.fit.device, limits_of(reading), workers, earlier)


def _started(log: RunLog, reporter: Reporter, folder: Path | None) -> RunLog:
    if folder is None:
        return log
    make_folder(folder)
    started = RunLog(reporter, folder / "log.jsonl")
    started.reasons = log.reasons
    started.record("started", command=sys.argv, cwd=os.getcwd())
    return started


def _run_record(
    job: Job, plan: Plan, start: Start, model: Model, log: RunLog, settings: dict[str, Any]
) -> Run:
    return Run(
        regraft_version=metadata.version("regraft"),
        data_root=job.images.root,
        settings=settings,
        plan=plan,
        split_sha256=job.split.sha256,
        weights=start.weights.source,
        lineage=model.lineage,
        reasons=tuple(log.reasons),
        versions=versions(),
    )
