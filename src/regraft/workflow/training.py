"""The training of a tail, as a user request for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regraft.heads.dataset import Dataset
from regraft.machine.processor import count_cores
from regraft.plans.plan import Plan
from regraft.settings import DataSettings
from regraft.workflow.preparation import limits_of
from regraft.workflow.request import Request, Start

if TYPE_CHECKING:  # they import torch, which solved heads do without
    from regraft.training.tuned import TailTraining


def tail_training(
    dataset: Dataset, made: Plan, request: Request, data_settings: DataSettings, start: Start
) -> TailTraining:
    """The training that a plan asks for, ready to be carried out; torch is imported only here."""
    from regraft.training.start.trained_head import EarlierHead
    from regraft.training.tuned import TailTraining

    workers = data_settings.workers or count_cores()
    earlier = EarlierHead(start.earlier.labels, start.earlier.head) if start.earlier else None
    return TailTraining(
        dataset, made, start.weights, request.fit.device, limits_of(data_settings), workers, earlier
    )
