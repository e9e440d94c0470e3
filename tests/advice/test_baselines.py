from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

import regraft
from regraft.advice.baselines import (
    classic_baselines,
    nearest_neighbour,
    trivial_merit,
    words_baseline,
)
from regraft.advice.visual_words import word_histograms
from regraft.data.pictures.loading import LoadLimits
from regraft.data.splits import split_images
from regraft.features.descriptors import (
    DescriptorRuntime,
    colour_histogram,
    grey,
    oriented_gradients,
    small_pixels,
)
from regraft.features.extraction import Features
from regraft.heads.dataset import Dataset
from regraft.progress import Silent
from tests.heads.test_dataset import EveryRow
from tests.heads.test_heads import LAYOUT, data

pytestmark = pytest.mark.slow

PLAIN = np.full((128, 128, 3), (255, 0, 0), dtype=np.uint8)


def test_a_plain_picture_has_one_colour_and_no_gradients() -> None:
    histogram = colour_histogram(PLAIN)
    assert histogram[7 * 64] == 1.0
    assert histogram.sum() == 1.0
    assert not oriented_gradients(PLAIN).any()
    assert np.allclose(small_pixels(PLAIN).reshape(-1, 3), [1, 0, 0])
    assert np.unique(grey(PLAIN)).tolist() == [76]  # 0.299 x 255


def test_rows_hold_all_descriptors_side_by_side() -> None:
    runtime = DescriptorRuntime(("pixels", "colour", "hog", "sift"))
    ((key, row),) = runtime.run([("a", PLAIN)])
    assert key == "a"
    assert len(row) == runtime.width == 3072 + 512 + 1764 + 48 * 128
    assert not row[runtime.layout[3].start :].any()  # a plain picture has no key points


def test_the_majority_is_counted_on_other_folds(tmp_path: Path) -> None:
    rows, _ = data(tmp_path)
    most = np.bincount(rows.targets).max() / len(rows.targets)
    assert trivial_merit(rows).value == pytest.approx(most, abs=0.1)


def test_nearest_neighbours_agree_with_scikit_learn(tmp_path: Path) -> None:
    rows, features = data(tmp_path)
    mine = nearest_neighbour(rows, LAYOUT[1:2]).argmax(axis=1)
    matrix = features.matrix(rows.keys, LAYOUT[1:2])
    for fold in range(5):
        held = rows.folds == fold
        theirs = KNeighborsClassifier(1).fit(matrix[~held], rows.targets[~held]).predict(matrix[held])
        assert (mine[held] == theirs).all()


def test_words_are_shares_of_the_points_that_there_are() -> None:
    points = np.random.default_rng(0).integers(0, 255, (6, 48, 128)).astype(np.float32)
    points[0] = 0
    points[1, 10:] = 0
    histograms = word_histograms(points.reshape(6, -1), seed=0, words=20)
    assert histograms.shape == (6, 20)
    assert not histograms[0].any()
    assert np.allclose(np.square(histograms[1:]).sum(axis=1), 1, atol=1e-5)


def test_brightness_is_told_from_pixels_and_colours_and_test_images_are_left_alone(photos: Path) -> None:
    images = regraft.load_images(photos)
    dataset = Dataset(images, split_images(images, seed=0), Features(EveryRow(), (), ()), 0)
    how = {"most": 100, "limits": LoadLimits(), "reporter": Silent()}
    found = (*classic_baselines(dataset, **how), words_baseline(dataset, **how))
    assert [one.name for one in found] == [
        "nearest neighbour on pixels",
        "colour histogram + HOG, linear SVM",
        "SIFT visual words, linear SVM",
    ]
    assert found[0].accuracy.value == found[1].accuracy.value == 1.0
    assert all(one.images == len(dataset.rows("train")) for one in found)
