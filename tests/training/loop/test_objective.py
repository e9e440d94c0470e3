"""The objectives by hand, and against torch's own losses."""

from __future__ import annotations

import ast
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

import regraft.training.loop
from regraft.progress import Silent
from regraft.records import ClassMeasure
from regraft.settings import TrainSettings
from regraft.tasks.classes.goodness import class_goodness
from regraft.training.loop.batches import TensorSource
from regraft.training.loop.engine import Trainer
from regraft.training.loop.mixing import Mix, mix_aims
from regraft.training.loop.objective import (
    OBJECTIVES,
    IdentityObjective,
    SigmoidObjective,
    SoftmaxObjective,
    Unit,
)
from regraft.training.loop.steps import Training
from regraft.training.start.trained_head import HeadStart, LinearHead
from tests.training.examples import small_tail

NAN = float("nan")
PLAIN = TrainSettings()
LOOP = sorted(Path(regraft.training.loop.__path__[0]).glob("*.py"))


def linear(outputs: int) -> torch.nn.Module:
    """A head without any stage before it, on 5 channels."""
    return LinearHead(HeadStart.zero(5, outputs), "mean")


def test_smoothed_classes_by_hand() -> None:
    objective = SoftmaxObjective.of(np.array([2, 0]), 4, TrainSettings(label_smoothing=0.4))
    aims = objective.aims(torch.tensor([2, 0]))
    assert aims.tolist() == [pytest.approx([0.1, 0.1, 0.7, 0.1]), pytest.approx([0.7, 0.1, 0.1, 0.1])]


def test_class_weights_by_hand() -> None:
    objective = SoftmaxObjective.of(np.array([0, 0, 0, 2]), 3, TrainSettings(class_weights=True))
    assert objective.class_weights is not None
    assert objective.class_weights.tolist() == pytest.approx([4 / (2 * 3), 0, 4 / 2])
    weights = objective.weights(torch.tensor([[0.5, 0.0, 0.5]]))
    assert weights is not None
    assert weights.tolist() == pytest.approx([0.5 * 4 / 6 + 0.5 * 2])


def test_the_loss_of_classes_is_torchs_cross_entropy() -> None:
    scores, classes = torch.randn(7, 3), torch.arange(7) % 3
    objective = SoftmaxObjective.of(classes.numpy(), 3, PLAIN)
    expected = functional.cross_entropy(scores, classes, reduction="none")
    assert torch.allclose(objective.losses(scores, objective.aims(classes)), expected, atol=1e-6)
    assert float(objective.summed_loss(scores, classes)) == pytest.approx(float(expected.sum()), rel=1e-6)
    assert objective.goodness(scores, classes).tolist() == (scores.argmax(1) == classes).tolist()


def test_the_loss_of_labels_is_torchs_on_the_known_ones() -> None:
    scores = torch.tensor([[0.3, -2.0, 1.0], [4.0, 0.0, -1.0]])
    targets = torch.tensor([[1.0, NAN, 0.0], [NAN, NAN, NAN]])
    objective = SigmoidObjective.of(targets.numpy(), 3, PLAIN)
    known = functional.binary_cross_entropy_with_logits(
        torch.tensor([0.3, 1.0]), torch.tensor([1.0, 0.0]), reduction="sum"
    )
    assert objective.losses(scores, objective.aims(targets)).tolist() == pytest.approx([float(known), 0.0])


def test_the_goodness_of_labels_by_hand() -> None:
    scores = torch.tensor([[0.0, 9.0], [math.log(3), 0.0]])
    targets = torch.tensor([[1.0, NAN], [0.0, 1.0]])
    goodness = SigmoidObjective().goodness(scores, targets)
    assert goodness.tolist() == pytest.approx([0.75, 1 - (0.75**2 + 0.5**2) / 2])
    assert SigmoidObjective().measured(0.75).text == "0.25"


def test_smoothed_and_mixed_labels_are_known_where_both_are() -> None:
    aims = SigmoidObjective(0.2).aims(torch.tensor([[1.0, 0.0, NAN], [0.0, NAN, 1.0]]))
    assert aims[0].tolist() == pytest.approx([0.9, 0.1, NAN], nan_ok=True)
    swapped = Mix(torch.tensor([1, 0]), 0.75, None, None, 0.0, 0)
    mixed = mix_aims(aims, swapped, 0.75)
    assert mixed[0].tolist() == pytest.approx([0.75 * 0.9 + 0.25 * 0.1, NAN, NAN], nan_ok=True)


def test_what_is_known_of_a_label_changes_no_bit_of_other_labels() -> None:
    torch.manual_seed(0)
    values, targets = torch.randn(12, 5), (torch.rand(12, 3) < 0.5).float()
    masked = targets.clone()
    masked[:8, 1] = NAN
    gradients = []
    for some in (targets, masked):
        head, objective = linear(3), SigmoidObjective.of(some.numpy(), 3, PLAIN)
        assert isinstance(head, LinearHead)
        objective.losses(head(values), objective.aims(some)).sum().backward()
        gradients.append(head.linear.weight.grad)
    whole, part = gradients
    assert whole is not None
    assert part is not None
    assert torch.equal(whole[[0, 2]], part[[0, 2]])
    assert not torch.equal(whole[1], part[1])


