"""The story on one page: load, check, split, extract, fit, evaluate, save."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from regraft.data.loading import LoadLimits
from regraft.data.scan import ScanSettings, scan
from regraft.data.sources import Found, TableColumns, find_images
from regraft.data.splits import split_findings, split_images
from regraft.errors import SettingsError
from regraft.features.extraction import decode_while_waiting, extract
from regraft.features.runtimes import open_runtime
from regraft.networks.weights import Weights, find_network, find_weights
from regraft.prediction.model import Model
from regraft.progress import Reporter, Silent
from regraft.records import Images, Plan, Run, Split
from regraft.rowstore import prune
from regraft.runs import RunLog, choose_folder, versions, write_run
from regraft.settings import DataSettings, FitSettings, changed
from regraft.storage import cache_folder, cache_limit, make_folder
from regraft.training.solved import SolvedJob, make_plan


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
        reporter: is told how far it is.
        changes: single settings, by name.

    Raises:
        DataError: nothing usable; says what was found and what is accepted.
    """
    chosen: DataSettings = changed(settings or DataSettings(), changes)
    return _scanned(_found(source, chosen), chosen, reporter)


def _found(source: str | Path, settings: DataSettings) -> Found:
    columns = TableColumns(
        settings.path_column, settings.label_column, settings.split_column, settings.group_column
    )
    return find_images(source, root=settings.root, columns=columns)


def _scanned(found: Found, settings: DataSettings, reporter: Reporter | None) -> Images:
    how = ScanSettings(_limits(settings), settings.max_bad_share, settings.workers)
    return scan(found, how, reporter=reporter)


def _limits(settings: DataSettings) -> LoadLimits:
    return LoadLimits(settings.max_megapixels, settings.max_file_mb)


def fit(
    images: Images | str | Path,
    settings: FitSettings | None = None,
    *,
    data: DataSettings | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    **changes: Any,
) -> Model:
    """Transfer a pretrained network to a data set; see `FitSettings` for what can be set.

    Args:
        images: from `load_images`, or what it accepts.
        settings: all settings at once.
        data: how images are read.
        out: where the run folder goes; None writes none. `""` chooses `runs/NAME`.
        overwrite: replace a run of other settings in `out`.
        reporter: is told what happens.
        changes: single settings, by name.

    Returns:
        The model, with its scores.

    Raises:
        RegraftError: of the kind that says what to change.
    """
    chosen: FitSettings = changed(settings or FitSettings(), changes)
    log = RunLog(reporter or Silent(), None)
    network, weights = _choose_network(chosen, log)
    source = images.root if isinstance(images, Images) else str(images)
    record = {"data": str(Path(source).resolve()), **asdict(chosen), **asdict(data or DataSettings())}
    name = "-".join(filter(None, (Path(source).resolve().stem, network, chosen.strategy, chosen.cut)))
    folder = None if out is None else choose_folder(out or None, name, record, overwrite=overwrite)
    log = _started(log, reporter or Silent(), folder)
    reading = data or DataSettings()
    job, plan = _prepare(images, chosen, reading, weights, log)
    fitted = job.fit_head(plan, log)
    judgement = job.evaluate(fitted)
    model = Model(
        labels=job.images.labels,
        weights=weights,
        head=fitted.head,
        layout=job.features.layout,
        fitted_precision=chosen.precision,
        lineage=(weights.source.where,),
        scores=judgement.sheet,
        run_folder=folder,
    )
    if folder is not None:
        run = _run_record(job, plan, weights, log, record)
        write_run(folder, run=run, model=model, images=job.images, split=job.split, judgement=judgement)
        log.record("finished")
    return model


def _prepare(
    images: Images | str | Path, settings: FitSettings, reading: DataSettings, weights: Weights, log: RunLog
) -> tuple[SolvedJob, Plan]:
    """Everything up to the features. The network is converted in a process of its own meanwhile."""
    # A folder that is not there is an error at once, not after the conversion.
    source = images if isinstance(images, Images) else _found(images, reading)
    with ThreadPoolExecutor(1) as background:
        opening = background.submit(
            open_runtime,
            weights,
            name=settings.runtime,
            precision=settings.precision,
            device=settings.device,
            reporter=log,
        )
        usable = source if isinstance(source, Images) else _scanned(source, reading, log)
        split = split_images(usable, seed=settings.seed, test_share=settings.test_share)
        usable = replace(usable, findings=(*usable.findings, *split_findings(split)))
        _tell(usable, split, log)
        decoded = decode_while_waiting(usable, weights.input_spec, opening, limits=_limits(reading))
        runtime = opening.result()
    plan = make_plan(settings, runtime.layout, network=weights.network, runtime=runtime.facts["runtime"])
    features = extract(
        usable,
        runtime,
        weights.input_spec,
        limits=_limits(reading),
        workers=reading.workers,
        decoded=decoded,
        reporter=log,
    )
    _keep_cache_small(log)
    usable = replace(usable, skipped=(*usable.skipped, *features.skipped))
    return SolvedJob(usable, split, features, settings), plan


def _keep_cache_small(log: RunLog) -> None:
    """Prune to `$REGRAFT_CACHE_MAX`; features that are open stay readable, and are used longest ago last."""
    limit = cache_limit()
    freed = prune(cache_folder(), limit) if limit is not None else 0
    if freed:
        log.note(f"freed {freed / 1e6:,.1f} MB of the cache, to stay within $REGRAFT_CACHE_MAX")


def _choose_network(settings: FitSettings, log: RunLog) -> tuple[str, Weights]:
    network = settings.network
    if network is None:
        if settings.weights == "random":
            raise SettingsError("--weights random needs a --network; `regraft zoo` lists them")
        network, reason = find_network(weights=settings.weights)
        log.decided(f"network {network}", reason, "--network")
    weights = find_weights(network, weights=settings.weights, offline=settings.offline)
    if settings.weights == "random":
        log.warn(f"{network} has RANDOM weights: it knows nothing, and features of it are worth little")
    return network, weights


def _started(log: RunLog, reporter: Reporter, folder: Path | None) -> RunLog:
    if folder is None:
        return log
    make_folder(folder)
    started = RunLog(reporter, folder / "log.jsonl")
    started.reasons = log.reasons
    started.record("started", command=sys.argv, cwd=os.getcwd())
    return started


def _tell(images: Images, split: Split, log: RunLog) -> None:
    sides = {side: sum(row.side == side for row in split.rows) for side in ("train", "validation", "test")}
    counts = " · ".join(f"{count:,} {side}" for side, count in sides.items() if count)
    log.note(f"{len(images.labels)} classes · {len(images):,} images · {counts} ({split.origin} split)")
    if images.skipped:
        log.warn(f"{len(images.skipped)} files were skipped (reasons in skipped.csv)")
    for kind, text in (
        ("leak", "look-alikes on different sides of the official split: test scores may flatter"),
        ("conflict", "identical or look-alike images with different labels"),
        ("tiny-class", "classes with very few images"),
    ):
        found = [finding for finding in images.findings if finding.kind == kind]
        if found:
            example = ", ".join(found[0].paths[:2]) or found[0].message
            log.warn(f"{len(found)} x {text}, for example {example} (all in findings.csv)")


def _run_record(job: SolvedJob, plan: Plan, weights: Weights, log: RunLog, settings: dict[str, Any]) -> Run:
    return Run(
        regraft_version=metadata.version("regraft"),
        data_root=job.images.root,
        settings=settings,
        plan=plan,
        split_sha256=job.split.sha256,
        weights=weights.source,
        reasons=tuple(log.reasons),
        versions=versions(),
    )
