"""The verb `advise`, and `plan`, which is its plan alone."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from regraft.data.findings.image_set import Images
from regraft.plans.plan import Plan
from regraft.progress import Reporter, Silent
from regraft.records import Side
from regraft.runs.log import RunLog
from regraft.settings import DataSettings, FitSettings, TrainSettings
from regraft.workflow.keywords import FitChanges
from regraft.workflow.ladder_fit import state_for
from regraft.workflow.preparation import data_settings_of
from regraft.workflow.rehearsal import begin, rehearsed
from regraft.workflow.request import make_request

if TYPE_CHECKING:  # they import torch, which solved heads do without
    from regraft.workflow.advice import Advice


def advise(
    images: Images | str | Path,
    settings: FitSettings | None = None,
    *,
    training: TrainSettings | None = None,
    data: DataSettings | None = None,
    from_run: str | Path | None = None,
    reporter: Reporter | None = None,
    **changes: Unpack[FitChanges],
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
    data_settings = data_settings_of(images, data, reporter)
    request = make_request(settings, training, None, changes)
    log = RunLog(reporter or Silent(), None)
    is_named = request.fit.strategy != "auto"
    sides: tuple[Side, ...] = () if is_named else ("train", "validation")
    begun = begin(images, request, data_settings, from_run, log, sides=sides)
    if is_named:
        return named_advice(rehearsed(begun, log), begun.networks)
    state = state_for(
        begun.prepared,
        begun.request,
        begun.start,
        started=started,
        reporter=log,
        purpose="advice",
    )
    return advised(
        begun.prepared, state, begun.start.weights, log,
        rehearsal=rehearsed(begun, log), networks=begun.networks,
    )  # fmt: skip


def plan(images: Images | str | Path, settings: FitSettings | None = None, **others: Any) -> Plan:
    """The plan alone of what `advise` returns for the same arguments.

    Raises:
        RegraftError: the message says what to change.
    """
    return advise(images, settings, **others).plan
