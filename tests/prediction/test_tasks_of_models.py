"""What a model of each task predicts: by its bundle, by its graph, and for people."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import regraft
from regraft.data.pictures.loading import load_input
from regraft.explanation.maps import heat_map
from regraft.export.samples import made_up
from regraft.prediction.graph import ModelGraph
from tests.prediction.models import TASKS, model_of

LINKS = pytest.mark.parametrize("link", TASKS)
IMAGES = list(made_up(1, 6))


@LINKS
def test_a_saved_model_answers_the_same(link: str, tmp_path: Path) -> None:
    model = model_of(link)
    loaded = regraft.load_model(model.save(tmp_path / "bundle"))
    assert loaded.task == model.task
    for one, other in zip(model.predict(IMAGES), loaded.predict(IMAGES), strict=True):
        assert np.array_equal(one.outputs, other.outputs)
        assert one.label == other.label == model.task.answer(one.outputs).text


@LINKS
def test_the_graph_gives_the_models_outputs(link: str) -> None:
    model = model_of(link)
    model = replace(model, others=model.voters)
    pixels = np.stack([load_input(data, model.weights.input_spec) for data in IMAGES])
    with torch.no_grad():
        found = ModelGraph(model).eval()(torch.from_numpy(pixels)).numpy()
    expected = np.stack([row.outputs for row in model.predict(IMAGES, runtime="torch")])
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-5)
    assert np.ptp(expected, axis=0).min() > 0


@pytest.mark.parametrize("link", ["sigmoid", "identity"])
def test_the_chosen_output_is_explained(link: str) -> None:
    model = model_of(link)
    pixels = load_input(IMAGES[0], model.weights.input_spec)
    last = len(model.task.outputs) - 1
    heat = heat_map(ModelGraph(model).eval(), pixels, last, "occlusion")
    assert heat.values.max() == 1
    assert heat.values.shape == pixels.shape[:2]


def test_only_classes_have_a_probability_of_their_own() -> None:
    rows = {link: model_of(link).predict(IMAGES[0])[0] for link in TASKS}
    assert rows["softmax"].probability == rows["softmax"].outputs.max()
    assert np.isnan([rows["sigmoid"].probability, rows["identity"].probability]).all()
    low, high = rows["identity"].answer.facts["low"], rows["identity"].answer.facts["high"]
    assert high - low == pytest.approx(50)


def test_a_notebook_shows_what_a_task_says() -> None:
    for link, words in (("softmax", "probability"), ("sigmoid", "heavy rain"), ("identity", "high")):
        model = model_of(link)
        assert f"<th>{words}</th>" in model.predict(IMAGES)._repr_html_()
        assert "lenet5" in model._repr_html_()
