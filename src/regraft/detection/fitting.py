"""The story of a detector on one page: boxes, pictures, maps, rungs, test, run folder."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from regraft.arguments import seconds_in
from regraft.data.findings.scan import ScanSettings
from regraft.data.pictures.loading import LOADER_VERSION, LoadLimits
from regraft.detection.annotations.boxes import BoxSet
from regraft.detection.changes import say_changed_boxes
from regraft.detection.contenders import Contender, found_in
from regraft.detection.dataset import BoxedDataset, boxed_dataset
from regraft.detection.detectors.detector import Detector
from regraft.detection.detectors.records import DetectionRun
from regraft.detection.detectors.thresholds import goal_remarks
from regraft.detection.ladder import DetectionInputs, DetectionLadder, regions_s, try_grid, try_regions
from regraft.detection.maps.cached_maps import CachedMaps, canvas_decoding
from regraft.detection.maps.canvas import canvas_for
from regraft.detection.outcome import DetectionOutcome, outcome_of
from regraft.detection.run_writing import write_detection_run
from regraft.detection.training_cost import SURE, division, least_s
from regraft.errors import SettingsError
from regraft.evaluation.detection_scores import DRAWS
from regraft.features.extraction import decode_while_waiting
from regraft.features.opening import Compute
from regraft.goal import BOX_MEASURES, Goal
from regraft.ladder.ledger import Ledger
from regraft.ladder.stopwatch import Stopwatch
from regraft.machine.processor import count_cores
from regraft.networks.weights.finding import Weights
from regraft.plans.cost_book import CostBook
from regraft.plans.costs import extract_name
from regraft.progress import Reporter
from regraft.records import Side
from regraft.runs.folders import EarlierImages
from regraft.runs.log import RunLog, versions
from regraft.runs.records import LadderRecord
from regraft.settings import DEFAULT_BUDGET, DataSettings, FitSettings, TrainSettings, differences
from regraft.storage.files import key_of
from regraft.version import VERSION

_SAVING_S = 3.0  # seconds that a run takes to be written
_FEW_DRAWS = 200  # of a run that another rung, or the end, will replace
_SIDES: tuple[Side, ...] = ("train", "validation", "test")
_TOLD = frozenset({"untrained-class", "units", "rotation", "size", "leak", "conflicting-copies"})


@dataclass(frozen=True)
class DetectionRequest:
    """What the user wants: data and settings."""

    boxes: BoxSet
    fit: FitSettings
    training: TrainSettings
    data: DataSettings
    weights: Weights
    lineage: tuple[str, ...]
    compute: Compute


_OBEYED = frozenset(
    [
        "network",
        "weights",
        "offline",
        "accept_license",
        "image_size",
        "budget",
        "goal",
        "classes",
        "test_share",
        "seed",
        "precision",
        "runtime",
        "device",
        "stages",
        "epochs",
        "lr",
        "weight_decay",
        "clip_norm",
        "effective_batch",
        "micro_batch",
        "augment",
        "memory_limit",
        "optimizer",
        "momentum",
        "schedule",
        "warmup",
        "ema",
    ]
)
"""The settings of a fit that have a meaning for detectors."""


def check_request(fit: FitSettings, training: TrainSettings, plan: object, data: DataSettings) -> None:
    """Refuse what has no meaning for a detector.

    Raises:
        SettingsError: a plan, `--network auto`, or a setting that would be ignored.
    """
    if plan is not None:
        raise SettingsError("--plan describes a classifier, but the data has boxes. Remove --plan")
    if fit.network == "auto":
        raise SettingsError(
            "--network auto compares networks as classifiers, but the data has boxes. Name a network"
        )
    ignored = [name for name in differences(fit, FitSettings()) if name not in _OBEYED]
    ignored += [name for name in differences(training, TrainSettings()) if name not in _OBEYED]
    if data.corrections is not None:
        ignored.append("corrections")
    if ignored:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in ignored)
        raise SettingsError(
            f"{flags}: no effect on a detector, but the data has boxes. Remove "
            f"{'it' if len(ignored) == 1 else 'them'}; --task classification fits classes of whole images"
        )
    if fit.goal is not None and Goal.parse(fit.goal).measure not in BOX_MEASURES:
        raise SettingsError(
            f"--goal {fit.goal} is for two classes of whole images, but the data has boxes. Accepted are "
            "recall=0.95 and precision=0.9"
        )
    if training.augment not in (None, "none", "flip"):
        raise SettingsError(
            f"--augment {training.augment} is for classes of whole images; detectors accept none and flip"
        )


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
    settings, limits = request.fit, LoadLimits(request.data.max_megapixels, request.data.max_file_mb)
    weights = on_canvas_weights(request, log)
    with ThreadPoolExecutor(1) as background:
        opening = background.submit(request.compute.open, weights, log, cut="maps")
        reading = request.data
        scanning = ScanSettings(
            limits,
            reading.max_bad_share,
            reading.workers,
            reading.look_alikes,
            reading.range,
            reading.window,
            reading.retry_failed,
        )
        dataset = boxed_dataset(
            request.boxes, scanning, seed=settings.seed, test_share=settings.test_share, reporter=log
        )
        _tell(dataset, log)
        say_changed_boxes(earlier, dataset, folder, log)
        weights = weights.seeing(dataset.images.intensity.chosen)
        decoding = canvas_decoding(dataset.images, weights.input_spec, limits)
        ready = decode_while_waiting(decoding, _first_keys(dataset), weights.input_spec, opening)
        runtime = opening.result()
    workers = request.data.workers or count_cores()
    maps = CachedMaps(dataset.images, weights.input_spec, runtime, limits, workers, ready)
    maps.check_room([one.sha256 for side in _SIDES for one in dataset.pictures(side)])
    book = CostBook()
    extract_s = _extracted(maps, dataset, weights, book, request, log)
    budget_s = seconds_in(settings.budget or DEFAULT_BUDGET)
    watch = Stopwatch(Ledger(_key(record, dataset, weights)))
    watch.start(time.perf_counter() - started)
    inputs = DetectionInputs(
        dataset,
        maps,
        settings,
        request.training,
        budget_s,
        watch.remembered("start", "extract_s", extract_s, digits=6),
        weights,
        request.compute,
    )

    def outcome(
        contender: Contender, ladder: LadderRecord, test: Any = None, *, is_final: bool = False
    ) -> DetectionOutcome:
        return outcome_of(
            dataset,
            contender,
            ladder,
            weights=contender.weights or weights,
            precision=settings.precision,
            lineage=request.lineage,
            folder=folder,
            goal=Goal.parse(settings.goal) if settings.goal else None,
            test=test,
            draws=DRAWS if is_final else _FEW_DRAWS,
        )

    best: list[str] = []

    def write(outcome: DetectionOutcome, contender: Contender, *, is_final: bool) -> None:
        if folder is not None:
            run = _run(outcome, contender, record, log)
            write_detection_run(folder, run, outcome, is_final=is_final)

    def keep(contender: Contender, table: LadderRecord) -> None:
        write(outcome(contender, table), contender, is_final=False)
        if folder is not None:
            what = "a better detector replaces it" if best else "a usable detector is saved"
            log.note(f"{what} in {folder}: {contender.name}")
        best[:] = [contender.name]

    ladder = DetectionLadder(inputs, watch, book, log, keep)
    try:
        contender = try_rungs(ladder)
        final = outcome(contender, ladder.record, _test(contender, ladder, weights), is_final=True)
    except KeyboardInterrupt:
        if best and folder is not None:
            log.warn(f"stopped; {folder} holds the best so far, {best[0]}, ready to use")
        raise
    if summary := watch.predictions.summary():
        log.note(summary)
    _tell_goal(final, log)
    write(final, contender, is_final=True)
    log.record("finished")
    return final.detector


def try_rungs(ladder: DetectionLadder) -> Contender:
    """Try all rungs that the budget allows; returns the contender that is kept."""
    grid = try_grid(ladder)
    parts = division(ladder)
    regions, training = regions_s(ladder), 0.0 if parts.doubt else least_s(ladder, parts)
    left = ladder.time_left_s
    if regions + _SAVING_S + training / SURE <= left or training / SURE > left or not training:
        try_regions(ladder, grid)
    else:
        ladder.tell("regions", "not tried: the time is better spent on training", predicted_s=regions)
    if ladder.time_left_s > 0 or not parts.doubt:
        from regraft.detection.last_stages_rung import try_last_stages  # they import torch
        from regraft.detection.trained_rungs import try_training

        if (winner := try_training(ladder)) is not None:
            try_last_stages(ladder, winner)
    assert ladder.best is not None
    return ladder.best


def on_canvas_weights(request: DetectionRequest, reporter: Reporter) -> Weights:
    """The network with the canvas as its input: of the usual shape of the pictures."""
    sizes = [(one.width, one.height) for one in request.boxes.pictures]
    asked = request.fit.image_size
    width, height = canvas_for(sizes, longer_px=asked)
    why = "its sides are multiples of 32 pixels, and its shape is the usual one of the pictures"
    reporter.decided(f"a canvas of {width} x {height} pixels", why, "--image-size")
    usual = sorted(max(size) for size in sizes)[len(sizes) // 2]
    if asked is not None and max(width, height) > 1.5 * usual:
        reporter.warn(
            f"the canvas is larger than most pictures, whose longer side has {usual:,} pixels: they are "
            "enlarged, which takes time and shows nothing more"
        )
    shape = {"size_px": height, "width_px": width, "framing": "crop"}  # a canvas has its own framing
    spec = request.weights.input_spec.model_copy(update=shape)
    return replace(request.weights, input_spec=spec)


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


def _tell_goal(final: DetectionOutcome, log: RunLog) -> None:
    """What the thresholds reach of the goal, if there is one."""
    sheet = final.detector.scores.goal if final.detector.scores else None
    for is_good, sentence in goal_remarks(sheet) if sheet else ():
        (log.note if is_good else log.warn)(sentence)


def maps_name(request: DetectionRequest, weights: Weights) -> str:
    """The name under which a cost book keeps the seconds that one picture takes from file to maps."""
    return f"{extract_name(weights, request.compute.runtime, request.fit.precision)}/maps"


def _extracted(
    maps: CachedMaps,
    dataset: BoxedDataset,
    weights: Weights,
    book: CostBook,
    request: DetectionRequest,
    log: RunLog,
) -> float:
    """Compute the maps of the training and validation pictures; seconds for a picture."""
    keys = _first_keys(dataset)
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
    sides: tuple[Side, ...] = ("train", "validation")
    return sorted(one.sha256 for side in sides for one in dataset.pictures(side))


def _test(contender: Contender, ladder: DetectionLadder, weights: Weights) -> Any:
    """What the contender finds in the test pictures, which are used here for the first time."""
    maps = contender.maps or ladder.inputs.maps
    scenes = ladder.inputs.dataset.scenes("test", weights.input_spec)
    if not scenes:
        return None
    return scenes, found_in(contender.finder, scenes, maps, ladder.reporter)


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
