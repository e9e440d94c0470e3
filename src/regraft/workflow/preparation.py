"""Everything before a head is fitted: find, check, split, and compute the features."""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import NoneType

from regraft.arguments import check_kind, check_place, check_reporter, described, seconds_in
from regraft.data.corrections import corrected
from regraft.data.findings.image_set import Images
from regraft.data.findings.known_classes import with_known_classes
from regraft.data.findings.picture_findings import WARNED_KINDS
from regraft.data.findings.scan import ScanSettings, scan
from regraft.data.images import find_images
from regraft.data.pictures.loading import LoadLimits
from regraft.data.sources.candidates import Found
from regraft.data.sources.column_names import TableColumns
from regraft.data.splits import split_findings, split_images
from regraft.detection.annotations.recognition import has_boxes
from regraft.errors import DataError, NoImagesError, close_names
from regraft.execution.choosing import find_executor
from regraft.features.extraction import Features, decode_while_waiting, feature_store, input_decoding
from regraft.features.opening import Compute
from regraft.features.runtimes import Runtime
from regraft.heads.dataset import Dataset
from regraft.named.cards import set_cards
from regraft.named.hub_sets import hub_address, hub_folder
from regraft.named.sets import laid_out, licence_text, set_named
from regraft.networks.weights.finding import Weights
from regraft.plans.cost_book import CostBook
from regraft.plans.costs import extraction_s
from regraft.plans.planning import Circumstances
from regraft.progress import Reporter, duration
from regraft.records import Precision, Side, Split
from regraft.runs.log import RunLog
from regraft.settings import DEFAULT_BUDGET, DataSettings
from regraft.storage.places import cache_folder, cache_limit
from regraft.storage.rows import Rows
from regraft.storage.tables import printable
from regraft.storage.upkeep import prune
from regraft.tasks.wishes import with_wishes
from regraft.workflow.request import Request

EVERY_SIDE: tuple[Side, ...] = ("train", "validation", "test")
PLACES = "a folder with a folder of images per class, and a CSV or Parquet table, as text or a Path"
"""Where images can be, for messages."""
_ENOUGH = 2.0  # the advised budget, as a multiple of what the features take
_ROUND_S = 30.0


@dataclass(frozen=True)
class Prepared:
    """A data set with its features, and what choices depend on."""

    dataset: Dataset
    circumstances: Circumstances
    runtime: Runtime
    weights: Weights
    """The network's weights, whose input has the range of the images of more than 8 bits."""
    compute: Compute
    """How the features were computed; the runtime is the one that was chosen."""
    extract_s: float | None = None
    """Seconds for an image from file to features; None where all of them were in the cache."""
    extract_processor_s: float = 0.0
    """Processor seconds of the same."""


def data_settings_of(
    images: Images | str | Path, data: DataSettings | None, reporter: Reporter | None
) -> DataSettings:
    """How images are read, after a look at the kinds of what was given.

    Raises:
        RegraftError: an argument is of the wrong kind.
    """
    check_kind("data", data, (DataSettings, NoneType), "DataSettings and None")
    check_reporter(reporter)
    if not isinstance(images, Images):
        accepted = f"{PLACES}, and what `load_images` returns"
        if not isinstance(images, str | os.PathLike):
            accepted += ". For a list of images with their labels, use `regraft.ImageClassifier`"
            raise DataError(f"images is {described(images)}; accepted are {accepted}")
        check_place("images", images, accepted, error=DataError)
    return data or DataSettings()


def found_images(source: str | Path, settings: DataSettings, reporter: Reporter | None = None) -> Found:
    """What a folder or table holds, before any file is opened.

    Raises:
        DataError: the source can't be the name of a folder or table, or holds no images with labels.
    """
    check_place("source", source, PLACES, error=DataError)
    named = _named(str(source), settings)
    if named is not None:
        return named
    boxes = boxes_in(source, settings)
    if boxes:
        raise DataError(
            f"{printable(str(source))} holds boxes around objects ({boxes}), and this command is for classes "
            "of whole images: `regraft fit` fits a detector by a ladder, `regraft fit --dry-run` says what "
            "it begins with, `regraft check` checks the boxes. With --task classification the names of "
            "folders, or a column of a table, are taken as classes"
        )
    return _found(source, settings, reporter)


def _named(source: str, settings: DataSettings) -> Found | None:
    """What the name of a data set means where nothing of that name is here; None for all other sources."""
    address = hub_address(source)
    if address is not None:
        return _found(hub_folder(address), settings)
    if set_named(source) is None:
        if not os.path.lexists(source) and (close := close_names(source, set_cards())):
            raise NoImagesError(
                f"{printable(source)} does not exist, and no data set has this name{close}; `regraft data` "
                "lists all names"
            )
        return None
    known = laid_out(source, settings.data_root)
    found = _found(known.source, replace(settings, root=str(known.root) if known.root else None))
    text = f"{known.card.title}, licence: {licence_text(known.card)}: {found.layout}"
    return replace(found, layout=text)


