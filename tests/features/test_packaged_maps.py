"""Graphs of maps that come with the package, reshaped to canvases that they were not traced for."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regraft.features import conversion
from regraft.features.conversion import converted
from regraft.features.graphs import CONVERTED, RECORD, graph_facts, unpack
from regraft.features.openvino_runtime import OpenVinoRuntime
from regraft.features.torch_runtime import TorchRuntime
from regraft.networks.weights.finding import Weights, find_weights
from regraft.records import Recipe
from tests.features.test_runtimes import rows
from tests.networks.sample import in_turn

NAMES = [path.stem for path in sorted(CONVERTED.glob("*-maps.zip"))]


def on_canvas(name: str, height: int, width: int) -> Weights:
    """An untrained network of a packaged graph, with a canvas of this size as its input."""
    with zipfile.ZipFile(CONVERTED / f"{name}.zip") as archive:
        recipe = Recipe.model_validate(json.loads(archive.read(RECORD))["facts"]["recipe"])
    weights = find_weights(recipe.name, weights="random")
    spec = weights.input_spec.model_copy(update={"size_px": height, "width_px": width})
    return replace(weights, recipe=recipe, input_spec=spec)


def check_maps(name: str, canvas: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The packaged graph of a network gives the maps that torch gives on a canvas."""
    monkeypatch.setattr(conversion, "_trace", lambda *_: pytest.fail("it was converted"))
    weights = on_canvas(name, *canvas)
    image = np.random.default_rng(0).integers(0, 256, (*canvas, 3), dtype=np.uint8)
    fast, exact = OpenVinoRuntime(weights, cut="maps"), TorchRuntime(weights, cut="maps")
    assert (fast.maps, fast.width) == (exact.maps, exact.width)
    found, wanted = rows(fast, [image]), rows(exact, [image])
    for level in exact.maps:
        one, other = (each[:, level.start : level.stop].astype(float) for each in (found, wanted))
        assert np.abs(one - other).max() <= 1e-3 * np.abs(other).max()  # rows are kept in half precision


@pytest.mark.parametrize("name", NAMES)
def test_packaged_maps_are_those_of_torch_on_another_canvas(
    name: str, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_maps(name, (96, 128), monkeypatch)


@pytest.mark.parametrize("name", in_turn(NAMES, 1))
def test_packaged_maps_are_those_of_torch_on_the_canvas_of_the_trace(
    name: str, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_maps(name, (384, 512), monkeypatch)


def test_a_converted_graph_gives_the_same_bits_as_the_packaged_one(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = on_canvas(NAMES[0], 64, 96)
    image = np.random.default_rng(1).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    packaged = rows(OpenVinoRuntime(weights, cut="maps"), [image])
    monkeypatch.setenv("REGRAFT_CACHE", str(own_cache / "other"))
    monkeypatch.setattr(conversion, "unpack", lambda *_: False)
    assert np.array_equal(rows(OpenVinoRuntime(weights, cut="maps"), [image]), packaged)


@pytest.mark.parametrize(
    "changes",
    [{"size_px": 100}, {"size_px": 32, "width_px": 32}, {"mean": (0.4, 0.5, 0.5)}, {"channels": 4}],
    ids=["no multiple", "too small", "another normalisation", "another channel"],
)
def test_what_a_packaged_graph_does_not_fit_is_converted(changes: dict[str, Any], tmp_path: Path) -> None:
    weights = on_canvas(NAMES[0], 96, 128)
    assert unpack(graph_facts(weights, "maps"), tmp_path / "fits")
    other = replace(weights, input_spec=weights.input_spec.model_copy(update=changes))
    assert not unpack(graph_facts(other, "maps"), tmp_path / "other")


def test_recipes_that_divide_the_network_alike_share_a_graph(tmp_path: Path) -> None:
    weights = on_canvas(NAMES[0], 96, 128)
    assert weights.recipe.stages == "fine"
    for stages, fits in (("default", True), ("coarse", False)):
        other = replace(weights, recipe=weights.recipe.model_copy(update={"stages": stages}))
        assert unpack(graph_facts(other, "maps"), tmp_path / stages) is fits


def test_an_older_openvino_converts_maps_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = graph_facts(on_canvas(NAMES[0], 96, 128), "maps")
    monkeypatch.setattr(metadata, "version", lambda name: "2025.1.0")
    assert not unpack(facts, tmp_path)


def test_a_reshaped_graph_is_read_back_from_the_cache(own_cache: Path) -> None:
    weights = on_canvas(NAMES[0], 64, 96)
    first, again = converted(weights, "maps"), converted(weights, "maps")
    assert first.maps == again.maps
    assert first.maps[-1].stop == first.width == sum(m.height * m.width * m.channels for m in first.maps)
