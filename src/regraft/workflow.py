"""The story on one page: load, check, split, extract, fit, evaluate, save."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regraft.data.loading import LoadLimits
from regraft.data.scan import ScanSettings, scan
from regraft.data.sources import Found, TableColumns, find_images
from regraft.data.splits import split_findings, split_images
from regraft.errors import SettingsError
from regraft.features.extraction import Features, decode_while_waiting, extract
from regraft.features.heads import Head
from regraft.features.runtimes import open_runtime
from regraft.networks.weights import Weights
from regraft.plans import TRAINED, Plan, Run
from regraft.prediction.model import Model
from regraft.progress import Reporter, Silent
from regraft.records import Images, Split
from regraft.request import Request, Start, find_start, make_request
from regraft.rowstore import Rows, prune
from regraft.runs import RunLog, choose_folder, versions, write_run
from regraft.settings import DataSettings, FitSettings, TrainSettings, changed
from regraft.storage import cache_folder, cache_limit, make_folder
from regraft.training.history import History
from regraft.job import Job, Judgement
from regraft.training.planning import Circumstances, check_plan, make_plan
from regraft.training.solved import fit_solved, judge_solved

if TYPE_CHECKING:  # they import torch, which solved heads do without
    from regraft.training.rate_finder import RateSearch
    from regraft.training.tuned import TunedJob


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
        reporter: is told what happens.
        changes: single settings of `FitSettings` or `TrainSettings`, by name.

    Returns:
        The model, with its scores.

    Raises:
        RegraftError: of the kind that says what to change.
    """
    asked = make_request(settings, training, plan, changes)
    log = RunLog(reporter or Silent(), None)
    start = find_start(asked, from_run, log)
    source = images.root if isinstance(images, Images) else str(images)
    reading = data or DataSettings()
    record = {"data": str(Path(source).resolve()), **asked.record(), **asdict(reading)}
    record |= {"from_run": str(from_run) if from_run else None}
    parts = (Path(source).resolve().stem, start.weights.network, asked.fit.strategy, asked.fit.cut)
    folder = None
    if out is not None:
        folder = choose_folder(out or None, "-".join(filter(None, parts)), record, overwrite=overwrite)
    log = _started(log, reporter or Silent(), folder)
    job, made = _prepare(images, asked, reading, start.weights, log)
    fitted = _carry_out(job, made, asked, reading, start, log)
    model = Model(
        labels=job.images.labels,
        weights=fitted.weights,
        head=fitted.head,
        layout=job.features.layout,
        fitted_precision=made.precision,
        lineage=fitted.lineage,
        scores=fitted.judgement.sheet,
        run_folder=folder,
    )
    if folder is not None:
        run = _run_record(job, made, start, model, log, record)
        write_run(
            folder, run=run, model=model, images=job.images, split=job.split, judgement=fitted.judgement,
            history=fitted.history,
        )  # fmt: skip
        log.record("finished")
    return model


def plan(
    images: Images | str | Path,
    settings: FitSettings | None = None,
    *,
    training: TrainSettings | None = None,
    data: DataSettings | None = None,
    from_run: str | Path | None = None,
    reporter: Reporter | None = None,
    **changes: Any,
) -> Plan:
    """What `fit` would do with these settings, every choice made; to be printed, saved, edited and run.

    Raises:
        RegraftError: of the kind that says what to change.
    """
    asked = make_request(settings, training, None, changes)
    log = RunLog(reporter or Silent(), None)
    start = find_start(asked, from_run, log)
    return _prepare(images, asked, data or DataSettings(), start.weights, log, is_extracted=False)[1]


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
        images: as in `fit`, like all others but
        settings: of a strategy that trains.
        training: how.
        data: how images are read.
        from_run: an earlier run to start from.
        steps: optimizer steps to take; the weights are put back afterwards.
        reporter: is told what happens.
        changes: single settings.

    Raises:
        SettingsError: the strategy trains nothing.
    """
    asked = make_request(settings, training, None, changes)
    if asked.fit.strategy not in TRAINED:
        raise SettingsError(
            f"--strategy {asked.fit.strategy} trains nothing, so there is no learning rate to find; "
            f"strategies that train are {', '.join(TRAINED)}"
        )
    log = RunLog(reporter or Silent(), None)
    start = find_start(asked, from_run, log)
    job, made = _prepare(images, asked, data or DataSettings(), start.weights, log)
    return _tuned_job(job, made, asked, data or DataSettings(), start).search_rate(log, steps=steps)


@dataclass(frozen=True)
class _Fitted:
    """What carrying out a plan gave."""

    head: Head
    judgement: Judgement
    weights: Weights
    lineage: tuple[str, ...]
    history: History | None


def _prepare(
    images: Images | str | Path,
    asked: Request,
    reading: DataSettings,
    weights: Weights,
    log: RunLog,
    *,
    is_extracted: bool = True,
) -> tuple[Job, Plan]:
    """Everything up to the features. The network is converted in a process of its own meanwhile."""
    # A folder that is not there is an error at once, not after the conversion.
    source = images if isinstance(images, Images) else _found(images, reading)
    settings = asked.fit
    with ThreadPoolExecutor(1) as background:
        opening = background.submit(
            open_runtime,
            weights,
            name=asked.plan.runtime if asked.plan else settings.runtime,
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
    around = Circumstances(
        weights.network,
        runtime.layout,
        weights.input_spec,
        runtime.facts["runtime"],
        settings.device,
    )
    made = check_plan(asked.plan, around) if asked.plan else make_plan(settings, asked.training, around, log)
    if not is_extracted:
        return Job(usable, split, Features(Rows([], {}), runtime.layout, ()), settings.seed), made
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
    return Job(usable, split, features, settings.seed), made


def _carry_out(
    job: Job, made: Plan, asked: Request, reading: DataSettings, start: Start, log: RunLog
) -> _Fitted:
    """A head that is solved, or a tail that is trained."""
    if made.training is None:
        solved = fit_solved(job, made, has_cut=asked.fit.cut is not None, reporter=log)
        return _Fitted(solved.head, judge_solved(job, solved), start.weights, start.lineage, None)
    tuned = _tuned_job(job, made, asked, reading, start).fit(log)
    lineage = (*start.lineage, f"{made.strategy} on {Path(job.images.root).name}")
    return _Fitted(tuned.head, tuned.judgement, tuned.weights, lineage, tuned.history)


def _tuned_job(job: Job, made: Plan, asked: Request, reading: DataSettings, start: Start) -> TunedJob:
    from regraft.training.tail import EarlierHead
    from regraft.training.tuned import TunedJob

    workers = reading.workers or os.cpu_count() or 1
    earlier = EarlierHead(start.earlier.labels, start.earlier.head) if start.earlier else None
    return TunedJob(job, made, start.weights, asked.fit.device, _limits(reading), workers, earlier)


def _keep_cache_small(log: RunLog) -> None:
    """Prune to `$REGRAFT_CACHE_MAX`; features that are open stay readable, and are used longest ago last."""
    limit = cache_limit()
    freed = prune(cache_folder(), limit) if limit is not None else 0
    if freed:
        log.note(f"freed {freed / 1e6:,.1f} MB of the cache, to stay within $REGRAFT_CACHE_MAX")


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