def _found(source: str | Path, settings: DataSettings, reporter: Reporter | None = None) -> Found:
    columns = TableColumns(
        settings.path_column,
        settings.label_column,
        settings.label_columns or (),
        settings.split_column,
        settings.group_column,
    )
    return find_images(
        source,
        root=settings.root,
        columns=columns,
        layout=settings.layout,
        task=settings.task_name,
        fetches=settings.fetch_urls,
        reporter=reporter,
    )


def boxes_in(source: str | Path, settings: DataSettings) -> str | None:
    """What a data set is called if it is one of boxes, as `Pascal VOC XML, 364 files`; otherwise None.

    A folder with two or more folders of classes is one of classes, whatever annotation files are there too.
    """
    boxes = (
        None
        if asks_for_classes(settings)
        else has_boxes(Path(source), Path(settings.root) if settings.root else None)
    )
    if boxes is None or not Path(source).is_dir():
        return boxes
    try:
        classes = {candidate.label for candidate in _found(source, settings).candidates}
    except DataError:
        return boxes
    return boxes if len(classes) < 2 else None


def asks_for_classes(settings: DataSettings) -> bool:
    """Whether a setting says that labels are of whole images, so that boxes are not looked for."""
    return settings.task != "auto" or settings.layout != "auto" or bool(settings.label_columns)


def located(
    images: Images | Found | str | Path, settings: DataSettings, reporter: Reporter | None = None
) -> Images | Found:
    """A data set whose files are known: the first thing to do, so that a wrong folder is the first error.

    Raises:
        DataError: nothing usable; says what was found and what is accepted.
    """
    return images if isinstance(images, Images | Found) else found_images(images, settings, reporter)


def scanned(found: Found, settings: DataSettings, reporter: Reporter | None) -> Images:
    """Every file looked at once, corrections obeyed, classes without training images left out."""
    how = ScanSettings(
        limits_of(settings),
        settings.max_bad_share,
        settings.workers,
        settings.look_alikes,
        settings.range,
        settings.window,
        settings.retry_failed,
        settings.reread_files,
    )
    images = scan(found, how, reporter=reporter)
    images = corrected(images, settings.corrections) if settings.corrections else images
    return with_known_classes(images) if found.task == "classification" else images


def limits_of(settings: DataSettings) -> LoadLimits:
    """The loader's limits."""
    return LoadLimits(settings.max_megapixels, settings.max_file_mb)


def compute_of(request: Request, settings: DataSettings) -> Compute:
    """How the features of a request are computed."""
    fit, plan = request.fit, request.plan
    runtime = plan.runtime if plan else fit.runtime
    return Compute(
        runtime,
        plan.precision if plan else fit.precision,
        fit.device,
        limits_of(settings),
        settings.workers,
        executor=find_executor(fit.executor),
    )


def prepare(
    images: Images | Found | str | Path,
    request: Request,
    data_settings: DataSettings,
    weights: Weights,
    log: RunLog,
    *,
    sides: tuple[Side, ...] = EVERY_SIDE,
) -> Prepared:
    """Do everything up to the features; meanwhile the network is converted in a process of its own.

    Args:
        images: a scanned data set, the files found for one, or where it is.
        request: what is to be fitted.
        data_settings: how images are read.
        weights: the network's weights.
        log: receives progress and notes.
        sides: whose features are computed; none leaves them out.
    """
    source = located(images, data_settings, log)
    settings, compute = request.fit, compute_of(request, data_settings)
    with ThreadPoolExecutor(1) as background:
        opening = background.submit(compute.open, weights, log)
        usable = source if isinstance(source, Images) else scanned(source, data_settings, log)
        split = split_images(usable, seed=settings.seed, test_share=settings.test_share)
        usable = replace(usable, findings=(*usable.findings, *split_findings(split, usable.task)))
        _tell(usable, split, log)
        assert usable.task is not None
        known = [row.label for row in split.rows if row.side == "train"]
        usable = replace(usable, task=with_wishes(usable.task, settings, known, log))
        wanted = on_sides(usable, split, sides)
        weights = weights.seeing(usable.intensity.chosen)
        decoding = input_decoding(wanted, weights.input_spec, compute.limits)
        decoded = decode_while_waiting(decoding, weights.input_spec, opening)
        runtime = opening.result()
    compute = replace(compute, runtime=runtime.facts["runtime"])
    circumstances = Circumstances(
        weights.network,
        runtime.layout,
        weights.input_spec,
        runtime.facts["runtime"],
        settings.device,
        usable.task,
    )
    if not sides:
        return Prepared(
            Dataset(usable, split, Features(Rows([], {}), runtime.layout, ()), settings.seed),
            circumstances,
            runtime,
            weights,
            compute,
        )
    if request.plan is None and settings.strategy == "auto":
        budget_s = seconds_in(settings.budget or DEFAULT_BUDGET)
        _warn_if_too_long(wanted, runtime, weights, circumstances, settings.precision, budget_s, log)
    started, used = time.perf_counter(), time.process_time()
    features = compute.extract(wanted, runtime, weights.input_spec, log, decoded=decoded)
    seconds = (time.perf_counter() - started) / max(1, len(wanted))
    processor_s = (time.process_time() - used) / max(1, len(wanted))
    _keep_cache_small(log)
    usable = replace(usable, skipped=(*usable.skipped, *features.skipped))
    dataset = Dataset(usable, split, features, settings.seed)
    was_computed = seconds > 1e-3  # a cached row takes microseconds
    extract_s = seconds if was_computed else None
    return Prepared(dataset, circumstances, runtime, weights, compute, extract_s, processor_s)


