"""The training of a tail, as a user wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regraft.features.opening import Compute
from regraft.heads.dataset import Dataset
from regraft.plans.plan import Plan
from regraft.workflow.request import Start

if TYPE_CHECKING:  # they import torch, which solved heads do without
    from regraft.training.tuned import TailTraining


def tail_training(dataset: Dataset, plan: Plan, compute: Compute, start: Start) -> TailTraining:
    """The training that a plan asks for, ready to be carried out; torch is imported only here."""
    from regraft.training.start.trained_head import EarlierHead
    from regraft.training.tuned import TailTraining

    earlier = EarlierHead(start.earlier.labels, start.earlier.head) if start.earlier else None
    return TailTraining(dataset, plan, start.weights, compute, earlier)
