from __future__ import annotations

from pathlib import Path

import pytest
import torch

from regraft.errors import WeightsError
from regraft.networks.architectures.building import build
from regraft.networks.network import load_network
from regraft.networks.weights.finding import WeightsHere, find_weights, verify_weights
from regraft.networks.weights.importing import import_weights, match
from regraft.records import Recipe
from regraft.storage.files import read_json


def lenet(classes: int = 10) -> torch.nn.Module:
    torch.manual_seed(1)
    return build(Recipe(library="regraft", name="lenet5", kwargs={"num_classes": classes}))


@pytest.mark.parametrize("prefix", ["", "module.", "model.backbone."])
def test_a_state_dictionary_is_matched_by_name_whatever_stands_before(prefix: str, tmp_path: Path) -> None:
    module = lenet(5)
    state = {prefix + name: value for name, value in module.state_dict().items()}
    torch.save({"state_dict": state, "epoch": torch.tensor(3)} if prefix else state, tmp_path / "mine.pth")
    done = import_weights(tmp_path / "mine.pth", "lenet5", out=tmp_path / "out", licence="mit")
    network = load_network(find_weights("lenet5", weights=tmp_path / "out"))
    images = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        assert torch.equal(network.forward(images), module(images))
    assert len(done.matches.by_name) == 10
    assert network.source.licence == "mit"


def test_another_number_of_classes_is_taken_as_it_is(tmp_path: Path) -> None:
    torch.save(lenet(7).state_dict(), tmp_path / "mine.pth")
    names = tuple("abcdefg")
    done = import_weights(tmp_path / "mine.pth", "lenet5", out=tmp_path, labels=names)
    assert done.recipe.kwargs["num_classes"] == 7
    assert read_json(done.card)["classes"] == list(names)


def test_labels_that_dont_fit_are_refused(tmp_path: Path) -> None:
    torch.save(lenet(7).state_dict(), tmp_path / "mine.pth")
    with pytest.raises(WeightsError, match=r"2 labels were given, but the classifier in .* has 7 rows"):
        import_weights(tmp_path / "mine.pth", "lenet5", out=tmp_path, labels=("a", "b"))


def test_onnx_initialisers_are_matched_by_name_or_by_a_shape_that_is_unique(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    from onnx import helper, numpy_helper

    module = lenet(5)
    state = {name: value.numpy() for name, value in module.state_dict().items()}
    named = {"onnx::Conv_7" if name == "c5.weight" else name: array for name, array in state.items()}
    graph = helper.make_graph([], "g", [], [], [numpy_helper.from_array(a, n) for n, a in named.items()])
    onnx.save(helper.make_model(graph), tmp_path / "mine.onnx")
    done = import_weights(tmp_path / "mine.onnx", "lenet5", out=tmp_path / "out")
    assert done.matches.by_shape == {"c5.weight": "onnx::Conv_7"}
    loaded = load_network(find_weights("lenet5", weights=tmp_path / "out")).module
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in module.state_dict().items())


def test_ambiguity_is_refused() -> None:
    with pytest.raises(WeightsError, match=r"a \(4,\) could be any of x, y"):
        match({"a": (4,), "b": (4,)}, {"x": (4,), "y": (4,)})


def test_what_is_missing_or_shaped_otherwise_is_named() -> None:
    with pytest.raises(WeightsError, match=r"a has shape \(3,\), expected \(4,\); b \(2, 2\) is missing"):
        match({"a": (4,), "b": (2, 2), "num_batches_tracked": ()}, {"a": (3,)})


def test_nothing_is_written_when_an_import_is_refused(tmp_path: Path) -> None:
    torch.save({"conv.weight": torch.zeros(3)}, tmp_path / "mine.pth")
    with pytest.raises(WeightsError, match="0 of 10 tensors were found by name"):
        import_weights(tmp_path / "mine.pth", "lenet5", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["bad.pth", "bad.onnx", "bad.safetensors"])
def test_foreign_files_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"cposix\nsystem\n(S'touch owned'\ntR.")
    with pytest.raises(WeightsError, match=name):
        import_weights(tmp_path / name, "lenet5", out=tmp_path / "out")
    assert not Path("owned").exists()


def test_verify_finds_damage_and_values_that_are_no_numbers(tmp_path: Path) -> None:
    module = lenet(5)
    torch.save(module.state_dict(), tmp_path / "mine.pth")
    done = import_weights(tmp_path / "mine.pth", "lenet5", out=tmp_path / "out")
    here = WeightsHere("lenet5", done.weights, "a test", "mit")
    assert "61,281 parameters fit" in verify_weights(here)
    with torch.no_grad():
        module.c1.bias[0] = float("nan")  # type: ignore[union-attr, operator]
    torch.save(module.state_dict(), tmp_path / "other.pth")
    other = import_weights(tmp_path / "other.pth", "lenet5", out=tmp_path / "other")
    with pytest.raises(WeightsError, match=r"NaN or infinite values in c1\.bias"):
        verify_weights(WeightsHere("lenet5", other.weights, "a test", "mit"))
    done.weights.write_bytes(other.weights.read_bytes())
    with pytest.raises(WeightsError, match="expected"):
        verify_weights(here)