def test_the_loss_of_numbers_is_hubers_of_standardised_ones() -> None:
    targets = np.array([1.0, 3.0, 5.0, 7.0])  # mean 4, standard deviation sqrt(5)
    objective = IdentityObjective.of(targets, 1, PLAIN)
    assert objective.unit == Unit(4.0, 5**0.5)
    scores, truth = torch.tensor([[0.0], [2.0], [0.4]]), torch.tensor([4.0, 4.0, 1.0], dtype=torch.float64)
    aims = objective.aims(truth)
    expected = functional.huber_loss(scores, aims, reduction="none")[:, 0]
    assert torch.equal(objective.losses(scores, aims), expected)
    third = 0.4 + 3 / 5**0.5  # an error of 1.74 standard deviations, so on the linear part
    assert expected.tolist() == pytest.approx([0.0, 1.5, third - 0.5])
    assert objective.goodness(scores, truth).tolist() == pytest.approx(
        [0.0, -2 * 5**0.5, -(3 + 0.4 * 5**0.5)]
    )


def test_equal_numbers_have_a_unit_of_one() -> None:
    assert IdentityObjective.of(np.full(4, 0.1), 1, PLAIN).unit.deviation == 1


@pytest.mark.parametrize(
    ("link", "targets", "outputs"),
    [
        ("softmax", np.arange(24) % 3, 3),
        ("sigmoid", np.stack([np.arange(24) % 2, np.arange(24) % 3 == 0], axis=1).astype(np.float32), 2),
        ("identity", np.arange(24) * 100.0 - 700, 1),
    ],
)
def test_every_objective_trains(link: str, targets: np.ndarray, outputs: int) -> None:
    """Five features that contain the targets; all weights start at zero."""
    torch.manual_seed(0)
    settings = TrainSettings(epochs=40, lr=0.2, effective_batch=8, train_precision="fp32", micro_batch=3)
    columns = np.eye(3)[targets] if link == "softmax" else targets.reshape(24, -1)
    spread = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    values = torch.zeros(24, 5)
    values[:, : columns.shape[1]] = torch.from_numpy(spread).float()
    tail = small_tail()
    tail.stages, tail.names, tail.head = torch.nn.ModuleList(), (), linear(outputs)
    objective = OBJECTIVES[link].of(targets, outputs, settings)  # type: ignore[index]
    training = Training(tail, TensorSource(values), targets, objective, settings)
    training = replace(training, validation=TensorSource(values), validation_targets=targets)
    position = Trainer(training, Silent()).run()
    rows = [row[f"validation_{objective.measure}"] for row in position.history]
    is_error = link != "softmax"
    best = min(rows) if is_error else max(rows)
    perfect = {"softmax": (0.99, 1), "sigmoid": (0, 0.01), "identity": (0, 30)}[link]
    assert perfect[0] <= best <= perfect[1]
    assert position.best is not None
    assert objective.measured(position.best.goodness).value == best


@pytest.mark.parametrize("measure", ["balanced", "auroc", "log-loss"])
def test_weights_of_classes_are_kept_by_another_measure(measure: ClassMeasure) -> None:
    """The best score is the measure of all validation images together, in batches of any size."""
    targets = (np.arange(30) % 10 == 0).astype(np.int64)
    settings = TrainSettings(epochs=3, lr=0.05, effective_batch=8, train_precision="fp32", micro_batch=3)
    values = torch.from_numpy(np.random.default_rng(0).normal(size=(30, 5)) + targets[:, None]).float()
    tail = small_tail()
    tail.stages, tail.names, tail.head = torch.nn.ModuleList(), (), linear(2)
    objective = SoftmaxObjective.of(targets, 2, settings, measure)
    training = Training(tail, TensorSource(values), targets, objective, settings)
    training = replace(training, validation=TensorSource(values), validation_targets=targets)
    position = Trainer(training, Silent()).run()
    outputs = tail(values).detach().double().softmax(dim=1).numpy()
    assert position.best is not None
    expected = class_goodness(measure, outputs, targets).mean()
    assert position.best.goodness == pytest.approx(expected, abs=1e-6)
    assert objective.measure in {"balanced_accuracy", "auroc", "log_loss"}
    assert position.history[0][f"train_{objective.measure}"] is None


@pytest.mark.parametrize("path", LOOP, ids=lambda path: path.name)
def test_the_loop_knows_no_image_and_no_plan(path: Path) -> None:
    tree = ast.parse(path.read_text())
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    folders = {module.split(".")[1] for module in modules if module.startswith("regraft.")}
    unknown = {"advice", "data", "evaluation", "features", "heads", "prediction", "runs", "workflow"}
    assert not folders & unknown
    assert not any(re.search(r"\.plans?(\.|$)", module) for module in modules if "costs" not in module)


@pytest.mark.parametrize("path", [p for p in LOOP if p.name != "objective.py"], ids=lambda path: path.name)
def test_the_loop_knows_no_class(path: Path) -> None:
    tree = ast.parse(path.read_text())
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    known = {
        "label",
        "labels",
        "classes",
        "num_classes",
        "class_weights",
        "argmax",
        "cross_entropy",
        "one_hot",
    }
    assert not names & known
