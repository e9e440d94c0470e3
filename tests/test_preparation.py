from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import regraft
from regraft.networks.weights.finding import find_weights
from regraft.plans.cost_book import CostBook
from regraft.plans.costs import extract_name
from regraft.progress import Meter, Silent


class Listed(Silent):
    """Keeps warnings and the names of phases, in order."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def warn(self, text: str) -> None:
        self.events.append(text)

    @contextmanager
    def phase(self, name: str, total: int, unit: str = "images") -> Iterator[Meter]:
        self.events.append(name)
        yield self


@pytest.mark.parametrize(("image_s", "is_said"), [(10.0, True), (0.001, False)])
def test_a_budget_too_short_for_the_features_is_said_before_they_begin(
    photos: Path, own_cache: Path, image_s: float, is_said: bool
) -> None:
    CostBook(load=lambda: 1.0).learn(extract_name(find_weights("lenet5"), "openvino", "fp32"), image_s)
    listed = Listed()
    regraft.advise(photos, network="lenet5", channels=1, budget="20s", reporter=listed)
    before = listed.events[: listed.events.index("extracting features")]
    said = [event for event in before if "are predicted to take" in event]
    assert bool(said) == is_said
    if is_said:
        assert "and the budget is 20 s" in said[0]
        assert "--budget" in said[0]
