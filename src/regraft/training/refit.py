"""A solved head on several stages of a trained network, instead of the head that was trained with it.

The trained head reads only the last stage. Several stages together are more accurate, after training as
well as before it (benchmarks/refit.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from regraft.features.extraction import extract
from regraft.features.opening import open_runtime
from regraft.heads.dataset import Said
from regraft.heads.fitting import fit_head
from regraft.heads.head import Head
from regraft.heads.rows import best_temperature
from regraft.plans.plan import SolvedPlan
from regraft.progress import Reporter
from regraft.training.solved import set_sizes
from regraft.training.tuned import Tuned, TunedJob


def refit_plan(stages: Sequence[str]) -> SolvedPlan:
    """The plan of a logistic regression on the last third of the given stages.

    >>> refit_plan(["stem", "layer1", "layer2", "layer3", "layer4"]).stages
    ('layer3', 'layer4')
    """
    several = next((size for size in set_sizes(len(stages)) if size > 1), 1)
    return SolvedPlan(head="logistic", stages=tuple(stages[-several:]), statistics=("mean", "std", "token"))


def refit(trainer: TunedJob, tuned: Tuned, reporter: Reporter) -> Tuned:
    """The same trained network with a solved head, evaluated on the same images.

    The head is solved on the images that the network was trained on, and calibrated on the held-out images.

    Args:
        trainer: the job that trained the network; its plan has a `refit`.
        tuned: the result of the training.
        reporter: receives progress.
    """
    job, plan = trainer.job, trainer.plan
    assert plan.refit is not None
    assert plan.training is not None
    kept, held, method = job.held_out(plan.training.validation_share)
    wanted = set(job.keys([*kept, *held, *job.rows("test")]))
    images = replace(job.images, items=tuple(item for item in job.images.items if item.sha256 in wanted))
    runtime = open_runtime(
        tuned.weights, name=plan.runtime, precision=plan.precision, device=trainer.device, reporter=reporter
    )
    spec, workers = tuned.weights.input_spec, trainer.workers
    features = extract(images, runtime, spec, limits=trainer.limits, workers=workers, reporter=reporter)
    seen = replace(job, features=features)
    columns = tuple(
        column
        for column in features.layout
        if column.stage in plan.refit.stages and column.statistic in plan.refit.statistics
    )
    head = fit_head(seen.training_rows(kept), plan.refit.head, [columns]).head
    if held:
        scores = head.scores(features.matrix(seen.keys(held), columns))
        heat = best_temperature(scores, seen.truth(held))
        head = Head(head.record.model_copy(update={"temperature": heat}), head.arrays)
    test = seen.rows("test")
    said = Said(
        seen.predicted(head, held, method) if held else None,
        seen.predicted(head, test, "held-out test images") if test else None,
    )
    return replace(tuned, head=head, said=said if held or test else tuned.said, features=features)
