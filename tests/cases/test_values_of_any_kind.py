"""Whatever is given to a public function, it works, or raises an error that is meant for users."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import regraft
from regraft.errors import RegraftError
from tests.cases.pictures import folder

pytestmark = pytest.mark.slow

HOW = {"network": "lenet5", "strategy": "probe"}
CODES = [0] * 12 + [1] * 12
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.complex_numbers(), st.just(object()),
    st.just(print), st.just(regraft.Model), st.lists(st.integers(), max_size=3), st.just(range(3)),
    st.lists(st.none(), min_size=1, max_size=3), st.text(max_size=8), st.binary(max_size=8),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2), st.sets(st.integers(), max_size=3),
    st.just(np.zeros((2, 2, 2, 2))), st.just(np.array([1.5, np.nan])), st.just(Path("/no/such/place")),
)  # fmt: skip
FIELDS = [
    (kind, field.name)
    for kind in (regraft.DataSettings, regraft.FitSettings, regraft.TrainSettings)
    for field in fields(kind)
]
many = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)
few = settings(many, max_examples=40)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("kinds") / "photos", extension=".png")


@pytest.fixture(scope="module")
def model(photos: Path) -> regraft.Model:
    return regraft.fit(photos, **HOW)


@pytest.fixture(scope="module")
def files(photos: Path) -> list[str]:
    return sorted(map(str, photos.rglob("*.png")))


@pytest.fixture(scope="module")
def classifier(files: list[str]) -> regraft.ImageClassifier:
    return regraft.ImageClassifier(**HOW).fit(files, CODES)


def outcome(call: Callable[[], Any]) -> Any:
    """What a call gives, or None if it raises an error for users; any other error fails the test."""
    try:
        return call()
    except RegraftError as error:
        assert str(error)  # noqa: PT017 (it need not be raised)
        return None


@many
@given(value=VALUES)
def test_places(value: Any) -> None:
    if isinstance(value, str) and value in (".", "..", "/", "~"):
        return
    for function in (regraft.load_images, regraft.fit, regraft.advise, regraft.load_model):
        with pytest.raises(RegraftError):
            function(value)


@many
@given(field=st.sampled_from(FIELDS), value=VALUES)
def test_settings(field: tuple[type[Any], str], value: Any) -> None:
    kind, name = field
    made = outcome(lambda: kind(**{name: value}))
    if made is not None:
        found = getattr(made, name)
        if name in ("label_columns", "ordered", "classes"):
            assert all(isinstance(one, str) for one in found or ())
        else:
            assert isinstance(found, str | int | float | bool | None)
            assert np.ndim(value) == 0


@few
@given(name=st.sampled_from(["settings", "training", "data", "plan", "reporter", "overwrite"]), value=VALUES)
def test_arguments_of_fit(name: str, value: Any, photos: Path) -> None:
    if value is None or (name == "overwrite" and isinstance(value, bool)):
        return
    with pytest.raises(RegraftError):
        regraft.fit(photos, **HOW, **{name: value})


@many
@given(value=VALUES)
def test_images_to_predict(value: Any, model: regraft.Model) -> None:
    found = outcome(lambda: model.predict(value))
    if found is not None:
        assert len(found.rows) + len(found.skipped) > 0 or len(value) == 0
        assert all(file.reason for file in found.skipped)


@many
@given(name=st.sampled_from(["precision", "runtime", "limits", "reporter"]), value=VALUES)
def test_arguments_of_predict(name: str, value: Any, model: regraft.Model, files: list[str]) -> None:
    if value is not None:
        with pytest.raises(RegraftError):
            model.predict(files[:1], **{name: value})


@few
@given(value=VALUES)
def test_images_of_the_classifier(value: Any, classifier: regraft.ImageClassifier) -> None:
    found = outcome(lambda: classifier.predict(value))
    assert found is None or len(found) == len(value)
    with pytest.raises(RegraftError):
        regraft.ImageClassifier(**HOW).fit(value, CODES)


@few
@given(value=VALUES)
def test_labels_of_the_classifier(value: Any, files: list[str]) -> None:
    with pytest.raises(RegraftError):
        regraft.ImageClassifier(**HOW).fit(files, value)


@few
@given(
    name=st.sampled_from(["network", "strategy", "budget", "head", "cut", "seed", "settings"]), value=VALUES
)
def test_parameters_of_the_classifier(name: str, value: Any, files: list[str]) -> None:
    if value is None:  # the default, with which a whole ladder may be climbed
        return
    is_usual = (isinstance(value, dict) and not value) or (name == "seed" and type(value) is int)
    made = outcome(lambda: regraft.ImageClassifier(**{**HOW, name: value}).fit(files, CODES))
    assert made is None or is_usual or name == "cut"