def _warn_if_too_long(
    images: Images,
    runtime: Runtime,
    weights: Weights,
    circumstances: Circumstances,
    precision: Precision,
    budget_s: float,
    log: RunLog,
) -> None:
    """Say before it begins that the extraction alone will take longer than the budget."""
    rows = feature_store(runtime, weights.input_spec).open(log)
    missing = sum(item.sha256 not in rows for item in images.items)
    predicted_s = (
        missing * extraction_s(weights, circumstances.runtime, precision, CostBook()) if missing else 0.0
    )
    if predicted_s <= budget_s:
        return
    enough = _ROUND_S * math.ceil(_ENOUGH * predicted_s / _ROUND_S)
    log.warn(
        f"the features of {missing:,} images are predicted to take {duration(predicted_s)}, and the budget "
        f"is {duration(budget_s)}: they will be completed and only the first model fitted. To have more "
        f"tried, stop now (Ctrl-C) and give more time (--budget {enough:.0f}s), a smaller network or fewer "
        "images"
    )


def on_sides(images: Images, split: Split, sides: tuple[Side, ...]) -> Images:
    """The images of some sides of a split."""
    kept = [item for item, row in zip(images.items, split.rows, strict=True) if row.side in sides]
    return replace(images, items=tuple(kept))


def _keep_cache_small(log: RunLog) -> None:
    """Prune to `$REGRAFT_CACHE_MAX`; features that are open stay readable, and are used longest ago last."""
    limit = cache_limit()
    freed = prune(cache_folder(), limit) if limit is not None else 0
    if freed:
        log.note(f"freed {freed / 1e6:,.1f} MB of the cache, to stay within $REGRAFT_CACHE_MAX")


_TOLD_KINDS = frozenset({"spelling", "label-hint", "unlabelled", "repeated", "format", "untrained-class"})


def _tell(images: Images, split: Split, log: RunLog) -> None:
    if images.layout:
        log.note(f"layout: {images.layout}")
    sides = Counter(row.side for row in split.rows)
    assert images.task is not None
    counts = " · ".join(f"{sides[side]:,} {side}" for side in EVERY_SIDE if sides[side])
    log.note(f"{images.task.summary} · {len(images):,} images · {counts} ({split.origin} split)")
    if split.history:
        log.note(split.history)
    images.intensity.tell(log)
    for finding in images.findings:
        if finding.kind in _TOLD_KINDS:
            log.warn(f"{finding.message} (findings.csv)")
    if images.skipped:
        log.warn(f"{len(images.skipped)} files were skipped (reasons in skipped.csv)")
    for kind, text in (
        ("leak", "look-alikes on different sides of the official split: test scores may flatter"),
        ("conflict", "identical or look-alike images with different labels"),
        ("look-alikes", "look-alikes that are not kept on one side of the split (a fixed camera?)"),
        ("tiny-class", "classes with very few images"),
    ):
        found = [finding for finding in images.findings if finding.kind == kind]
        if found:
            example = ", ".join(found[0].paths[:2]) or found[0].message
            log.warn(f"{len(found)} x {text}, for example {example} (all in findings.csv)")
    for finding in images.findings:
        if finding.kind in WARNED_KINDS:
            log.warn(f"{finding.message}, for example {finding.paths[0]} (all in findings.csv)")
