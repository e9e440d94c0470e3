"""The verb `find_lr`: the loss while the learning rate rises."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from regraft.arguments import described
from regraft.data.findings.image_set import Images
from regraft.errors import SettingsError
from regraft.plans.plan import TRAINED
from regraft.progress import Reporter, Silent
from regraft.runs.log import RunLog
from regraft.settings import DataSettings, FitSettings, TrainSettings
from regraft.workflow.keywords import FitChanges
from regraft.workflow.preparation import EVERY_SIDE, data_settings_of
from regraft.workflow.rehearsal import begin, planned
from regraft.workflow.request import make_request, tail_training

if TYPE_CHECKING:  # they import torch, which solved heads do without
    from regraft.training.loop.rate_finder import RateSearch


def find_lr(
    images: Images | str | Path,
    settings: FitSettings | None = None,
    *,
    training: TrainSettings | None = None,
    data: DataSettings | None = None,
    from_run: str | Path | None = None,
    steps: int = 80,
    reporter: Reporter | None = None,
    **changes: Unpack[FitChanges],
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
    data_settings = data_settings_of(images, data, reporter)
    if type(steps) is not int or not 1 <= steps <= 1_000_000:
        raise SettingsError(f"--steps {described(steps)} is out of range; accepted are 1 to 1,000,000")
    request = make_request(settings, training, None, changes)
    if request.fit.strategy not in TRAINED:
        raise SettingsError(
            f"--strategy {request.fit.strategy} trains nothing, so there is no learning rate to find; "
            f"strategies that train are {', '.join(TRAINED)}"
        )
    log = RunLog(reporter or Silent(), None)
    begun = begin(images, request, data_settings, from_run, log, sides=EVERY_SIDE)
    plan = planned(begun.prepared, begun.request, log)
    trainer = tail_training(begun.prepared.dataset, plan, begun.prepared.compute, begun.start)
    return trainer.search_rate(log, steps=steps)
