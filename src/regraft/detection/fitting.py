"""The story of a detector on one page: boxes, pictures, maps, rungs, test, run folder."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib import metadata
from pathlib import Path
from typing import Any

from regraft.arguments import seconds_in
from regraft.data.findings.scan import ScanSettings
from regraft.data.pictures.loading import LOADER_VERSION, LoadLimits
from regraft.detection.changes import say_changed_boxes
from regraft.detection.contenders import Contender, found_in
from regraft.detection.dataset import BoxedDataset, boxed_dataset
from regraft.detection.detectors.detector import Detector
from regraft.detection.detectors.records import FEW_PICTURES, DetectionRun
from regraft.detection.detectors.thresholds import goal_remarks
from regraft.detection.ladder import DetectionInputs, DetectionLadder
from regraft.detection.maps.cached_maps import CachedMaps, canvas_decoding
from regraft.detection.outcome import DetectionOutcome, outcome_of
from regraft.detection.requests.detection_request import (
    DetectionRequest,
    maps_name,
    on_canvas_weights,
)
from regraft.detection.run_writing import write_detection_run
from regraft.detection.solved_rungs import (
    look_at_validation,
    measure_curve,
    regions_s,
    try_canvas,
    try_grid,
    try_regions,
)
from regraft.detection.training_cost import SURE, division, least_s
from regraft.evaluation.detection_scores import DRAWS, DetectionCurve
from regraft.features.extraction import decode_while_waiting
from regraft.goal import Goal
from regraft.ladder.ledger import Ledger
from regraft.ladder.stopwatch import Stopwatch
from regraft.machine.processor import count_cores
from regraft.networks.weights.finding import Weights
from regraft.plans.cost_book import CostBook
from regraft.records import Side
from regraft.runs.folders import EarlierImages
from regraft.runs.log import RunLog, versions
from regraft.runs.records import LadderRecord
from regraft.settings import DEFAULT_BUDGET
from regraft.storage.files import key_of
from regraft.version import VERSION

_SAVING_S = 3.0  # seconds that a run takes to be written
_FEW_DRAWS = 200  # of a run that another rung, or the end, will replace
_SIDES: tuple[Side, ...] = ("train", "validation", "test")
_TOLD = frozenset({"untrained-class", "units", "rotation", "size", "leak", "conflicting-copies"})


def fit_detector(
    request: DetectionRequest,
    record: dict[str, Any],
    folder: Path | None,
    log: RunLog,
    *,
    started: float,
    earlier: EarlierImages | None = None,
) -> Detector:
    """Fit detectors by a ladder; every one that is kept is a whole run in the folder.

    Args:
        request: what the user wants.
        record: the request as kept in the run; a later fit with the same continues it.
        folder: the run folder; None writes none.
        log: the run's log.
        started: when the command began, by `time.perf_counter`.
        earlier: the images of the run that is in the folder, if it is continued.

    Raises:
        RegraftError: the message says what to change.
    """
    dataset, maps, weights = _opened(request, folder, log, earlier)
    book = CostBook()
    extract_s = _extracted(maps, dataset, weights, book, request, log)
    watch = Stopwatch(Ledger(_key(record, dataset, weights)))
    watch.start(time.perf_counter() - started)
    inputs = DetectionInputs(
        dataset,
        maps,
        request.fit,
        request.training,
        seconds_in(request.fit.budget or DEFAULT_BUDGET),
        watch.remembered("start", "extract_s", extract_s, digits=6),
        weights,
        request.compute,
    )
    runs = _Runs(request, record, folder, log, dataset, weights)
    ladder = DetectionLadder(inputs, watch, book, log, runs.keep)
    try:
        contender = try_rungs(ladder)
        tested = _test(contender, ladder)
        final = runs.outcome(contender, ladder.record, tested, curve=ladder.curve, draws=DRAWS)
    except KeyboardInterrupt:
        runs.tell_stopped()
        raise
    if summary := watch.predictions.summary():
        log.note(summary)
    _tell_few(final, log)
    _tell_goal(final, log)
    runs.write(final, contender, is_final=True)
    log.record("finished")
    return final.detector


def _opened(
    request: DetectionRequest, folder: Path | None, log: RunLog, earlier: EarlierImages | None
) -> tuple[BoxedDataset, CachedMaps, Weights]:
    """The data set, its maps (none of which is computed yet), and the network with the canvas as input."""
    settings, reading = request.fit, request.data
    limits = LoadLimits(reading.max_megapixels, reading.max_file_mb)
    weights = on_canvas_weights(request, log)
    with ThreadPoolExecutor(1) as background:
        opening = background.submit(request.compute.open, weights, log, cut="maps")
        scanning = ScanSettings(
            limits,
            reading.max_bad_share,
            reading.workers,
            reading.look_alikes,
            reading.range,
            reading.window,
            reading.retry_failed,
            reading.reread_files,
        )
        dataset = boxed_dataset(
            request.boxes, scanning, seed=settings.seed, test_share=settings.test_share, reporter=log
        )
        _tell(dataset, log)
        say_changed_boxes(earlier, dataset, folder, log)
        weights = weights.seeing(dataset.images.intensity.chosen)
        decoding = canvas_decoding(dataset.images, weights.input_spec, limits)
        first = _first_keys(dataset)
        ready = decode_while_waiting(decoding, weights.input_spec, opening, first)
        runtime = opening.result()
    workers = reading.workers or count_cores()
    maps = CachedMaps(dataset.images, weights.input_spec, runtime, limits, workers, ready)
    maps.check_room([one.sha256 for side in _SIDES for one in dataset.pictures(side)])
    return dataset, maps, weights


@dataclass
class _Runs:
    """The run folder that each detector that is kept replaces, until the last."""

    request: DetectionRequest
    record: dict[str, Any]
    folder: Path | None
    log: RunLog
    dataset: BoxedDataset
    weights: Weights
    best: str = ""
    """The name of the contender that is saved; empty before the first."""

    def outcome(
        self,
        contender: Contender,
        ladder: LadderRecord,
        test: Any = None,
        *,
        curve: DetectionCurve | None = None,
        draws: int = _FEW_DRAWS,
    ) -> DetectionOutcome:
        """A contender with its scores, with fewer draws if another rung, or the end, will replace it."""
        settings = self.request.fit
        return outcome_of(
            self.dataset,
            contender,
            ladder,
            weights=contender.weights or self.weights,
            precision=settings.precision,
            lineage=self.request.lineage,
            folder=self.folder,
            goal=Goal.parse(settings.goal) if settings.goal else None,
            curve=curve,
            test=test,
            draws=draws,
        )

    def write(self, outcome: DetectionOutcome, contender: Contender, *, is_final: bool) -> None:
        """Write the run, if there is a folder for it."""
        if self.folder is not None:
            run = _run(outcome, contender, self.record, self.log)
            write_detection_run(self.folder, run, outcome, is_final=is_final)

    def keep(self, contender: Contender, table: LadderRecord) -> None:
        """Save a contender as the best so far."""
        self.write(self.outcome(contender, table), contender, is_final=False)
        if self.folder is not None:
            what = "a better detector replaces it" if self.best else "a usable detector is saved"
            self.log.note(f"{what} in {self.folder}: {contender.name}")
        self.best = contender.name

    def tell_stopped(self) -> None:
        """Say what an interrupted fit leaves."""
        if self.best and self.folder is not None:
            self.log.warn(f"stopped; {self.folder} holds the best so far, {self.best}, ready to use")


def try_rungs(ladder: DetectionLadder) -> Contender:
    """Try all rungs that the budget allows; returns the contender that is kept."""
    grid = try_canvas(ladder, try_grid(ladder))
    look_at_validation(ladder, grid)
    measure_curve(ladder, grid)
    grid = replace(grid, sums=None)  # their memory is needed no more
    parts = division(ladder)
    regions, training = regions_s(ladder), 0.0 if parts.doubt else least_s(ladder, parts)
    left = ladder.time_left_s
    if regions + _SAVING_S + training / SURE <= left or training / SURE > left or not training:
        try_regions(ladder, grid)
    else:
        ladder.tell("regions", "not tried: the time is better spent on training", predicted_s=regions)
    if ladder.time_left_s > 0 or not parts.doubt:
        from regraft.detection.last_stages_rung import least_stages_s, try_last_stages  # they import torch
        from regraft.detection.trained_rungs import try_training

        stages_s = cache(partial(least_stages_s, ladder))  # it loads the network
        if (winner := try_training(ladder, stages_s)) is not None:
            try_last_stages(ladder, winner)
    return ladder.settled


def _tell(dataset: BoxedDataset, log: RunLog) -> None:
    log.note(f"layout: {dataset.images.layout}")
    counts = {side: len(dataset.pictures(side)) for side in _SIDES}
    boxes = sum(len(one.boxes) for one in dataset.boxes.pictures)
    listed = " · ".join(f"{count:,} {side}" for side, count in counts.items() if count)
    log.note(
        f"{boxes:,} boxes of {len(dataset.labels)} classes · {sum(counts.values()):,} pictures · {listed} "
        f"({dataset.split.origin} split)"
    )
    if dataset.split.history:
        log.note(dataset.split.history)
    dataset.images.intensity.tell(log)
    for finding in dataset.images.findings:
        if finding.kind in _TOLD:
            log.warn(f"{finding.message} (findings.csv)")
    if dataset.images.skipped:
        log.warn(f"{len(dataset.images.skipped)} files were skipped (reasons in skipped.csv)")


def _tell_few(final: DetectionOutcome, log: RunLog) -> None:
    """That the pictures are too few for the scores to decide between detectors, if they are."""
    count = final.shown.scores.images
    if count < FEW_PICTURES:
        side = "test picture" if final.test else "picture to evaluate on"
        side = side if count == 1 else side.replace("picture", "pictures")
        log.warn(
            f"{count:,} {side} can't decide much: the intervals are rough. Annotate more pictures before you "
            "compare detectors"
        )


def _tell_goal(final: DetectionOutcome, log: RunLog) -> None:
    """What the thresholds reach of the goal, if there is one."""
    sheet = final.detector.scores.goal if final.detector.scores else None
    for is_good, sentence in goal_remarks(sheet) if sheet else ():
        (log.note if is_good else log.warn)(sentence)


def _extracted(
    maps: CachedMaps,
    dataset: BoxedDataset,
    weights: Weights,
    book: CostBook,
    request: DetectionRequest,
    log: RunLog,
) -> float:
    """Compute the maps of the training pictures, which the first detector needs; seconds for a picture."""
    keys = [one.sha256 for one in dataset.pictures("train")]
    name = maps_name(request, weights)
    missing = maps.missing(keys, 0)
    started, used = time.perf_counter(), time.process_time()
    maps.rows(keys, reporter=log)
    if missing:
        wall, processor = time.perf_counter() - started, time.process_time() - used
        book.learn(name, wall / missing, processor / missing)
        return wall / missing
    return book.seconds(name) or 0.05


def _first_keys(dataset: BoxedDataset) -> list[str]:
    """Hashes of the pictures that detectors learn from or are chosen by, in the order of their maps."""
    return [key for side in _SIDES[:2] for key in sorted(one.sha256 for one in dataset.pictures(side))]


def _test(contender: Contender, ladder: DetectionLadder) -> Any:
    """What the contender finds in the test pictures, which are used here for the first time."""
    assert contender.maps is not None
    scenes = ladder.inputs.dataset.scenes("test", contender.maps.spec)
    if not scenes:
        return None
    return scenes, found_in(contender.finder, scenes, contender.maps, ladder.reporter)


def _run(
    outcome: DetectionOutcome, contender: Contender, record: dict[str, Any], log: RunLog
) -> DetectionRun:
    return DetectionRun(
        regraft_version=VERSION,
        data_root=outcome.dataset.boxes.root,
        settings=record,
        detector=contender.finder.kind,
        name=contender.name,
        canvas=_canvas(outcome.detector.weights),
        split_sha256=outcome.dataset.split.sha256,
        weights=outcome.detector.weights.source,
        lineage=outcome.detector.lineage,
        reasons=tuple(log.reasons),
        versions=versions(),
        intensity=outcome.dataset.images.intensity.chosen,
    )


def _canvas(weights: Weights) -> tuple[int, int]:
    height, width, _ = weights.input_spec.shape
    return width, height


def _key(record: dict[str, Any], dataset: BoxedDataset, weights: Weights) -> str:
    """Hash of everything that a ladder depends on besides time."""
    libraries = ("regraft", "torch", "torchvision", "timm", "numpy")
    boxes = [[one.path, one.sha256, [str(box) for box in one.boxes]] for one in dataset.boxes.pictures]
    return key_of(
        {
            "purpose": "detection",
            "request": record,
            "split": dataset.split.sha256,
            "boxes": key_of(boxes),
            "weights": weights.sha256,
            "loader_version": LOADER_VERSION,
            "versions": {name: metadata.version(name) for name in libraries},
        }
    )
