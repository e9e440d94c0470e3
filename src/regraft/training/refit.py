"""A solved head on several stages of a trained network, instead of the head that was trained with it.

The trained head reads only the last stage. Several stages together are more accurate, after training as
well as before it (benchmarks/refit.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from regraft.heads.fitting import fit_head
from regraft.plans.plan import TRAINED_HEADS, SolvedPlan
from regraft.progress import Reporter
from regraft.records import Link
from regraft.training.evaluation import Tuned, calibrated, unseen_of, with_features
from regraft.training.solved import set_sizes
from regraft.training.start.setup import Order


def refit_plan(stages: Sequence[str], link: Link = "softmax") -> SolvedPlan:
    """The plan of a regression on the last third of the given stages: logistic, or of a number.

    >>> refit_plan(["stem", "layer1", "layer2", "layer3", "layer4"]).stages
    ('layer3', 'layer4')
    """
    several = next((size for size in set_sizes(len(stages)) if size > 1), 1)
    return SolvedPlan(
        head=TRAINED_HEADS[link], stages=tuple(stages[-several:]), statistics=("mean", "std", "token")
    )


def refit(order: Order, tuned: Tuned, reporter: Reporter) -> Tuned:
    """The same trained network with a solved head, evaluated on the same images.

    The head is solved on the images that the network was trained on, and calibrated on the held-out images.

    Args:
        order: what the network was trained by; its plan has a `refit`.
        tuned: the result of the training.
        reporter: receives progress.
    """
    dataset, plan = order.dataset, order.plan
    assert plan.refit is not None
    kept, held, method = dataset.held_out(order.settings.validation_share)
    seen = with_features(order, tuned.weights, [*kept, *held, *dataset.rows("test")], reporter)
    columns = tuple(
        column
        for column in seen.features.layout
        if column.stage in plan.refit.stages and column.statistic in plan.refit.statistics
    )
    solved = fit_head(seen.training_rows(kept), plan.refit.head, [columns]).head
    head = calibrated(seen, solved, held)
    unseen = unseen_of(seen, head, held, method)
    is_evaluated = unseen.validation is not None or unseen.test is not None
    return replace(tuned, head=head, unseen=unseen if is_evaluated else tuned.unseen, features=seen.features)
