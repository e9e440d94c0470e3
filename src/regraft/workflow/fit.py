"""The story on one page: load, check, split, extract, fit, evaluate, save."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Unpack

from regraft.arguments import check_kind
from regraft.data.findings.image_set import Images
from regraft.data.sources.candidates import Found
from regraft.detection.annotations.boxes import BoxSet
from regraft.detection.detectors.detector import Detector
from regraft.detection.fitting import fit_detector
from regraft.errors import GroupError, SettingsError
from regraft.machine.launchers import Place, count_processes, launched
from regraft.plans.plan import Plan
from regraft.prediction.bundle import load_bundle
from regraft.prediction.model import Model
from regraft.prediction.voter import Voter
from regraft.progress import Reporter, Silent
from regraft.runs.folders import choose_folder, given_folder, images_of_run, writing_alone
from regraft.runs.log import RunLog
from regraft.settings import DataSettings, FitSettings, TrainSettings
from regraft.storage.files import make_folder
from regraft.training.solved import fit_solved, fit_voters, unseen_outputs
from regraft.workflow.check import load_boxes
from regraft.workflow.keywords import FitChanges
from regraft.workflow.ladder_fit import fit_by_ladder
from regraft.workflow.outcome import Destination, Outcome
from regraft.workflow.preparation import Prepared, data_settings_of, located, prepare
from regraft.workflow.rehearsal import checked_boxes, detection_request, planned, with_network
from regraft.workflow.request import (
    Request,
    Start,
    check_images,
    check_offline,
    check_together,
    find_start,
    make_request,
    tail_training,
)

if TYPE_CHECKING:  # it imports torch, which solved heads do without
    from regraft.training.group.processes import ProcessGroup


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
    devices: int | Literal["auto"] = 1,
    reporter: Reporter | None = None,
    **changes: Unpack[FitChanges],
) -> Model | Detector:
    """Transfer a pretrained network to a data set; see `FitSettings` and `TrainSettings` for what can be set.

    Args:
        images: from `load_images`, or what it accepts; or a folder or file with boxes around objects.
        settings: what is fitted, all settings at once.
        training: how a tail is trained, for the strategies that train one.
        data: how images are read.
        plan: a plan to carry out instead, or the file that `Plan.save` wrote.
        from_run: an earlier run or bundle, whose network is where this one starts (transitive transfer); or
            the name of a detector of torchvision that was trained on COCO, whose backbone is.
        out: where the run folder goes; None writes none. `""` chooses `runs/NAME`.
        overwrite: replace a run of other settings in `out`.
        devices: number of processes that train together, on a GPU or a share of the processor each; `auto`
            means one on each GPU. Where torchrun has started several, these are meant.
        reporter: receives progress and notes.
        changes: single settings of `FitSettings` or `TrainSettings`, by name.

    Returns:
        The model, with its scores; a detector, if the data set has boxes around objects.

    Raises:
        RegraftError: the message says what to change.
    """
    started = time.perf_counter()
    data_settings = data_settings_of(images, data, reporter)
    check_kind("overwrite", overwrite, (bool,), "True and False")
    place = launched()
    request = make_request(settings, training, plan, changes)
    request = replace(request, processes=count_processes(devices, place))
    check_offline(request.fit, data_settings)
    check_together(request)
    if place is not None and place.rank:
        return _followed(place, request, out)
    log = RunLog(reporter or Silent(), None)
    source = images.root if isinstance(images, Images) else str(images)
    boxes = None if isinstance(images, Images) else load_boxes(images, data_settings, reporter=log)
    record = {"data": str(Path(source).resolve()), **request.record(), **data_settings.record()}
    record |= {"from_run": str(from_run) if from_run else None}
    inputs = (
        from_run,
        request.fit.weights,
        data_settings.corrections,
        None if isinstance(plan, Plan) else plan,
    )
    if boxes and request.processes > 1:
        raise SettingsError(
            f"{request.processes} processes (--devices, or a launcher's WORLD_SIZE) were asked for, and this "
            "data has boxes around objects; detectors are trained by a single process so far. Remove "
            "--devices, or start the command without a launcher"
        )
    files, folder = boxes or located(images, data_settings, log), None
    if out is not None and out != "":
        folder = given_folder(out, source, _paths(files), record, inputs=inputs, overwrite=overwrite)
    if isinstance(files, BoxSet):
        files = checked_boxes(files, request, data_settings, log)
    else:
        check_images(request.fit)
        files, request, _ = with_network(files, request, data_settings, log)
    start = find_start(request, from_run, log)
    if out is not None and folder is None:
        parts = (Path(source).resolve().stem, start.weights.network, request.fit.strategy, request.fit.cut)
        folder = choose_folder("-".join(filter(None, parts)), record, inputs=inputs, overwrite=overwrite)
    with (
        _together(place, request, log) as group,
        writing_alone(folder, record, log, overwrite=overwrite) as waited_s,
    ):
        earlier = images_of_run(folder, record)
        log = _started(log, reporter or Silent(), folder)
        started += waited_s
        if isinstance(files, BoxSet):
            asked = detection_request(files, request, data_settings, start, log)
            return fit_detector(asked, record, folder, log, started=started, earlier=earlier)
        destination = Destination(folder, record, log, earlier)
        if request.plan is None and request.fit.strategy == "auto":
            return fit_by_ladder(
                files, request, data_settings, start, destination, started=started, group=group
            )
        prepared = prepare(files, request, data_settings, start.weights, log)
        start = replace(start, weights=prepared.weights)
        destination.compare_images(prepared.dataset.split)
        plan = planned(prepared, request, log)
        return destination.finish(_carry_out(prepared, plan, start, log, group), start)


@contextmanager
def _together(place: Place | None, request: Request, log: RunLog) -> Iterator[ProcessGroup | None]:
    """The processes that train together, of which this is the first; None if it is alone."""
    if request.processes == 1:
        yield None
        return
    from regraft.training.group.membership import join, led, say_devices, started

    device = request.fit.device
    with led(join(place, device)) if place else started(request.processes, device) as group:
        say_devices(group, log)
        yield group


def _followed(place: Place, request: Request, out: str | Path | None) -> Model:
    """In another process than the first: take part in its trainings, and open the model that it has saved."""
    if not out:
        raise SettingsError(
            f"{place.size} processes fit one model, which all but the first read from its run folder; name "
            "that folder with --out"
        )
    from regraft.training.following import follow

    code = follow(place, request.fit.device)
    if code:
        raise GroupError(f"the first process has ended with exit code {code}; its message says why")
    return load_bundle(Path(out))


def _paths(files: Images | Found | BoxSet) -> list[str]:
    """The paths of all images that were found."""
    if isinstance(files, BoxSet):
        return [one.path for one in files.pictures]
    return [one.path for one in (files.items if isinstance(files, Images) else files.candidates)]


def _carry_out(
    prepared: Prepared, plan: Plan, start: Start, log: RunLog, group: ProcessGroup | None
) -> Outcome:
    """Solve a head or train a tail, and fit the other models that vote with it."""
    dataset = prepared.dataset
    also = fit_voters(dataset, plan, reporter=log)
    others = tuple(Voter(start.weights, one.head, dataset.features.layout) for one in also)
    if plan.training is None:
        solved = fit_solved(dataset, plan, reporter=log)
        own = Voter(start.weights, solved.head, dataset.features.layout)
        evaluation = dataset.evaluate_voters([unseen_outputs(dataset, one) for one in (solved, *also)])
        return Outcome(dataset, plan, (own, *others), evaluation, start.lineage)
    trainer = tail_training(dataset, plan, prepared.compute, start, group)
    tuned = trainer.fit(log)
    if plan.refit is not None:
        from regraft.training.refit import refit

        tuned = refit(trainer, tuned, log)
    lineage = (*start.lineage, f"{plan.strategy} on {Path(dataset.images.root).name}")
    own = Voter(tuned.weights, tuned.head, tuned.features.layout)
    evaluation = dataset.evaluate_voters([tuned.unseen, *(unseen_outputs(dataset, one) for one in also)])
    return Outcome(dataset, plan, (own, *others), evaluation, lineage, tuned.history)


def _started(log: RunLog, reporter: Reporter, folder: Path | None) -> RunLog:
    if folder is None:
        return log
    make_folder(folder)
    started = RunLog(reporter, folder / "log.jsonl")
    started.reasons = log.reasons
    started.record("started", command=sys.argv, cwd=os.getcwd())
    return started
