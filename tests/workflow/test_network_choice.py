"""By what `--network auto` compares networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import regraft
from regraft.features.opening import Compute
from regraft.networks.weights.finding import WeightsHere, find_weights
from regraft.progress import Silent
from regraft.settings import FitSettings
from regraft.workflow import network as choice
from regraft.workflow.network import choose_network

pytestmark = pytest.mark.slow


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two small networks with random weights, as if their files were there."""
    names = ("cifar_resnet20", "cifar_resnet32")
    monkeypatch.setattr(
        choice, "usable_here", lambda _: [WeightsHere(name, Path(name), name, "none") for name in names]
    )
    monkeypatch.setattr(choice, "find_weights", lambda name, **_: find_weights(name, weights="random"))


@pytest.fixture
def rare(tmp_path: Path) -> Path:
    """A rare class of bright pictures among dark ones, which overlap."""
    generator = np.random.default_rng(0)
    for label, count, base in (("bright", 10, 120), ("dark", 90, 100)):
        (tmp_path / label).mkdir()
        for number in range(count):
            pixels = generator.normal(base, 30, (32, 32, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / label / f"{number}.png")
    return tmp_path


@pytest.mark.usefixtures("networks")
@pytest.mark.parametrize(
    ("measure", "name", "words"),
    [
        ("accuracy", "accuracy", ""),
        ("balanced", "balanced_accuracy", "balanced accuracy "),
        ("auroc", "auroc", "AUROC "),
        ("log-loss", "log_loss", "log-loss "),
    ],
)
def test_networks_are_compared_by_the_measure_of_the_fit(
    rare: Path, measure: Any, name: str, words: str
) -> None:
    settings = FitSettings(measure=measure, network="auto")
    found = choose_network(regraft.load_images(rare), settings, compute=Compute(), reporter=Silent())
    tried = [row for row in found.rows if row.accuracy is not None]
    assert {row.measure for row in tried} == {name}
    values = [row.accuracy.value for row in tried if row.accuracy]
    assert values == sorted(values, reverse=name != "log_loss")
    assert f": probe {words}" in tried[0].described
    assert found.reason.startswith(f"by {words}its probe" if words else "its probe")
