"""Tails that are trained for several labels and for numbers, on maps whose answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import expit

from regraft.features.pooling import summarise
from regraft.progress import Silent
from regraft.records import Column
from regraft.tasks.multilabel import Multilabel
from regraft.tasks.regression import Regression
from regraft.tasks.task import Task
from regraft.training.loop.batches import TensorSource
from regraft.training.loop.engine import Trainer
from regraft.training.loop.objective import OBJECTIVES
from regraft.training.start.trained_head import HeadStart, LinearHead
from tests.training.examples import small_tail, small_training

Arrays = tuple[torch.Tensor, np.ndarray]


def lit(count: int, seed: int) -> Arrays:
    """Maps whose two channels are dark or bright, independently; 1 for bright, and a fifth is not known."""
    draws = np.random.default_rng(seed)
    targets = (draws.random((count, 2)) < 0.4).astype(np.float32)
    values = draws.normal(size=(count, 2, 5, 5)) + 2 * targets[:, :, None, None]
    targets[draws.random((count, 2)) < 0.2] = np.nan
    return torch.from_numpy(values).float(), targets


def bright(count: int, seed: int) -> Arrays:
    """Maps with the brightness of their first channel, in a unit of its own."""
    draws = np.random.default_rng(seed)
    level = draws.normal(size=count)
    values = draws.normal(size=(count, 2, 5, 5))
    values[:, 0] += 2 * level[:, None, None]
    return torch.from_numpy(values).float(), 5_000 + 40 * level


@pytest.mark.parametrize(
    ("task", "made"),
    [(Multilabel(outputs=("left", "right")), lit), (Regression(), bright)],
    ids=["several labels", "number"],
)
def test_a_trained_tail_is_better_than_the_baseline(task: Task, made: object) -> None:
    (values, targets), (others, truth) = made(160, 0), made(60, 1)  # type: ignore[operator]
    tail, width = small_tail(), len(task.outputs)
    head = tail.head = LinearHead(HeadStart.zero(6, width), "mean")
    base = small_training(tail, epochs=30, lr=1e-2, effective_batch=16, micro_batch=16)
    objective = OBJECTIVES[task.link].of(targets, width, base.settings)
    training = replace(
        base,
        train=TensorSource(values),
        targets=targets,
        objective=objective,
        validation=TensorSource(others),
        validation_targets=truth,
    )
    position = Trainer(training, Silent()).run()
    columns = (Column(stage="two", statistic="mean", start=0, stop=6),)
    saved = head.solved(columns, link=task.link, unit=objective.unit)
    with torch.no_grad():
        features = dict(summarise(torch.nn.Sequential(*tail.stages)(others)))["mean"]
    scores = saved.scores(features.numpy())
    outputs = expit(scores) if task.link == "sigmoid" else scores
    goodness = task.goodness(outputs, truth)
    assert position.best is not None
    assert goodness.mean() == pytest.approx(position.best.goodness, rel=1e-4)
    trivial = task.goodness(task.baseline(targets, len(truth)), truth)
    error, usual = task.merit(goodness).value, task.merit(trivial).value
    assert error is not None
    assert usual is not None
    assert error < 0.5 * usual
