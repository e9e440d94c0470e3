from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import regraft
from regraft.advice.similarity import Similarity, similarity
from regraft.features.extraction import extract
from regraft.features.moments import CLASSIFIER, SourceStatistics, source_statistics
from regraft.features.opening import open_moments
from regraft.features.runtimes import RuntimeName
from regraft.networks.network import load_network
from regraft.networks.weights.finding import find_weights
from regraft.records import Column
from tests.advice.examples import features_of, keys_of

LAYOUT = (
    Column(stage="one", statistic="mean", start=0, stop=2),
    Column(stage="one", statistic="std", start=2, stop=4),
    Column(stage=CLASSIFIER, statistic="map", start=4, stop=8),
)


def found(folder: Path, means: list[float], stds: list[float], source: SourceStatistics) -> Similarity:
    """Of 50 images that are all alike."""
    row = [*means, *stds, 4.0, 0.0, 0.0, 0.0]
    features = features_of(folder, np.array([row] * 50), LAYOUT)
    return similarity(features, keys_of(50), [source])


def source(mean: list[float], std: list[float]) -> SourceStatistics:
    return SourceStatistics("one", np.float32(mean), np.square(np.float32(std)))


def test_the_source_itself_is_at_distance_nought(tmp_path: Path) -> None:
    result = found(tmp_path, [1.0, -2.0], [0.5, 2.0], source([1.0, -2.0], [0.5, 2.0]))
    assert result.distance is not None
    assert result.distance.value == pytest.approx(0, abs=1e-6)
    assert result.word == "similar"


@pytest.mark.parametrize(
    ("means", "stds", "expected"),
    [
        ([1.0, 0.0], [1.0, 1.0], (1 / 4 + 0) / 2),  # one channel is shifted by one sigma
        ([0.0, 0.0], [2.0, 1.0], (1 / 4 + 0) / 2),  # one channel is twice as wide
        ([9.0, 0.0], [1.0, 1.0], (1 + 0) / 2),  # clipped
    ],
)
def test_the_distance_by_hand(tmp_path: Path, means: list[float], stds: list[float], expected: float) -> None:
    result = found(tmp_path, means, stds, source([0.0, 0.0], [1.0, 1.0]))
    assert result.distance is not None
    assert result.distance.value == pytest.approx(expected, rel=1e-5)


def test_dead_channels_are_left_out(tmp_path: Path) -> None:
    result = found(tmp_path, [5.0, 0.0], [1.0, 1.0], source([0.0, 0.0], [1e-4, 1.0]))
    assert result.distance is not None
    assert result.distance.value == pytest.approx(0, abs=1e-6)


def test_spread_between_images_counts_as_spread(tmp_path: Path) -> None:
    rows = [[sign, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0] for sign in (-1.0, 1.0)] * 20
    features = features_of(tmp_path, np.array(rows), LAYOUT)
    result = similarity(features, keys_of(40), [source([0.0, 0.0], [1.0, 1.0])])
    assert result.distance is not None
    assert result.distance.value == pytest.approx(0, abs=1e-5)


def test_confidence_and_entropy_by_hand(tmp_path: Path) -> None:
    result = found(tmp_path, [0.0, 0.0], [1.0, 1.0], source([0.0, 0.0], [1.0, 1.0]))
    top = np.e**4 / (np.e**4 + 3)
    rest = (1 - top) / 3
    entropy = -(top * np.log(top) + 3 * rest * np.log(rest)) / np.log(4)
    assert result.confidence.value == pytest.approx(top, rel=1e-6)
    assert result.entropy.value == pytest.approx(entropy, rel=1e-6)


@pytest.mark.parametrize("name", ["openvino", "torch"])
def test_moments_are_those_that_batchnorm_measures(photos: Path, name: RuntimeName) -> None:
    """With momentum 1 a BatchNorm's running statistics become the batch's own: another implementation."""
    weights = find_weights("mobilenetv3_small_050", weights="random")
    runtime = open_moments(weights, name=name)
    images = regraft.load_images(photos)
    rows = dict(runtime.run(_pixels(images, weights.input_spec)))
    network = load_network(weights)
    stage, norm = next(
        (stage.name, module)
        for stage in network.stages
        for module in stage.module.modules()
        if isinstance(module, torch.nn.BatchNorm2d)
    )
    norm.train()
    norm.momentum = 1.0
    assert isinstance(norm.running_mean, torch.Tensor)
    batch = torch.stack(
        [torch.from_numpy(pixels.copy()) for _, pixels in _pixels(images, weights.input_spec)]
    )
    spec = weights.input_spec
    mean, std = (torch.tensor(value).reshape(1, 3, 1, 1) for value in (spec.mean, spec.std))
    network.forward((batch.permute(0, 3, 1, 2) / 255 - mean) / std)
    means, stds = (column for column in runtime.layout[:2])
    matrix = np.stack(list(rows.values()))
    total = matrix[:, means.start : means.stop].mean(axis=0)
    assert stage == means.stage
    assert np.allclose(total, norm.running_mean.numpy(), atol=1e-4)
    second = np.square(matrix[:, stds.start : stds.stop]) + np.square(matrix[:, means.start : means.stop])
    variance = second.mean(axis=0) - total**2
    assert isinstance(norm.running_var, torch.Tensor)
    assert np.allclose(variance, norm.running_var.numpy(), rtol=1e-2, atol=1e-6)


def _pixels(images, spec):  # type: ignore[no-untyped-def]
    from regraft.data.pictures.loading import load_input

    for item in images.items:
        yield item.sha256, load_input(Path(images.root, item.path), spec)


@pytest.mark.soak
def test_real_sets_come_in_the_order_that_a_person_would_give(
    shared: Callable[[str], Path], tmp_path: Path
) -> None:
    weights = find_weights("mobilenetv1_100", weights=shared("weights"))
    runtime = open_moments(weights)
    source = source_statistics(weights, runtime.norms)
    distances = {}
    for data in ("clothing", "trash6", "omniglot_small1"):
        files = sorted(path for path in (shared("data") / data).rglob("*") if path.suffix in {".jpg", ".png"})
        for number, file in enumerate(files[:: len(files) // 24][:24]):
            link = tmp_path / data / str(number % 2) / f"{number}{file.suffix}"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file)
        images = regraft.load_images(tmp_path / data)
        features = extract(images, runtime, weights.input_spec)
        keys = list(dict.fromkeys(item.sha256 for item in images.items))
        result = similarity(features, keys, source)
        assert result.distance is not None
        distances[data] = result.distance.value
    assert distances["clothing"] < distances["trash6"] < distances["omniglot_small1"]
