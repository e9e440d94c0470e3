"""A ladder whose clock, load and amounts are given, for tests of what is decided by time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from regraft.features.opening import Compute
from regraft.ladder import order
from regraft.ladder.ledger import Ledger
from regraft.ladder.state import Inputs, State
from regraft.networks.weights.finding import Weights
from regraft.networks.zoo.cards import card
from regraft.plans.cost_book import CostBook
from regraft.plans.costs import Amounts
from regraft.plans.planning import Circumstances
from regraft.progress import Silent
from regraft.records import Column, WeightsSource
from regraft.settings import FitSettings, TrainSettings
from regraft.tasks.classification import Classification

GARMENTS = Amounts(train=1_000, held=150, classes=10, folds=5)


@contextmanager
def left_out(*names: str) -> Iterator[None]:
    """Groups of rungs by their names that no ladder tries, for tests of others: `classics`, for example."""
    in_order = order.in_order
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            order,
            "in_order",
            lambda groups, time_left_s: in_order(
                [group for group in groups if group.name not in names], time_left_s
            ),
        )
        yield


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


def mobilenet() -> Weights:
    """The network, by its card; its file is not there."""
    known = card("mobilenetv1_100")
    assert known is not None
    source = WeightsSource(where="a test", sha256="0" * 64, licence="")
    return Weights(known.name, Path("nowhere"), "0" * 64, known.recipe, known.input_spec, source)


def state_of(
    folder: Path,
    *,
    budget_s: float = 120.0,
    spent_s: float = 0.0,
    test_images: int = 0,
    clock: Clock | None = None,
    slow: float = 1.0,
    amounts: Amounts = GARMENTS,
    **training: Any,
) -> State:
    """The state before the first rung: 1,000 garments and MobileNet, on an idle machine of 40 GFLOP/s."""
    weights = mobilenet()
    known = card("mobilenetv1_100")
    assert known is not None
    layout = [
        Column(stage=stage.name, statistic="mean", start=10 * number, stop=10 * number + 10)
        for number, stage in enumerate(known.stages)
    ]
    task = Classification(outputs=tuple("0123456789"))
    dataset: Any = SimpleNamespace(features=SimpleNamespace(layout=layout), task=task)
    inputs = Inputs(
        dataset, weights, Circumstances(weights.network, layout, weights.input_spec, "openvino", "cpu"),
        FitSettings(network="mobilenetv1_100", device="cpu"),
        TrainSettings(train_precision="fp32", **training),
        Compute(), 0.02, budget_s, spent_s, test_images,
    )  # fmt: skip
    book = CostBook(folder, load=lambda: slow, now=lambda: 0.0)
    book.learn("matrix", 0.05 * slow, 0.1)
    state = State(inputs, Ledger("ladder", folder), book, Silent(), lambda *_: None, clock or Clock())
    cast("Any", state).amounts = amounts
    state.start()
    return state
