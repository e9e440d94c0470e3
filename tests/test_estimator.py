from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score

import regraft
from regraft.errors import DataError, SettingsError


@pytest.fixture(scope="module")
def data(digits: Path) -> tuple[list[str], list[int]]:
    """Paths, and labels that are integers."""
    files = sorted(digits.rglob("*.png"))[::4]
    return [str(path) for path in files], [int(path.parent.name) for path in files]


def test_it_learns_and_answers_in_the_labels_own_type(data: tuple[list[str], list[int]]) -> None:
    files, labels = data
    model = regraft.ImageClassifier(network="lenet5", strategy="svm").fit(files[::2], labels[::2])
    assert model.classes_.tolist() == [5, 6, 7]
    assert model.score(files[1::2], labels[1::2]) > 0.9
    chances = model.predict_proba(files[:3])
    assert chances.shape == (3, 3)
    assert np.allclose(chances.sum(axis=1), 1)
    assert model.predict(files[:1]).dtype == np.int64


def test_arrays_files_and_bytes_are_the_same_images(data: tuple[list[str], list[int]]) -> None:
    files, labels = data
    arrays = np.stack([np.asarray(Image.open(file)) for file in files])
    how = {"network": "lenet5", "strategy": "probe"}
    first = regraft.ImageClassifier(**how).fit(files, labels)
    second = regraft.ImageClassifier(**how).fit(arrays, labels)
    whole = [Path(file).read_bytes() for file in files[:5]]
    expected = first.predict_proba(files[:5])
    assert np.allclose(second.predict_proba(arrays[:5]), expected, atol=1e-6)
    assert np.array_equal(first.predict_proba(whole), expected)


def test_cross_validation_and_grid_search(data: tuple[list[str], list[int]]) -> None:
    files, labels = data
    model = regraft.ImageClassifier(network="lenet5", strategy="probe")
    assert cross_val_score(model, files, labels, cv=3).min() > 0.8
    search = GridSearchCV(model, {"strategy": ["probe", "svm"], "cut": [None, "c3"]}, cv=2)
    search.fit(files, labels)
    assert search.best_score_ > 0.9
    assert set(search.best_params_) == {"strategy", "cut"}


def test_a_goal_is_obeyed_and_the_positive_label_is_named_as_it_was_given(
    data: tuple[list[str], list[int]],
) -> None:
    files, labels = data
    wanted = [label == 5 for label in labels]
    settings = {"positive": True, "goal": "specificity=0.5"}
    model = regraft.ImageClassifier(network="lenet5", strategy="probe", settings=settings).fit(files, wanted)
    threshold = model.model_.task.threshold
    chances = model.predict_proba(files)[:, list(model.classes_).index(True)]
    assert np.array_equal(model.predict(files), chances >= threshold)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"positive": 8}, r"positive is 8 \(int\), which is not a label; accepted are 5, 6, 7"),
        ({"ordered": [5, 7, 8]}, r"ordered is 8 \(int\), which is not a label"),
        ({"reject_below": 0.9}, "reject_below has no effect on ImageClassifier"),
    ],
)
def test_labels_in_settings_must_be_labels(
    data: tuple[list[str], list[int]], settings: dict[str, object], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        regraft.ImageClassifier(network="lenet5", settings=settings).fit(*data)


def test_parameters_are_kept_as_given_and_cloned() -> None:
    settings = {"test_share": 0.0}
    model = regraft.ImageClassifier(network="lenet5", budget="30s", settings=settings)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert copy is not model
    copy.set_params(strategy="svm")
    assert copy.strategy == "svm"
    assert "ImageClassifier" in copy._repr_html_()


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (["a.png"], [0, 1], "1 images and 2 labels"),
        (["a.png", "b.png"], [1, 1], r"all 2 labels are \[1\]; at least two different labels"),
        (
            [np.zeros((4, 4, 2), np.uint8)] * 2,
            [0, 1],
            r"shape \(4, 4, 2\) and type uint8, which is not an image",
        ),
        ([np.full((4, 4), -1.5)] * 2, [0, 1], r"X\[0\] .* type float64 with values from -1.5 to -1.5"),
    ],
)
def test_what_is_no_data_is_refused(images: list[object], labels: list[int], said: str) -> None:
    with pytest.raises(DataError, match=said):
        regraft.ImageClassifier(network="lenet5").fit(images, labels)  # type: ignore[arg-type]


def test_an_unreadable_image_is_named(data: tuple[list[str], list[int]]) -> None:
    files, labels = data
    model = regraft.ImageClassifier(network="lenet5", strategy="probe").fit(files, labels)
    with pytest.raises(DataError, match=r"1 of 2 images can't be used; the first is gone\.png"):
        model.predict([files[0], "gone.png"])
