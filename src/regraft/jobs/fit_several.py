"""Several fits by one command: each data set by itself, one after the other, whatever becomes of the others.

They share the cache, and the workers of an executor: the first fit that needs them starts them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from regraft.detection.detectors.detector import Detector
from regraft.errors import RegraftError, SettingsError
from regraft.execution.choosing import find_executor
from regraft.machine.launchers import launched
from regraft.named.sets import check_here, set_named
from regraft.prediction.model import Model
from regraft.progress import Reporter, Silent
from regraft.settings import DataSettings, FitSettings, TrainSettings
from regraft.storage.tables import printable
from regraft.workflow.fit import fit
from regraft.workflow.preparation import found_images
from regraft.workflow.request import make_request


@dataclass(frozen=True)
class OneOfSeveral:
    """What came of the fit of one data set."""

    data: str
    """The data set, as it was given."""
    took_s: float
    model: Model | Detector | None
    """The model, with its scores and its run folder; None if the fit failed."""
    error: str = ""
    """Why it failed, with what to do."""


def fit_several(
    sources: Sequence[str],
    settings: FitSettings,
    *,
    training: TrainSettings | None = None,
    data: DataSettings | None = None,
    plan: str | None = None,
    from_run: str | None = None,
    out: str | None = None,
    overwrite: bool = False,
    devices: int | Literal["auto"] = 1,
    reporter: Reporter | None = None,
) -> Iterator[OneOfSeveral]:
    """Fit a model to each of several data sets; a fit that fails does not stop the others.

    The same call resumes after an interruption: fits that were finished find everything in the cache.

    Args:
        sources: at least two data sets, as in `fit`.
        settings: how each of them is fitted.
        training: how tails are trained.
        data: how images are read.
        plan: a plan to carry out for each of them.
        from_run: an earlier run, whose network is where each of them starts.
        out: folder of the run folders, which are called as `names_of` says; None chooses `runs/NAME` as a
            single fit does.
        overwrite: replace runs of other settings.
        devices: number of processes that train together.
        reporter: receives progress and notes.

    Raises:
        SettingsError: the settings contradict each other, a data set is given twice, or a launcher has
            started several processes.
        DataError: a data set does not exist; nothing has been fitted then.
    """
    reporter, data = reporter or Silent(), data or DataSettings()
    make_request(settings, training, plan, {})
    find_executor(settings.executor)
    _check(sources, data)
    for number, (source, name) in enumerate(zip(sources, names_of(sources), strict=True), start=1):
        reporter.note(f"data set {number} of {len(sources)}: {printable(source)}")

        def carried_out(source: str = source, name: str = name) -> Model | Detector:
            return fit(
                source,
                settings,
                training=training,
                data=data,
                plan=plan,
                from_run=from_run,
                out=str(Path(out, name)) if out else "",
                overwrite=overwrite,
                devices=devices,
                reporter=reporter,
            )

        yield _outcome(source, carried_out, reporter)


def _outcome(source: str, carry_out: Callable[[], Model | Detector], reporter: Reporter) -> OneOfSeveral:
    started, error = time.perf_counter(), ""
    model: Model | Detector | None = None
    try:
        model = carry_out()
    except RegraftError as problem:
        error = problem.with_flags
    except Exception as problem:  # noqa: BLE001 (a bug that one data set uncovers does not stop the others)
        kind = type(problem).__name__
        error = f"{kind}: {problem}. This is a bug in regraft; fit this data set alone, with --debug"
    if error:
        reporter.warn(f"{printable(source)} failed: {error}")
    return OneOfSeveral(source, time.perf_counter() - started, model, error)


def _check(sources: Sequence[str], data: DataSettings) -> None:
    """Refuse what can be known before the first fit: hours later it would be too late."""
    place = launched()
    if place is not None:
        raise SettingsError(
            f"{len(sources)} data sets can't be fitted by {place.size} processes of a launcher. Fit them one "
            "by one, or start the command without a launcher and with --devices"
        )
    first: dict[str, str] = {}
    for source in sources:
        where = os.path.realpath(source)
        if where in first:
            raise SettingsError(
                f"{printable(source)} is the data set {printable(first[where])}, which is given already; "
                "name each data set once"
            )
        first[where] = source
        check_here(source, data.data_root)
        if not os.path.lexists(source) and set_named(source) is None:
            found_images(source, data)


def names_of(sources: Sequence[str]) -> list[str]:
    """A name for the run folder of each data set: that of its own folder or file.

    Where several have the same name, those of the folders above are put in front until they differ.

    >>> names_of(["sets/birds", "photos.csv", "other/birds/"])
    ['sets-birds', 'photos', 'other-birds']
    """
    paths = [Path(os.path.abspath(source)) for source in sources]
    parts = [(*path.parent.parts[1:], path.stem) for path in paths]
    names = [own[-1:] for own in parts]
    for count in range(2, max(map(len, parts)) + 1):
        alike = {name for name in names if names.count(name) > 1}
        if not alike:
            break
        names = [own[-count:] if name in alike else name for own, name in zip(parts, names, strict=True)]
    joined = ["-".join(name) for name in names]
    counts = [joined[: place + 1].count(name) for place, name in enumerate(joined)]
    return [name if count == 1 else f"{name}-{count}" for name, count in zip(joined, counts, strict=True)]
